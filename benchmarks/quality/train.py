"""Fits the difficulty weights that ship. ``python -m benchmarks.quality.train`` writes
``ofox_middleware/data/difficulty.json``.

Deterministic: the same data give the same bytes. Takes about half a minute on one core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.quality.data import available
from benchmarks.quality.fit import Corpus, Fitted, Recipe, fit
from benchmarks.quality.validate import judge, load, recipe_scores
from ofox_middleware import difficulty
from ofox_middleware.features import FEATURES
from ofox_middleware.heads import Weights

SHIPPED = Path(difficulty.__file__).parent / "data" / "difficulty.json"
COMMAND = "python -m benchmarks.quality.train"
DATA = {
    "uncommonroute_synth": "tiers in 12 languages; CommonstackAI/UncommonRoute, MIT",
    "own": "tiers in 18 languages; benchmarks/quality/prompts.jsonl, written for this project, Apache-2.0",
    "ulab": "kinds of task, word counts, prompts that some model failed on; ulab-uiuc/LLMRouter, MIT",
    "routerbench_zs_slice": (
        "kinds of task, word counts, prompts that some model failed on; withmartian/routerbench, code MIT, licence of "
        "the data not stated"
    ),
    "bfcl_2024_08": "word counts, prompts that some model failed on; prompts of gorilla (BFCL), Apache-2.0",
}


def rounded(fitted: Fitted, data: Corpus, about: dict[str, Any]) -> Weights:
    """The weights as they ship: words as signed bytes, those whose bytes are all 0 left out."""
    every = np.column_stack([fitted.words, fitted.trivial_words]) if len(fitted.trivial) else fitted.words
    scales = np.abs(every).max(axis=0) / 127.0
    scales[scales == 0] = 1.0
    table = np.rint(every / scales).astype(np.int8)
    keep = np.abs(table).max(axis=1) > 1
    words = [word for word, kept in zip(fitted.vocabulary, keep, strict=True) if kept]
    centre = data.values.mean(axis=0)
    return Weights(
        format=2,
        source="builtin",
        bias=[round(float(value), 4) for value in fitted.bias],
        features={
            name: [round(float(centre[i]), 4), *(round(float(value), 4) for value in fitted.features[i])]
            for i, name in enumerate(FEATURES)
        },
        vocabulary="\n".join(words),
        table=table[keep].tobytes(),
        scales=[float(f"{value:.6g}") for value in scales],
        trivial=[round(float(value), 4) for value in fitted.trivial],
        kinds=[round(float(value), 4) for value in fitted.kinds],
        common=data.common,
        about=about,
    )


def train(recipe: Recipe | None = None) -> Weights:
    recipe = recipe or Recipe()
    data, held = load()
    at = np.flatnonzero(~held)
    verdict = judge(data, held, recipe_scores(data, recipe))
    about = {
        "command": COMMAND,
        "data": DATA,
        "rows": {str(name): int((data.source[at] == name).sum()) for name in np.unique(data.source[at])},
        "licence": "Apache-2.0 for the weights; they hold words of the sets above and no sentence of them",
        "held_out": {
            "unseen_source_apgr": {name: round(value, 3) for name, value in verdict.unseen.items()},
            "unseen_source_apgr_macro": round(verdict.macro, 3),
            "trivial_auc_english": round(verdict.tier_english, 3),
            "trivial_auc_other_languages": round(verdict.tier_other, 3),
            "trivial_auc_own_english": round(verdict.own_english, 3),
            "trivial_auc_own_other_languages": round(verdict.own_other, 3),
        },
    }
    return rounded(fit(data, at, recipe), data, about)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    out: Path = parser.parse_args(argv).out
    if not available():
        print("The public sets are not here: set OFOX_BENCH_DATA to the folder that holds train/ and test/.")
        return 1
    raw = msgspec.json.format(msgspec.json.encode(train()), indent=1)
    out.write_bytes(raw + b"\n")
    print(f"{out}: {len(raw) / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
