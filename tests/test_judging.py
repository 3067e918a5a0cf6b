"""Who judges difficulty: the operator's classifier while it works, else the built-in model."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.judging import Judge
from ofox_middleware.types import DOMAINS, Difficulty, Signals
from tests.router_tools import Clock

EVEN = (1 / len(DOMAINS),) * len(DOMAINS)
BUILTIN = DifficultyModel.load(None)
READ = Signals(ask="hello")


class Custom:
    """A classifier that says what the test wants, after as long as it wants."""

    def __init__(self, answer: Any, *, clock: Clock, takes_s: float = 0.0) -> None:
        self.answer = answer
        self.asked = 0
        self._clock = clock
        self._takes_s = takes_s

    def classify(self, signals: Signals) -> Difficulty:
        self.asked += 1
        self._clock.now += self._takes_s
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def judge(classifier: Custom | None, clock: Clock) -> tuple[Judge, Counter[str]]:
    stats: Counter[str] = Counter()
    return Judge(classifier, clock=clock, stats=stats), stats


@pytest.mark.parametrize("answer", [RuntimeError("no"), None, Difficulty(7.0, 0.0, EVEN)])
def test_a_broken_classifier_falls_back(answer: Any) -> None:
    """An error or a senseless answer of a custom classifier falls back to the built-in model and is counted."""
    clock = Clock()
    made, stats = judge(Custom(answer, clock=clock), clock)
    assert made.difficulty(READ, BUILTIN, 0.05)[0].source == "fallback"
    assert stats["classifier_error"] == 1


def test_a_slow_classifier_rests() -> None:
    """After an answer that came too late the built-in model serves for half a minute."""
    clock = Clock()
    slow = Custom(Difficulty(0.5, 0.0, EVEN, source="custom"), clock=clock, takes_s=0.2)
    made, stats = judge(slow, clock)
    assert made.difficulty(READ, BUILTIN, 0.05)[0].source == "custom"
    assert made.difficulty(READ, BUILTIN, 0.05)[0].source == "builtin"
    clock.now += 31
    made.difficulty(READ, BUILTIN, 0.05)
    assert (slow.asked, stats["classifier_late"]) == (2, 2)


@pytest.mark.parametrize("signs", [{"repeated_calls": 3}, {"tool_errors": 3}])
def test_a_stuck_agent_is_judged_a_logit_harder(signs: dict[str, int]) -> None:
    """The same call or a failing tool three times in a row counts as harder than the words, and is said first."""
    made, _ = judge(None, Clock())
    assert made.difficulty(READ, BUILTIN, 0.05) == (BUILTIN.classify(READ), False)
    stuck = Signals(ask="hello", **signs)
    words = BUILTIN.classify(stuck)
    harder, is_stuck = made.difficulty(stuck, BUILTIN, 0.05)
    assert is_stuck
    assert harder.logit == words.logit + 1.0
    assert harder.evidence == (("stuck", 1.0), *words.evidence)
