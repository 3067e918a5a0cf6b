"""The middle of a long history, skimmed: which kinds of parts it holds, how long it is, the rest by a sample. Pure.

Reading a message costs a microsecond, and an agent's history may have ten thousand. What a model must be able to take
(an image in turn 4) is looked for in every message all the same, and every text counts; how many turns were a human's,
and what calls hold, is scaled up from an even sample.
"""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import Any, Final

from ofox_middleware.messages import MEDIA_PARTS, Content, read_items, read_media
from ofox_middleware.tokens import MESSAGE_TOKENS, estimate

HEAD: Final = 32
TAIL: Final = 224
"""Messages at either end of a long history that are read closely."""

LONG: Final = 1000
"""From this many messages on the middle is skimmed."""

_SAMPLE: Final = 96

Parts = list[dict[str, Any]]


def skim(items: list[Any], content: Content) -> None:
    """Adds what ``items``, the middle of a history, hold to ``content``, texts left out."""
    try:
        texts, kinds, nested = _look_through(items)
    except (AttributeError, KeyError, TypeError):
        # No messages as the protocols have them; no model takes this many of such.
        items = [item for item in items if isinstance(item, dict)]
        read_items(items, content)
        return
    step = len(items) // _SAMPLE
    # Histories repeat themselves every two or three messages, or four.
    step += next(more for more in range(4) if (step + more) % 2 and (step + more) % 3)
    sample = items[::step]
    read = Content()
    read_items(sample, read)
    share = len(items) / len(sample)
    calls = estimate(read.texts) - estimate(_look_through(sample)[0])
    content.tokens += estimate(texts) + round(max(0, calls) * share) + MESSAGE_TOKENS * len(items)
    content.human_turns += round(read.human_turns * share)
    content.tool_turns += round(read.tool_turns * share)
    content.signed = content.signed or read.signed
    content.needs |= read.needs
    if kinds.isdisjoint(_CLOSE_LOOK) and nested.isdisjoint(MEDIA_PARTS):
        return
    for parts in _by_type(_held(items))[1]:
        _look_closely(parts, content)
        for inner in _by_type([part["content"] for part in parts if "content" in part])[1]:
            _look_closely(inner, content)


_CLOSE_LOOK: Final = frozenset((*MEDIA_PARTS, "thinking", "redacted_thinking"))


def _look_through(items: list[Any]) -> tuple[list[str], set[Any], set[Any]]:
    """All texts and results, kinds of parts, and kinds of parts in results. Raises on odd shapes.

    Comprehensions and C calls only: a function call for each message would cost more than all of this.
    """
    held = _held(items)
    texts, lists = _by_type(held)
    parts: Parts = list(chain.from_iterable(lists))
    kinds = set(map(_KIND, parts))
    texts = texts + [part["text"] for part in parts if "text" in part]
    results, lists = _by_type([part["content"] for part in parts if "content" in part])
    deeper: Parts = list(chain.from_iterable(lists))
    texts += results
    texts += [part["text"] for part in deeper if "text" in part]
    if not set(map(type, texts)) <= {str}:
        raise TypeError
    return texts, kinds, set(map(_KIND, deeper))


def _by_type(held: list[Any]) -> tuple[list[str], list[Parts]]:
    """The strings and the lists among ``held``."""
    types = set(map(type, held))
    if types == {str}:
        return held, []
    if types == {list}:
        return [], held
    return [one for one in held if one.__class__ is str], [one for one in held if one.__class__ is list]


_KIND: Final = itemgetter("type")


def _held(items: list[Any]) -> list[Any]:
    try:
        return [item["content"] for item in items]
    except KeyError:
        return [item.get("content") or item.get("output") for item in items]


def _look_closely(parts: Parts, content: Content) -> None:
    for part in parts:
        kind = part["type"]
        if kind in MEDIA_PARTS:
            read_media(part, kind, content)
        elif kind == "redacted_thinking" or (kind == "thinking" and part.get("signature")):
            content.signed = True
