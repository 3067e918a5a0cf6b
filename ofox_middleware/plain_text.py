"""What of a text is read when its difficulty is judged: a window of it, as a person sees it, without what says nothing.

Pure, and bounded by the window. Templates, courtesies and remarks about tiers and models are the same around any
request, so they are not read; neither are the worked examples before a question.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container
from itertools import pairwise

WINDOW = 1200
"""Characters that are read of a text: half from its head, half from its tail; a third as many of a script whose
characters say as much as three. With 2,000 nothing is judged better on the training sets."""

_WIDE_BYTES = 2.2
"""Bytes a character in UTF-8 from which a script counts as such: Chinese, Japanese, Korean, Thai, Hindi."""

_INVISIBLE = re.compile(
    "[\u00ad\u0300-\u036f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
_APART = r"\s\d!-/:-@\[-`{-~\u00a1-\u00bf\u2000-\u2bff\u3000-\u3004\u3008-\u3030\u060c\u061b\u061f\u0964\u0965"
_WORD = re.compile(f"[^{_APART}]+")
_ASCII_APART = {code: " " for code in range(128) if not chr(code).isalpha()}
_GREEK_OR_CYRILLIC = re.compile("[\u0370-\u052f]")
_MIXED = re.compile("[\u0370-\u04ff](?:(?<=[A-Za-z].)|(?=[A-Za-z]))")
_LOOKALIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝАВЕКМНОРСТУХІЈЅαοιρυνκετΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijshdqwABEKMHOPCTYXIJSaoipuvketABEZHIKMNOPTYX",
)
_ANY_WORD = re.compile(r"\w+")
HAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")

_STOCK_BY_WORD = {
    "instruction": ("below is an instruction that describes a task", "### instruction:"),
    "response": ("write a response that appropriately completes the request", "### response:"),
    "input": ("paired with an input that provides further context", "### input:"),
    "assistant": ("you are a helpful assistant",),
    "step": ("let's think step by step", "let us think step by step", "think step by step", "step by step"),
    "breath": ("take a deep breath",),
    "following": (
        "answer the following question", "answer the following", "can you help me with the following",
        "could you help me with the following", "help me with the following",
    ),
    "like": ("i would like you to",),
    "want": ("i want you to",),
    "need": ("i need you to",),
    "please": ("can you please", "could you please", "would you please"),
    "help": ("can you help me with", "could you help me with"),
    "advance": ("thank you in advance", "thanks in advance"),
    "work": ("let's work this out",),
    "carefully": ("think carefully",),
    "important": ("this is very important to my career", "this is very important"),
    "一步": ("请一步一步地思考", "一步一步"),
    "逐步": ("逐步思考",),
    "ステ": ("ステップバイステップで",),
    "단계별로": ("단계별로 생각해",),
    "paso": ("paso a paso",),
    "étape": ("étape par étape",),
    "schritt": ("schritt für schritt",),
    "passo": ("passo a passo",),
    "шаг": ("шаг за шагом",),
    "خطوة": ("خطوة بخطوة",),
}  # fmt: skip
"""Phrases that people and templates put around any request, by a word of theirs; they say nothing about it."""

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


def plain(text: str) -> tuple[str, list[str], Counter[str]]:
    """What is read of ``text``; its words (or grams, in scripts without spaces) in order; how often each is there."""
    text = last_question(normalise(window(text))).strip()
    lowered = text.lower()
    sequence = split(lowered)
    counts = Counter(sequence)
    if not counts.keys().isdisjoint(_STOCK_BY_WORD) and (found := _stock(counts, lowered)):
        for phrase in found:
            text = re.sub(re.escape(phrase) + r"[\s.!:,]{0,4}", " ", text, flags=re.IGNORECASE)
        text = text.strip()
        sequence = split(text.lower())
        counts = Counter(sequence)
    named = counts.keys() & ABOUT_ROUTING
    if len(named) > 1:
        text = _REMARK.sub(_unread, text)
        sequence = split(text.lower()) or sequence
    if named:
        sequence = [word for word in sequence if word not in ABOUT_ROUTING] or sequence
        counts = Counter(sequence)
    return text, sequence, counts


def window(text: str) -> str:
    """The head and the tail of ``text``, :data:`WINDOW` characters at most."""
    text = _ends(text, WINDOW)
    if text.isascii() or len(text.encode("utf-8", "surrogatepass")) < _WIDE_BYTES * len(text):
        return text
    return _ends(text, WINDOW // 3)


def _ends(text: str, size: int) -> str:
    return text if len(text) <= size else f"{text[: size // 2]}\n{text[-size // 2 :]}"


def normalise(text: str) -> str:
    """``text`` as a person sees it: NFKC, no invisible characters, look-alike letters in Latin words folded."""
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    if _GREEK_OR_CYRILLIC.search(text) and (_mostly_latin(text) or _MIXED.search(text)):
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


def split(lowered: str) -> list[str]:
    """Words; in scripts written without spaces, overlapping grams that stand for them."""
    if lowered.isascii():
        return lowered.translate(_ASCII_APART).split()
    parts: list[str] = []
    for word in _WORD.findall(lowered):
        if word.isascii() or len(word) <= 2:
            parts.append(word)
        elif HAN.search(word):
            parts.extend(map("".join, pairwise(word)))
        elif UNSPACED.search(word):
            parts.extend(word[i : i + 4] for i in range(max(1, len(word) - 3)))
        else:
            parts.append(word[2:] if word.startswith("ال") else word)  # the Arabic article is written joined
    return parts


def _stock(words: Container[str], lowered: str) -> list[str]:
    """The stock phrases in ``lowered``, longest first where one holds another."""
    return [
        phrase for word, phrases in _STOCK_BY_WORD.items() if word in words for phrase in phrases if phrase in lowered
    ]


def _unread(match: re.Match[str]) -> str:
    remark = match.group()
    return " " if len(ABOUT_ROUTING.intersection(split(remark.lower()))) > 1 else remark


def _mostly_latin(text: str) -> bool:
    plain = sum(map(text.count, "aeinorst"))
    return plain * 3 > len(text) - text.count(" ")


def _fold(match: re.Match[str]) -> str:
    word = match.group()
    if word.isascii() or len(word) < 2:
        return word
    folded = word.translate(_LOOKALIKE)
    return folded if folded.isascii() else word
