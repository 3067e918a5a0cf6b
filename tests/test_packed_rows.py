"""Rows packed into integers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ofox_middleware.packed_rows import pack, unpack

rows = st.lists(st.lists(st.integers(-128, 127), min_size=8, max_size=8), max_size=400)


@given(rows)
def test_columns_of_a_sum_are_the_sums_of_the_columns(many: list[list[int]]) -> None:
    """However many rows a text has words for, and whatever their signs, no column leaks into the next."""
    assert unpack(sum(map(pack, many)), 8) == [sum(column) for column in zip(*many, strict=True)] or not many
    assert unpack(0, 8) == [0] * 8
