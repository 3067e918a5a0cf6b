"""The ledger against every sequence of events that LiteLLM was seen to send."""

from __future__ import annotations

import asyncio
import copy
import gc
import json

from ofox_middleware.attempts import DoorAttempt, current_attempt
from ofox_middleware.cards import ModelFacts
from ofox_middleware.health import HealthBook
from ofox_middleware.ledger import Call, Ledger

A = ModelFacts("a", "a", "p")
B = ModelFacts("b", "b", "p")


class Owner:
    """Stands for LiteLLM's logging object."""


def book() -> tuple[HealthBook, Ledger]:
    health = HealthBook()
    return health, Ledger(health)


def failures(health: HealthBook, model: str) -> int:
    """How many hard failures in a row the model has."""
    return int(health.snapshot().get(model, {}).get("failed", 0))


def test_an_attempt_opens_and_closes_once() -> None:
    """One start and two ends leave nothing in flight, not minus one."""
    health, ledger = book()
    call = Call()
    ledger.begin(call, A, "d1")
    assert health.in_flight() == 1
    ledger.succeed(call, "d1", output_tokens=20)
    ledger.succeed(call, "d1")
    assert health.in_flight() == 0


def test_a_bridged_call_starts_twice_and_counts_once() -> None:
    """The inner start of a bridged call is the same attempt, and its first end closes it."""
    health, ledger = book()
    call = Call()
    ledger.begin(call, A, "d1")
    ledger.begin(call, A, "d1")
    assert health.in_flight() == 1
    ledger.fail(call, "d1", status=500)
    ledger.fail(call, "d1", status=500)
    assert health.in_flight() == 0
    assert failures(health, "a") == 1


def test_a_retry_on_the_same_deployment_is_a_new_attempt() -> None:
    """After a failure the next start counts again."""
    health, ledger = book()
    call = Call()
    for _ in range(2):
        ledger.begin(call, A, "d1")
        ledger.fail(call, "d1", status=500)
    assert failures(health, "a") == 2


def test_a_fallback_closes_the_attempt_before_it_as_failed() -> None:
    """A stream that failed before its first chunk is only seen by its fallback's start; the late event is swallowed."""
    health, ledger = book()
    call = Call()
    ledger.begin(call, A, "d1", depth=0)
    ledger.begin(call, B, "d2", depth=1)
    assert health.in_flight() == 1
    assert failures(health, "a") == 1
    ledger.fail(call, "d2", status=500, late=True)
    assert health.in_flight() == 1
    ledger.succeed(call, "d2")
    assert health.in_flight() == 0
    assert failures(health, "b") == 0


def test_an_early_failure_event_with_the_fallbacks_name_hits_the_open_attempt() -> None:
    """LiteLLM may name the fallback's deployment before the fallback has begun."""
    health, ledger = book()
    call = Call()
    ledger.begin(call, A, "d1", depth=0)
    ledger.fail(call, "d2", status=500, late=True)
    assert health.in_flight() == 0
    assert failures(health, "a") == 1


def test_a_batch_over_several_models_is_no_chain_of_failures() -> None:
    """Attempts of equal depth run side by side; a caller cannot blacken a model by naming several."""
    health, ledger = book()
    call = Call()
    ledger.begin(call, A, "d1")
    ledger.begin(call, B, "d2")
    assert health.in_flight() == 2
    ledger.succeed(call, "d1")
    ledger.succeed(call, "d2")
    assert (health.in_flight(), failures(health, "a"), failures(health, "b")) == (0, 0, 0)


def test_the_callers_own_faults_are_no_failures() -> None:
    """A 400, a content filter and a caller's own short time-out close without a verdict."""
    health, ledger = book()
    for status, own_timeout in ((400, False), (422, False), (499, False), (408, True)):
        call = Call()
        call.own_timeout = own_timeout
        ledger.begin(call, A, "d1")
        ledger.fail(call, "d1", status=status)
    assert health.in_flight() == 0
    assert failures(health, "a") == 0


def test_a_callers_own_time_out_counts_when_the_model_was_late_by_its_own_habit() -> None:
    """An app that limits every call must still learn that a model hangs."""
    now = [0.0]
    health = HealthBook(clock=lambda: now[0])
    ledger = Ledger(health)
    call = Call()
    call.own_timeout = True
    ledger.begin(call, A, "d1")
    now[0] += 200.0
    ledger.fail(call, "d1", status=408)
    assert health.in_flight() == 0
    assert health.snapshot()["a"]["failures_in_row"] == 1


def test_a_time_out_of_ours_is_a_failure() -> None:
    """A 408 without a time-out of the caller's speaks against the provider."""
    health, ledger = book()
    call = Call()
    ledger.begin(call, A, "d1")
    ledger.fail(call, "d1", status=408)
    assert failures(health, "a") == 1


def test_events_without_a_start_change_nothing() -> None:
    """Ends of attempts that were never opened are ignored."""
    health, ledger = book()
    call = Call()
    ledger.succeed(call, "d1")
    ledger.fail(call, None, status=500)
    ledger.first_token(call)
    ledger.cancel(call)
    assert health.in_flight() == 0


def test_a_dropped_call_is_closed_when_its_owner_goes() -> None:
    """A cancelled task or a dropped stream reports nothing; the owner's end frees the lease without a verdict."""
    health, ledger = book()
    owner, call = Owner(), Call()
    ledger.begin(call, A, "d1")
    ledger.close_when_dropped(call, owner)
    del owner
    gc.collect()
    ledger.sweep()
    assert health.in_flight() == 0
    assert failures(health, "a") == 0


def test_the_loop_closes_dropped_calls_by_itself() -> None:
    """In a running loop nobody has to ask."""

    async def main() -> int:
        health, ledger = book()
        owner, call = Owner(), Call()
        ledger.begin(call, A, "d1")
        ledger.close_when_dropped(call, owner)
        del owner
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return health.in_flight()

    assert asyncio.run(main()) == 0


def test_a_finished_call_leaves_nothing_for_its_owner_to_close() -> None:
    """The owner of a call that ended in order may go at any time."""
    health, ledger = book()
    owner, call = Owner(), Call()
    ledger.begin(call, A, "d1")
    ledger.close_when_dropped(call, owner)
    ledger.succeed(call, "d1")
    del owner
    gc.collect()
    ledger.begin(Call(), B, "d2")
    assert health.in_flight() == 1


def test_a_call_looks_like_text_and_is_never_copied() -> None:
    """Loggers that dump or copy LiteLLM's dictionaries meet a plain string, and every copy is the one call."""
    call = Call()
    details = {"ofox_call": call, "other": [1]}
    assert json.loads(json.dumps(details))["ofox_call"] == "ofox"
    assert copy.deepcopy(details)["ofox_call"] is call
    assert copy.copy(call) is call


def test_the_asgi_doors_lease_is_taken_over_once() -> None:
    """Inside an attempt of the ASGI door, LiteLLM's first attempt on that model uses the door's own lease."""
    health, ledger = book()
    door = DoorAttempt("a", health.begin("a"))
    token = current_attempt.set(door)
    try:
        call = Call()
        ledger.begin(call, A, "d1")
        assert (door.claimed, health.in_flight()) == (True, 1)
        ledger.fail(call, "d1", status=500)
        assert door.lease.closed
        ledger.begin(call, A, "d1")
        assert health.in_flight() == 1
        ledger.succeed(call, "d1")
    finally:
        current_attempt.reset(token)
    assert health.in_flight() == 0


def test_the_asgi_doors_lease_of_another_model_is_left_alone() -> None:
    """LiteLLM answering for another model than the door asked for opens a lease of its own."""
    health, ledger = book()
    door = DoorAttempt("a", health.begin("a"))
    token = current_attempt.set(door)
    try:
        call = Call()
        ledger.begin(call, B, "d2")
        assert (door.claimed, health.in_flight()) == (False, 2)
    finally:
        current_attempt.reset(token)


def test_time_to_first_token_is_measured_from_the_attempts_own_start() -> None:
    """LiteLLM's start time of a fallback is that of the first attempt, so ours counts."""
    now = [100.0]
    health = HealthBook(clock=lambda: now[0])
    ledger, call = Ledger(health), Call()
    ledger.begin(call, A, "d1")
    now[0] += 5
    ledger.succeed(call, "d1", output_tokens=50, first_token_at=call.attempts[0].began + 4.0)
    assert health.view("a", 1.5, 0.01).ttft_s > 1.6


def test_a_time_stamp_before_the_start_is_ignored() -> None:
    """A wall clock that was set back gives no negative time."""
    health, ledger = book()
    call = Call()
    ledger.begin(call, A, "d1")
    ledger.succeed(call, "d1", first_token_at=0.0)
    assert health.in_flight() == 0
