"""What can be measured in a text, cheaply, in any script, with every measure bounded. Pure.

Nothing here knows a model or a tier. A measure saturates: ten times the keywords, the padding or the repetition
cannot move it past its end, which is what keeps a crafted prompt from buying (or dodging) the dear model.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log2

WINDOW = 2000
"""Characters that are read of a text: half from its head, half from its tail."""

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

_INVISIBLE = re.compile(
    "[\u00ad\u0300-\u036f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
_APART = r"\s\d!-/:-@\[-`{-~\u00a1-\u00bf\u2000-\u2bff\u3000-\u3004\u3008-\u3030\u060c\u061b\u061f\u0964\u0965"
_WORD = re.compile(f"[^{_APART}]+")
_ASCII_WORD = re.compile("[a-z]+")
_MIXED = re.compile("[A-Za-z][\u0370-\u03ff\u0400-\u04ff]|[\u0370-\u03ff\u0400-\u04ff][A-Za-z]")
_LOOKALIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅαοιρυνκετΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijshdqwABEKMHOPCTYXIJSaoipuvketABEZHIKMNOPTYX",
)
_ANY_WORD = re.compile(r"\w+")
_HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_NUMBER = re.compile(r"\d[\d.,]{0,15}")
_SYMBOL = re.compile(r"[=+*/^<>|%±×÷√∑∏∫∂∇∞≈≠≤≥∈∉∀∃∪∩⊂⊆→⇒⇔≡φθλπσ°]")
_LATEX = re.compile(r"\\[a-zA-Z]{2,12}|\$[^$\s\d][^$\n]{0,40}\$")
_CODE = re.compile(r"[a-z][A-Z]|[A-Za-z]_[A-Za-z]|[{};]|=>|->|==|\w\(|::|</|\.[a-z]{2,4}\b(?=[\s\"'`)]|$)")
_BLOCK = re.compile(r"```|^(?: {4}|\t)\S|^(?:def|class|import|from|#include|public|function|SELECT)\b", re.MULTILINE)
_ITEM = re.compile(r"^ {0,3}(?:[-*•]|\d{1,2}[.)])\s", re.MULTILINE)
_OPTION = re.compile(r"(?:^|\s)\(?([A-Ea-e])[.):]\s")
_SENTENCE = re.compile("[.!?。！？؟।]+(?:\\s|$)|[。！？।]")
_LOWER_WORD = re.compile(r"(?<![A-Za-z\\'_])[a-z]{5,}(?![A-Za-z_(])")
_ENGLISH = frozenset((
    "the", "of", "a", "an", "is", "to", "in", "and", "what", "that", "for", "it", "on", "with", "as", "are", "by",
    "how", "does", "which", "be", "from", "this", "at", "or", "if", "not", "can", "you", "i", "my", "do", "was",
    "when", "who", "why",
))  # fmt: skip
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")

_STOCK = (
    "below is an instruction that describes a task", "write a response that appropriately completes the request",
    "paired with an input that provides further context", "### instruction:", "### response:", "### input:",
    "you are a helpful assistant", "let's think step by step", "let us think step by step", "think step by step",
    "step by step", "take a deep breath", "answer the following question", "answer the following",
    "help me with the following", "i would like you to", "i want you to", "i need you to", "can you please",
    "could you please", "would you please", "can you help me with", "could you help me with", "thank you in advance",
    "thanks in advance", "let's work this out", "think carefully", "this is very important to my career",
    "this is very important", "一步一步", "逐步思考", "请一步一步地思考", "ステップバイステップで", "단계별로 생각해",
    "paso a paso",
    "étape par étape", "schritt für schritt", "passo a passo", "шаг за шагом", "خطوة بخطوة",
)  # fmt: skip
"""Phrases that people and templates put around any request; they say nothing about it."""

ABOUT_ROUTING = frozenset((
    "reasoning", "complex", "complexity", "hard", "easy", "difficult", "difficulty", "tier", "tiers", "trivial",
    "advanced",
    "expert", "opus", "sonnet", "haiku", "gpt", "claude", "gemini", "llama", "mistral", "mixtral", "qwen", "deepseek",
    "grok",
    "model", "models", "route", "router", "routing", "cheap", "expensive", "premium", "strong", "strongest", "weak",
    "openai",
    "anthropic", "google", "simple", "medium",
))  # fmt: skip
"""Words that could name a tier or a model. They count for nothing, and a remark that holds two of them is not read."""

_REMARK = re.compile(r"\([^()\n]{1,120}\)|[^.!?\n()。！？]{1,160}(?:\.(?=\s|$)|[!?。！？]|\n|$)")


@dataclass(frozen=True, slots=True)
class Reading:
    """What was measured in one text.

    Attributes:
        values: one number in 0..1 for each of :data:`FEATURES`.
        words: the distinct words (or grams, in scripts without spaces), in order of first appearance.
        pairs: neighbouring words, joined by a blank.
        other_script: share of letters outside ASCII, 0..1.
        size: characters of the words, those of a text that mostly repeats itself counted less, wide ones as more than
        one.
    """

    values: tuple[float, ...]
    words: tuple[str, ...]
    pairs: tuple[str, ...]
    other_script: float
    size: float


def window(text: str) -> str:
    """The head and the tail of ``text``, :data:`WINDOW` characters at most."""
    if len(text) <= WINDOW:
        return text
    return f"{text[: WINDOW // 2]}\n{text[-WINDOW // 2 :]}"


def normalise(text: str) -> str:
    """``text`` as a person sees it: NFKC, no invisible characters, look-alike letters in Latin words folded."""
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if _MIXED.search(text) or _mostly_latin(text):
        text = _ANY_WORD.sub(_fold, text)
    return text


def last_question(text: str) -> str:
    """The part after the last worked example, when ``text`` is a list of examples with answers and then a question."""
    lowered = text.lower()
    if lowered.count("answer:") < 2:
        return text
    end = lowered.rfind("answer:")
    if text[end + 7 :].strip():  # text follows the last answer: the question is there
        return text
    start = lowered.rfind("answer:", 0, end)
    while start > 0 and not text[start + 7 : end].strip():
        end, start = start, lowered.rfind("answer:", 0, start)
    rest = text[start + 7 : end].lstrip() if start >= 0 else text
    _, _, question = rest.partition("\n")  # the first line is the answer of the example before
    return question if len(question) >= 20 else text


def _mostly_latin(text: str) -> bool:
    plain = sum(map(text.count, "aeinorst"))
    return plain * 3 > len(text) - text.count(" ")


def _fold(match: re.Match[str]) -> str:
    word = match.group()
    if word.isascii() or len(word) < 2:
        return word
    folded = word.translate(_LOOKALIKE)
    return folded if folded.isascii() else word


def _saturate(count: float, half: float) -> float:
    return count / (count + half)


def _split(lowered: str) -> list[str]:
    """Words; in scripts written without spaces, overlapping grams that stand for them."""
    if lowered.isascii():
        return _ASCII_WORD.findall(lowered)
    parts: list[str] = []
    for word in _WORD.findall(lowered):
        if word.isascii() or len(word) <= 2:
            parts.append(word)
        elif _HAN.search(word):
            parts.extend(word[i : i + 2] for i in range(len(word) - 1))
        elif _UNSPACED.search(word):
            parts.extend(word[i : i + 4] for i in range(max(1, len(word) - 3)))
        else:
            parts.append(word[2:] if word.startswith("ال") else word)  # the Arabic article is written joined
    return parts


def read(text: str, lexicon: Mapping[str, int], common: Container[str] = frozenset()) -> Reading:
    """Measures ``text``.

    ``lexicon`` maps a word, or a stem that ends in ``*``, to its place in :data:`GROUPS`; ``common`` holds everyday
    English
    words of five letters and more, all others count as rare.
    """
    text = last_question(normalise(window(text)))
    lowered = text.lower()
    text = text.strip()
    found = [phrase for phrase in _STOCK if phrase in lowered]
    for phrase in found:
        text = re.sub(re.escape(phrase) + r"[\s.!:,]{0,4}", " ", text, flags=re.IGNORECASE)
    if found:
        text = text.strip()
        lowered = text.lower()
    sequence = _split(lowered)
    named = ABOUT_ROUTING.intersection(sequence)
    if len(named) > 1:
        text = _REMARK.sub(_unread, text)
        sequence = _split(text.lower()) or sequence
    if named:
        sequence = [word for word in sequence if word not in ABOUT_ROUTING] or sequence
    words = list(dict.fromkeys(sequence))[:MAX_WORDS]
    wide = len(_HAN.findall(text)) + len(_HANGUL.findall(text)) if not text.isascii() else 0
    often = 3 + len(words) // 20  # how often usual text of this many words repeats one of them
    size = float(sum(len(word) * min(count, often) for word, count in Counter(sequence).items()))
    if wide:  # a gram of two counts each character twice, and a wide character says as much as several narrow ones
        size = 0.6 * size + 1.5 * wide
    elif unspaced := len(_UNSPACED.findall(text)):  # grams of four count each character four times
        size = max(float(unspaced), size - 3.0 * unspaced)
    if not size:  # "2+2?" has no word and is no riddle
        size = float(sum(map(str.isdigit, text)))
    counts = _groups(words, lexicon)
    shape = (*_shape(text, words, len(sequence), size), *_rare(text, words, common))
    brief = max(0.0, 1.0 - log2(1.0 + size) / 7.0)
    spread = 1.0 + len(words) / 12.0  # one keyword says much of a short ask and little of a long one
    group = [_saturate(count, spread) for count in counts]
    crossed = (brief * group[1], brief * group[0], brief * group[8], brief * group[3])
    pairs = tuple(dict.fromkeys(f"{a} {b}" for a, b in pairwise(sequence)))[:MAX_WORDS]
    return Reading((*shape, *group, *crossed), tuple(words), pairs, shape[23], size)


def _unread(match: re.Match[str]) -> str:
    remark = match.group()
    return " " if len(ABOUT_ROUTING.intersection(_ASCII_WORD.findall(remark.lower()))) > 1 else remark


def _groups(words: list[str], lexicon: Mapping[str, int]) -> list[float]:
    counts = [0.0] * len(GROUPS)
    get = lexicon.get
    for word in words:
        place = get(word)
        if place is None:
            size = len(word)
            for stem in (6, 5, 4, 3, 2):
                if size >= stem:
                    place = get(word[:stem] + "*")
                    if place is not None:
                        break
        if place is not None and counts[place] < 4.0:
            counts[place] += 1.0
    return counts


def _shape(text: str, words: list[str], total: int, size: float) -> tuple[float, ...]:
    scale = log2(1.0 + size)
    ascii_text = text.isascii()
    letters = max(1, sum(map(len, words)))
    foreign = 0.0 if ascii_text else sum(len(word) for word in words if not word.isascii()) / letters
    number_words = max(1, len(words))
    numbers = _NUMBER.findall(text)
    options = len(set(_OPTION.findall(text)))
    last = text.rstrip()[-1:]
    return (
        min(1.0, scale / 11.0),
        min(1.0, max(0.0, scale - 4.0) / 4.0),
        min(1.0, max(0.0, scale - 5.6) / 4.0),
        min(1.0, max(0.0, scale - 7.0) / 3.0),
        min(1.0, max(0.0, scale - 8.6) / 2.0),
        min(1.0, max(0.0, scale - 10.0) / 1.0),
        min(1.0, max(0.0, letters / number_words - 2.0) / 6.0) if foreign < 0.3 else 0.4,
        min(1.0, 3.0 * sum(len(word) > 8 for word in words) / (number_words + 3.0)) if foreign < 0.3 else 0.3,
        1.0 - number_words / max(1, total, number_words),
        min(1.0, log2(1.0 + len(set(numbers))) / 5.0),
        min(1.0, 5.0 * sum(map(len, numbers)) / (len(text) + 20.0)),
        _saturate(len(_SYMBOL.findall(text)), 5.0),
        _saturate(len(_LATEX.findall(text)), 3.0),
        _saturate(len(_CODE.findall(text)), 8.0),
        1.0 if _BLOCK.search(text) else 0.0,
        min(1.0, log2(1.0 + text.count("\n")) / 5.0),
        _saturate(len(_ITEM.findall(text)), 3.0),
        1.0 if options >= 3 else 0.0,
        min(1.0, (text.count("?") + text.count("？") + text.count("؟")) / 3.0),
        min(1.0, log2(1.0 + len(_SENTENCE.findall(text))) / 4.0),
        _saturate(text.count(",") + text.count("，") + text.count("、") + text.count("،") + text.count(";"), 6.0),
        _saturate(len(_NAME.findall(text)), 4.0),
        _saturate(text.count('"') + text.count("“") + text.count("「") + text.count("'"), 8.0),
        foreign,
        1.0 if last in "?？؟" and last else 0.0,
        1.0 if "_" in text or "..." in text else 0.0,
        min(1.0, log2(max(1.0, len(set(numbers)) - 1.0)) / 4.0),
    )


def _rare(text: str, words: list[str], common: Container[str]) -> tuple[float, float]:
    """Share and count of rare English words, proper names aside; a usual value for text that is not English."""
    if 8.0 * sum(word in _ENGLISH for word in words) < len(words):
        return 0.15, 0.2
    found = set(_LOWER_WORD.findall(text))
    rare = sum(word not in common for word in found)
    return rare / (len(found) + 2.0), _saturate(rare, 3.0)


def everyday(text: str) -> set[str]:
    """The lower-case words of five letters and more that :func:`read` looks for among the common ones."""
    return set(_LOWER_WORD.findall(last_question(normalise(window(text)))))
