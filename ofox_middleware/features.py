"""What can be measured in a text, cheaply, in any script, with every measure bounded. Pure.

Nothing here knows a model or a tier. A measure saturates: ten times the keywords, the padding or the repetition
cannot move it past its end, which is what keeps a crafted prompt from buying (or dodging) the dear model.

This is the dearest part of a decision, so what is rare in a text is looked for only where a cheaper look says that it
may be there, characters are counted without regular expressions, and what a word means is looked up once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2

from ofox_middleware.plain_text import HAN, UNSPACED, plain

MAX_WORDS = 320
"""Distinct words that are looked at; a window of Latin text holds about 200."""

GROUPS = (
    "greeting", "fact", "brief", "explain", "write", "code", "build", "design", "proof", "maths",
    "science", "expert", "constraint", "logic",
)  # fmt: skip
"""Word groups of the lexicon; the same word in another language counts in the same group."""

SHAPE = (
    "length", "length>16", "length>48", "length>128", "length>400", "length>1000",
    "word length", "long words", "repetition", "numbers", "digits", "symbols", "latex", "code marks", "code block",
    "lines", "list", "options", "questions", "sentences", "clauses", "names", "quotes", "other script", "ends asking",
    "blank to fill", "many numbers", "rare share", "rare count",
)  # fmt: skip
CROSSED = ("brief fact", "brief greeting", "brief proof", "brief explain")
FEATURES = SHAPE + GROUPS + CROSSED
"""Names of the measures, in the order of every feature tuple. Each lies in 0..1."""

_HANGUL = re.compile("[\uac00-\ud7a3]")
_NUMBER = re.compile(r"\d[\d.,]{0,15}")
_SYMBOL = re.compile(r"[=+*/^<>|%±×÷√∑∏∫∂∇∞≈≠≤≥∈∉∀∃∪∩⊂⊆→⇒⇔≡φθλπσ°]")
_NO_SYMBOL = dict.fromkeys(map(ord, "=+*/^<>|%"))
_NO_DIGIT = dict.fromkeys(map(ord, "0123456789"))
_LATEX = re.compile(r"\\[a-zA-Z]{2,12}|\$[^$\s\d][^$\n]{0,40}\$")
# Here and below a pattern starts with what is rare, and looks behind from there: that is several times as fast.
_INNER_CAPITAL = re.compile("[A-Z](?<=[a-z].)")
_JOINED = re.compile("_(?<=[A-Za-z].)(?=[A-Za-z])")
_CALL = re.compile(r"\((?<=\w.)")
_SUFFIX = re.compile(r"\.[a-z]{2,4}\b(?=[\s\"'`)]|$)")
_BLOCK = re.compile(r"\n(?: {4}\S|\t\S|(?:def|class|import|from|#include|public|function|SELECT)\b)")
_ITEM = re.compile(r"\n {0,3}(?:[-*•]|\d{1,2}[.)])\s")
_OPTION = re.compile(r"(?:^|\s)\(?([A-Ea-e])[.):]\s")
_SENTENCE = re.compile("[.!?。！？؟।]+(?:\\s|$)|[。！？।]")
_NAME = re.compile(r"[A-Z](?<=[a-z,] .)[a-z]+")
_CAPITALISED = re.compile("[A-Z][a-z]{4,}")
_QUESTION_MARKS = ("?", "？", "؟")
_ENGLISH = frozenset((
    "the", "of", "a", "an", "is", "to", "in", "and", "what", "that", "for", "it", "on", "with", "as", "are", "by",
    "how", "does", "which", "be", "from", "this", "at", "or", "if", "not", "can", "you", "i", "my", "do", "was",
    "when", "who", "why",
))  # fmt: skip

_OTHER_SCRIPT = SHAPE.index("other script")
_GROUP, _IS_ENGLISH, _IS_LONG, _IS_RARE = 15, 16, 32, 64
"""Parts of what a word means: its place in :data:`GROUPS` (15: none) and three flags."""


class Words(dict[str, int]):
    """What each word means to the measures, remembered: its group, whether it is English, long, and rare.

    ``lexicon`` maps a word, or a stem that ends in ``*``, to its place in :data:`GROUPS`; ``common`` holds everyday
    English words of five letters and more, all others count as rare.
    """

    LIMIT = 30_000
    """Words that are remembered; those that come later are looked up again each time."""

    def __init__(self, lexicon: Mapping[str, int], common: Iterable[str] = ()) -> None:
        super().__init__()
        self._lexicon = lexicon
        self._common = frozenset(common)

    def __missing__(self, word: str) -> int:
        meaning = self._group(word)
        if word in _ENGLISH:
            meaning |= _IS_ENGLISH
        if len(word) >= 5 and word.isascii():
            meaning |= _IS_LONG if word in self._common else _IS_LONG | _IS_RARE
        if len(self) < self.LIMIT and len(word) <= 32:
            self[word] = meaning
        return meaning

    def _group(self, word: str) -> int:
        place = self._lexicon.get(word)
        for stem in (6, 5, 4, 3, 2):
            if place is None and len(word) >= stem:
                place = self._lexicon.get(word[:stem] + "*")
        return _GROUP if place is None else place


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured in one text.

    Attributes:
        values: one number in 0..1 for each of :data:`FEATURES`.
        words: the distinct words (or grams, in scripts without spaces), in order of first appearance.
        sequence: all words in their order.
        other_script: share of letters outside ASCII, 0..1.
        size: characters of the words, those of a text that mostly repeats itself counted less, wide ones as more than
        one.
    """

    values: tuple[float, ...]
    words: tuple[str, ...]
    sequence: list[str]
    other_script: float
    size: float

    @property
    def pairs(self) -> tuple[str, ...]:
        """Distinct neighbouring words, joined by a blank."""
        return tuple(dict.fromkeys(f"{a} {b}" for a, b in pairwise(self.sequence)))[:MAX_WORDS]


def read(text: str, known: Words) -> Reading:
    """Measures ``text``."""
    text, sequence = plain(text)
    words = tuple(dict.fromkeys(sequence))[:MAX_WORDS]
    meanings = list(map(known.__getitem__, words))
    found = Counter(meanings)
    size = _size(text, sequence, len(words))
    shape = (*_shape(text, words, len(sequence), size), *_rare(text, words, meanings, found))
    group = _groups(found, len(words))
    brief = max(0.0, 1.0 - log2(1.0 + size) / 7.0)
    crossed = (brief * group[1], brief * group[0], brief * group[8], brief * group[3])
    return Reading((*shape, *group, *crossed), words, sequence, shape[_OTHER_SCRIPT], size)


def everyday(text: str) -> set[str]:
    """The English words of five letters and more that :func:`read` looks for among the common ones."""
    text, sequence = plain(text)
    return {word for word in sequence if len(word) >= 5 and word.isascii()} - _capitalised(text)


def _saturate(count: float, half: float) -> float:
    return count / (count + half)


def _size(text: str, sequence: Sequence[str], distinct: int) -> float:
    often = 3 + distinct // 20  # how often usual text of this many words repeats one of them
    size = float(sum(map(len, sequence)))
    if distinct + often <= len(sequence):
        size -= sum(len(word) * (count - often) for word, count in Counter(sequence).items() if count > often)
    if not text.isascii():
        wide = len(HAN.findall(text)) + len(_HANGUL.findall(text))
        if wide:  # a gram of two counts each character twice, and a wide character says as much as several narrow ones
            return 0.6 * size + 1.5 * wide
        if unspaced := len(UNSPACED.findall(text)):  # grams of four count each character four times
            return max(float(unspaced), size - 3.0 * unspaced)
    return size or float(sum(map(str.isdigit, text)))  # "2+2?" has no word and is no riddle


def _groups(found: Mapping[int, int], distinct: int) -> list[float]:
    """How much each word group says: one keyword says much of a short ask and little of a long one."""
    spread = 1.0 + distinct / 12.0
    counts = [0] * (len(GROUPS) + 2)
    for meaning, count in found.items():
        counts[meaning & _GROUP] += count
    return [_saturate(min(4, count), spread) if count else 0.0 for count in counts[: len(GROUPS)]]


def _shape(text: str, words: Sequence[str], total: int, size: float) -> tuple[float, ...]:
    scale = log2(1.0 + size)
    sizes = list(map(len, words))
    letters = max(1, sum(sizes))
    foreign = 0.0 if text.isascii() else sum(len(word) for word in words if not word.isascii()) / letters
    distinct = max(1, len(words))
    numbers, digits = _numbers(text)
    commas, questions, quotes = _punctuation(text)
    lines = text.count("\n")
    from_breaks = f"\n{text}"
    return (
        min(1.0, scale / 11.0),
        min(1.0, max(0.0, scale - 4.0) / 4.0),
        min(1.0, max(0.0, scale - 5.6) / 4.0),
        min(1.0, max(0.0, scale - 7.0) / 3.0),
        min(1.0, max(0.0, scale - 8.6) / 2.0),
        min(1.0, max(0.0, scale - 10.0) / 1.0),
        min(1.0, max(0.0, letters / distinct - 2.0) / 6.0) if foreign < 0.3 else 0.4,
        min(1.0, 3.0 * sum(map((8).__lt__, sizes)) / (distinct + 3.0)) if foreign < 0.3 else 0.3,
        1.0 - distinct / max(1, total, distinct),
        min(1.0, log2(1.0 + numbers) / 5.0) if numbers else 0.0,
        min(1.0, 5.0 * digits / (len(text) + 20.0)),
        _saturate(_symbols(text), 5.0),
        _saturate(len(_LATEX.findall(text)), 3.0) if "\\" in text or "$" in text else 0.0,
        _saturate(_code_marks(text), 8.0),
        1.0 if "```" in text or _BLOCK.search(from_breaks) else 0.0,
        min(1.0, log2(1.0 + lines) / 5.0) if lines else 0.0,
        _saturate(len(_ITEM.findall(from_breaks)), 3.0),
        _options(text),
        min(1.0, questions / 3.0),
        min(1.0, log2(1.0 + _sentences(text)) / 4.0),
        _saturate(commas, 6.0),
        _saturate(len(_NAME.findall(text)), 4.0),
        _saturate(quotes, 8.0),
        foreign,
        1.0 if text[-1:] in _QUESTION_MARKS else 0.0,
        1.0 if "_" in text or "..." in text else 0.0,
        min(1.0, log2(numbers - 1.0) / 4.0) if numbers > 2 else 0.0,
    )


def _numbers(text: str) -> tuple[int, int]:
    """Distinct numbers, and characters of all numbers."""
    if text.isascii() and len(text.translate(_NO_DIGIT)) == len(text):
        return 0, 0
    numbers = _NUMBER.findall(text)
    return len(set(numbers)), sum(map(len, numbers))


def _symbols(text: str) -> int:
    return len(text) - len(text.translate(_NO_SYMBOL)) if text.isascii() else len(_SYMBOL.findall(text))


def _punctuation(text: str) -> tuple[int, int, int]:
    """Commas, question marks and quotation marks."""
    count = text.count
    commas, questions, quotes = count(",") + count(";"), count("?"), count('"') + count("'")
    if not text.isascii():
        commas += count("，") + count("、") + count("،")
        questions += count("？") + count("؟")
        quotes += count("“") + count("「")
    return commas, questions, quotes


def _code_marks(text: str) -> int:
    count = text.count
    marks = count("{") + count("}") + count(";")
    marks += count("::") if ":" in text else 0
    marks += count("</") if "<" in text else 0
    marks += count("->") + count("=>") if ">" in text else 0
    marks += count("==") if "=" in text else 0
    marks += len(_CALL.findall(text)) if "(" in text else 0
    marks += len(_JOINED.findall(text)) if "_" in text else 0
    marks += len(_SUFFIX.findall(text)) if "." in text else 0
    return marks + len(_INNER_CAPITAL.findall(text))


def _options(text: str) -> float:
    """1 where answers are offered to choose from: at least three of A to E, marked as such."""
    if not any(f"B{close}" in text or f"b{close}" in text for close in ").:" if close in text):
        return 0.0
    return 1.0 if len(set(_OPTION.findall(text))) >= 3 else 0.0


def _sentences(text: str) -> int:
    if not text.isascii():
        return len(_SENTENCE.findall(text))
    count = text.count
    ends = count(". ") + count("? ") + count("! ") + (1 if text[-1:] in ".?!" and text else 0)
    return ends + (count(".\n") + count("?\n") + count("!\n") if "\n" in text else 0)


def _capitalised(text: str) -> set[str]:
    return {word.lower() for word in _CAPITALISED.findall(text)}


def _rare(text: str, words: Sequence[str], meanings: Sequence[int], found: Mapping[int, int]) -> tuple[float, float]:
    """Share and count of rare English words, names aside; a usual value for text that is not English."""
    if 8 * _with(_IS_ENGLISH, found) < len(words):
        return 0.15, 0.2
    long, rare = _with(_IS_LONG, found), _with(_IS_RARE, found)
    if names := _capitalised(text):
        named = [meaning for word, meaning in zip(words, meanings, strict=True) if word in names]
        long -= len(named)
        rare -= _with(_IS_RARE, Counter(named))
    return rare / (long + 2.0), _saturate(rare, 3.0)


def _with(flag: int, found: Mapping[int, int]) -> int:
    return sum(count for meaning, count in found.items() if meaning & flag)
