"""Labelled requests from a file or from the decision log, and the way from feedback to other decisions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.console import console
from ofox_middleware.decision import Outcome
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.errors import InvalidRequest
from ofox_middleware.labelled import labelled
from ofox_middleware.router import SmartRouter
from ofox_middleware.server import background, listen
from ofox_middleware.settings import Settings
from ofox_middleware.tune import tune

CARDS = [
    ModelCard(name="a/dear", ability=0.8, input_cost_per_token=1e-5, output_cost_per_token=1e-4),
    ModelCard(name="b/cheap", ability=0.75, input_cost_per_token=1e-7, output_cost_per_token=1e-6),
]
THINGS = ["lamp", "river", "door", "stone", "cloud", "table", "horse", "train", "bread", "chair"]


def ask(at: int) -> str:
    """A poem, which any model writes, or a sum, which the cheap one gets wrong."""
    thing = THINGS[at % 10]
    return f"Write a poem {at} on a {thing}" if at % 2 else f"Add {at} and {at * 7} and 12 for the {thing}"


def decide(router: SmartRouter, text: str, **config: Any) -> str:
    body = {"messages": [{"role": "user", "content": text}], "model_routing_config": config}
    decision = router.decide(body, session=text)
    router.report(Outcome(decision, decision.model, True, 200, (decision.model,), 0.1, 0.5))
    return decision.id


def test_feedback_changes_decisions(tmp_path: Path) -> None:
    """Feedback sent to the console is in the decision log, `ofox tune` fits it, and sums then go to the dear model."""
    store = DecisionStore(tmp_path / "log.sqlite3")
    router = SmartRouter(Settings(models=CARDS, seed=1, log_prompts=True, preference="cost"))
    router.subscribe(store)
    listener = listen("127.0.0.1", 0)
    with background(console(router, log=store), listener), httpx.Client() as client:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/feedback"
        for at in range(240):
            for card in CARDS:
                told = decide(router, ask(at), models=[card.name])
                right = card.name == "a/dear" or at % 2 == 1
                assert client.post(url, json={"id": told, "score": float(right)}).status_code == 200
        assert client.post(url, json={"id": told, "score": 1.5}).status_code == 400
    store.close()
    rows = labelled(tmp_path / "log.sqlite3")
    assert len(rows) == 480
    assert rows[0] == {"request": ask(0), "model": "a/dear", "score": 1.0}
    report = tune(rows, out=tmp_path / "tuned.json")
    assert report.written is not None

    def pick(text: str, **more: Any) -> str:
        body = {"messages": [{"role": "user", "content": text}]}
        return SmartRouter(Settings(models=CARDS, seed=1, preference="cost", **more)).decide(body).model

    sums, poem = "Add 31 and 17 and 12 for the lamp", "Write a poem 8 on a lamp"
    assert pick(sums) == pick(poem) == "b/cheap"
    assert pick(sums, difficulty_weights=report.written) == "a/dear"
    assert pick(poem, difficulty_weights=report.written) == "b/cheap"


def test_an_exported_log_and_labels_may_stand_in_one_file(tmp_path: Path) -> None:
    """Lines of the export count where they have feedback, for the model that answered; labelled lines count as such."""
    path = tmp_path / "mixed.jsonl"
    rows: list[dict[str, Any]] = [
        {"id": "1", "model": "planned", "outcome": {"model": "answered"}, "feedback": 0.5, "ask": "Why?"},
        {"id": "2", "model": "planned", "outcome": None, "feedback": 1.0, "ask": "How?"},
        {"id": "3", "model": "planned", "outcome": None, "feedback": None, "ask": "Who?"},
        {"request": "When?", "model": "m", "score": 0.0},
    ]
    path.write_text("\n\n".join(map(json.dumps, rows)), "utf-8")
    assert labelled(path) == [
        rows[3],
        {"request": "Why?", "model": "answered", "score": 0.5},
        {"request": "How?", "model": "planned", "score": 1.0},
    ]


def test_a_log_without_asks_says_what_to_set(tmp_path: Path) -> None:
    """Feedback on decisions whose asks were not kept cannot be fitted, and the message names the setting."""
    with DecisionStore(tmp_path / "log.sqlite3") as store:
        router = SmartRouter(Settings(models=CARDS, seed=1))
        router.subscribe(store)
        assert store.feedback(decide(router, ask(1)), 1.0)
    with pytest.raises(InvalidRequest, match="log_prompts"):
        labelled(tmp_path / "log.sqlite3")


def test_an_empty_log_is_named(tmp_path: Path) -> None:
    """A decision log that holds nothing is not taken for an empty list of labels."""
    DecisionStore(tmp_path / "log.sqlite3").close()
    with pytest.raises(InvalidRequest, match="no decision yet"):
        labelled(tmp_path / "log.sqlite3")


def test_a_score_outside_of_0_to_1_is_refused() -> None:
    """A score is a share, in Python as over HTTP."""
    with DecisionStore() as store, pytest.raises(ValueError, match="from 0 to 1"):
        store.feedback("any", 1.5)
