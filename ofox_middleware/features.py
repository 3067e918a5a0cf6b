"""What can be measured in a text, cheaply, in any script, with every measure bounded. Pure.

Nothing here knows a model or a tier. A measure saturates: ten times the keywords, the padding or the repetition
cannot move it past its end, which is what keeps a crafted prompt from buying (or dodging) the dear model.

This is the dearest part of a decision. So what is neither a letter nor a blank is taken out of a text in one pass, and
counted there; what needs its surroundings is looked for only where these marks say that it may be; and what a word
means is one byte, looked up once, so that words are counted like characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import compress, pairwise
from math import log2
from string import ascii_letters

import msgspec

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
    "blank to fill", "many numbers", "ask length", "beside the ask", "lines beside the ask", "rare share", "rare count",
)  # fmt: skip
CROSSED = ("brief fact", "brief greeting", "brief proof", "brief explain")
FEATURES = SHAPE + GROUPS + CROSSED
"""Names of the measures, in the order of every feature tuple. Each lies in 0..1."""

_HANGUL = re.compile("[\uac00-\ud7a3]")
_NO_MARK = (ascii_letters + " ").encode()
_BEYOND_ASCII = re.compile("[^\0-\x7f]+")
_DIGITS = b"0123456789"
_NUMBER = re.compile("[0-9][0-9.,]{0,15}")
_NUMBER_IN_ANY_SCRIPT = re.compile(r"\d[\d.,]{0,15}")
_DIGIT = re.compile(r"\d")
_ASCII_SYMBOLS = b"=+*/^<>|%"
_SYMBOL = re.compile("[±×÷√∑∏∫∂∇∞≈≠≤≥∈∉∀∃∪∩⊂⊆→⇒⇔≡φθλπσ°]")
_LATEX = re.compile(r"\\[a-zA-Z]{2,12}|\$[^$\s\d][^$\n]{0,40}\$")
# Here and below a pattern starts with what is rare, and looks behind from there: that is several times as fast.
_CAPITAL = re.compile("([A-Z])(?:(?<=([a-z]).)|(?=[a-z])(?:(?<=([a-z,]) .))?)([a-z]*)")
_JOINED = re.compile("_(?<=[A-Za-z].)(?=[A-Za-z])")
_CALL = re.compile(r"\((?<=\w.)")
_SUFFIX = re.compile(r"\.[a-z]{2,4}\b(?=[\s\"'`)]|$)")
_BLOCK = re.compile(r"\n(?: {4}\S|\t\S|(?:def|class|import|from|#include|public|function|SELECT)\b)")
_ITEM = re.compile(r"\n {0,3}(?:[-*•]|\d{1,2}[.)])\s")
_OPTION = re.compile(r"(?:^|\s)\(?([A-Ea-e])[.):]\s")
_SENTENCE = re.compile(r"[.!?。！？؟।](?:[.!?。！？؟।]*(?:\s|$)|(?<=[。！？।]))")
_QUESTION_MARKS = ("?", "？", "؟")
_ENGLISH = frozenset((
    "the", "of", "a", "an", "is", "to", "in", "and", "what", "that", "for", "it", "on", "with", "as", "are", "by",
    "how", "does", "which", "be", "from", "this", "at", "or", "if", "not", "can", "you", "i", "my", "do", "was",
    "when", "who", "why",
))  # fmt: skip

_OTHER_SCRIPT = SHAPE.index("other script")
_GROUP, _IS_ENGLISH, _IS_LONG, _IS_RARE = 15, 16, 32, 64
"""Parts of what a word means, a byte: its place in :data:`GROUPS` (15: none) and three flags."""

_GROUP_OF = bytes(meaning & _GROUP for meaning in range(256))
_ENGLISH_ONES, _LONG_ONES, _RARE_ONES = (
    bytes(meaning for meaning in range(256) if meaning & flag) for flag in (_IS_ENGLISH, _IS_LONG, _IS_RARE)
)


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


class Reading(msgspec.Struct, frozen=True):
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
    beyond = "" if text.isascii() else "".join(_BEYOND_ASCII.findall(text))
    words = tuple(dict.fromkeys(sequence))[:MAX_WORDS]
    meanings = bytes(map(known.__getitem__, words))
    capitals = _CAPITAL.findall(text)
    size = _size(text, beyond, sequence, len(words))
    shape = (
        *_shape(text, beyond, capitals, words, total=len(sequence), size=size),
        *_rare(words, meanings, _capitalised(capitals)),
    )
    group = _groups(meanings)
    brief = _within(1.0 - log2(1.0 + size) / 7.0)
    crossed = (brief * group[1], brief * group[0], brief * group[8], brief * group[3])
    return Reading((*shape, *group, *crossed), words, sequence, shape[_OTHER_SCRIPT], size)


def everyday(text: str) -> set[str]:
    """The English words of five letters and more that :func:`read` looks for among the common ones."""
    text, sequence = plain(text)
    return {word for word in sequence if len(word) >= 5 and word.isascii()} - _capitalised(_CAPITAL.findall(text))


def _saturate(count: float, half: float) -> float:
    return count / (count + half)


def _within(value: float) -> float:
    """``value``, cut to 0..1; ``min`` and ``max`` take four times as long."""
    return 0.0 if value <= 0.0 else 1.0 if value >= 1.0 else value


def _how_many(held: bytes, which: bytes) -> int:
    return len(held) - len(held.translate(None, which))


def _size(text: str, beyond: str, sequence: Sequence[str], distinct: int) -> float:
    often = 3 + distinct // 20  # how often usual text of this many words repeats one of them
    size = float(len("".join(sequence)))
    if distinct + often <= len(sequence):
        size -= sum(len(word) * (count - often) for word, count in Counter(sequence).items() if count > often)
    if beyond:
        wide = len(HAN.findall(beyond)) + len(_HANGUL.findall(beyond))
        if wide:  # a gram of two counts each character twice, and a wide character says as much as several narrow ones
            return 0.6 * size + 1.5 * wide
        if unspaced := len(UNSPACED.findall(beyond)):  # grams of four count each character four times
            return max(float(unspaced), size - 3.0 * unspaced)
    return size or float(sum(map(str.isdigit, text)))  # "2+2?" has no word and is no riddle


def _groups(meanings: bytes) -> list[float]:
    """How much each word group says: one keyword says much of a short ask and little of a long one."""
    spread = 1.0 + len(meanings) / 12.0
    said = [0.0] * (_GROUP + 1)
    groups = meanings.translate(_GROUP_OF)
    for group in set(groups):
        said[group] = _saturate(min(4, groups.count(group)), spread)
    return said[: len(GROUPS)]


def _shape(
    text: str, beyond: str, capitals: Sequence[tuple[str, ...]], words: Sequence[str], *, total: int, size: float
) -> tuple[float, ...]:
    """``beyond``: the characters outside ASCII; ``capitals``: what was found of :data:`_CAPITAL`; ``total``: words."""
    scale = log2(1.0 + size)
    sizes = list(map(len, words))
    letters = max(1, sum(sizes))
    foreign = sum(len(word) for word in words if not word.isascii()) / letters if beyond else 0.0
    distinct = max(1, len(words))
    raw = text.encode("ascii", "ignore").translate(None, _NO_MARK)
    marks = raw.decode()  # to look into a string is many times as fast
    numbers, digits = _numbers(text, beyond, raw)
    commas, questions, quotes = _punctuation(beyond, marks)
    lines = marks.count("\n")
    from_breaks = f"\n{text}"
    symbols = _how_many(raw, _ASCII_SYMBOLS) + (len(_SYMBOL.findall(beyond)) if beyond else 0)
    return (
        _within(scale / 11.0),
        _within((scale - 4.0) / 4.0),
        _within((scale - 5.6) / 4.0),
        _within((scale - 7.0) / 3.0),
        _within((scale - 8.6) / 2.0),
        _within(scale - 10.0),
        _within((letters / distinct - 2.0) / 6.0) if foreign < 0.3 else 0.4,
        _within(3.0 * sum(map((8).__lt__, sizes)) / (distinct + 3.0)) if foreign < 0.3 else 0.3,
        1.0 - distinct / max(1, total, distinct),
        _within(log2(1.0 + numbers) / 5.0) if numbers else 0.0,
        _within(5.0 * digits / (len(text) + 20.0)),
        _saturate(symbols, 5.0),
        _saturate(len(_LATEX.findall(text)), 3.0) if "\\" in marks or "$" in marks else 0.0,
        _saturate(_code_marks(text, marks) + sum([inner != "" for _, inner, _, _ in capitals]), 8.0),
        1.0 if ("`" in marks and "```" in text) or _BLOCK.search(from_breaks) else 0.0,
        _within(log2(1.0 + lines) / 5.0) if lines else 0.0,
        _saturate(len(_ITEM.findall(from_breaks)), 3.0),
        _options(text, marks),
        _within(questions / 3.0),
        _within(log2(1.0 + _sentences(text, marks)) / 4.0),
        _saturate(commas, 6.0),
        _saturate(sum([after != "" and rest != "" for _, _, after, rest in capitals]), 4.0),
        _saturate(quotes, 8.0),
        foreign,
        1.0 if text[-1:] in _QUESTION_MARKS else 0.0,
        1.0 if "_" in marks or ("." in marks and "..." in text) else 0.0,
        _within(log2(numbers - 1.0) / 4.0) if numbers > 2 else 0.0,
        *_ask(text, lines),
    )


def _ask(text: str, lines: int) -> tuple[float, float, float]:
    """How long the sentence is that asks, the shorter of the first and the last question or else the first sentence,
    and how much stands beside it, of prose and in lines: often what was pasted."""
    before = text.rfind
    if (last := before("?")) > 0:
        ask = last - max(before(".", 0, last), before("?", 0, last), before("!", 0, last), before("\n", 0, last))
        first = text.find("?")
        if first < last:
            ask = min(ask, max(4, first - max(before(".", 0, first), before("!", 0, first), before("\n", 0, first))))
    else:
        ends = [end for end in (text.find("\n"), text.find(": "), text.find(". ")) if end > 3]
        ask = min(ends, default=len(text))
    rest = len(text) - ask
    in_lines = _within((log2(1.0 + rest) - 5.0) / 5.0) if lines else 0.0
    return _within(log2(1.0 + ask) / 9.0), _saturate(rest, 60.0), in_lines


def _numbers(text: str, beyond: str, raw: bytes) -> tuple[int, int]:
    """Distinct numbers, and characters of all numbers."""
    if beyond and _DIGIT.search(beyond):
        numbers = _NUMBER_IN_ANY_SCRIPT.findall(text)
    elif _how_many(raw, _DIGITS):
        numbers = _NUMBER.findall(text)
    else:
        return 0, 0
    return len(set(numbers)), len("".join(numbers))


def _punctuation(beyond: str, marks: str) -> tuple[int, int, int]:
    """Commas, question marks and quotation marks."""
    count = marks.count
    commas, questions, quotes = count(",") + count(";"), count("?"), count('"') + count("'")
    if beyond:
        commas += beyond.count("，") + beyond.count("、") + beyond.count("،")
        questions += beyond.count("？") + beyond.count("؟")
        quotes += beyond.count("“") + beyond.count("「")
    return commas, questions, quotes


def _code_marks(text: str, marks: str) -> int:
    """What programs are written with, capitals within words aside."""
    count = text.count
    found = marks.count("{") + marks.count("}") + marks.count(";")
    found += count("::") if ":" in marks else 0
    found += count("</") if "<" in marks else 0
    found += count("->") + count("=>") if ">" in marks else 0
    found += count("==") if "=" in marks else 0
    found += len(_CALL.findall(text)) if "(" in marks else 0
    found += len(_JOINED.findall(text)) if "_" in marks else 0
    return found + (len(_SUFFIX.findall(text)) if "." in marks else 0)


def _options(text: str, marks: str) -> float:
    """1 where answers are offered to choose from: at least three of A to E, marked as such."""
    for close in compress(").:", (")" in marks, "." in marks, ":" in marks)):
        if f"B{close}" in text or f"b{close}" in text:
            return 1.0 if len(set(_OPTION.findall(text))) >= 3 else 0.0
    return 0.0


def _sentences(text: str, marks: str) -> int:
    if not text.isascii():
        return len(_SENTENCE.findall(text))
    ends = 1 if text and text[-1] in ".?!" else 0
    for end in compress(".?!", ("." in marks, "?" in marks, "!" in marks)):
        ends += text.count(f"{end} ") + (text.count(f"{end}\n") if "\n" in marks else 0)
    return ends


def _capitalised(capitals: Sequence[tuple[str, ...]]) -> set[str]:
    return {first.lower() + rest for first, _, _, rest in capitals if len(rest) > 3}


def _rare(words: Sequence[str], meanings: bytes, names: Collection[str]) -> tuple[float, float]:
    """Share and count of rare English words, names aside; a usual value for text that is not English."""
    if 8 * _how_many(meanings, _ENGLISH_ONES) < len(words):
        return 0.15, 0.2
    long, rare = _how_many(meanings, _LONG_ONES), _how_many(meanings, _RARE_ONES)
    if names:
        named = bytes([meaning for word, meaning in zip(words, meanings, strict=True) if word in names])
        long -= len(named)
        rare -= _how_many(named, _RARE_ONES)
    return rare / (long + 2.0), _saturate(rare, 3.0)
