"""Who judges a request's difficulty: a classifier of the operator's while it works, else the built-in model."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.scoring import check_difficulty
from ofox_middleware.types import Classifier, Clock, Difficulty, Signals

STUCK_AFTER: Final = 3
"""The same tool call, or a failing tool, this often in a row means that the model does not get on by itself."""

STUCK_LOGITS: Final = 1.0
"""How much harder a stuck task is taken to be than its words say."""

CLASSIFIER_REST_S: Final = 30.0
"""How long a custom classifier is left alone after an answer that came too late."""


class Judge:
    """Judges requests, whatever ails the operator's classifier.

    Args:
        classifier: the operator's, if any.
        clock: monotonic seconds.
        stats: where ``classifier_error`` and ``classifier_late`` are counted.
    """

    def __init__(self, classifier: Classifier | None, *, clock: Clock, stats: Counter[str]) -> None:
        self._classifier = classifier
        self._clock = clock
        self._stats = stats
        self._rests_until = -float("inf")

    def difficulty(self, read: Signals, builtin: DifficultyModel, timeout_s: float) -> tuple[Difficulty, bool]:
        """How hard the request is, and whether an agent is stuck in it.

        Args:
            read: what was read of the request.
            builtin: the model that judges where no classifier does.
            timeout_s: a classifier that takes longer is left alone for :data:`CLASSIFIER_REST_S`.
        """
        difficulty = self._classify(read, builtin, timeout_s)
        stuck = read.repeated_calls >= STUCK_AFTER or read.tool_errors >= STUCK_AFTER
        if not stuck:
            return difficulty, False
        evidence = (("stuck", STUCK_LOGITS), *difficulty.evidence)
        return replace(difficulty, logit=difficulty.logit + STUCK_LOGITS, evidence=evidence), True

    def _classify(self, read: Signals, builtin: DifficultyModel, timeout_s: float) -> Difficulty:
        if self._classifier is None or self._clock() < self._rests_until:
            return builtin.classify(read)
        started = self._clock()
        try:
            difficulty = self._classifier.classify(read)
            check_difficulty(difficulty)
        except Exception:  # noqa: BLE001 - a plug-in's error must not cost a request
            self._stats["classifier_error"] += 1
            return replace(builtin.classify(read), source="fallback")
        ended = self._clock()
        if ended - started > timeout_s:
            self._stats["classifier_late"] += 1
            self._rests_until = ended + CLASSIFIER_REST_S
        return difficulty
