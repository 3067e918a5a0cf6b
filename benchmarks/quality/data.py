"""The public sets: where they are, what of them may be fitted, and the check that no test prompt ever is."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TRAIN = ("ulab", "routerbench_zs_slice", "bfcl_2024_08", "uncommonroute_synth")
TEST = ("routellm_mmlu", "routellm_gsm8k", "routellm_mtbench")
OWN = HERE / "prompts.jsonl"
"""Prompts with a tier, written for this project."""


class TestRowError(RuntimeError):
    """A test row, or a prompt that a test set holds, was about to be fitted."""

    __test__ = False


@dataclass(frozen=True)
class Row:
    """One prompt with what is known of it.

    Attributes:
        outcomes: model to score 0..1.
        costs: model to measured USD.
        tier: SIMPLE, MEDIUM, COMPLEX or REASONING where a person wrote one.
        fit: whether it may be fitted; false for every row of a test set.
        concept: what an own prompt is about; paraphrases and translations share it.
    """

    id: str
    source: str
    domain: str
    prompt: str
    outcomes: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    tier: str = ""
    lang: str = "en"
    tools: bool = False
    fit: bool = False
    concept: str = ""


def folder() -> Path:
    """Where the public sets are: ``OFOX_BENCH_DATA``, or ``../shared/data`` beside the repository."""
    named = os.environ.get("OFOX_BENCH_DATA")
    return Path(named) if named else HERE.parents[2] / "shared" / "data"


def available() -> bool:
    return (folder() / "train").is_dir() and (folder() / "test").is_dir()


def train_rows(names: Sequence[str] = TRAIN) -> list[Row]:
    """Rows that may be fitted. Raises for a name that is not a training set."""
    for name in names:
        if name not in TRAIN:
            raise TestRowError(f"{name} is not a training set")
    return [_row(raw, fit=True) for name in names for raw in _lines(folder() / "train" / f"{name}.jsonl.gz")]


def test_rows(name: str) -> list[Row]:
    """Rows that are only measured on, contaminated ones left out as RouteLLM's protocol does."""
    if name not in TEST:
        raise ValueError(f"{name} is not a test set")
    raws = _lines(folder() / "test" / f"{name}.jsonl.gz")
    return [_row(raw, fit=False) for raw in raws if not raw.get("contaminated")]


def own_rows(part: str = "train") -> list[Row]:
    """The project's own prompts with tiers; ``part`` is ``train`` or ``held_out`` (never fitted)."""
    rows = []
    for line in OWN.read_text(encoding="utf-8").splitlines():
        raw = json.loads(line)
        if raw["part"] == part:
            concept = raw.get("concept") or raw["id"].rsplit("/", 1)[-1]
            rows.append(
                Row(
                    raw["id"], "own", raw["domain"], raw["prompt"], {}, {}, raw["tier"], raw["lang"],
                    fit=part == "train", concept=concept,
                )
            )  # fmt: skip
    return rows


def check_fittable(rows: Iterable[Row]) -> None:
    """Raises :class:`TestRowError` unless every row may be fitted and no prompt is in a test set."""
    seen = {digest(row.prompt) for name in TEST for row in test_rows(name)} if available() else set()
    for row in rows:
        if not row.fit:
            raise TestRowError(f"{row.id} is held out")
        if digest(row.prompt) in seen:
            raise TestRowError(f"the prompt of {row.id} is in a test set")


def digest(prompt: str) -> str:
    """A hash of the prompt's letters and digits: case, spaces, punctuation and width do not matter."""
    plain = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", prompt).lower())
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _text(prompt: Any) -> str:
    """The last human turn of a conversation: what the router scores."""
    if isinstance(prompt, str):
        return prompt
    turns = [turn for turn in prompt if not isinstance(turn, dict) or turn.get("role", "user") == "user"]
    last = turns[-1] if turns else ""
    content = last.get("content", "") if isinstance(last, dict) else last
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _row(raw: dict[str, Any], *, fit: bool) -> Row:
    outcomes = {} if raw.get("tier") else {name: float(o["score"]) for name, o in raw["outcomes"].items()}
    costs = {name: float(o.get("cost_usd") or 0.0) for name, o in raw["outcomes"].items()} if outcomes else {}
    return Row(
        raw["id"], raw["source"], str(raw["domain"]), _text(raw["prompt"]), outcomes, costs,
        raw.get("tier", ""), raw.get("lang", "en"), bool(raw.get("tools")), fit,
    )  # fmt: skip
