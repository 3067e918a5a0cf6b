"""Settings from arguments, variables and YAML, and the routing config of one request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.errors import InvalidRoutingConfig, SettingsError
from ofox_middleware.settings import BUILTIN_PROFILES, DEFAULT_ROUTING, RoutingConfig, Settings
from ofox_middleware.types import Preference, Profile


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "ofox.yaml"


def refusal(**options: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings(**options)
    return caught.value.message


def test_defaults_route_auto_with_balanced_and_no_pool() -> None:
    """Without any configuration `auto` is routed by `balanced` over the door's default pool."""
    settings = Settings()
    assert (settings.auto_models, settings.preference, settings.models) == (["auto"], "balanced", None)


def test_names_become_cards() -> None:
    """A bare name in `models` is a card that takes every fact from the catalogue."""
    assert Settings(models=["openai/gpt-4o"]).models == [ModelCard(name="openai/gpt-4o")]


def test_order_of_sources(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments win over variables, variables over the file, the file over defaults."""
    config.write_text("preference: cost\nmax_attempts: 7\nseed: 1\n")
    monkeypatch.setenv("OFOX_CONFIG", str(config))
    monkeypatch.setenv("OFOX_MAX_ATTEMPTS", "5")
    monkeypatch.setenv("OFOX_SEED", "2")
    settings = Settings(seed=3)
    assert (settings.preference, settings.max_attempts, settings.seed) == ("cost", 5, 3)


@pytest.mark.parametrize("written", ["2026-01-31", "'2026-01-31'"])
def test_a_date_may_be_written_without_quotes(tmp_path: Path, written: str) -> None:
    """YAML makes a date of a bare one, which a card takes as well as text."""
    path = tmp_path / "ofox.yaml"
    path.write_text(f"models: [{{name: a/b, release_date: {written}}}]\n", "utf-8")
    cards = Settings(config=path).models
    assert cards is not None and cards[0].release_date == "2026-01-31"


@pytest.mark.parametrize("text", ["a/b, c/d", '["a/b", "c/d"]', " a/b,c/d, "])
def test_lists_in_variables(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list in a variable may be comma-separated or JSON."""
    monkeypatch.setenv("OFOX_MODELS", text)
    monkeypatch.setenv("OFOX_EXCLUDE", text)
    settings = Settings()
    assert settings.models is not None
    assert [card.name for card in settings.models] == settings.exclude == ["a/b", "c/d"]


def test_broken_list_in_a_variable_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is not one is refused with the variable's name."""
    monkeypatch.setenv("OFOX_MODELS", '["a/b"')
    assert refusal().startswith("variable OFOX_MODELS: is neither")


def test_empty_variable_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable leaves the default, as compose files need it."""
    monkeypatch.setenv("OFOX_PREFERENCE", "")
    assert Settings().preference == "balanced"


def test_own_profile_can_be_the_default(config: Path) -> None:
    """An operator's profile is known beside the built-in ones and may be the default."""
    config.write_text("preference: frugal\nprofiles:\n  frugal: {quality: .2, cost: .7, time: .1, floor: .5}\n")
    settings = Settings(config=config)
    assert settings.profile("frugal") == Profile(0.2, 0.7, 0.1, 0.5)
    assert set(settings.all_profiles) == {*BUILTIN_PROFILES, "frugal"}


def test_every_preference_has_a_profile() -> None:
    """The four documented preferences exist."""
    assert set(BUILTIN_PROFILES) == {item.value for item in Preference}


def test_cards_in_yaml(config: Path) -> None:
    """Names and cards with facts may stand side by side."""
    config.write_text(
        "models:\n  - openai/gpt-4o\n"
        "  - {name: b@low, model: b, params: {reasoning_effort: low}, ability: {code: .5}}\n"
    )
    cards = Settings(config=config).models
    assert cards is not None
    assert cards[1] == ModelCard(name="b@low", model="b", params={"reasoning_effort": "low"}, ability={"code": 0.5})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models:\n  - a\n  - name: x\n    abilty: 3\n", ":4: models.1.abilty: is not a known field"),
        ("\nprefrence: cost\n", ":2: prefrence: is not a known field"),
        ("preference: 5\n", ":1: preference: Input should be a valid string"),
        ("preference: thrifty\n", ":1: preference: unknown preference 'thrifty'; known: balanced,"),
        ("models: [a, b, a]\n", ":1: models: named twice: a"),
        ("models: [a]\nseed: 1\nmodels: [b]\n", ":3: models is given twice"),
        ("models: [5]\n", ":1: models.0: must be a name or a card with a name"),
        ("models: [{name: a, ability: 70}]\n", ":1: models.0: ability is a share, from 0 to 1"),
        ("models: [{name: a, ability: {code: 2}}]\n", ":1: models.0: ability is a share, from 0 to 1"),
        ("models: [{name: a, input_cost_per_token: -1}]\n", ":1: models.0: input_cost_per_token must be 0 or more"),
        ("models: [{name: a, ttft_s: .nan}]\n", ":1: models.0: ttft_s must be 0 or more"),
        (
            "models: [{name: a, output_cost_per_token: 2.5}]\n",
            ":1: models.0: output_cost_per_token is USD per token: 2.5 per million tokens is 2.5e-06",
        ),
        ("models: [{name: a, max_input_tokens: 0}]\n", ":1: models.0: max_input_tokens must be 1 or more"),
        ("models: [{name: a, tokens_per_s: 0}]\n", ":1: models.0: tokens_per_s must be 0.001 or more"),
        ("models: [{name: a, release_date: soon}]\n", ":1: models.0: release_date must be an ISO date"),
        ("models: []\n", ":1: models: must name at least one model"),
        ("models: ['']\n", ":1: models: must not hold an empty name"),
        ("models: 3\n", ":1: models: Input should be a valid list"),
        ("max_attempts: 0\n", ":1: max_attempts: Input should be greater than or equal to 1"),
        ("profiles:\n  x: {quality: -1, cost: 1}\n", ":2: profiles.x: weights must not be negative"),
        ("profiles:\n  x: {floor: .5}\n", ":2: profiles.x: at least one of"),
        ("profiles:\n  x: {cost: 1, floor: 2}\n", ":2: profiles.x: floor must be 0..1"),
        ("- a\n", ":1: must hold settings by name"),
        ("a: [1\n", ":2: expected ',' or ']'"),
        ("a: \x07\n", ": is not YAML"),
    ],
)
def test_wrong_file_is_refused_with_line_and_field(config: Path, text: str, said: str) -> None:
    """A wrong file is refused at start, naming the line and the field."""
    config.write_text(text)
    assert refusal(config=config).startswith(f"{config}{said}")


def test_unreadable_files(config: Path, tmp_path: Path) -> None:
    """A missing file and one that is not text are refused by name; an empty one is no settings."""
    assert "No such file" in refusal(config=tmp_path / "none.yaml")
    config.write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8" in refusal(config=config)
    config.write_text("# nothing yet\n")
    assert Settings(config=config).preference == "balanced"


def test_wrong_arguments_are_named() -> None:
    """A wrong keyword argument is refused by its name."""
    assert refusal(preference="x").startswith("argument preference: unknown preference 'x'")
    assert refusal(pool=["a"]) == "argument pool: is not a known field."


def test_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong variable is refused by its name."""
    monkeypatch.setenv("OFOX_MAX_ATTEMPTS", "many")
    assert refusal().startswith("variable OFOX_MAX_ATTEMPTS: Input should be a valid integer")


def test_no_config_is_the_default() -> None:
    """A request without a config gets the defaults, one shared object."""
    assert RoutingConfig.read(None) is DEFAULT_ROUTING


def test_whole_config_is_read() -> None:
    """Every field of the config is read."""
    config = RoutingConfig.read(
        {
            "models": ["openai/gpt-4o", "anthropic/*"],
            "preference": "cost",
            "max_cost_usd": 1,
            "exclude": ["openai/gpt-4o-mini"],
            "fallback": False,
            "session_id": "conv-42",
        }
    )
    assert config.models == ["openai/gpt-4o", "anthropic/*"]
    assert (config.preference, config.max_cost_usd, config.fallback, config.session_id) == ("cost", 1, False, "conv-42")


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ([], "model_routing_config"),
        ("cost", "model_routing_config"),
        ({"models": []}, "model_routing_config.models"),
        ({"models": "a"}, "model_routing_config.models"),
        ({"models": [1]}, "model_routing_config.models.0"),
        ({"models": [" "]}, "model_routing_config.models"),
        ({"preference": 1}, "model_routing_config.preference"),
        ({"max_cost_usd": "1"}, "model_routing_config.max_cost_usd"),
        ({"max_cost_usd": 0}, "model_routing_config.max_cost_usd"),
        ({"max_cost_usd": float("nan")}, "model_routing_config.max_cost_usd"),
        ({"fallback": "yes"}, "model_routing_config.fallback"),
        ({"session_id": ""}, "model_routing_config.session_id"),
        ({"session_id": "x" * 513}, "model_routing_config.session_id"),
        ({"perference": "cost"}, "model_routing_config.perference"),
    ],
)
def test_wrong_config_names_the_field(value: Any, param: str) -> None:
    """A wrong config is a 400 that names the field, and never echoes the value."""
    with pytest.raises(InvalidRoutingConfig) as caught:
        RoutingConfig.read(value)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_long_field_names_are_cut() -> None:
    """A hostile field name cannot make the error grow without bound."""
    with pytest.raises(InvalidRoutingConfig) as caught:
        RoutingConfig.read({"x" * 10_000: 1})
    assert len(caught.value.message) < 300


def test_a_misspelt_name_is_guessed(tmp_path: Path) -> None:
    """A setting or field that does not exist is refused with the one that was meant, when one is near."""
    path = tmp_path / "ofox.yaml"
    path.write_text("modles: [a/b]\n")
    with pytest.raises(SettingsError, match=r"ofox.yaml:1: modles: is not a known field \(did you mean models\?\)"):
        Settings(config=path)
    with pytest.raises(InvalidRoutingConfig, match=r"preferance: is not a known field \(did you mean preference\?\)\."):
        RoutingConfig.read({"preferance": "cost"})
    with pytest.raises(InvalidRoutingConfig, match=r"zzz: is not a known field\."):
        RoutingConfig.read({"zzz": 1})
