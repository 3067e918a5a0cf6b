"""How hard a request is, and which kind of task: linear heads on bounded measures of the text. Pure, no I/O after load.

The form is item response: ``P(m answers well) = sigmoid(sum_d share[d] * ability[m][d] - logit)``, so a new model needs
an ability and no training. Everything that enters saturates, and the work is bounded by a window whatever the prompt's
length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import compress, repeat
from operator import add, mul
from pathlib import Path
from typing import Any

import msgspec

from ofox_middleware.features import FEATURES, GROUPS, Reading, Words, read
from ofox_middleware.packed_rows import pack, unpack
from ofox_middleware.types import DOMAINS, Difficulty, Signals

LOWEST, HIGHEST = -7.0, 6.0
"""Ends of ``Difficulty.logit``: at -7 any model answers well, at 6 the best of 2026 mostly fail."""

LEVEL_SCALE = 1.5
"""``level = sigmoid(logit / LEVEL_SCALE)``: spreads the useful part of the logits over 0..1."""

TEXT_DOMAINS = DOMAINS[:-1]
"""The domains a text can speak for; ``vision`` follows from an image in the request."""

KEYWORDS_MOST, KEYWORDS_LEAST, KEYWORDS_MORE = 1.6, 0.5, 0.4
"""Logits that the keywords of a text count in full where the rest of it is easy ("prove that ..."), and where it is
hard already; and the most that any stuffing of them adds beyond."""

TRIVIAL_AT, TRIVIAL_LOWERS, TRIVIAL_LOWEST = 1.0, 4.0, -4.0
"""Log-odds of being trivial at which an ask is lowered by half of what it can be; what it can be, in logits; and where
that ends, since below any model is as good as another. What tells trivial asks from the rest says nothing of harder
ones: so it enters the difficulty only where it is sure. Chosen on the training sets of ``benchmarks/quality``."""

REMEMBERED = 1024
"""Asks whose judgement is remembered. A turn of a tool loop asks what the one before it asked, and a follow-up leans on
an ask that was read as such: 0.1 ms saved for a long one. They are known by their hash: no text is kept."""

HOUSEKEEPING_LOGIT = -2.5
"""Titles and summaries that a harness asks for: the small models do them well."""

_DATA = Path(__file__).parent / "data"
_UNIFORM = (1.0 / len(DOMAINS),) * len(DOMAINS)
_MULTILINGUAL, _TOOLS, _VISION = map(DOMAINS.index, ("multilingual", "tools_agentic", "vision"))
_FORMAT = 2
_TELLING = 0.05
"""Logits from which a measure is told as evidence."""


class Weights(msgspec.Struct, frozen=True):
    """What is learned. Columns: the difficulty logit, then one logit per :data:`TEXT_DOMAINS`, then in ``table`` and
    ``scales``, where there is ``trivial``, the log-odds of being trivial.

    Attributes:
        format: version of this layout.
        source: ``builtin`` or ``tuned``.
        bias: one number per column.
        features: for each name of ``FEATURES`` its typical value, then one weight per column.
        vocabulary: words and pairs of words, one a line.
        table: one signed byte per word and column, row by row.
        scales: what one step of ``table`` is worth, per column.
        trivial: the log-odds that any model that can chat answers well at once: one weight for each of ``FEATURES`` in
            their order, and the constant; empty where that is not judged apart.
        kinds: what a whole share of each of ``TEXT_DOMAINS`` adds to the difficulty.
        common: everyday English words of five letters and more, separated by blanks.
        abilities: logits per domain of ``DOMAINS`` that were fitted beside a tuned difficulty, by model; they replace
            the catalogue's for these models.
        about: where it comes from: data, licences, metrics, command.
    """

    format: int
    source: str
    bias: list[float]
    features: dict[str, list[float]]
    vocabulary: str = ""
    table: bytes = b""
    scales: list[float] = msgspec.field(default_factory=list)
    trivial: list[float] = msgspec.field(default_factory=list)
    kinds: list[float] = msgspec.field(default_factory=lambda: [0.0] * len(TEXT_DOMAINS))
    common: str = ""
    abilities: dict[str, list[float]] = msgspec.field(default_factory=dict)
    about: dict[str, Any] = msgspec.field(default_factory=dict)


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

    __slots__ = (
        "_absent", "_bias", "_kinds", "_known", "_measures", "_pairs", "_remembered", "_rows", "_trivial", "weights",
    )  # fmt: skip

    def __init__(self, weights: Weights, lexicon: Mapping[str, int]) -> None:
        if weights.format != _FORMAT or set(weights.features) != set(FEATURES):
            raise ValueError("these difficulty weights were made for another version")
        width = 1 + len(TEXT_DOMAINS)
        if len(weights.bias) != width or len(weights.kinds) != width - 1:
            raise ValueError("difficulty weights with a wrong number of columns")
        if any(len(row) != width + 1 for row in weights.features.values()):
            raise ValueError("difficulty weights with a wrong number of columns")
        self.weights = weights
        self._known = Words(lexicon, weights.common.split())
        self._kinds = tuple(weights.kinds) if any(weights.kinds) else ()
        self._bias = tuple(weights.bias)
        self._trivial = tuple(weights.trivial)
        if len(self._trivial) not in {0, len(FEATURES) + 1}:
            raise ValueError("difficulty weights with a wrong number of weights for trivial asks")
        rows = [weights.features[name] for name in FEATURES]
        usual = [row[0] * row[1] for row in rows]
        self._measures: tuple[tuple[Any, ...], ...] = tuple(
            (name, part, bool(keyword), *row[1:])
            for name, part, keyword, row in zip(FEATURES, usual, KEYWORD_MEASURES, rows, strict=True)
        )
        self._absent = tuple(
            (at, (FEATURES[at], -part)) for at, part in enumerate(usual) if not -_TELLING < part < _TELLING
        )
        words = weights.vocabulary.split("\n") if weights.vocabulary else []
        width += bool(self._trivial)
        if len(weights.table) != len(words) * width or (words and len(weights.scales) != width):
            raise ValueError("difficulty weights with a table that does not fit its vocabulary")
        table = memoryview(weights.table).cast("b")
        self._rows = {word: pack(table[at * width : (at + 1) * width]) for at, word in enumerate(words)}
        self._pairs = any(" " in word for word in words)
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
    def abilities(self) -> Mapping[str, tuple[float, ...]]:
        """Logits per domain that were fitted beside these weights, by model; empty for the shipped ones."""
        return {name: tuple(row) for name, row in self.weights.abilities.items()}

    def word_rows(self) -> Mapping[str, tuple[float, ...]]:
        """What each known word adds to each column but the log-odds of being trivial, before it is divided by the root
        of how many words a text has."""
        scales, width = self.weights.scales, len(self._bias)
        return {word: tuple(map(mul, unpack(row, len(scales))[:width], scales)) for word, row in self._rows.items()}

    def read(self, text: str) -> Reading:
        """What is measured in ``text``, before any weight."""
        return read(text, self._known)

    def kinds(self, reading: Reading) -> list[float]:
        """The logit of each of ``TEXT_DOMAINS``."""
        return self._score(reading)[0][1:]

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
            columns, evidence = self._score(reading)
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

    def _score(self, reading: Reading) -> tuple[list[float], list[tuple[str, float]]]:
        values = reading.values
        keywords = 0.0
        evidence = [told for at, told in self._absent if not values[at]]
        # Column by column, by name: a third of the time of a loop over the columns. Most values of a short text are 0.
        hard, one, two, three, four, five, six, seven = self._bias
        for value, (name, usual, keyword, w0, w1, w2, w3, w4, w5, w6, w7) in zip(
            filter(None, values), compress(self._measures, values), strict=True
        ):
            part = value * w0
            hard += part
            one += value * w1
            two += value * w2
            three += value * w3
            four += value * w4
            five += value * w5
            six += value * w6
            seven += value * w7
            if keyword:
                keywords += part
            part -= usual
            if part > _TELLING or part < -_TELLING:
                evidence.append((name, part))
        over = excess(keywords, hard - keywords)
        if over:
            evidence.append(("more keywords than count", -over))
        columns = [hard - over, one, two, three, four, five, six, seven]
        found = sum(map(self._rows.get, reading.words, repeat(0)))
        if self._pairs:
            found += sum(map(self._rows.get, reading.pairs, repeat(0)))
        trivial = self._trivial
        odds = sum(map(mul, values, trivial)) + trivial[-1] if trivial else 0.0
        if found:
            damp = 1.0 / math.sqrt(len(reading.words))
            scales = self.weights.scales
            sums = [damp * total for total in map(mul, unpack(found, len(scales)), scales)]
            if trivial:
                odds += sums.pop()
            columns = list(map(add, columns, sums))
            if sums[0]:
                evidence.append(("words", sums[0]))
        if self._kinds:
            kind = sum(map(mul, self._kinds, softmax(columns[1:])))
            evidence.append(("kind of task", kind))
            columns[0] += kind
        if trivial:
            lower = lowered(columns[0], odds)
            columns[0] -= lower
            if lower > _TELLING:
                evidence.append(("trivial", -lower))
        return columns, evidence

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


def excess(keywords: float, rest: float) -> float:
    """What is taken back of the keywords' part of a logit whose other part is ``rest``: what they count in full falls
    as the rest rises, and above it they bend toward ``KEYWORDS_MORE`` beyond."""
    over = keywords - min(KEYWORDS_MOST, max(KEYWORDS_LEAST, KEYWORDS_LEAST - 0.6 * rest))
    return over - over / (1.0 + over / KEYWORDS_MORE) if over > 0.0 else 0.0


def lowered(logit: float, odds: float) -> float:
    """What a difficulty of ``logit`` is lowered by for ``odds``, the log-odds of being trivial."""
    return min(TRIVIAL_LOWERS / (1.0 + math.exp(min(30.0, TRIVIAL_AT - odds))), max(0.0, logit - TRIVIAL_LOWEST))


KEYWORD_MEASURES = tuple(
    float(name in GROUPS or name in {"brief proof", "brief explain", "long words", "rare share", "rare count"})
    for name in FEATURES
)
"""1 for the measures that a list of keywords moves."""

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


def softmax(logits: Sequence[float]) -> list[float]:
    """Shares that sum to 1."""
    top = max(logits)
    weights = [math.exp(value - top) for value in logits]
    total = sum(weights)
    return [weight / total for weight in weights]


def _blend(shares: list[float], place: int, weight: float) -> None:
    """Gives the domain at ``place`` at least ``weight`` of the whole, at the cost of all others alike."""
    have = shares[place]
    if have >= weight:
        return
    kept = (1.0 - weight) / (1.0 - have)
    shares[:] = [kept * share for share in shares]
    shares[place] = weight
