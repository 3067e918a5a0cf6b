"""The console's stream: events in order, bounded in number, and ended with the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ofox_middleware import console_live
from ofox_middleware.console import Console
from ofox_middleware.router import SmartRouter
from ofox_middleware.server import background, listen
from tests.console.tools import ASK, Client, ended


@pytest.fixture
def url(page: Console) -> Iterator[str]:
    """The console on a real socket, for streams."""
    listener = listen("127.0.0.1", 0)
    with background(page, listener, stopping=page.stop):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def test_the_stream_tells_decisions_outcomes_and_status(router: SmartRouter, url: str) -> None:
    """What happens after the page was opened arrives in order, with the status beside it."""
    with httpx.Client(trust_env=False, timeout=20) as http, http.stream("GET", f"{url}/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = events(answer.iter_lines())
        kind, status = next(heard)
        assert kind == "status" and len(status["history"]) == 0 and status["missed"] == 0
        made = router.decide(ASK)
        router.report(ended(made))
        told = [(kind, data) for kind, data in (next(heard) for _ in range(4)) if kind != "status"][:2]
        assert [kind for kind, _ in told] == ["decision", "outcome"]
        assert told[0][1]["id"] == told[1][1]["id"] == made.id and told[1][1]["outcome"]["ok"]
        assert told[1][1]["number"] == 2


def test_a_stream_goes_on_where_the_last_one_ended(
    router: SmartRouter, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream ends by itself, and the next one brings what came in between."""
    monkeypatch.setattr(console_live, "STREAM_S", 0.0)
    first, second = router.decide(ASK), router.decide(ASK)
    with httpx.Client(trust_env=False, timeout=20) as http:
        told = [data for kind, data in events(iter(http.get(f"{url}/api/events?after=1").text.splitlines()))]
        assert [data["id"] for data in told if "id" in data] == [second.id] != [first.id]


def test_a_flood_is_thinned_and_counted(router: SmartRouter, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more events than a page can show it gets the newest, and how many it missed."""
    monkeypatch.setattr(console_live, "STREAM_S", 0.0)
    monkeypatch.setattr(console_live, "MOST_PER_TICK", 2)
    made = [router.decide(ASK).id for _ in range(5)]
    with httpx.Client(trust_env=False, timeout=20) as http:
        told = dict_of(http.get(f"{url}/api/events?after=0").text)
    assert told["ids"] == made[3:] and told["missed"] == 3


def dict_of(text: str) -> dict[str, Any]:
    told = list(events(iter(text.splitlines())))
    return {"ids": [data["id"] for kind, data in told if kind == "decision"], "missed": told[-1][1]["missed"]}


def test_streams_are_bounded(page: Console, client: Client) -> None:
    """Pages that nobody closes cannot take all connections."""
    page._live.streams = console_live.MOST_STREAMS
    assert client.get("/api/events").json()["error"]["code"] == "too_many_streams"


def test_streams_end_when_the_server_stops(page: Console, client: Client) -> None:
    """A console that was told to stop ends its streams at once, so that a server need not wait for open pages."""
    page.stop()
    assert client.get("/api/events").text == ""
    assert page._live.streams == 0
