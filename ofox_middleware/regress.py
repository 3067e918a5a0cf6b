"""Ridge regression and k-means in plain Python, for the few hundred rows that an operator has. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

PASSES = 8
"""Passes of the coordinate descent over the columns."""


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """The inner product."""
    return sum(map(float.__mul__, a, b))


def ridge(labelled: Sequence[tuple[Sequence[float], float]], strength: float) -> list[float]:
    """Weights of the ridge regression; the constant, last, is not drawn to 0. Normal equations.

    ``strength`` counts in labels: as many draw each weight to 0.
    """
    n = len(labelled[0][0])
    columns = list(zip(*(inputs for inputs, _ in labelled), strict=True))
    scores = [score for _, score in labelled]
    system = [[0.0] * i + [dot(columns[i], column) for column in columns[i:]] for i in range(n)]
    for i, row in enumerate(system):
        row.append(dot(columns[i], scores))
    for i in range(n):
        system[i][i] += strength if i < n - 1 else 1e-6
        for j in range(i):
            system[i][j] = system[j][i]
    for i in range(n):  # positive definite: no pivoting needed
        row = system[i]
        for below in system[i + 1 :]:
            if factor := below[i] / row[i]:
                for j in range(i, n + 1):
                    below[j] -= factor * row[j]
    out = [0.0] * n
    for i in reversed(range(n)):
        out[i] = (system[i][n] - sum(system[i][j] * out[j] for j in range(i + 1, n))) / system[i][i]
    return out


def sparse_ridge(rows: Sequence[tuple[Sequence[int], float, float]], strengths: Sequence[float]) -> list[float]:
    """Weights of a ridge regression without a constant on columns that are mostly 0 in each row. By coordinate descent,
    which needs a few passes where the columns hardly go together.

    ``rows`` are the columns that are not 0, the value that all of these have, and the target; ``strengths`` says of
    each column how many labels draw its weight to 0.
    """
    width = len(strengths)
    left = [target for _, _, target in rows]
    where: list[list[int]] = [[] for _ in range(width)]
    for at, (columns, _, _) in enumerate(rows):
        for column in columns:
            where[column].append(at)
    values = [value for _, value, _ in rows]
    stiff = [strength + sum(values[at] ** 2 for at in held) for strength, held in zip(strengths, where, strict=True)]
    out = [0.0] * width
    for _ in range(PASSES):
        for column, held in enumerate(where):
            step = (sum(values[at] * left[at] for at in held) - strengths[column] * out[column]) / stiff[column]
            out[column] += step
            for at in held:
                left[at] -= step * values[at]
    return out


def classes(places: Sequence[Sequence[float]], count: int) -> tuple[list[list[float]], float]:
    """Centres of ``count`` classes (k-means from spread-out places) and the mean variance within them, per axis."""
    centres = [list(places[0])]
    while len(centres) < count:
        centres.append(list(max(places, key=lambda place: min(apart(place, centre) for centre in list(centres)))))
    for _ in range(15):
        members: list[list[Sequence[float]]] = [[] for _ in centres]
        for place in places:
            members[min(range(count), key=lambda c: apart(place, centres[c]))].append(place)
        centres = [
            [sum(axis) / len(group) for axis in zip(*group, strict=True)] if group else centre
            for group, centre in zip(members, centres, strict=True)
        ]
    within = sum(min(apart(place, centre) for centre in centres) for place in places)
    return centres, max(1e-4, within / (len(places) * len(places[0])))


def apart(a: Iterable[float], b: Iterable[float]) -> float:
    """The squared distance."""
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
