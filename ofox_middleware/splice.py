"""The same bytes with another model in them: a body is never re-encoded.

:func:`splice` cuts out and puts in the few bytes that change, so numbers of any length, key order, whitespace and
escapes arrive as they were sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from ofox_middleware.adapting import NO_EDITS, Edits
from ofox_middleware.body import CONFIG, MODEL, RequestBody
from ofox_middleware.members import Member, all_members, located, skip

_BRACE: Final = ord("{")


def splice(body: RequestBody, *, model: str | None, params: Mapping[str, Any], edits: Edits = NO_EDITS) -> bytes:
    """The body's bytes with another model, without its routing config, and otherwise as they were.

    Every top-level occurrence of either name is treated, so that no parser can find what another one did not.

    Args:
        body: what :func:`~ofox_middleware.body.read` gave.
        model: the new value of ``model`` where the body has one; ``None`` leaves it.
        params: members to add after the model unless the body has them, whatever their value.
        edits: other members to take out, rename or replace.
    """
    names = {name for name in ((CONFIG,) if model is None else (MODEL, CONFIG)) if name in body.fields}
    if edits:
        names |= body.fields.keys() & {*edits.drop, *edits.rename, *edits.replace, *edits.within}
    if not names:
        return body.raw
    members = located(body.raw, names) if body.members is None else body.members
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
    members = all_members(raw)
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
        after = skip(raw, member.end)
        if raw[after : after + 1] == b",":
            cuts.append((start, skip(raw, after + 1)))
            continue
        comma = raw.rfind(b",", 0, start)  # before the first member there is none
        cuts.append((start if comma < 0 else comma, member.end))
    return cuts
