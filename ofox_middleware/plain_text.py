"""What of a text is read when its difficulty is judged: a window of it, as a person sees it, without what says nothing.

Pure, and bounded by the window. Templates, courtesies and remarks about tiers and models are the same around any
request, so they are not read; neither are the worked examples before a question.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Container
from itertools import pairwise

from ofox_middleware.courtesies import BESIDE, COURTESIES

WINDOW = 1200
"""Characters that are read of a text: half from its head, half from its tail; a third as many of a script whose
characters say as much as three. With 2,000 nothing is judged better on the training sets."""

_WIDE_BYTES = 2.2
"""Bytes a character in UTF-8 from which a script counts as such: Chinese, Japanese, Korean, Thai, Hindi."""

_BLOB = 60
_OPAQUE = re.compile(f"[A-Za-z0-9+/_=-]{{{_BLOB},}}")
_RECORD = 80
_RECORD_MARKS = dict.fromkeys(map(ord, '0123456789{}[]":,|;\t'))
_RECORD_LETTERS = 0.65
"""A line of :data:`_RECORD` characters with a smaller share than this of anything but marks and digits is a record;
prose has about .97, code .85."""

_MATERIAL = 400
_MATERIAL_READ = 200
_INSTRUCTION = re.compile(r"[^\n]{8,200}?(?::\s|\n)")
_INVISIBLE = re.compile(
    "[\u00ad\u0300-\u036f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
_APART = r"\s\d!-/:-@\[-`{-~\u00a1-\u00bf\u2000-\u2bff\u3000-\u3004\u3008-\u3030\u060c\u061b\u061f\u0964\u0965"
_WORD = re.compile(f"[^{_APART}]+")
_ASCII_APART = bytes(code if chr(code).isalpha() else ord(" ") for code in range(128)) + bytes(128)
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
    "advanced", "expert", "opus", "sonnet", "haiku", "gpt", "claude", "gemini", "llama", "mistral", "mixtral",
    "qwen", "deepseek", "grok", "model", "models", "route", "router", "routing", "cheap", "expensive", "premium",
    "strong", "strongest", "weak", "openai", "anthropic", "google", "simple", "medium",
))  # fmt: skip
"""Words that could name a tier or a model. They count for nothing, nor does what stands between two in a sentence."""

_COURTESIES = frozenset((
    "please", "thanks", "thank", "thankful", "grateful", "appreciate", "appreciated", "appreciation", "kind",
    "kindly", "sorry", "apologies", "excuse", "pardon", "forgive", "hello", "hi", "hey", "greetings", "dear",
    "cheers", "regards", "sincerely", "welcome", "wondering", "wonder", "bother", "trouble", "hope", "hopefully",
    "hoping", "glad", "happy", "morning", "afternoon", "evening", "help", "helpful", "helping", "assist",
    "assistance", "favor", "favour", "advance", "pleased", "pleasure", "awesome", "amazing", "brilliant",
    "wonderful", "patience",
))  # fmt: skip
_FILLERS = _COURTESIES | frozenset((
    "i", "you", "we", "me", "us", "my", "your", "yours", "our", "he", "she", "they", "it", "its", "this", "that",
    "these", "those", "there", "here", "and", "or", "but", "so", "if", "as", "whether", "because", "since", "to",
    "of", "for", "with", "in", "on", "at", "by", "from", "about", "out", "up", "a", "an", "the", "is", "are",
    "was", "were", "be", "been", "being", "am", "m", "s", "re", "ve", "ll", "d", "t", "don", "do", "does", "did",
    "have", "has", "had", "can", "could", "would", "should", "will", "shall", "may", "might", "must", "not", "no",
    "yes", "ok", "okay", "very", "really", "much", "many", "lot", "lots", "quite", "just", "also", "too", "again",
    "soon", "now", "then", "before", "after", "last", "next", "once", "ever", "always", "time", "times", "day",
    "days", "week", "today", "tonight", "question", "questions", "thing", "things", "something", "anything",
    "everything", "one", "another", "some", "any", "more", "all", "well", "fine", "good", "great", "nice", "best",
    "better", "new", "possible", "able", "chance", "way", "know", "tell", "let", "like", "want", "need", "love",
    "get", "got", "give", "take", "make", "feel", "free", "moment", "minute", "minutes", "quick", "quickly",
    "sure", "course", "everyone", "friend", "sir", "madam", "team", "end", "advise", "ask", "asking", "answer",
    "reply", "response", "read", "reading", "effort", "attention", "what", "how", "who", "which", "when", "oh",
    "ah", "bit", "little", "small", "hand", "forward", "looking", "hear", "hearing",
))  # fmt: skip
"""Words of courtesy, and those that say nothing beside them: a sentence of nothing else is not read."""

_LETTERS = re.compile("[A-Za-z]+")
# What a bracket or the end of a sentence begins with, and only then what it is: a third of the time of three patterns.
_PIECES = re.compile(r"([(.!?。！？\n](?:(?<=\()[^()\n]{1,120}\)|(?<=[.!?])[.!?]*(?=\s|$)|(?<=[。！？\n])[。！？\n]*))")
_OTHER_PIECES = re.compile(
    r"([(.!?。！？।؟\n ](?:(?<=\()[^()\n]{1,120}\)|(?<=[.!?])[.!?]*(?=\s|$|[^\W\x00-\x7f])"
    r"|(?<=[。！？।؟\n])[。！？।؟\n]*|(?<=[\u0e00-\u0e7f] ) *))"
)
"""The same beyond ASCII: there a sentence may follow without a blank, and Thai has blanks for stops."""
_MOST_PIECES = 80
"""Pieces up to which remarks are looked for; a window of usual text has about 30, sentences and their ends."""


def plain(text: str) -> tuple[str, list[str]]:
    """What is read of ``text``, and its words (or grams, in scripts without spaces) in order."""
    text = last_question(without_records(without_blobs(normalise(window(text)))))
    text = without_material(text).strip()
    lowered = text.lower()
    sequence = split(lowered)
    words = set(sequence)
    if not words.isdisjoint(_STOCK_BY_WORD) and (found := _stock(words, lowered)):
        for phrase in found:
            text = re.sub(re.escape(phrase) + r"[\s.!:,]{0,4}", " ", text, flags=re.IGNORECASE)
        text = text.strip()
        sequence = split(text.lower())
        words = set(sequence)
    named, courtesies = words & ABOUT_ROUTING, words & _COURTESIES
    if len(named) > 1 or courtesies:
        rest = _without_remarks(text, named | courtesies).strip()
        if read := split(rest.lower()):
            text, sequence = rest, read
    if named:
        sequence = [word for word in sequence if word not in ABOUT_ROUTING] or sequence
    return text, sequence


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


def without_blobs(text: str) -> str:
    """``text`` without base64, digests and keys: a reader's eye passes over them, and any ask can be dressed in one."""
    # A blob has no blank in it. Going from blank to blank in steps as long as a short one costs a twentieth of
    # what the pattern does.
    at, last = 0, len(text) - _BLOB
    while at <= last:
        blank = text.rfind(" ", at, at + _BLOB)
        if blank < 0:
            blank = text.find(" ", at + _BLOB)
            if _OPAQUE.search(text, at, blank if blank >= 0 else len(text)):
                return _OPAQUE.sub(" ", text)
            if blank < 0:
                break
        at = blank + 1
    return text


def without_records(text: str) -> str:
    """``text`` without long lines that are mostly marks and digits: rows of a table, JSON, a log. They are data to work
    on; how many there are says nothing of how hard the work is."""
    if len(text) < _RECORD:
        return text
    lines = text.split("\n")
    if max(map(len, lines)) < _RECORD:
        return text
    return "\n".join(line for line in lines if len(line) < _RECORD or not _is_record(line))


def _is_record(line: str) -> bool:
    return len(line.translate(_RECORD_MARKS)) < _RECORD_LETTERS * len(line)


def without_material(text: str) -> str:
    """Of a long text pasted under a short instruction only the start: to translate or to sum up two pages is hardly
    harder than one. What asks something itself, or holds code, is read whole."""
    if len(text) < _MATERIAL or not (instruction := _INSTRUCTION.match(text)):
        return text
    start = instruction.end()
    if len(text) - start < _MATERIAL or any(text.find(mark, start) >= 0 for mark in ("?", "？", "؟", "```")):
        return text
    return text[: start + _MATERIAL_READ]


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
        return lowered.encode().translate(_ASCII_APART).decode().split()  # a third of the time of str.translate
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


def _without_remarks(text: str, telling: Collection[str]) -> str:
    """``text`` without its sentences and brackets that are courtesies or speak of routing: only those with one of the
    ``telling`` words can be."""
    pieces = (_PIECES if text.isascii() else _OTHER_PIECES).split(text)
    if len(pieces) > _MOST_PIECES:
        return text
    for at, piece in enumerate(pieces):
        ends = at % 2 and not piece.startswith("(")
        if ends and not pieces[at - 1]:
            pieces[at] = " "
        elif not ends and any(map(piece.lower().__contains__, telling)):
            pieces[at] = _without_remark(piece)
    return "".join(pieces)


def _without_remark(piece: str) -> str:
    """Nothing of a mere courtesy, and nothing from one word about routing to another."""
    words = split(piece.lower())
    if _FILLERS.issuperset(words):
        return piece if _COURTESIES.isdisjoint(words) else ""
    if len(ABOUT_ROUTING.intersection(words)) < 2:
        return piece
    places = [found.span() for found in _LETTERS.finditer(piece) if found.group().lower() in ABOUT_ROUTING]
    rest = f"{piece[: places[0][0]]} {piece[places[-1][1] :]}" if len(places) > 1 else piece
    return "" if _FILLERS.issuperset(split(rest.lower())) else rest


def _mostly_latin(text: str) -> bool:
    plain = sum(map(text.count, "aeinorst"))
    return plain * 3 > len(text) - text.count(" ")


def _fold(match: re.Match[str]) -> str:
    word = match.group()
    if word.isascii() or len(word) < 2:
        return word
    folded = word.translate(_LOOKALIKE)
    return folded if folded.isascii() else word


# Of the other languages the words are what `split` makes of them, so they join the English ones down here.
_COURTESIES |= frozenset(split(normalise(" ".join(COURTESIES.values())).lower()))
_FILLERS |= _COURTESIES | frozenset(split(normalise(" ".join(BESIDE.values())).lower()))
