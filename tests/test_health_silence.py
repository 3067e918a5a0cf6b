"""Providers that hang: silence demotes a model before a time-out does."""

from __future__ import annotations

from ofox_middleware.health import HealthBook
from tests.health_tools import HandClock, fail, look, streamed, used


def test_a_silent_request_demotes(book: HealthBook, clock: HandClock) -> None:
    """When nothing newer shows a sign of life, requests that wait far longer than is usual count like failures."""
    used(book, clock)
    hung = [book.begin("m") for _ in range(4)]
    clock.sleep(4)
    assert look(book).availability == 1.0
    clock.sleep(3)
    assert look(book).availability < 0.8
    shown = book.snapshot()["m"]
    assert (shown["late"], shown["silent"], shown["failed"], shown["state"]) == (4, 4, 0, "closed")
    for lease in hung:
        lease.succeed()
    assert look(book).availability == 1.0
    assert book.snapshot()["m"]["late"] == 0


def test_a_provider_that_hangs_trips_before_the_first_time_out(book: HealthBook, clock: HandClock) -> None:
    """Five requests in a row that fell silent open the breaker, long before any of them fails; a probe may go soon."""
    used(book, clock)
    hung = [book.begin("m") for _ in range(5)]
    clock.sleep(7)
    assert look(book).state == "open"
    clock.sleep(5)
    assert look(book).probe_free
    book.begin("m").first_token()
    assert look(book).state == "closed"
    for lease in hung:
        lease.fail()
    assert (look(book).state, book.snapshot()["m"]["failed"]) == ("closed", 0)


def test_a_cancelled_request_is_no_longer_late(book: HealthBook, clock: HandClock) -> None:
    """What was late and ends counts neither as late nor as silent any more."""
    used(book, clock)
    hung = [book.begin("m") for _ in range(3)]
    clock.sleep(7)
    for left in (2, 1, 0):
        hung.pop().cancel()
        shown = book.snapshot()["m"]
        assert (shown["late"], shown["silent"]) == (left, left)
    assert look(book).availability == 1.0


def test_failures_and_silence_add_up(book: HealthBook, clock: HandClock) -> None:
    """Three failures and two requests that fell silent after them are five in a row."""
    used(book, clock)
    fail(book, 3)
    for _ in range(2):
        clock.sleep(0.1)
        book.begin("m")
    clock.sleep(7)
    assert look(book).state == "open"


def test_a_slow_model_is_not_down(book: HealthBook, clock: HandClock) -> None:
    """A sign of life from a request that had fallen silent closes the breaker, and teaches patience."""
    used(book, clock)
    slow = []
    for _ in range(6):
        clock.sleep(0.1)
        slow.append(book.begin("m"))
    clock.sleep(8)
    assert look(book).state == "open"
    for lease in slow[1:]:
        lease.first_token()
    assert look(book).state == "closed"
    assert look(book).ttft_s > 8.0
    for lease in slow:
        lease.succeed()
    for _ in range(6):
        book.begin("m")
    clock.sleep(12)
    assert look(book).state == "closed"


def test_one_stuck_request_is_no_sign(book: HealthBook, clock: HandClock) -> None:
    """A request that hangs while newer ones come back costs no more than one failure."""
    book.begin("m")
    for _ in range(60):
        streamed(book, clock, 0.5)
    view = look(book)
    assert book.snapshot()["m"]["late"] == 1
    assert book.snapshot()["m"]["silent"] == 0
    assert view.availability > 0.95


def test_patience_follows_what_is_usual(book: HealthBook, clock: HandClock) -> None:
    """A model whose answers take half a minute is given twice that before they are late."""
    lease = book.begin("m")
    clock.sleep(30)
    lease.succeed()
    book.begin("m")
    clock.sleep(50)
    assert (look(book).availability, book.snapshot()["m"]["late"]) == (1.0, 0)
    clock.sleep(10)
    assert book.snapshot()["m"]["late"] == 1


def test_patience_with_whole_answers(book: HealthBook, clock: HandClock) -> None:
    """Where answers are not streamed, silence means little for half a minute."""
    for _ in range(5):
        lease = book.begin("m")
        clock.sleep(1)
        lease.succeed(output_tokens=40)
    for _ in range(9):
        book.begin("m")
    clock.sleep(28)
    assert (look(book).state, book.snapshot()["m"]["late"]) == ("closed", 0)
    clock.sleep(4)
    assert look(book).state == "open"


def test_patience_with_an_unknown_model_is_a_minute(book: HealthBook, clock: HandClock) -> None:
    """Nothing is usual yet: a minute it is."""
    book.begin("m")
    clock.sleep(58)
    assert book.snapshot()["m"]["late"] == 0
    clock.sleep(4)
    assert book.snapshot()["m"]["late"] == 1


def test_streaming_requests_are_not_late(book: HealthBook, clock: HandClock) -> None:
    """Once its first token came, a request may take as long as it likes."""
    lease = book.begin("m")
    clock.sleep(70)
    assert book.snapshot()["m"]["late"] == 1
    lease.first_token()
    assert book.snapshot()["m"]["late"] == 0
    clock.sleep(200)
    assert book.snapshot()["m"]["late"] == 0


def test_lost_requests_stop_being_late(book: HealthBook, clock: HandClock) -> None:
    """What has been late for a minute is taken to be lost: it no longer speaks against the model."""
    for _ in range(4):
        book.begin("m")
    clock.sleep(70)
    assert book.snapshot()["m"]["late"] == 4
    clock.sleep(60)
    assert (look(book).availability, look(book).in_flight, book.snapshot()["m"]["late"]) == (1.0, 4, 0)
