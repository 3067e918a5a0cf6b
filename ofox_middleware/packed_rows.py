"""Rows of small whole numbers, each packed into one integer, so that the rows of many words add up in one sum. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache

_LANE = 32
"""Bits that each column has: enough for more words than a window of text holds."""


def pack(row: Iterable[int]) -> int:
    """A row of signed bytes as one number."""
    return sum(value << (_LANE * place) for place, value in enumerate(row))


def unpack(total: int, width: int) -> list[int]:
    """The ``width`` columns of a sum of packed rows."""
    half = 1 << (_LANE - 1)
    lifted = total + _lift(width)
    return [lane - half for lane in struct.unpack(f"<{width}I", lifted.to_bytes(width * _LANE // 8, "little"))]


@cache
def _lift(width: int) -> int:
    """What is added to a sum of packed rows, so that no lane borrows from the next."""
    return pack([1 << (_LANE - 1)] * width)
