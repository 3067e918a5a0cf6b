"""The small regressions of ``ofox tune`` against their closed forms."""

from __future__ import annotations

import random

import pytest

from ofox_middleware.regress import ridge, sparse_ridge


def test_a_sparse_ridge_is_a_ridge() -> None:
    """Coordinate descent ends where the normal equations do."""
    rng = random.Random(2)
    sparse, dense = [], []
    for _ in range(200):
        columns, value = sorted(rng.sample(range(12), 3)), rng.choice([0.5, 1.0])
        target = 2.0 * (3 in columns) - (7 in columns) + rng.gauss(0, 0.1)
        sparse.append((columns, value, target))
        dense.append(([value if at in columns else 0.0 for at in range(12)] + [0.0], target))
    found = sparse_ridge(sparse, [4.0] * 12)
    assert found == pytest.approx(ridge(dense, 4.0)[:-1], abs=0.02)
    assert found[3] > 1.0 > -0.3 > found[7]


def test_no_columns_and_no_rows() -> None:
    """Nothing to fit has no weight."""
    assert sparse_ridge([], [1.0, 1.0]) == [0.0, 0.0]
    assert sparse_ridge([([], 1.0, 0.5)], []) == []
