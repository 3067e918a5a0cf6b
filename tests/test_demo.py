"""The demo: simulated providers behind real LiteLLM, asked by real clients; and its tour."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anthropic
import httpx
import litellm
import openai
import pytest

from ofox_middleware import cli, tour
from ofox_middleware.demo import Demo
from ofox_middleware.server import background, listen
from ofox_middleware.simulated import POOL
from ofox_middleware.tour import Row, Tour, TourFailed
from ofox_middleware.types import Preference

# LiteLLM's own types make pydantic warn when it builds them; nothing of ours is silenced.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic._internal._generate_schema"),
    # It also leaves connections open, which are collected at any time.
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]

ASK: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
PACE = 0.05


class Running:
    """A demo served from a thread, and clients for it."""

    def __init__(self, demo: Demo, url: str) -> None:
        self.demo = demo
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, http_client=self.http)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)

    def close(self) -> None:
        self.http.close()
        self.anthropic.close()

    def ask(self, preference: str = "balanced", **more: Any) -> Any:
        """One chat request, with its headers."""
        config = {"preference": preference, **more.pop("config", {})}
        return self.openai.chat.completions.with_raw_response.create(
            model="auto",
            messages=more.pop("messages", ASK),
            extra_body={"model_routing_config": config},
            **more,
        )


def serving(**options: Any) -> Iterator[Running]:
    """A demo in this process, on a free port."""
    demo = Demo(**{"pace": PACE, **options})
    listener = listen("127.0.0.1", 0)
    with background(demo.app, listener):
        running = Running(demo, f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield running
        running.close()
    # LiteLLM's callbacks are the process's, and would go on feeding the health of a router that is gone.
    litellm.logging_callback_manager._reset_all_callbacks()


@pytest.fixture
def site() -> Iterator[Running]:
    """A fresh demo: nothing learned, everybody up."""
    yield from serving()


@pytest.mark.parametrize("preference", [item.value for item in Preference])
def test_each_preference_is_answered(site: Running, preference: str) -> None:
    """Each preference gets an answer by the model that the headers name."""
    raw = site.ask(preference)
    answer = raw.parse()
    assert answer.model == raw.headers["x-ofox-model"] in site.demo.simulation.models
    assert answer.model in answer.choices[0].message.content
    assert float(raw.headers["x-litellm-response-cost"]) > 0


@pytest.mark.parametrize("preference", [item.value for item in Preference])
def test_each_preference_streams(site: Running, preference: str) -> None:
    """Each preference streams word by word, and every chunk names the model."""
    raw = site.ask(preference, stream=True)
    chunks = list(raw.parse())
    assert {chunk.model for chunk in chunks} == {raw.headers["x-ofox-model"]}
    assert len(chunks) > 20


def test_preferences_differ(site: Running) -> None:
    """Quality pays more than cost for a prompt that a cheaper model can answer well enough."""
    text = "Write a Python function that merges overlapping intervals and explain its complexity."
    middling: list[Any] = [{"role": "user", "content": text}]

    def paid(preference: str) -> float:
        return float(site.ask(preference, messages=middling).headers["x-litellm-response-cost"])

    assert paid("quality") > paid("cost")


@pytest.mark.parametrize("stream", [False, True])
def test_two_providers_down_and_nobody_notices(site: Running, stream: bool) -> None:
    """With two of four providers down, every request of every preference is answered by the others."""
    for provider in ("north", "pebble"):
        site.demo.simulation.set_state(provider, "down")
    for turn, preference in enumerate(item.value for item in (*Preference, *Preference)):
        messages = [{"role": "user", "content": f"Tell me fact number {turn} about foxes."}]
        raw = site.ask(preference, messages=messages, stream=stream)
        answer = raw.parse()
        model = {chunk.model for chunk in answer} if stream else {answer.model}
        assert model.pop().partition("/")[0] in {"river", "gust"}
    # The caller has the last chunk a moment before the server has put the request away.
    end = time.monotonic() + 10
    while site.demo.router.health.in_flight() and time.monotonic() < end:
        time.sleep(0.02)
    assert site.demo.router.health.in_flight() == 0


def test_litellms_own_callbacks_feed_the_health(site: Running) -> None:
    """A provider's failures, seen through LiteLLM, open its breaker, and the next requests are not sent there."""
    site.demo.simulation.set_state("north", "down")
    for turn in range(8):
        messages = [{"role": "user", "content": f"{tour.HARD} Variant {turn}."}]
        site.ask("quality", messages=messages, config={"models": ["north/titan", "river/oracle"]})
    calls = site.demo.simulation.status()["north"]["calls"]
    assert 1 <= calls < 8
    snapshot = site.http.get("/demo/health").json()
    assert snapshot["north/titan"]["availability"] < snapshot["river/oracle"]["availability"]


def test_a_limited_provider_is_left_alone_as_long_as_it_says(site: Running) -> None:
    """A 429 with a time opens the breaker at once."""
    site.demo.simulation.set_state("north", "limited")
    for turn in range(3):
        messages = [{"role": "user", "content": f"{tour.HARD} Variant {turn}."}]
        pool = {"models": ["north/titan", "pebble/mini"]}
        assert site.ask("quality", messages=messages, config=pool).parse().model == "pebble/mini"
    assert site.http.get("/demo/health").json()["north/titan"]["state"] == "open"


def test_tool_calls(site: Running) -> None:
    """A tool is called, plain and streamed, by a model that has tools."""
    tools: list[Any] = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]
    message = site.ask("cost", tools=tools).parse().choices[0].message
    assert message.tool_calls[0].function.name == "look_up"
    chunks = list(site.ask("cost", tools=tools, stream=True).parse())
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert calls[0].function.name == "look_up"


def test_the_other_protocols(site: Running) -> None:
    """Responses, messages and text completions are answered too, plain and streamed."""
    assert "simulated" in site.openai.responses.create(model="auto", input="Hello").output_text
    assert "simulated" in site.openai.completions.create(model="auto", prompt="Hello").choices[0].text
    assert "simulated" in site.anthropic.messages.create(model="auto", max_tokens=99, messages=ASK).content[0].text
    with site.anthropic.messages.stream(model="auto", max_tokens=99, messages=ASK) as stream:
        assert "simulated" in stream.get_final_text()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ([{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}], "invalid_request"),
        ("many words here " * 20_000, "context_length_exceeded"),
    ],
)
def test_a_model_asked_for_by_name_may_refuse(site: Running, content: Any, code: str) -> None:
    """What a model cannot do is the caller's error when the caller chose the model."""
    with pytest.raises(openai.BadRequestError) as caught:
        site.openai.chat.completions.create(model="pebble/mini", messages=[{"role": "user", "content": content}])
    assert caught.value.code == code


def test_providers_are_controlled_over_http(site: Running) -> None:
    """A provider can be taken down and brought back by a POST, and its state read back."""
    assert site.http.get("/demo/providers").json()["river"]["state"] == "up"
    assert site.http.post("/demo/providers/river", json={"state": "down"}).json()["state"] == "down"
    assert site.http.get("/demo/providers").json()["river"]["state"] == "down"


@pytest.mark.parametrize(
    ("provider", "content", "status"),
    [
        ("river", b'{"state": "asleep"}', 400),
        ("river", b"{", 400),
        ("river", b"[]", 400),
        ("river", b"{}", 404),
        ("delta", b'{"state": "down"}', 404),
    ],
)
def test_wrong_control_is_refused(site: Running, provider: str, content: bytes, status: int) -> None:
    """An unknown provider or state is an error that changes nothing."""
    assert site.http.post(f"/demo/providers/{provider}", content=content).status_code == status
    assert {state["state"] for state in site.http.get("/demo/providers").json().values()} == {"up"}


def test_decisions_and_savings_can_be_read(site: Running) -> None:
    """Every request's decision is there by the id in its headers, and the ledger counts it."""
    identity = site.ask().headers["x-ofox-decision-id"]
    decision = site.http.get(f"/demo/decisions/{identity}").json()
    assert decision["id"] == identity and decision["outcome"]["ok"]
    assert site.http.get("/demo/decisions").json()[0]["id"] == identity
    assert site.http.get("/demo/decisions/none").status_code == 404
    savings = site.http.get("/demo/savings").json()
    assert savings["requests"] == 1 and savings["cheapest_usd"] <= savings["spent_usd"]


# The tour ----------------------------------------------------------------------------------------------------------


def test_the_tour_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """``ofox demo --tour`` prints a row per request and exits 0."""
    assert cli.main(["demo", "--tour", "--pace", "0.3"]) == 0
    out = capsys.readouterr().out
    for word in ("an image", "a long prompt", "a stream", "north down", "up again", "no_candidate_model"):
        assert word in out
    assert "Every step held" in out


def failure_of(steps: Iterator[Row]) -> str:
    """What the tour finds wrong."""
    with pytest.raises(TourFailed) as caught:
        list(steps)
    return str(caught.value)


@pytest.fixture
def guide(site: Running) -> Iterator[Tour]:
    """A tour of the running demo that does not wait."""
    walking = Tour(site.url, sleep=lambda _: None)
    yield walking
    walking.close()


def test_the_tour_sees_an_image_on_a_blind_model() -> None:
    """If a router sent an image to a model that is not known to see, the tour would say so."""
    cards = [replace(model, card=replace(model.card, supports_vision=True)) for model in POOL]
    for site in serving(pool=cards):
        guide = Tour(site.url)
        assert "has no vision" in failure_of(guide._needs())
        guide.close()


def test_the_tour_sees_failed_requests(site: Running, guide: Tour) -> None:
    """If requests failed while a provider is down, the tour would say so."""
    for provider in site.demo.simulation.providers:
        site.demo.simulation.set_state(provider, "down")
    assert "503" in failure_of(guide._preferences())


def test_the_tour_sees_traffic_that_does_not_leave(guide: Tour, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the provider that is down went on answering, the tour would say so."""
    monkeypatch.setattr(guide, "_set_state", lambda provider, state: None)
    assert "is down" in failure_of(guide._outage())


def test_the_tour_does_not_wait_for_ever(guide: Tour, monkeypatch: pytest.MonkeyPatch) -> None:
    """If traffic never came back, the tour would end."""
    monkeypatch.setattr(tour, "RECOVERY_LIMIT_S", 0.0)
    with pytest.raises(TourFailed, match="had no traffic"):
        guide._recovered("north", "Prove {}.")


def test_the_tour_reports_a_broken_control(guide: Tour) -> None:
    """A control that does not work is a failure of the tour with the server's words."""
    with pytest.raises(TourFailed, match="south"):
        guide._set_state("south", "down")


# The process -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_process_serves_and_stops_cleanly(ending: signal.Signals) -> None:
    """``ofox demo`` announces its address, answers the OpenAI client, and ends on a signal without a traceback."""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    process = subprocess.Popen(
        [sys.executable, "-m", "ofox_middleware", "demo", "--port", "0", "--pace", "0.05", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["url"].startswith("http://127.0.0.1:")
        with openai.OpenAI(base_url=told["base_url"], api_key="none", max_retries=0) as client:
            assert client.chat.completions.create(model="auto", messages=ASK).model in told["models"]
            chunks = list(client.chat.completions.create(model="auto", messages=ASK, stream=True))
            assert {chunk.model for chunk in chunks} < set(told["models"])
        process.send_signal(ending)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in {0, 130, -signal.SIGTERM}
    assert "Traceback" not in errors
