"""Exact counts of the last minute."""

from __future__ import annotations

import pytest

from ofox_middleware.windows import BUCKET_S, BUCKETS, Window


def test_window_counts() -> None:
    """Dispatches and verdicts are counted exactly."""
    window = Window(0.0)
    for _ in range(3):
        window.count_sent()
    window.count_ok()
    window.count_failed()
    assert (window.sent, window.ok, window.failed) == (3, 1, 1)


def test_window_forgets_after_a_minute() -> None:
    """A count is gone when its bucket is ten buckets old, not before."""
    window = Window(0.0)
    window.count_sent()
    window.count_ok()
    window.advance(BUCKET_S * (BUCKETS - 1))
    assert (window.sent, window.ok) == (1, 1)
    window.advance(BUCKET_S * BUCKETS)
    assert (window.sent, window.ok, window.failed) == (0, 0, 0)


def test_window_forgets_bucket_by_bucket() -> None:
    """Each bucket leaves by itself."""
    window = Window(0.0)
    for second in range(0, 120, 3):
        window.advance(second)
        window.count_failed()
    assert window.failed == 2 * BUCKETS


def test_window_after_a_long_pause() -> None:
    """A pause longer than the window empties it in one step, however long it was."""
    window = Window(0.0)
    window.count_failed()
    assert window.advance(1e9) == pytest.approx(1e9, abs=BUCKET_S)
    assert window.failed == 0


def test_window_tells_when_its_bucket_ends() -> None:
    """``advance`` says when to call it next."""
    assert Window(13.0).advance(13.0) == 18.0
    assert Window(13.0).advance(18.0) == 24.0


def test_window_with_a_clock_that_steps_back() -> None:
    """Time that runs backwards changes nothing."""
    window = Window(100.0)
    window.count_ok()
    window.advance(50.0)
    assert window.ok == 1


def test_take_back() -> None:
    """A dispatch that ended with no verdict is taken out where it was counted."""
    window = Window(0.0)
    bucket = window.count_sent()
    window.advance(20.0)
    window.count_sent()
    window.take_back(bucket)
    assert window.sent == 1
    window.advance(BUCKET_S * BUCKETS)
    assert window.sent == 1


def test_take_back_after_it_left() -> None:
    """Once the window has moved past the dispatch, or was cleared, taking it back changes nothing."""
    window = Window(0.0)
    bucket = window.count_sent()
    window.advance(BUCKET_S * BUCKETS)
    window.take_back(bucket)
    assert window.sent == 0
    bucket = window.count_sent()
    window.clear()
    window.count_sent()
    window.take_back(bucket)
    window.take_back(None)
    assert window.sent == 1
