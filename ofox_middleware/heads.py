"""Linear heads on the measures and words of a text: how hard it is, of which kind, and whether it is trivial. Pure.

Everything that enters saturates. What the heads weigh by is a file, shipped or written by ``ofox tune``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import compress, repeat
from operator import add, mul
from typing import Any

import msgspec

from ofox_middleware.features import FEATURES, GROUPS, Reading
from ofox_middleware.packed_rows import pack, unpack
from ofox_middleware.types import DOMAINS

TEXT_DOMAINS = DOMAINS[:-1]
"""The domains a text can speak for; ``vision`` follows from an image in the request."""

KEYWORDS_MOST, KEYWORDS_LEAST, KEYWORDS_MORE = 1.6, 0.5, 0.4
"""Logits that the keywords of a text count in full where the rest of it is easy ("prove that ..."), and where it is
hard already; and the most that any stuffing of them adds beyond."""

TRIVIAL_AT, TRIVIAL_LOWERS, TRIVIAL_LOWEST = 1.0, 4.0, -4.0
"""Log-odds of being trivial at which an ask is lowered by half of what it can be; what it can be, in logits; and where
that ends, since below any model is as good as another. What tells trivial asks from the rest says nothing of harder
ones: so it enters the difficulty only where it is sure. Chosen on the training sets of ``benchmarks/quality``."""

KEYWORD_MEASURES = tuple(
    float(name in GROUPS or name in {"brief proof", "brief explain", "long words", "rare share", "rare count"})
    for name in FEATURES
)
"""1 for the measures that a list of keywords moves."""


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


class Heads:
    """One set of weights, made ready for scoring.

    Raises:
        ValueError: the weights were made for another version, or do not fit together.
    """

    __slots__ = ("_absent", "_bias", "_kinds", "_measures", "_pairs", "_rows", "_trivial", "weights")

    def __init__(self, weights: Weights) -> None:
        if weights.format != _FORMAT or set(weights.features) != set(FEATURES):
            raise ValueError("these difficulty weights were made for another version")
        width = 1 + len(TEXT_DOMAINS)
        if len(weights.bias) != width or len(weights.kinds) != width - 1:
            raise ValueError("difficulty weights with a wrong number of columns")
        if any(len(row) != width + 1 for row in weights.features.values()):
            raise ValueError("difficulty weights with a wrong number of columns")
        self.weights = weights
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

    def kinds(self, reading: Reading) -> list[float]:
        """The logit of each of :data:`TEXT_DOMAINS`."""
        return self.score(reading)[0][1:]

    def word_rows(self) -> Mapping[str, tuple[float, ...]]:
        """What each known word adds to each column but the log-odds of being trivial, before it is divided by the root
        of how many words a text has."""
        scales, width = self.weights.scales, len(self._bias)
        return {word: tuple(map(mul, unpack(row, len(scales))[:width], scales)) for word, row in self._rows.items()}

    def score(self, reading: Reading) -> tuple[list[float], list[tuple[str, float]]]:
        """The difficulty logit and one logit for each of :data:`TEXT_DOMAINS`; what spoke for the difficulty."""
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


def excess(keywords: float, rest: float) -> float:
    """What is taken back of the keywords' part of a logit whose other part is ``rest``: what they count in full falls
    as the rest rises, and above it they bend toward ``KEYWORDS_MORE`` beyond."""
    over = keywords - min(KEYWORDS_MOST, max(KEYWORDS_LEAST, KEYWORDS_LEAST - 0.6 * rest))
    return over - over / (1.0 + over / KEYWORDS_MORE) if over > 0.0 else 0.0


def lowered(logit: float, odds: float) -> float:
    """What a difficulty of ``logit`` is lowered by for ``odds``, the log-odds of being trivial."""
    return min(TRIVIAL_LOWERS / (1.0 + math.exp(min(30.0, TRIVIAL_AT - odds))), max(0.0, logit - TRIVIAL_LOWEST))


def softmax(logits: Sequence[float]) -> list[float]:
    """Shares that sum to 1."""
    top = max(logits)
    weights = [math.exp(value - top) for value in logits]
    total = sum(weights)
    return [weight / total for weight in weights]
