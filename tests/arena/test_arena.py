"""The arena itself: a run of a few seconds that must be correct, and its counting. Nothing here asserts on time."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the arena needs the `proxy` extra")
pytest.importorskip("httpx")

from benchmarks.arena import load, measure, processes, report
from benchmarks.arena.processes import Run, run
from benchmarks.arena.redis import Redis
from benchmarks.arena.scenario import DEFAULT, Fault, Scenario

SCENARIO = Scenario.load(1, seconds=20)
MODEL = SCENARIO.models[0].name


def test_a_short_run_is_correct() -> None:
    """Through every fault, cancels included, nothing stays in flight and nobody is answered twice."""
    scenario = Scenario.load(7, seconds=8)
    made = run("ofox-asgi", scenario, DEFAULT)
    measures = measure.measure([made], [scenario])
    asked = [ask.id for ask in scenario.asks()]
    assert [row["id"] for row in made.requests] == asked
    assert measures.answered + measures.failed + measures.cancelled == len(asked)
    assert measures.answered > len(asked) / 2
    assert measures.drift == 0
    assert measures.twice == 0
    assert {attempt["id"] for attempt in made.attempts} <= set(asked)
    assert made.states
    assert "ofox-asgi" in report.markdown([measures], [scenario]) or "ofox" in report.markdown([measures], [scenario])


@pytest.mark.parametrize("seed", range(20))
def test_a_healthy_model_at_any_time(seed: int) -> None:
    """However the faults are dealt, at any moment a model without a rate limit is healthy."""
    scenario = Scenario.load(seed)
    for tenth in range(900):
        assert any(
            model.limit_per_s is None and scenario.at(model.name, tenth / 10) is None for model in scenario.models
        )


def test_a_seed_repeats() -> None:
    """The same seed gives the same faults and requests, another one others."""
    assert Scenario.load(3) == Scenario.load(3)
    assert Scenario.load(3).asks() == Scenario.load(3).asks()
    assert Scenario.load(3).faults != Scenario.load(4).faults
    assert Scenario.load(3).asks() != Scenario.load(4).asks()


def test_an_impossible_scenario_is_refused(tmp_path: Path) -> None:
    """A script that leaves nobody healthy is an error, not a benchmark."""
    text = DEFAULT.read_text("utf-8") + "".join(
        f"  - {{slot: {slot}, kind: down, from: 0, to: 90}}\n" for slot in "ABCDEF"
    )
    path = tmp_path / "scenario.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="healthy"):
        Scenario.load(1, path=path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty answer"),
        ("r1.5:0 r1.6:1", "answers mixed"),
        ("r2.5:0 r2.5:1", "another's answer"),
        ("r1.5:0 r1.5:2", "pieces missing"),
    ],
)
def test_what_a_client_does_not_take_for_an_answer(text: str, reason: str) -> None:
    """An answer counts only when it is one attempt's, for this request, whole and in order."""
    load.check("r1.5:0 r1.5:1", "r1")
    with pytest.raises(load.Bad, match=reason):
        load.check(text, "r1")


def _attempt(at: float, model: str = MODEL, *, outcome: str = "ok", request: str | None = None) -> dict[str, Any]:
    return {
        "id": request or f"r{at}", "model": model, "at": at, "took": 0.1, "outcome": outcome,
        "input_tokens": 10, "output_tokens": 20,
    }  # fmt: skip


def _row(outcome: str = "ok", *, pieces: int = 3, request: str = "r") -> dict[str, Any]:
    return {
        "id": request,
        "at": 0.0,
        "stream": True,
        "outcome": outcome,
        "pieces": pieces,
        "total_s": 1.0,
        "ttft_s": 0.5,
    }


def test_requests_are_counted_once_each() -> None:
    """Cancelled requests are neither success nor failure, and broken streams are told from other failures."""
    rows = [_row(request="a"), _row("cancelled", request="b"), _row("status 503", pieces=0, request="c")]
    rows.append(_row("stream broke off", request="d"))
    attempts = [_attempt(1, request="a"), _attempt(1, request="b"), _attempt(1, request="c", outcome="error")]
    found = measure.measure([Run("x", 1, rows, attempts, in_flight=0)], [SCENARIO])
    assert (found.answered, found.failed, found.cancelled, found.broken) == (1, 2, 1, 1)
    assert found.success == pytest.approx(1 / 3)
    assert found.recoverable_success == pytest.approx(1 / 2)
    assert (found.attempts, found.wasted) == (2, pytest.approx(1 / 3))
    assert found.drift == 0
    assert found.reasons == {"status 503": 1, "stream broke off after content": 1}


def test_answered_twice() -> None:
    """A client that sees two answers is told from a second answer at the providers that no client sees."""
    attempts = [_attempt(1, request="a"), _attempt(2, request="a"), _attempt(1, request="b"),
                _attempt(2, request="b", outcome="error")]  # fmt: skip
    found = measure.measure([Run("x", 1, [_row("answers mixed"), _row("ended twice")], attempts)], [SCENARIO])
    assert (found.twice, found.doubled) == (2, 1)
    assert found.drift is None


def test_what_the_loss_of_redis_costs() -> None:
    """Requests that began without it are counted, and how long the last worker took to follow the first."""
    rows = [{**_row(request="a"), "at": 5.0}, {**_row("status 500", pieces=0, request="b"), "at": 6.0},
            {**_row("cancelled", request="c"), "at": 6.5}, {**_row(request="d"), "at": 10.0}]  # fmt: skip
    scenario = replace(SCENARIO, faults=(Fault(MODEL, "error", 1.0, 8.0), Fault(MODEL, "error", 8.0, 12.0)))
    opens = [[(at / 4, {MODEL: "open" if at / 4 >= when else "closed"}) for at in range(16)] for when in (1.5, 2.75)]
    other = SCENARIO.models[1].name
    attempts = [_attempt(at / 10, other if at % 2 or at > 27 else MODEL) for at in range(80)]
    made = Run("ofox-workers", 1, rows, attempts, workers=opens, redis_outage=(4.5, 7.5))
    found = measure.measure([made], [scenario])
    assert (found.redis_requests, found.redis_failed) == (2, 1)
    assert found.spreads_s == [pytest.approx(0.9, abs=0.21)]  # one attempt in three seconds is under 5%
    assert (found.dead_with_redis, found.dead_without_redis) == ((6, 35), (0, 30))
    assert "of 2 requests that began without it, 1 failed" in report.markdown([found], [scenario])


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server on this machine")
def test_redis_is_killed_in_the_middle_and_started_again(tmp_path: Path) -> None:
    """The outage is a real one: nobody listens meanwhile, and there is an end to it."""
    redis = Redis(processes._free_port(), tmp_path)
    redis.start()
    try:
        with redis.failing(time.monotonic(), 1.0):
            time.sleep(1.0)
            for _ in range(200):
                if len(redis.outage) == 2:
                    break
                time.sleep(0.05)
        down, up = redis.outage
        assert 0.4 <= down < up
    finally:
        redis.kill()


def test_leaving_and_returning() -> None:
    """An episode tells when the attempts went elsewhere and when they came back."""
    other = SCENARIO.models[1].name
    scenario = replace(SCENARIO, faults=(Fault(MODEL, "error", 6.0, 12.0),))
    attempts = []
    for index in range(200):
        at = index / 10
        gone = 7.0 <= at < 13.0
        attempts.append(_attempt(at, other if gone or index % 2 else MODEL, outcome="error" if 6 <= at < 7 else "ok"))
    states = [(index / 4, {MODEL: "open" if 7.0 <= index / 4 < 13.0 else "closed"}) for index in range(80)]
    (episode,) = measure.measure([Run("x", 1, [], attempts, states)], [scenario]).episodes
    assert episode.in_use
    assert episode.left_s == pytest.approx(0.6, abs=0.01)  # one attempt in three seconds is under 5%
    assert episode.back_s == pytest.approx(1.0, abs=0.11)
    assert episode.first_ok_s == pytest.approx(1.1, abs=0.11)
    assert episode.opened_s == pytest.approx(1.0)
    assert episode.closed_s == pytest.approx(1.0)
    assert episode.after_open == (0, 50)
    assert episode.during == (5, 60)


RIVAL = SCENARIO.models[1].name


@pytest.mark.parametrize(
    ("later", "preferred", "reason"),
    [
        ((Fault(MODEL, "error", 14.0, 16.0),), MODEL, "next fault first"),
        ((), MODEL, "run ended first"),
        ((Fault(RIVAL, "error", 1.0, 5.5),), RIVAL, "others well again and preferred"),
        ((), RIVAL, "not taken back"),
    ],
)
def test_why_a_model_is_not_taken_back(later: tuple[Fault, ...], preferred: str, reason: str) -> None:
    """Too little time, others that were at fault before and are well now, and what nothing excuses are told apart."""
    seconds = 20.0 if preferred == MODEL else 60.0
    scenario = replace(SCENARIO, seconds=seconds, faults=(Fault(MODEL, "error", 6.0, 12.0), *later))
    attempts = [_attempt(index / 10) for index in range(60)]
    attempts += [_attempt(12.5 + index / 10, RIVAL) for index in range(70)]
    attempts.append(_attempt(13.0))
    made = measure.measure([Run("x", 1, [], attempts)], [scenario])
    assert made.episodes[0].never_back == reason
    assert made.never_back()[reason] == 1
    assert f"| {reason} |" in report.markdown([made], [scenario])


def test_a_late_return_behind_others_is_told_apart() -> None:
    """A model that answers again, but gets its share only when a rival fails that was ill before, is not blamed."""
    faults = (Fault(RIVAL, "error", 1.0, 5.5), Fault(MODEL, "error", 6.0, 12.0))
    scenario = replace(SCENARIO, seconds=60.0, faults=faults)
    attempts = [_attempt(index / 10) for index in range(60)]
    attempts += [_attempt(13.0), *(_attempt(13.05 + index / 10, RIVAL) for index in range(100))]
    attempts += [_attempt(23.1 + index / 10) for index in range(100)]
    made = measure.measure([Run("x", 1, [], attempts)], [scenario])
    assert made.back_s(outdone=False) == []
    assert made.back_s(outdone=True) == [pytest.approx(11.1, abs=0.1)]


def test_the_first_of_several_breakers_counts() -> None:
    """With several workers attempts count as made after the breaker opened from the first worker's opening on."""
    scenario = replace(SCENARIO, faults=(Fault(MODEL, "error", 6.0, 12.0),))
    attempts = [_attempt(6.0 + index / 10) for index in range(60)]
    workers = [[(9.0, {MODEL: "open"})], [(7.0, {MODEL: "open"})]]
    (episode,) = measure.measure([Run("x", 1, [], attempts, workers[0], workers)], [scenario]).episodes
    assert episode.opened_s == pytest.approx(1.0)
    assert episode.after_open == (50, 50)


def test_results_are_written(tmp_path: Path) -> None:
    """The table, the numbers and the plot come out of one call."""
    pytest.importorskip("matplotlib")
    made = Run("x", 1, [_row(request="a"), _row("status 500", request="b")], [_attempt(1.0, request="a")])
    report.write(tmp_path, [measure.measure([made], [SCENARIO])], [[made]], [SCENARIO])
    assert {path.name for path in tmp_path.iterdir()} == {"arena.md", "arena.json", "arena.png"}
    assert "50.00" in tmp_path.joinpath("arena.md").read_text("utf-8")
