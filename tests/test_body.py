"""Bodies: which ones concern us, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ofox_middleware import body as bodies
from ofox_middleware.body import may_concern, needles, read
from ofox_middleware.errors import InvalidRequest
from ofox_middleware.members import MOST_MEMBERS, WINDOW

MARKS = needles(["auto"])


def is_auto(model: object) -> bool:
    return model == "auto"


def test_reads_an_object() -> None:
    """An object is decoded and its bytes are kept."""
    raw = b' {"model": "auto", "n": 1} '
    document = read(raw)
    assert document is not None
    assert (document.raw, document.fields, document.members) == (raw, {"model": "auto", "n": 1}, None)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b'{"model": "auto"', b'{"model": "auto"} x', b'{"model": "auto",}', b"{'model': 'auto'}",
        b'["auto"]', b'"auto"', b"null", b"1", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 01}',
        b'\xef\xbb\xbf{"model": "auto"}', '{"model": "auto"}'.encode("utf-16"), b'{"model": "auto", "a": "\xff"}',
        b'{"model": "auto", "a": "\x01"}', b'{"model": "auto", "a": "\xed\xa0\x80"}', b'{"a": "\\x"}',
        b'{"model": "auto", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_not_read(raw: bytes) -> None:
    """Malformed JSON, other encodings, NaN, bottomless nesting and values that are no object are left to the app."""
    assert read(raw) is None


def test_the_last_twin_counts() -> None:
    """Of members with one name the last counts, and the body is known to have twins."""
    document = read(b'{"model": "x", "a": 1, "mod\\u0065l": "auto"}')
    assert document is not None
    assert document.fields == {"model": "auto", "a": 1}
    assert [member.name for member in document.members or ()] == ["model", "a", "model"]


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (rb'"\ud83d"', "�"), (rb'"\ud83d\ude00"', "😀"), (rb'"cut \uD83D here"', "cut � here"),
        (b"1e400", None), (b"-1e400", None), (b"1" * 5000, None), (b"1e10", 1e10),
    ],
)  # fmt: skip
def test_odd_but_allowed_values(value: bytes, seen: Any) -> None:
    """Half surrogates are read as U+FFFD and endless numbers as null, so that nothing within trips over them."""
    document = read(b'{"model": "auto", "a": ' + value + b"}")
    assert document is not None
    assert document.fields == {"model": "auto", "a": seen}


def test_small_numbers_of_an_odd_body_stay() -> None:
    """A value that msgspec refuses does not spoil the ordinary values beside it."""
    document = read(b'{"max_tokens": 12, "temperature": 0.5, "seed": 1e400, "big": 123456789012345678901234567890}')
    assert document is not None
    assert document.fields == {"max_tokens": 12, "temperature": 0.5, "seed": None, "big": None}


@pytest.mark.parametrize("member", ['"model":"auto"', '"k%d":0', '"k%d":1e400'])
def test_too_many_members(member: str) -> None:
    """More members than any protocol has are refused, be they twins or not, before they cost much."""
    members = [member.replace("%d", str(at)) for at in range(MOST_MEMBERS)]
    assert read(("{" + ",".join(members) + "}").encode()) is not None
    with pytest.raises(InvalidRequest, match="at most 1000"):
        read(("{" + ",".join([*members, '"one":1']) + "}").encode())


# --- the cheap test before


@pytest.mark.parametrize(
    ("raw", "concerns"),
    [
        (b'{"model":"auto"}', True),
        (b'{"model":"gpt-4o"}', False),
        (b'{"model":"gpt-4o","messages":"automatic"}', False),
        (b'{"model":"gpt-4o","tool_choice":"auto"}', True),
        (b'{"model":"\\u0061uto"}', True),
        (b'{"model":"gpt-4o","model_routing_config":{}}', True),
    ],
)
def test_small_bodies_are_told_by_their_bytes(raw: bytes, *, concerns: bool) -> None:
    """A small body can only concern us when a mark is in it; what is more than that is read."""
    assert may_concern(raw, MARKS, is_auto) is concerns


@pytest.mark.parametrize(
    ("raw", "concerns"),
    [
        (b'{"model":"auto","x":%s}', True),
        (b'{"x":%s,"model":"auto"}', True),
        (b'{"x":%s,"model":"auto","y":%s}', True),
        (b'{"x":%s,"mod\\u0065l":"\\u0061uto","y":%s}', True),
        (b'{"x":%s,"model_routing_config":{},"y":%s}', True),
        (b'{"x":%s,"model":"gpt-4o","y":%s}', False),
        (b'{"x":%s,"model":["auto"],"y":%s}', False),
        (b'{"x":%s,"y":%s}', False),
        (b'{"x":%s,"model":"auto","y":%s', True),
    ],
)
def test_large_bodies_are_told_by_their_ends_or_a_scan(raw: bytes, *, concerns: bool) -> None:
    """A large body is scanned once when neither end has a mark; what cannot be scanned is left to the reader."""
    filler = b'"%s"' % (b"x" * 2 * WINDOW)
    assert may_concern(raw.replace(b"%s", filler), MARKS, is_auto) is concerns


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("auto", [b'"auto"', b'"\\u0061uto"', b'"aut\\u006F"']),
        ("ofox/auto", [b'"ofox/auto"', b'"ofox\\/auto"', b'"ofox\\u002fauto"']),
        ("自動", ['"自動"'.encode(), b'"\\u81ea\\u52d5"', '"自\\u52D5"'.encode()]),
        ('a"\\\n', [b'"a\\"\\\\\\n"', b'"a\\u0022\\u005c\\u000a"']),
    ],
)
def test_every_spelling_of_a_name_has_a_mark(name: str, spellings: list[bytes]) -> None:
    """However JSON allows to spell an auto name, one of its marks is in the bytes."""
    for spelling in spellings:
        raw = b'{"model":' + spelling + b"}"
        assert json.loads(raw) == {"model": name}
        assert may_concern(raw, needles([name]), lambda model: model == name)


def test_names_of_constants() -> None:
    """The two names that bodies are searched for are the documented ones."""
    assert (bodies.MODEL, bodies.CONFIG) == ("model", "model_routing_config")
