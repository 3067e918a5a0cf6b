"""Request bodies: whether they concern us, and what they say. Each is decoded once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ofox_middleware.members import (
    MOST_MEMBERS,
    UNREADABLE,
    WINDOW,
    Member,
    odd_decoder,
    raw_members,
    too_many,
    walk_odd,
)

MODEL: Final = "model"
CONFIG: Final = "model_routing_config"

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


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
        """The same with names, flags and counts only, for the time that an answer takes: time-outs and
        :func:`~ofox_middleware.splice.splice` need no more."""
        kept = {name: value if isinstance(value, int) else None for name, value in self.fields.items()}
        return RequestBody(self.raw, kept, self.members)


class _Name:
    """A top-level name. Equal only to itself, so that a decoded object keeps names that occur twice."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


_Members = dict[_Name, Any]
_members: Final = msgspec.json.Decoder(_Members, dec_hook=lambda _, text: _Name(text))


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
        values = raw_members.decode(raw)
        return CONFIG in values or (MODEL in values and is_auto(msgspec.json.decode(values[MODEL])))
    except UNREADABLE:
        return True


def read(raw: bytes) -> RequestBody | None:
    """The JSON object in ``raw``, or ``None`` when it holds none that RFC 8259 allows.

    Raises:
        InvalidRequest: it has more than 1,000 members.
    """
    try:
        pairs = _members.decode(raw) if len(raw) < 4 * MOST_MEMBERS else _read_at_most(raw, MOST_MEMBERS)
    except UNREADABLE:
        return _read_odd(raw)
    fields = {name.text: value for name, value in pairs.items()}
    return RequestBody(raw, fields, None if len(fields) == len(pairs) else tuple(walk_odd(raw)))


def _read_at_most(raw: bytes, left: int) -> _Members:
    """All members, if there are not more than ``left``. Counting costs 2 microseconds, and small bodies do without."""

    def counted(_: type, text: str) -> _Name:
        nonlocal left
        left -= 1
        if left < 0:
            raise too_many()
        return _Name(text)

    return msgspec.json.decode(raw, type=_Members, dec_hook=counted)


def _read_odd(raw: bytes) -> RequestBody | None:
    """For what RFC 8259 allows and msgspec refuses: half surrogate pairs, and numbers beyond any type.

    Only for reading: the former are taken as U+FFFD, the latter as ``null``.
    """
    try:
        fields = odd_decoder.decode(_SURROGATE.sub(r"\\ufffd", raw.decode()))
        return RequestBody(raw, fields, tuple(walk_odd(raw))) if isinstance(fields, dict) else None
    except (ValueError, RecursionError):
        return None
