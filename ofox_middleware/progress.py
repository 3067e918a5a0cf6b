"""Progress of long work, shown where a person is looking and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


@contextmanager
def progress(items: Sequence[Item], what: str, then: str = "") -> Iterator[Iterable[Item]]:
    """Gives ``items`` to go through, with a bar on standard error when that is a terminal.

    Args:
        items: the work; a single piece of it gets no bar.
        what: what is done to each.
        then: what comes after the last one within the block, shown for as long as the block goes on.
    """
    if len(items) < 2 or not sys.stderr.isatty():
        yield items
        return
    from ofox_middleware.render import going_through  # noqa: PLC0415 - loads rich

    with going_through(items, what, then) as each:
        yield each
