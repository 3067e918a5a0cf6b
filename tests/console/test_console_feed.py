"""What the console gathers: history by slot, bounded."""

from __future__ import annotations

import pytest

from ofox_middleware import console_feed
from ofox_middleware.console_feed import SLOT_S, SLOTS, Feed
from ofox_middleware.router import SmartRouter
from tests.console.tools import ASK, ended


class Hands:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_history_is_by_slot_and_forgets(router: SmartRouter) -> None:
    """Attempts fall into slots of three seconds; what is older than the window is not shown."""
    clock = Hands()
    feed = Feed(router, clock=clock, wall=clock)
    decision = router.decide(ASK)
    feed.ended(ended(decision, model="b/weak", attempts=("a/strong", "b/weak")))
    clock.now = SLOT_S
    feed.ended(ended(decision, model="b/weak", attempts=("b/weak",)))
    weak, strong = feed.history()["b/weak"], feed.history()["a/strong"]
    assert weak["answered"][-2:] == [1, 1] and strong["failed"][-2:] == [1, 0]
    assert weak["ttft_s"][-1] > 0 and weak["tokens_per_s"][-3] is None
    clock.now = SLOT_S * SLOTS
    assert sum(feed.history()["b/weak"]["answered"]) == 1
    assert sum(feed.history()["a/strong"]["failed"]) == 0


def test_invented_models_do_not_grow_the_feed(router: SmartRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """History is kept for a bounded number of models, the last ones used."""
    monkeypatch.setattr(console_feed, "MOST_MODELS", 3)
    feed, decision = Feed(router), router.decide(ASK)
    for number in range(10):
        feed.ended(ended(decision, model=f"m/{number}", attempts=(f"m/{number}",)))
    assert list(feed.history()) == ["m/7", "m/8", "m/9"]
