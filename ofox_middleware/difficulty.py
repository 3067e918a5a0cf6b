"""How hard a request is, and which kind of task: what its text says, and the conversation around it. Pure.

The form is item response: ``P(m answers well) = sigmoid(sum_d share[d] * ability[m][d] - logit)``, so a new model needs
an ability and no training. The work is bounded by a window whatever the prompt's length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ofox_middleware.features import FEATURES, GROUPS, Reading, Words, read
from ofox_middleware.heads import TEXT_DOMAINS, Heads, Weights, softmax
from ofox_middleware.types import DOMAINS, Difficulty, Signals

LOWEST, HIGHEST = -7.0, 6.0
"""Ends of ``Difficulty.logit``: at -7 any model answers well, at 6 the best of 2026 mostly fail."""

LEVEL_SCALE = 1.5
"""``level = sigmoid(logit / LEVEL_SCALE)``: spreads the useful part of the logits over 0..1."""

REMEMBERED = 1024
"""Asks whose judgement is remembered. A turn of a tool loop asks what the one before it asked, and a follow-up leans on
an ask that was read as such: 0.1 ms saved for a long one. They are known by their hash: no text is kept."""

HOUSEKEEPING_LOGIT = -2.5
"""Titles and summaries that a harness asks for: the small models do them well."""

_DATA = Path(__file__).parent / "data"
_UNIFORM = (1.0 / len(DOMAINS),) * len(DOMAINS)
_MULTILINGUAL, _TOOLS, _VISION = map(DOMAINS.index, ("multilingual", "tools_agentic", "vision"))


def load_lexicon() -> dict[str, int]:
    """The shipped word groups: a word, or a stem ending in ``*``, to its place in ``GROUPS``."""
    groups = msgspec.json.decode((_DATA / "difficulty.lexicon.json").read_bytes(), type=dict[str, dict[str, str]])
    lexicon: dict[str, int] = {}
    for place, group in enumerate(GROUPS):
        for words in groups[group].values():
            for word in words.split():
                lexicon.setdefault(word, place)
    return lexicon


class _Judged(msgspec.Struct, frozen=True):
    """What one text says by itself: nothing of the conversation around it enters.

    Attributes:
        columns: the difficulty logit, then one logit per :data:`TEXT_DOMAINS`; none for a text without words.
        evidence: what spoke for the difficulty.
        leans: how far it leans on what was said before, 0..1.
        other_script: share of letters outside ASCII, 0..1.
    """

    columns: tuple[float, ...]
    evidence: tuple[tuple[str, float], ...] = ()
    leans: float = 0.0
    other_script: float = 0.0


class DifficultyModel:
    """The built-in classifier: deterministic, no more than a fraction of a millisecond for any prompt."""

    __slots__ = ("_known", "_remembered", "heads")

    def __init__(self, weights: Weights, lexicon: Mapping[str, int]) -> None:
        self.heads = Heads(weights)
        self._known = Words(lexicon, weights.common.split())
        self._remembered: dict[int, _Judged] = {}

    @classmethod
    def load(cls, path: Path | None = None) -> DifficultyModel:
        """The shipped weights, or those of ``path``, a file written by ``ofox tune``.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not a weights file of this version.
        """
        raw = (path or _DATA / "difficulty.json").read_bytes()
        try:
            weights = msgspec.json.decode(raw, type=Weights)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a difficulty weights file: {error}") from None
        return cls(weights, load_lexicon())

    @property
    def weights(self) -> Weights:
        """What it judges by."""
        return self.heads.weights

    @property
    def abilities(self) -> Mapping[str, tuple[float, ...]]:
        """Logits per domain that were fitted beside these weights, by model; empty for the shipped ones."""
        return {name: tuple(row) for name, row in self.weights.abilities.items()}

    def read(self, text: str) -> Reading:
        """What is measured in ``text``, before any weight."""
        return read(text, self._known)

    def classify(self, signals: Signals) -> Difficulty:
        """Judges the last human ask; of earlier turns only as much as a short follow-up needs."""
        judged = self._judge(signals.ask)
        if not judged.columns:
            return self._unknown(signals)
        columns = judged.columns
        logit = _clip(columns[0])
        further: list[tuple[str, float]] = []
        if judged.leans and signals.context:
            before = self._judge(signals.context)
            if before.columns:
                change = judged.leans * (_clip(before.columns[0]) - logit)
                logit += change
                further.append(("earlier turns", change))
                columns = tuple(
                    (1 - judged.leans) * now + judged.leans * then
                    for now, then in zip(columns, before.columns, strict=True)
                )
        for name, change in _state(signals):
            logit = change if name == "housekeeping" else logit + change
            further.append((name, change))
        evidence = _strongest([*judged.evidence, *further]) if further else judged.evidence
        return self._result(_clip(logit), _domains(columns, signals, judged.other_script), evidence)

    def _judge(self, text: str) -> _Judged:
        key = hash(text)
        judged = self._remembered.get(key)
        if judged is not None:
            return judged
        reading = self.read(text)
        if reading.size:
            columns, evidence = self.heads.score(reading)
            leans = _follow_up_share(reading)
            judged = _Judged(tuple(columns), _strongest(evidence), leans, reading.other_script)
        else:
            judged = _Judged(())
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = judged
        return judged

    def _unknown(self, signals: Signals) -> Difficulty:
        if signals.housekeeping:
            return self._result(HOUSEKEEPING_LOGIT, _UNIFORM, (("housekeeping", HOUSEKEEPING_LOGIT),))
        return self._result(0.0, _domains((0.0,) * (1 + len(TEXT_DOMAINS)), signals, 0.0), ())

    def _result(self, logit: float, domains: tuple[float, ...], evidence: tuple[tuple[str, float], ...]) -> Difficulty:
        level = 1.0 / (1.0 + math.exp(-logit / LEVEL_SCALE))
        return Difficulty(level, logit, domains, evidence, self.weights.source)


def _strongest(evidence: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(evidence, key=_strength, reverse=True)[:6])


def _strength(told: tuple[str, float]) -> float:
    return abs(told[1])


def _clip(logit: float) -> float:
    return LOWEST if logit < LOWEST else min(logit, HIGHEST)


def _follow_up_share(reading: Reading) -> float:
    """How far a short ask leans on what was said before: "do it again" wholly, a full question not at all.

    Thanks and questions of fact stand for themselves, however short.
    """
    values = reading.values
    greeting, fact = values[_GREETING], values[_FACT]
    return max(0.0, 1.0 - reading.size / 60.0) * 0.8 * (1.0 - min(1.0, 2.5 * max(greeting, fact)))


_GREETING = FEATURES.index("greeting")
_FACT = FEATURES.index("fact")


def _state(signals: Signals) -> list[tuple[str, float]]:
    """What the conversation's state adds to the logit; small, by judgement, since no public data hold it."""
    if signals.housekeeping:
        return [("housekeeping", HOUSEKEEPING_LOGIT)]
    found = []
    if signals.tool_errors:
        found.append(("failing tools", 0.3 * min(3, signals.tool_errors)))
    if signals.repeated_calls > 1:
        found.append(("repeated calls", 0.3 * min(3, signals.repeated_calls - 1)))
    if signals.input_tokens > 4000:
        found.append(("long input", min(0.6, 0.15 * math.log2(signals.input_tokens / 4000))))
    return found


def _domains(columns: Sequence[float], signals: Signals, other_script: float) -> tuple[float, ...]:
    shares = [*softmax(columns[1:]), 0.0]
    if signals.tool_turns or "tools" in signals.needs:
        _blend(shares, _TOOLS, 0.6 if signals.tool_turns else 0.4)
    if other_script > 0.5:
        _blend(shares, _MULTILINGUAL, 0.3)
    if "image" in signals.needs or "video" in signals.needs:
        _blend(shares, _VISION, 0.6)
    return tuple(shares)


def _blend(shares: list[float], place: int, weight: float) -> None:
    """Gives the domain at ``place`` at least ``weight`` of the whole, at the cost of all others alike."""
    have = shares[place]
    if have >= weight:
        return
    kept = (1.0 - weight) / (1.0 - have)
    shares[:] = [kept * share for share in shares]
    shares[place] = weight
