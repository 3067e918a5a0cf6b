"""Every seed, every finding and a thousand tapes through every target: what `make fuzz` starts from and has found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz import seeds
from tests.fuzz.__main__ import FINDINGS, NAMES
from tests.fuzz.targets import TARGETS

FOUND = sorted(path for path in FINDINGS.glob("*/*") if path.is_file())


def test_every_target_is_run() -> None:
    """The runner, which does not import the code it fuzzes, knows every target by name."""
    assert tuple(TARGETS) == NAMES


@pytest.mark.parametrize("target", NAMES)
def test_seeds_and_tapes(target: str) -> None:
    """Seeds are the least that a target must take; random tapes catch what is broken outright."""
    dice = random.Random(20)
    tapes = (dice.randbytes(dice.randrange(200)) for _ in range(300))
    for data in (*seeds.of(target), *tapes):
        TARGETS[target](data)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name[:20]}")
def test_what_fuzzing_found(path: Path) -> None:
    """An input that once broke a promise does so no more."""
    TARGETS[path.parent.name](path.read_bytes())
