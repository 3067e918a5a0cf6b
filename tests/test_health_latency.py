"""What answers teach a health book of a model's times."""

from __future__ import annotations

import pytest

from ofox_middleware.health import HealthBook
from tests.health_tools import S_PER_TOKEN, TTFT_S, HandClock, look, streamed


def test_ttft_jumps_up_and_heals(book: HealthBook, clock: HandClock) -> None:
    """A slow first token shows at once; good ones after it outweigh it."""
    for _ in range(20):
        streamed(book, clock, 0.5)
    assert look(book).ttft_s == pytest.approx(0.52, abs=0.05)
    streamed(book, clock, 6.0)
    assert look(book).ttft_s == 6.0
    for _ in range(20):
        streamed(book, clock, 0.5)
    assert look(book).ttft_s < 1.0


def test_ttft_decays_towards_the_prior(book: HealthBook, clock: HandClock) -> None:
    """Without requests the estimate goes to what the catalogue expects, not to nothing."""
    streamed(book, clock, 8.0)
    readings = []
    for _ in range(20):
        readings.append(look(book).ttft_s)
        clock.sleep(30)
    assert readings == sorted(readings, reverse=True)
    assert readings[0] == 8.0
    assert readings[-1] == pytest.approx(TTFT_S, rel=0.01)


def test_ttft_shows_before_the_answer_ends(book: HealthBook, clock: HandClock) -> None:
    """The first token of a long stream counts when it comes, and once."""
    lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
    clock.sleep(4)
    lease.first_token()
    assert look(book).ttft_s == 4.0
    clock.sleep(1)
    lease.first_token()
    assert lease.ttft_s == 4.0
    clock.sleep(1)
    lease.succeed(output_tokens=100, ttft_s=99.0)
    assert look(book).ttft_s < 4.1


def test_ttft_named_at_the_end(book: HealthBook, clock: HandClock) -> None:
    """A caller that learned the first token's time elsewhere may name it with the success."""
    lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
    clock.sleep(10)
    lease.succeed(ttft_s=3.0, total_s=5.0, output_tokens=101)
    view = look(book)
    assert view.ttft_s == 3.0
    assert view.s_per_token == pytest.approx((0.01 + 0.02) / 2)


def test_rate_comes_from_long_answers(book: HealthBook, clock: HandClock) -> None:
    """From 16 tokens on the time after the first token teaches the rate; shorter answers do not."""
    streamed(book, clock, 0.5, 15, 0.5)
    assert look(book).s_per_token == S_PER_TOKEN
    for _ in range(50):
        streamed(book, clock, 0.5, 200, 0.04)
    assert look(book).s_per_token == pytest.approx(0.04, rel=0.1)


def test_an_answer_in_one_piece_teaches_no_rate(book: HealthBook, clock: HandClock) -> None:
    """A stream that was held back and came at once does not make the model look infinitely fast."""
    streamed(book, clock, 2.0, 500, 0.0)
    assert look(book).s_per_token == S_PER_TOKEN


def test_plain_answers_teach_both_latencies(book: HealthBook, clock: HandClock) -> None:
    """Without a first token, both latencies are scaled so that they explain the whole time."""
    for _ in range(30):
        lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
        clock.sleep(6.0)
        lease.succeed(output_tokens=200)
    view = look(book)
    assert view.ttft_s + 200 * view.s_per_token == pytest.approx(6.0, rel=0.05)
    assert view.ttft_s == pytest.approx(2.0, rel=0.15)


def test_plain_answers_without_a_count(book: HealthBook, clock: HandClock) -> None:
    """A whole answer in less than the expected first token lowers that; a longer one teaches nothing."""
    for total_s in (0.4, 30.0):
        lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
        clock.sleep(total_s)
        lease.succeed()
        assert look(book).ttft_s < TTFT_S
    assert look(book).s_per_token == S_PER_TOKEN


def test_latencies_without_any_prior(book: HealthBook, clock: HandClock) -> None:
    """A model that nobody described learns from its first answer on."""
    lease = book.begin("m")
    clock.sleep(3.0)
    lease.first_token()
    clock.sleep(1.98)
    lease.succeed(output_tokens=100)
    view = look(book)
    assert view.ttft_s == pytest.approx(3.0, rel=0.05)
    assert view.s_per_token == pytest.approx(0.02, rel=0.05)
    plain = book.begin("n")
    clock.sleep(5.0)
    plain.succeed(output_tokens=400)
    assert 0.05 < look(book, "n").ttft_s < 5.0


@pytest.mark.parametrize("absurd", [-5.0, float("nan"), float("inf"), 1e12])
def test_absurd_times_are_clamped(book: HealthBook, absurd: float) -> None:
    """Whatever times are named, the estimates stay within 0.05-120 s and 0.0001-5 s."""
    book.begin("m").succeed(ttft_s=absurd, total_s=absurd, output_tokens=50)
    book.begin("m").succeed(total_s=absurd, output_tokens=50)
    book.begin("m").succeed(ttft_s=1.0, total_s=absurd, output_tokens=50)
    book.record_success("m", ttft_s=absurd, total_s=absurd, output_tokens=50)
    view = look(book)
    assert 0.05 <= view.ttft_s <= 120.0
    assert 1e-4 <= view.s_per_token <= 5.0


def test_p95(book: HealthBook, clock: HandClock) -> None:
    """The 95th percentile of the first-token times of streams; plain answers are not in it."""
    for index in range(100):
        streamed(book, clock, 0.4 if index % 10 else 5.0)
    for _ in range(100):
        lease = book.begin("m")
        clock.sleep(0.1)
        lease.succeed(output_tokens=50)
    found = book.ttft_p95("m")
    assert found is not None
    assert 5.0 <= found <= 6.3
    assert book.snapshot()["m"]["ttft_p95_s"] == pytest.approx(found, abs=1e-3)
