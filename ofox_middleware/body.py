"""Request bodies: what they say, and the same bytes with another model in them.

A body is decoded once and never re-encoded: :func:`splice` cuts out and puts in the few bytes that change, so numbers
of any length, key order, whitespace and escapes arrive as they were sent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from ofox_middleware.adapting import NO_EDITS, Edits
from ofox_middleware.errors import InvalidRequest

MODEL: Final = "model"
CONFIG: Final = "model_routing_config"

WINDOW: Final = 32 * 1024
"""Bytes at either end of a large body that are looked through for what clients put there.

``bytes.find`` of a word costs 0.5 ms per MB, more than msgspec's scan of the same bytes (0.3 ms), so nothing here
searches a large body as a whole."""

MOST_MEMBERS: Final = 1000
"""Top-level members that a request may have. No protocol knows a tenth of it, and each costs more than its bytes."""

_BRACE: Final = ord("{")

_TRIES: Final = 8
"""How often a name is looked for in the tail: tool schemas often have a ``model`` of their own."""

_WHITESPACE: Final = re.compile(rb"[ \t\n\r]*")
_WHITESPACE_TEXT: Final = re.compile(r"[ \t\n\r]*")
_SCALAR_MEMBER: Final = re.compile(
    rb'[ \t\n\r]*"([^"\\]{1,64})"[ \t\n\r]*:[ \t\n\r]*("[^"\\]{0,512}"|[-+.0-9A-Za-z]{1,64})[ \t\n\r]*[,}]'
)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class Member(NamedTuple):
    """Where a top-level member stands: offsets of its name's quote, of its value, and of the byte after it."""

    name: str
    start: int
    value_at: int
    end: int


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A JSON object as it was sent and as it was understood.

    Attributes:
        raw: the bytes.
        fields: the decoded members; of members with one name the last counts, as for most parsers.
        members: where all members stand, for a body in which a name occurs twice or which only the slower reader can
            read; ``None`` for any other, which is looked through when it is spliced.
    """

    raw: bytes
    fields: dict[str, Any]
    members: tuple[Member, ...] | None = None

    def without_values(self) -> RequestBody:
        """The same with names, flags and counts only, which is all that :func:`splice` and time-outs need, for the time
        that an answer takes."""
        kept = {name: value if isinstance(value, int) else None for name, value in self.fields.items()}
        return RequestBody(self.raw, kept, self.members)


class _Name:
    """A top-level name. Equal only to itself, so that a decoded object keeps names that occur twice."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_Members = dict[_Name, Any]
_members: Final = msgspec.json.Decoder(_Members, dec_hook=lambda _, text: _Name(text))
_raw_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string: Final = msgspec.json.Decoder(str)
_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)


def needles(auto_models: Iterable[str]) -> tuple[bytes, ...]:
    """Byte strings of which at least one stands in every body that names one of ``auto_models`` or a routing config."""
    found = {CONFIG.encode(), rb"\u00"}  # the latter begins every escape of an ASCII character
    for name in auto_models:
        found.add(msgspec.json.encode(name))
        if "/" in name:
            found.add(rb"\/")
        if not name.isascii():
            found.add(rb"\u")
        if not name.isprintable() or '"' in name or "\\" in name:
            found.add(b"\\")
    return tuple(sorted(found))


def may_concern(raw: bytes, marks: Sequence[bytes], is_auto: Callable[[object], bool]) -> bool:
    """Whether ``raw`` could name an auto model or hold a routing config; cheaper than :func:`read`.

    Args:
        raw: the body.
        marks: what :func:`needles` gave.
        is_auto: whether a decoded model name asks for routing.
    """
    if len(raw) <= 2 * WINDOW:
        return any(mark in raw for mark in marks)
    tail = len(raw) - WINDOW
    if any(raw.find(mark, 0, WINDOW) >= 0 or raw.find(mark, tail) >= 0 for mark in marks):
        return True
    try:
        values = _raw_members.decode(raw)
        return CONFIG in values or (MODEL in values and is_auto(msgspec.json.decode(values[MODEL])))
    except _UNREADABLE:
        return True


def read(raw: bytes) -> RequestBody | None:
    """The JSON object in ``raw``, or ``None`` when it holds none that RFC 8259 allows.

    Raises:
        InvalidRequest: it has more than 1,000 members.
    """
    try:
        pairs = _members.decode(raw) if len(raw) < 4 * MOST_MEMBERS else _read_at_most(raw, MOST_MEMBERS)
    except _UNREADABLE:
        return _read_odd(raw)
    fields = {name.text: value for name, value in pairs.items()}
    return RequestBody(raw, fields, None if len(fields) == len(pairs) else tuple(_walk_odd(raw)))


def _read_at_most(raw: bytes, left: int) -> _Members:
    """All members, if there are not more than ``left``. Counting costs 2 microseconds, and small bodies do without."""

    def counted(_: type, text: str) -> _Name:
        nonlocal left
        left -= 1
        if left < 0:
            raise _too_many()
        return _Name(text)

    return msgspec.json.decode(raw, type=_Members, dec_hook=counted)


def _too_many() -> InvalidRequest:
    return InvalidRequest(f"A request has at most {MOST_MEMBERS} top-level members.", code="too_many_members")


def splice(body: RequestBody, *, model: str | None, params: Mapping[str, Any], edits: Edits = NO_EDITS) -> bytes:
    """The body's bytes with another model, without its routing config, and otherwise as they were.

    Every top-level occurrence of either name is treated, so that no parser can find what another one did not.

    Args:
        body: what :func:`read` gave.
        model: the new value of ``model`` where the body has one; ``None`` leaves it.
        params: members to add after the model unless the body has them, whatever their value.
        edits: other members to take out, rename or replace.
    """
    names = {name for name in ((CONFIG,) if model is None else (MODEL, CONFIG)) if name in body.fields}
    if edits:
        names |= body.fields.keys() & {*edits.drop, *edits.rename, *edits.replace, *edits.within}
    if not names:
        return body.raw
    members = _locate(body, names)
    gone = [item for item in members if item.name == CONFIG or item.name in edits.drop]
    changes = [(start, end, b"") for start, end in _cuts(body.raw, gone)]
    if model is not None:
        added = _as_members({name: value for name, value in params.items() if name not in body.fields})
        for item in members:
            if item.name == MODEL:
                changes.append((item.value_at, item.end, msgspec.json.encode(model) + added))
                added = b""
    if edits:
        changes += _changed(body.raw, members, edits)
    return b"".join(_edited(body.raw, sorted(changes)))


def _changed(raw: bytes, members: Sequence[Member], edits: Edits) -> Iterator[tuple[int, int, bytes]]:
    """The members that keep their place under another name or with another value."""
    for item in members:
        if item.name in edits.rename:
            # No name that is renamed holds a quote, escaped or not.
            yield item.start, raw.index(b'"', item.start + 1) + 1, msgspec.json.encode(edits.rename[item.name])
        if item.name in edits.replace:
            yield item.value_at, item.end, msgspec.json.encode(edits.replace[item.name])
        elif item.name in edits.within and raw[item.value_at] == _BRACE:
            yield item.value_at, item.end, _inner(raw[item.value_at : item.end], edits.within[item.name])


def _inner(raw: bytes, edits: Edits) -> bytes:
    """The object in ``raw`` with ``edits`` of its members."""
    members = _walk(raw) or _walk_odd(raw)
    changes = [(start, end, b"") for start, end in _cuts(raw, [item for item in members if item.name in edits.drop])]
    return b"".join(_edited(raw, sorted([*changes, *_changed(raw, members, edits)])))


def _as_members(params: Mapping[str, Any]) -> bytes:
    return b"".join(b"," + msgspec.json.encode(name) + b":" + msgspec.json.encode(params[name]) for name in params)


def _edited(raw: bytes, edits: Sequence[tuple[int, int, bytes]]) -> Iterator[bytes | memoryview]:
    """The pieces of the new body. Views, so that a large body is copied once."""
    view, done = memoryview(raw), 0
    for start, end, new in edits:
        yield view[done:start]
        yield new
        done = end
    yield view[done:]


def _cuts(raw: bytes, members: Sequence[Member]) -> list[tuple[int, int]]:
    """What to cut so that ``members`` and just as many commas go."""
    cuts: list[tuple[int, int]] = []
    for member in members:
        start = cuts.pop()[0] if cuts and cuts[-1][1] == member.start else member.start
        after = _skip(raw, member.end)
        if raw[after : after + 1] == b",":
            cuts.append((start, _skip(raw, after + 1)))
            continue
        comma = raw.rfind(b",", 0, start)  # before the first member there is none
        cuts.append((start if comma < 0 else comma, member.end))
    return cuts


def _locate(body: RequestBody, names: set[str]) -> Sequence[Member]:
    """All top-level members called one of ``names``, in order. Others may be among them."""
    if body.members is not None:
        return body.members
    return _near_the_ends(body.raw, names) or _walk(body.raw) or _walk_odd(body.raw)


def _near_the_ends(raw: bytes, names: set[str]) -> list[Member] | None:
    """The members called ``names`` when they stand before the first large value or in the last bytes.

    Saves a second scan of the body, 0.3 ms per MB. Only for bodies without twins.
    """
    found = [member for member in _scalars(raw) if member.name in names]
    if len(found) == len(names):
        return found
    for name in names.difference([member.name for member in found]):
        tail = _tail_from(raw, name)
        if tail is None:
            return None
        found += tail
    return sorted(set(found), key=lambda member: member.start)


def _tail_from(raw: bytes, name: str) -> list[Member] | None:
    """The top-level member called ``name`` and those after it, when it stands in the last bytes.

    The name found may be a nested one, or a value. It is a top-level name exactly when what follows closes one object
    and no more, that is, when it is a whole object once it is opened here.
    """
    quoted = b'"%b"' % name.encode()
    floor, end = max(0, len(raw) - WINDOW), len(raw)
    for _ in range(_TRIES):
        end = raw.rfind(quoted, floor, end)
        if end < 0:
            return None
        members = None if raw[end - 1 : end] == b"\\" else _walk(b"{" + raw[end:])
        if members is not None:
            shift = end - 1
            return [Member(name, a + shift, b + shift, c + shift) for name, a, b, c in members]
    return None


def _scalars(raw: bytes) -> Iterator[Member]:
    """The members before the first one that is an object, an array, a long string or oddly written."""
    at = raw.index(b"{") + 1
    while found := _SCALAR_MEMBER.match(raw, at):
        yield Member(found[1].decode(), found.start(1) - 1, found.start(2), found.end(2))
        at = found.end()


def _walk(raw: bytes) -> list[Member] | None:
    """All members of an object without twins and escaped names, ``None`` for any other.

    msgspec gives each value's bytes, so its length; nothing inside of a value is looked at here.
    """
    try:
        values = _raw_members.decode(raw)
    except _UNREADABLE:
        return None
    members = []
    at = raw.index(b"{") + 1
    for name, value in values.items():
        start = _skip(raw, at)
        quoted = b'"%b"' % name.encode()
        if not raw.startswith(quoted, start):
            return None
        value_at = _skip(raw, _skip(raw, start + len(quoted)) + 1)
        length = len(memoryview(value))
        members.append(Member(name, start, value_at, value_at + length))
        at = _skip(raw, value_at + length) + 1
    return members


def _walk_odd(raw: bytes) -> list[Member]:
    """All members of any object that :func:`read` can read, twins and escaped names included; slower."""
    text = raw.decode()
    members: list[Member] = []
    at = _skip_text(text, text.index("{") + 1)
    while text[at] != "}":
        if len(members) == MOST_MEMBERS:
            raise _too_many()
        name, end = _odd.raw_decode(text, at)
        value_at = _skip_text(text, _skip_text(text, end) + 1)
        _, end = _odd.raw_decode(text, value_at)
        members.append(Member(name, at, value_at, end))
        at = _skip_text(text, end)
        if text[at] == ",":
            at = _skip_text(text, at + 1)
    return members if text.isascii() else _in_bytes(text, members)


def _in_bytes(text: str, members: Sequence[Member]) -> list[Member]:
    """``members`` with offsets in UTF-8 instead of characters."""
    done = length = 0
    moved = []
    for member in members:
        offsets = []
        for at in member[1:]:
            length += len(text[done:at].encode())
            done = at
            offsets.append(length)
        moved.append(Member(member.name, *offsets))
    return moved


def _skip(raw: bytes, at: int) -> int:
    """The first offset from ``at`` on that is not whitespace."""
    found = _WHITESPACE.match(raw, at)
    return at if found is None else found.end()


def _skip_text(text: str, at: int) -> int:
    found = _WHITESPACE_TEXT.match(text, at)
    return at if found is None else found.end()


def _read_odd(raw: bytes) -> RequestBody | None:
    """For what RFC 8259 allows and msgspec refuses: half surrogate pairs, and numbers beyond any type.

    Only for reading: the former are taken as U+FFFD, the latter as ``null``.
    """
    try:
        fields = _odd.decode(_SURROGATE.sub(r"\\ufffd", raw.decode()))
        return RequestBody(raw, fields, tuple(_walk_odd(raw))) if isinstance(fields, dict) else None
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) < 20 else None


def _number(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_odd: Final = json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_refuse)
