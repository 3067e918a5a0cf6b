"""What one configuration comes to: profiles, who may be picked, tuned abilities."""

from __future__ import annotations

from pathlib import Path

import pytest

from ofox_middleware.cards import ModelFacts
from ofox_middleware.errors import InvalidRoutingConfig, SettingsError
from ofox_middleware.rules import Rules
from ofox_middleware.settings import RoutingConfig, Settings
from ofox_middleware.types import DOMAINS, Profile

POOL = [ModelFacts(name, name, name.partition("/")[0]) for name in ("a/large", "a/small", "b/large")]


def left(config: dict[str, object], **options: object) -> dict[str, str]:
    """Every candidate and why it is left out, ``""`` for those that are not."""
    rules = Rules.of(Settings(**options))  # type: ignore[arg-type]
    named, left_out = rules.candidates(RoutingConfig.read(config), POOL)
    return {facts.name: "" for facts in named} | {row.name: row.reason for row in left_out}


def test_everybody_is_a_candidate_when_nothing_is_said() -> None:
    """Without lists the pool is taken as it is, and is not copied."""
    named, left_out = Rules.of(Settings()).candidates(RoutingConfig.read(None), POOL)
    assert named is POOL
    assert left_out == []


def test_the_callers_names_and_both_exclusions() -> None:
    """Names and globs choose; what the operator or the caller excludes goes, and each is told why."""
    assert left({"models": ["a/*", "b/none"]}) == {"a/large": "", "a/small": "", "b/large": "not_named"}
    assert left({"exclude": ["*large"]}) == {"a/small": "", "a/large": "excluded", "b/large": "excluded"}
    found = left({"models": ["a/large", "b/large"], "exclude": ["b/*"]}, exclude=["a/large"])
    assert found == {"a/large": "excluded", "a/small": "not_named", "b/large": "excluded"}


def test_preferences() -> None:
    """Built-in ones and the operator's own; any other is the caller's mistake."""
    rules = Rules.of(Settings(profiles={"frugal": Profile(quality=0.2, cost=0.8)}))
    assert rules.profile("frugal").cost == 0.8
    assert rules.profile("balanced").quality > 0
    with pytest.raises(InvalidRoutingConfig) as raised:
        rules.profile("lavish")
    assert raised.value.param == "model_routing_config.preference"


def test_tuned_abilities_are_put_in_once() -> None:
    """Facts that come again are not copied again; new facts of the same model are."""
    rules = Rules.of(Settings())
    rules.tuned = {"a/small": (9.0,) * len(DOMAINS)}
    first, second = rules.with_abilities(POOL), rules.with_abilities(POOL)
    assert first[0] is POOL[0]
    assert (first[1].ability[0], first[1].ability_source) == (9.0, "tuned")
    assert second[1] is first[1]
    changed = ModelFacts("a/small", "a/small", "other")
    assert rules.with_abilities([changed])[0].provider == "other"


def test_weights_that_cannot_be_read(tmp_path: Path) -> None:
    """A weights file that is none is the operator's mistake, named by its setting."""
    file = tmp_path / "weights.json"
    file.write_text("no weights")
    with pytest.raises(SettingsError, match="difficulty_weights"):
        Rules.of(Settings(difficulty_weights=file))
