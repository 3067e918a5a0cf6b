"""``ofox check``: what a configuration means, what will surprise, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_tools import forget_environment, ofox, write_config


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(monkeypatch)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def test_check_says_what_a_configuration_means(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """A valid configuration shows each model with its facts, the profiles, and exits 0."""
    ran = ofox(capsys, "check", config)
    assert ran.code == 0
    for word in ("house/large", "$5", "200,000", "frugal (default)", "valid: 2 models"):
        assert word in ran.out


def test_check_as_json_names_every_source(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """Each fact comes with where it is from, and a clean configuration has no warnings."""
    report = ofox(capsys, "check", config, "--json").json
    assert report["ok"] and report["warnings"] == [] and report["preference"] == "frugal"
    large = report["models"][0]
    assert large["name"] == "house/large" and large["ability"] == pytest.approx(0.95)
    assert large["sources"] == {"price": "card", "window": "card", "ability": "card", "speed": "card"}


def test_check_takes_the_rest_from_the_catalogue(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A bare name has its facts from the catalogue."""
    path = tmp_path / "ofox.yaml"
    path.write_text("models: [openai/gpt-4o, anthropic/claude-sonnet-4-5]\n", "utf-8")
    model = ofox(capsys, "check", path, "--json").json["models"][0]
    assert model["sources"]["price"] == model["sources"]["window"] == "catalogue"
    assert model["input_cost_per_token"] > 0 and model["supports"]["image"] is True


def test_check_warns_of_what_will_surprise(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Unknown facts, a lonely provider, useless patterns and overridden names are each warned of."""
    path = tmp_path / "ofox.yaml"
    path.write_text(
        "models: [nobody/knows-this, nobody/nor-that, auto]\n"
        "auto_models: [auto]\n"
        "exclude: ['else/*', 'auto']\n"
        "profiles: {cost: {cost: 1}}\n",
        "utf-8",
    )
    ran = ofox(capsys, "check", path)
    assert ran.code == 0
    warnings = " ".join(ofox(capsys, "check", path, "--json").json["warnings"])
    for said in ("unknown price", "unknown context window", "nobody has measured its ability", "auto is also a model",
                 "else/* matches no model", "cost no longer means", "no model is known to take images"):  # fmt: skip
        assert said in warnings, said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [openai/gpt-4o]\n", "only one model"),
        ("models: [openai/gpt-4o, openai/gpt-4o-mini]\n", "every model is served by openai"),
        ("models: [openai/gpt-4o, openai/gpt-4o-mini]\nexclude: ['openai/*']\n", "leaves no model"),
        ("preference: cost\n", "the pool is empty"),
    ],
)
def test_check_warns_of_thin_pools(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str) -> None:
    """A pool with nothing to choose from, or with one point of failure, is valid and warned of."""
    path = tmp_path / "ofox.yaml"
    path.write_text(text, "utf-8")
    ran = ofox(capsys, "check", path)
    assert ran.code == 0 and said in " ".join(ran.out.split())


def test_check_never_shows_parameters(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A key that stands in a card's parameters is not printed; the parameter's name is."""
    path = tmp_path / "ofox.yaml"
    path.write_text("models: [{name: my/model, model: openai/x, params: {api_key: sk-very-secret}}]\n", "utf-8")
    for more in ([], ["--json"]):
        ran = ofox(capsys, "check", path, *more)
        assert "api_key" in ran.out and "secret" not in ran.out


@pytest.mark.parametrize("as_json", [False, True])
def test_check_refuses_a_wrong_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path, as_json: bool) -> None:
    """A wrong value exits 1 with file, line and field."""
    path = tmp_path / "ofox.yaml"
    path.write_text("models: [openai/gpt-4o]\n\nmax_attempts: none\n", "utf-8")
    ran = ofox(capsys, "check", path, *(["--json"] if as_json else []))
    assert ran.code == 1
    said = ran.json["error"]["message"] if as_json else ran.err
    assert f"{path}:3" in said and "max_attempts" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [{name: a/b, ability: {coding: 0.5}}]\n", "coding"),
        ("models: [a/b]\ndifficulty_weights: /nowhere/weights.json\n", "/nowhere/weights.json"),
        ("models: ['nobody-has-this/*']\n", "nobody-has-this"),
    ],
)
def test_check_refuses_what_a_router_cannot_use(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, said: str
) -> None:
    """A configuration that is well-formed and of no use is refused with a message and without a traceback."""
    path = tmp_path / "ofox.yaml"
    path.write_text(text, "utf-8")
    ran = ofox(capsys, "check", path)
    assert ran.code == 1 and said in ran.err


def test_check_of_a_missing_file_is_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file that is not there exits 2."""
    assert ofox(capsys, "check", tmp_path / "none.yaml").code == 2


def test_check_and_explain_tell_a_provider_that_nobody_knows(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A slip in a provider's name is warned of with the nearest known one, and the ability's source is truthful."""
    path = tmp_path / "ofox.yaml"
    path.write_text(
        "models: [opneai/gpt-4o, house/gpt-4o, {name: my/own, ability: 0.5}, {name: x, model: antropic/y},\n"
        "  {name: mine/gpt-4o, provider: mine}, groq/llama-3.3-70b-versatile, hosted_vllm/q, google/gemini-2.5-pro]\n",
        "utf-8",
    )
    report = ofox(capsys, "check", path, "--json").json
    told = [line for line in report["warnings"] if "not known as a provider" in line]
    assert [line.partition(":")[0] for line in told] == ["opneai/gpt-4o", "house/gpt-4o", "x"]
    assert "is it openai? What is known of the model goes by the rest of its name." in told[0]
    assert "say so with `provider`" in told[1] and "is it anthropic?" in told[2]
    sources = {model["name"]: model["sources"]["ability"] for model in report["models"]}
    assert sources["opneai/gpt-4o"] == sources["house/gpt-4o"] == "name"
    assert sources["mine/gpt-4o"] == sources["groq/llama-3.3-70b-versatile"] == "measured"
    ran = ofox(capsys, "explain", "--models", "opneai/gpt-4o,openai/gpt-4o-mini", "hello")
    assert ran.code == 0 and "is it openai?" in ran.err and "name" in ran.out.split()


def test_check_says_which_keys_are_not_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A provider of the pool whose key is neither in the environment nor on a card is named with its variable."""
    path = tmp_path / "ofox.yaml"
    path.write_text("models: [openai/gpt-4o, groq/x, {name: anthropic/claude-opus-5, params: {api_key: k}}]", "utf-8")
    monkeypatch.delenv("HOUSE_KEY", raising=False)
    monkeypatch.setenv("GROQ_API_KEY", "gsk-mine")
    told = [line for line in ofox(capsys, "check", path, "--json").json["warnings"] if "_API_KEY" in line]
    assert len(told) == 1 and told[0].startswith("openai: OPENAI_API_KEY is not set")
    path.write_text("models: [openai/gpt-4o, {name: house/x, params: {api_key: os.environ/HOUSE_KEY}}]", "utf-8")
    told = ofox(capsys, "check", path, "--json").json["warnings"]
    assert any(line.startswith("house/x: HOUSE_KEY, its api_key, is not set") for line in told)
    monkeypatch.setenv("HOUSE_KEY", "k")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    assert not any("_KEY" in line for line in ofox(capsys, "check", path, "--json").json["warnings"])
