"""How many tokens a text has, estimated without a tokenizer and in bounded time. Pure.

The estimate follows ``o200k_base``, the tokenizer of the OpenAI models since GPT-4o; other makers' current ones lie
near it for English and code and 10-40% above it for some scripts. ``benchmarks/tokens`` measures the error by language.

Method: each character falls into a class (letter, digit, punctuation, script ...). The classes of a whole text are held
in one big integer, one byte per character and one bit per class, so that counting the members of a class, or the places
where a run of them starts, is a handful of integer operations and not a loop. The estimate is a weighted sum of those
counts. Weights: least squares on relative error over the upper halves of the texts in ``benchmarks/tokens/corpus``,
source files of several languages and translated message catalogues, half of which the benchmark keeps for itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

WINDOWS = 80
WINDOW_CHARS = 64
SAMPLE_CHARS = WINDOWS * WINDOW_CHARS
"""Texts longer than this are judged by ``WINDOWS`` windows of ``WINDOW_CHARS`` characters each, spread over them."""

IMAGE_TOKENS = {"low": 85, "high": 1100, "original": 1600}
"""Tokens of an image by its ``detail``. 85 is OpenAI's fixed price of ``low``; 1,100 is four to six 512-pixel tiles
there and about one megapixel in Anthropic's ``width x height / 750``, whose upper bound is 1,600."""
DEFAULT_IMAGE_TOKENS = 1100
"""Tokens of an image whose ``detail`` is ``auto`` or not given."""

AUDIO_TOKENS_PER_BASE64_CHAR = 0.001
"""16 kB/s of compressed speech is 21,300 base64 characters a second; models count 10 (OpenAI) to 32 (Gemini) tokens."""
FILE_TOKENS_PER_BASE64_CHAR = 0.03
"""A PDF page of 50 kB is 67,000 base64 characters and about 2,000 tokens (Anthropic: 1,500-3,000 a page)."""
VIDEO_TOKENS_PER_BASE64_CHAR = 0.002
"""1 Mbit/s of video is 167,000 base64 characters a second; Gemini counts about 300 tokens a second."""
DEFAULT_AUDIO_TOKENS = 600
DEFAULT_FILE_TOKENS = 6000
DEFAULT_VIDEO_TOKENS = 10000
"""Audio of 30 seconds, a file of three pages, video of half a minute: when only a link or an id is given."""

MESSAGE_TOKENS = 4
"""What wraps each message: role and separators (OpenAI's counting guide: 3 a message, 1 for its role)."""
REPLY_TOKENS = 3
"""What opens the answer (same source)."""

_CONTINUATION = bytes(range(0x80, 0xC0))
_NOT_LEAD = bytes(range(0xC0))
_MANY = 1000  # from here on copying the texts into one is quicker than looking at each
_SEPARATOR = "\0"  # belongs to no class: texts joined by it stay apart and it weighs nothing

_LETTER, _DIGIT, _PUNCTUATION, _NEWLINE, _SPACE, _CAPITAL, _MARKED = range(7)
_HAN, _KANA, _HANGUL, _CYRILLIC, _ARABIC, _INDIC, _SYMBOL, _GREEK_HEBREW = range(8)


def _classes() -> bytes:
    """Class bits of each byte; of a character beyond ASCII only its lead byte is kept, so lead bytes stand for it."""
    table = bytearray(256)
    for byte in range(33, 127):
        table[byte] = 1 << _PUNCTUATION
    for byte in b"abcdefghijklmnopqrstuvwxyz":
        table[byte] = 1 << _LETTER
        table[byte - 32] = 1 << _LETTER | 1 << _CAPITAL
    for byte in b"0123456789":
        table[byte] = 1 << _DIGIT
    for byte in b" \t":
        table[byte] = 1 << _SPACE
    for byte in b"\n\r":
        table[byte] = 1 << _NEWLINE
    for byte in range(0xC3, 0xCE):  # Latin letters with marks
        table[byte] = 1 << _LETTER | 1 << _MARKED
    table[0xE1] = 1 << _LETTER  # Vietnamese, Georgian and others
    return bytes(table)


def _scripts() -> bytes:
    """Script bits of each UTF-8 lead byte."""
    table = bytearray(256)
    ranges = (
        (_SYMBOL, 0xC2, 0xC3), (_GREEK_HEBREW, 0xCE, 0xD0), (_CYRILLIC, 0xD0, 0xD4), (_GREEK_HEBREW, 0xD4, 0xD8),
        (_ARABIC, 0xD8, 0xE0), (_INDIC, 0xE0, 0xE1), (_SYMBOL, 0xE2, 0xE3), (_KANA, 0xE3, 0xE4), (_HAN, 0xE4, 0xEA),
        (_HANGUL, 0xEA, 0xEE), (_KANA, 0xEE, 0xF0),
    )  # fmt: skip
    for script, first, end in ranges:
        for byte in range(first, end):
            table[byte] = 1 << script
    return bytes(table)


_PLACES = tuple(window + window * 0.6180339887 % 1 for window in range(WINDOWS))
"""Where each window lies, counted in stretches: uneven (golden ratio), because prompts repeat themselves at even
distances."""

_CLASS_OF = _classes()
_LETTERS = bytes(held for held in range(256) if held >> _LETTER & 1)
_OF_CAPITAL, _OF_MARKED = 1 << _LETTER | 1 << _CAPITAL, 1 << _LETTER | 1 << _MARKED
_OF_DIGIT, _OF_PUNCTUATION, _OF_SPACE = 1 << _DIGIT, 1 << _PUNCTUATION, 1 << _SPACE
_SCRIPT_OF = _scripts()
_MASKS = tuple(int.from_bytes(bytes([1 << bit]) * (2 * SAMPLE_CHARS), "little") for bit in range(8))

_SCRIPT_WEIGHTS = (
    (_MASKS[_HAN], 0.765), (_MASKS[_KANA], 0.71), (_MASKS[_HANGUL], 0.78), (_MASKS[_CYRILLIC], 0.29),
    (_MASKS[_ARABIC], 0.37), (_MASKS[_INDIC], 0.4), (_MASKS[_SYMBOL], 1.0), (_MASKS[_GREEK_HEBREW], 0.45),
)  # fmt: skip
_EMOJI_LEAD = b"\xf0"

# Letters that tell a language which the tokenizer knows less well than the other ones in its script: Ukrainian, and
# traditional Chinese by characters that are frequent and neither simplified nor Japanese. Each stands for the words
# around it, up to the share of letters that they usually are.
_UKRAINIAN_I = "і".encode()
_TRADITIONAL = "這個們來說會國學對為還樣於與"
_MARK_SHARE = 0.08

# Languages in Latin letters whose words the tokenizer splits more than those of English, French, Spanish, Portuguese
# and Turkish: frequent small words, the share of all words that they usually are, and how much more the words cost.
_DEARER = (
    ((" di ", " il ", " che ", " della ", " non "), 0.05, 0.19),  # Italian
    ((" het ", " een ", " van ", " niet ", " voor "), 0.035, 0.19),  # Dutch
    ((" der ", " die ", " und ", " nicht ", " wird "), 0.035, 0.11),  # German
    ((" nie ", " się ", " jest ", " z ", " że "), 0.02, 0.25),  # Polish
    ((" och ", " att ", " inte ", " är ", " för "), 0.04, 0.16),  # Swedish
    ((" ja ", " ei ", " on ", " ole ", " tai "), 0.02, 0.27),  # Finnish
    ((" nu ", " este ", " pentru ", " în ", " și "), 0.025, 0.15),  # Romanian
    ((" nem ", " az ", " és ", " egy ", " hogy "), 0.02, 0.14),  # Hungarian
    ((" yang ", " untuk ", " tidak ", " dan ", " dengan "), 0.04, 0.18),  # Indonesian
)
_ENGLISH = (" the ", " and ", " to ")
_TOLD_CHARS = 2000  # enough to tell a language by
_FEWEST_WORDS = 4
_VIETNAMESE_LEAD = b"\xe1"


def estimate(texts: Sequence[str]) -> int:
    """About how many tokens ``texts`` have together; whole when they are short, else from a sample of windows."""
    if len(texts) > _MANY:
        texts = (_SEPARATOR.join(texts),)
    total = sum(map(len, texts))
    if total == 0:
        return 0
    if total <= SAMPLE_CHARS:
        return max(1, round(_tokens(texts[0] if len(texts) == 1 else _SEPARATOR.join(filter(None, texts)))))
    sample = _sample(texts, total)
    length = sum(map(len, sample))
    return round(_tokens(_SEPARATOR.join(sample)) * total / length)


def _sample(texts: Sequence[str], total: int) -> list[str]:
    """One window from each of ``WINDOWS`` equal stretches of the concatenation of ``texts``, which is never built."""
    stretch = (total - WINDOW_CHARS) / WINDOWS
    starts = [int(place * stretch) for place in _PLACES]
    if len(texts) == 1:
        text = texts[0]
        return [text[start : start + WINDOW_CHARS] for start in starts]  # a third of the time of what follows
    ends = list(accumulate(map(len, texts), initial=0))
    pieces: list[str] = []
    for start in starts:
        index = bisect_right(ends, start) - 1
        offset = start - ends[index]
        piece = texts[index][offset : offset + WINDOW_CHARS]
        missing = WINDOW_CHARS - len(piece)
        pieces.append(piece)
        while missing and (index := index + 1) < len(texts):
            piece = texts[index][:missing]
            if piece:
                pieces.append(piece)
                missing -= len(piece)
    return pieces


def _tokens(text: str) -> float:
    """Tokens of a text of at most ``2 * SAMPLE_CHARS`` characters."""
    raw = text.encode("utf-8", "replace")
    plain = len(raw) == len(text)
    classes = raw.translate(_CLASS_OF) if plain else raw.translate(_CLASS_OF, _CONTINUATION)
    # Where runs start is seen in the integer; members are counted in the bytes, which is quicker once the letters have
    # gone. Counting the bits is the dearest step: ``a ^ (a & b)`` are the bits of ``a`` alone.
    others = classes.translate(None, _LETTERS)
    count = others.count
    here = int.from_bytes(classes, "little")
    starts = here ^ (here & (here << 8))  # the bits that the character before does not have: where runs start
    starting = starts & _MASKS[_LETTER]
    capitals = starts & _MASKS[_CAPITAL]
    words = starting.bit_count()
    letters = 0.43 * words + 0.137 * (len(classes) - len(others))
    tokens = (
        letters
        + letters * _dearer(text, words)
        # words of one letter: "a", and the variables of formulas
        + 0.2 * (starting ^ (starting & (here >> 8))).bit_count()
        + 0.07 * classes.count(_OF_CAPITAL)
        + 0.8 * (capitals ^ (capitals & (starting << _CAPITAL))).bit_count()  # inner ones: camelCase, base64
        + 1.31 * (starts & _MASKS[_DIGIT]).bit_count()
        + 0.333 * count(_OF_DIGIT)  # digits go in threes
        + 0.29 * (starts & _MASKS[_PUNCTUATION]).bit_count()
        + 0.208 * count(_OF_PUNCTUATION)
        + 1.2 * (starts & _MASKS[_NEWLINE]).bit_count()
        + 0.014 * count(_OF_SPACE)
    )
    if plain:
        return tokens
    tokens += 1.17 * classes.count(_OF_MARKED) - 0.4 * raw.count(_VIETNAMESE_LEAD)
    return tokens + _script_tokens(text, raw)


def _dearer(text: str, words: int) -> float:
    """How much longer, as a share, words of a language in Latin letters are in tokens than those of English."""
    if words < _FEWEST_WORDS:
        return 0.0
    text = text[:_TOLD_CHARS]
    words = max(1, text.count(" "))
    if sum(map(text.count, _ENGLISH)) > 0.02 * words:
        return 0.0
    for marks, usual, more in _DEARER:
        found = sum(map(text.count, marks)) / words
        if found > 0.3 * usual:
            return more * min(1.0, found / usual)
    return 0.0


def _script_tokens(text: str, raw: bytes) -> float:
    """What characters beyond Latin add to the estimate; ``raw`` is ``text`` in UTF-8."""
    here = int.from_bytes(raw.translate(_SCRIPT_OF, _NOT_LEAD), "little")
    tokens = 1.6 * raw.count(_EMOJI_LEAD)
    for mask, weight in _SCRIPT_WEIGHTS:
        tokens += weight * (here & mask).bit_count()
    if cyrillic := (here & _MASKS[_CYRILLIC]).bit_count():
        tokens += 1.97 * min(raw.count(_UKRAINIAN_I), _MARK_SHARE * cyrillic)
    if han := (here & _MASKS[_HAN]).bit_count():
        tokens += 3.3 * min(sum(map(text.count, _TRADITIONAL)), _MARK_SHARE * han)
    return tokens


def media_tokens(need: str, detail: object = None, base64_chars: int = 0) -> int:
    """About how many tokens an ``image``, ``audio``, ``file`` or ``video`` part has.

    ``detail`` is an image's; ``base64_chars`` the length of the data when it is in the request, 0 for a link or an id.
    """
    if need == "image":
        return IMAGE_TOKENS.get(detail, DEFAULT_IMAGE_TOKENS) if isinstance(detail, str) else DEFAULT_IMAGE_TOKENS
    per_char, default = _MEDIA[need]
    return round(base64_chars * per_char) if base64_chars else default


_MEDIA = {
    "audio": (AUDIO_TOKENS_PER_BASE64_CHAR, DEFAULT_AUDIO_TOKENS),
    "file": (FILE_TOKENS_PER_BASE64_CHAR, DEFAULT_FILE_TOKENS),
    "video": (VIDEO_TOKENS_PER_BASE64_CHAR, DEFAULT_VIDEO_TOKENS),
}
