"""The robustness benchmark dresses each ask in the courtesies of its own language, and they change next to nothing."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy")

from benchmarks.quality import robustness
from benchmarks.quality.data import own_rows
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.types import Signals

TRAIN = own_rows("train")


def test_every_language_of_the_prompts_has_its_courtesies() -> None:
    """No language is left out, and each wrapper holds the ask once."""
    assert set(robustness.MANNERS) >= {row.lang for row in TRAIN}
    assert all(manners.count("{}") == 1 for manners in robustness.MANNERS.values())


def test_courtesies_of_a_language_leave_the_tier_of_an_ask_alone() -> None:
    """Of the asks in each language at least nine in ten keep their tier between its courtesies."""
    model = DifficultyModel.load()
    for lang, manners in robustness.MANNERS.items():
        asks = [row.prompt for row in TRAIN if row.lang == lang][:60]
        same = [
            robustness.tier(model.classify(Signals(ask=ask)).logit)
            == robustness.tier(model.classify(Signals(ask=manners.format(ask))).logit)
            for ask in asks
        ]
        assert sum(same) >= 0.9 * len(same), lang
