"""What the log says of a cache that is lost and comes back."""

from __future__ import annotations

import pytest

from ofox_middleware.outage import QUIET_S, Outage


def test_a_loss_and_its_end_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line when the second round in a row fails, none for the rest, one when it works again."""
    outage = Outage(lambda: 0.0)
    outage.worked()
    outage.failed(1, "TimeoutError")
    outage.worked()
    assert not caplog.messages
    for row in range(1, 9):
        outage.failed(row, "ConnectionError")
    assert len(caplog.messages) == 1 and "cannot be used (ConnectionError)" in caplog.messages[0]
    outage.worked()
    outage.worked()
    assert len(caplog.messages) == 2 and "shared again" in caplog.messages[1]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_a_cache_that_flaps_does_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Losses within a minute of one that was told are told only if they last beyond it."""
    now = 0.0
    outage = Outage(lambda: now)
    for _ in range(50):
        outage.failed(2, "ConnectionError")
        outage.worked()
    assert len(caplog.messages) == 2
    now = QUIET_S
    outage.failed(3, "ConnectionError")
    assert len(caplog.messages) == 3
