"""The speed benchmark: contenders take turns, ratios are within a round, and what was not measured is said so."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from benchmarks.speed import deciding, door, report, served, targets
from benchmarks.speed.rounds import Case, measure, percentile
from ofox_middleware import Settings, SmartRouter
from tests.asgi.harness import call


def test_contenders_take_turns_and_no_input_comes_twice() -> None:
    """In every round each contender runs, slow ones in some of them, and each call has an input of its own."""
    seen: list[tuple[str, int]] = []

    async def waits(number: int) -> None:
        seen.append(("b", number))

    cases = [
        Case("a", lambda number: seen.append(("a", number)), calls=2),
        Case("b", waits, peer="a", calls=3),
        Case("c", lambda number: seen.append(("c", number)), peer="a", calls=1, every=2),
    ]
    rows = measure(cases, 4)
    assert [row["calls"] for row in rows] == [8, 12, 2]
    assert len({number for _, number in seen}) == len(seen) == 5 * 2 + 5 * 3 + 3
    assert rows[0]["ratio"] is None
    assert all(row["ratio"] > 0 for row in rows[1:])


def test_ratios_are_within_a_round() -> None:
    """A round that was slow for everybody leaves the ratio as it is."""
    ours, theirs = Case("ours", print), Case("theirs", print)
    ours.rounds, theirs.rounds = {0: 1.0, 1: 10.0, 2: 1.0}, {0: 2.0, 1: 20.0, 2: 2.0, 3: 1.0}
    assert ours.ratio(theirs) == 0.5
    assert ours.added(theirs) == -1.0


def test_percentile() -> None:
    """The 99th of a hundred is the last but none; of few it is the largest."""
    assert percentile([float(at) for at in range(100)], 0.99) == 99.0
    assert percentile([1.0, 3.0, 2.0], 0.99) == 3.0


@pytest.mark.parametrize("tokens", [7, 1_500, 37_000])
def test_prompts_have_the_length_that_they_are_called_by(tokens: int) -> None:
    """A prompt of so many tokens is about that long, and no two are the same."""
    router = SmartRouter(Settings(models=deciding.pool(2)))
    decision = router.decide({"messages": deciding.messages(tokens, 1)})
    assert decision.input_tokens == pytest.approx(tokens, rel=0.15, abs=12)
    assert deciding.prompt(tokens, 1) != deciding.prompt(tokens, 2)


def test_bodies_have_the_size_that_they_are_called_by() -> None:
    """Request bodies are JSON of the size in their name, the image in the one that has it."""
    for label, size in list(door.SIZES.items())[:3]:
        raw = door.bodies(size)(7)
        assert len(raw) == pytest.approx(size, rel=0.1), label
        assert json.loads(raw)["model"] == "auto"
    pictured = door.bodies(6_000_000, image=True)(7)
    assert json.loads(pictured)["messages"][-1]["content"][1]["type"] == "image_url"


def test_the_served_apps_answer() -> None:
    """With the middleware and without, the app under load gives the same answer."""
    bare = asyncio.run(call(served.bare, {"model": "auto", "messages": []}))
    ours = asyncio.run(call(served.with_ofox(), {"model": "auto", "messages": []}))
    assert bare.json == ours.json
    assert "x-ofox-model" in ours.headers


def test_targets_are_met_not_met_or_not_measured() -> None:
    """Each target says which; a run of some parts leaves the others open."""
    door_rows: list[dict[str, Any]] = [
        {"name": "OfoxMiddleware, other path", "added_us": 0.5},
        {"name": "OfoxMiddleware, auto, a chunk of a stream", "added_us": 1.5},
    ]
    lines = {line["name"]: line["met"] for line in targets.check({"door": door_rows})}
    assert lines["unmatched, added"] is True
    assert lines["a chunk of a stream, added"] is False
    assert lines["memory, growth in the second half"] is None


def test_the_report_shows_what_there_is() -> None:
    """Tables of the parts that were run, and every target."""
    machine = {"cores": 2, "python": "3", "litellm": "1", "seconds": 1.0, "load_before": 0.0, "load_after": 0.0}
    rows = measure([Case("a", lambda _: None), Case("b", lambda _: None, peer="a")], 2)
    results = {"machine": machine, "door": rows, "targets": targets.check({})}
    text = report.markdown(results)
    assert "| b |" in text
    assert text.count("not measured") == len(targets.TARGETS)
    assert "## Memory" not in text
