"""The project's own prompts: well formed, split by concept by a rule, and the two parts do not say the same."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter, defaultdict

from benchmarks.quality.data import OWN
from ofox_middleware.heads import TEXT_DOMAINS

ROWS = [json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines()]
TIERS = {"SIMPLE", "MEDIUM", "COMPLEX", "REASONING"}


def part_of(concept: str) -> str:
    """The part of a concept: a third is held out, by a hash and not by choice."""
    number = int.from_bytes(hashlib.blake2b(concept.encode(), digest_size=8).digest(), "big")
    return "held_out" if number % 3 == 0 else "train"


def plain(prompt: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", prompt).lower())


def test_every_row_is_well_formed() -> None:
    """Each row has a unique id of its language, a known tier, domain and part, and a prompt that is its own."""
    assert len({row["id"] for row in ROWS}) == len({plain(row["prompt"]) for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert set(row) - {"concept"} == {"id", "part", "lang", "tier", "domain", "prompt"}
        assert row["id"].startswith(f"own/{row['lang']}/")
        assert row["tier"] in TIERS
        assert row["domain"] in TEXT_DOMAINS
        assert row["part"] in {"train", "held_out"}
        assert row["prompt"] == row["prompt"].strip() != ""


def test_a_concept_is_in_the_part_that_its_hash_says() -> None:
    """Paraphrases of one concept share their part and their tier, and nobody chose which part."""
    tiers = defaultdict(set)
    for row in ROWS:
        if "concept" in row:
            assert row["part"] == part_of(row["concept"]), row["id"]
            tiers[row["concept"]].add(row["tier"])
    assert [concept for concept, of in tiers.items() if len(of) > 1] == []


def test_the_held_out_english_prompts_are_enough_to_measure_on() -> None:
    """An interval of the AUC of trivial asks needs a few hundred prompts, and all four tiers."""
    held = Counter(row["tier"] for row in ROWS if row["lang"] == "en" and row["part"] == "held_out")
    assert held["SIMPLE"] >= 80
    assert held.total() >= 280
    assert min(held.values()) >= 50


def test_length_does_not_give_the_tier_away() -> None:
    """Each tier of the English prompts with a concept has very short and long ones."""
    lengths = defaultdict(list)
    for row in ROWS:
        if row["lang"] == "en" and "concept" in row:
            lengths[row["tier"]].append(len(row["prompt"]))
    for tier, found in lengths.items():
        assert min(found) <= 25, tier
        assert max(found) >= 350, tier


def test_no_prompt_is_nearly_one_of_the_other_part() -> None:
    """Of rows with a concept none shares more than half of its four-letter runs with a prompt of the other part."""
    runs = [
        (row, frozenset(said[i : i + 4] for i in range(max(1, len(said) - 3))))
        for row in ROWS
        if (said := plain(row["prompt"]))
    ]
    held = [(row, own) for row, own in runs if row["part"] == "held_out"]
    for row, own in runs:
        if row["part"] == "train":
            for other, theirs in held:
                if row["lang"] == other["lang"] and "concept" in {**row, **other}:
                    assert len(own & theirs) <= 0.5 * len(own | theirs), (row["id"], other["id"])
