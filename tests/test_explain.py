"""``ofox explain``: which model and why, for one request or many, and how light it is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_tools import EASY, forget_environment, ofox, write_config


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(monkeypatch)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def test_explain_says_which_model_and_why(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """A prompt's explanation names the pick, the difficulty and every candidate."""
    ran = ofox(capsys, "explain", EASY, "--config", config)
    assert ran.code == 0 and not ran.err
    assert "preference frugal" in ran.out and "difficulty" in ran.out
    assert "house/large" in ran.out and "other/small" in ran.out


def test_explain_as_json(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """``--json`` prints the decision."""
    ran = ofox(capsys, "explain", EASY, "--config", config, "--json", "--preference", "quality")
    assert ran.code == 0
    assert ran.json["model"] == ran.json["ranking"][0] == "house/large"
    assert ran.json["preference"] == "quality" and len(ran.json["candidates"]) == 2


def test_explain_shows_what_was_left_out(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """A candidate that the caller's models leave out is shown as skipped with its reason."""
    ran = ofox(capsys, "explain", EASY, "--config", config, "--models", "other/*")
    assert ran.code == 0
    assert "other/small" in ran.out and "skipped" in ran.out and "not_named" in ran.out


def test_explain_reads_standard_input(
    capsys: pytest.CaptureFixture[str], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``-`` reads the prompt from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(EASY))
    assert ofox(capsys, "explain", "-", "--config", config, "--json").code == 0


def test_explain_a_request_body(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    """A request body is explained with its own config, which options override."""
    body = {"model": "auto", "messages": [{"role": "user", "content": EASY}],
            "model_routing_config": {"preference": "speed", "exclude": ["other/*"]}}  # fmt: skip
    path = tmp_path / "body.json"
    path.write_text(json.dumps(body, indent=2), "utf-8")
    own = ofox(capsys, "explain", "--file", path, "--config", config, "--json").json
    assert (own["preference"], own["model"]) == ("speed", "house/large")
    overridden = ofox(capsys, "explain", "--file", path, "--config", config, "--json", "--preference", "cost").json
    assert (overridden["preference"], overridden["model"]) == ("cost", "house/large")


def lines(tmp_path: Path, *values: object) -> Path:
    """A JSONL file."""
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(json.dumps(value) for value in values) + "\n\n", "utf-8")
    return path


def test_explain_many_requests(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    """JSONL gives one row, or with ``--json`` one line, per request, whatever the protocol."""
    ask = [{"role": "user", "content": EASY}]
    path = lines(
        tmp_path,
        {"messages": ask},
        {"system": "Be brief.", "messages": ask},
        {"prompt": EASY},
        {"input": EASY},
        {"custom_id": "mine", "url": "/v1/responses", "body": {"input": EASY}},
        {"custom_id": "urlless", "body": {"input": EASY}},
    )
    table = ofox(capsys, "explain", "--file", path, "--config", config)
    assert table.code == 0 and "line 4" in table.out and "mine" in table.out
    ran = ofox(capsys, "explain", "--file", path, "--config", config, "--json")
    decisions = [json.loads(line) for line in ran.out.splitlines()]
    assert [decision["request"] for decision in decisions] == [
        "line 1", "line 2", "line 3", "line 4", "mine", "urlless",
    ]  # fmt: skip
    assert len({decision["difficulty"] for decision in decisions[2:]}) == 1


def test_explain_goes_on_after_a_refusal(capsys: pytest.CaptureFixture[str], config: Path, tmp_path: Path) -> None:
    """One refused request among many has its own row and makes the exit code 1."""
    ask = {"messages": [{"role": "user", "content": EASY}]}
    path = lines(tmp_path, {**ask, "model_routing_config": {"preference": "best"}}, ask)
    table = ofox(capsys, "explain", "--file", path, "--config", config)
    assert table.code == 1 and "unknown preference" in table.out and "line 2" in table.out
    ran = ofox(capsys, "explain", "--file", path, "--config", config, "--json")
    first, second = (json.loads(line) for line in ran.out.splitlines())
    assert first["error"]["code"] == "invalid_routing_config" and second["model"]


@pytest.mark.parametrize("as_json", [False, True])
def test_explain_a_refusal(capsys: pytest.CaptureFixture[str], config: Path, as_json: bool) -> None:
    """A request that nothing can serve says why each candidate was left out, and exits 1."""
    more = ["--json"] if as_json else []
    ran = ofox(capsys, "explain", EASY, "--config", config, "--max-cost", "1e-12", *more)
    assert ran.code == 1
    said = ran.json["error"]["message"] if as_json else ran.err
    assert "house/large" in said and "over_max_cost" in said


def test_explain_needs_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a pool and without keys, the shipped shortlist is explained, and the note says so."""
    ran = ofox(capsys, "explain", EASY)
    assert ran.code == 0 and "shortlist" in ran.err and "difficulty" in ran.out


@pytest.mark.parametrize("key", ["", "sk-nobody"])
def test_explain_models_alone_are_a_pool(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """``--models`` without a configuration is the pool, whosever keys are set."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    ran = ofox(capsys, "explain", EASY, "--models", "openai/gpt-4o, openai/gpt-4o-mini", "--json")
    assert ran.code == 0 and not ran.err
    assert sorted(ran.json["ranking"]) == ["openai/gpt-4o", "openai/gpt-4o-mini"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "holds no request"), ("[1]", "not a JSON object"), ('{"a": 1}', "none of messages"), ("x", "not a JSON")],
)
def test_explain_says_what_is_wrong_with_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str, said: str
) -> None:
    """A file without requests is refused with its name and the reason."""
    path = tmp_path / "requests.jsonl"
    path.write_text(content, "utf-8")
    ran = ofox(capsys, "explain", "--file", path)
    assert ran.code == 1 and said in ran.err and str(path) in ran.err


@pytest.mark.parametrize("argv", [[], ["prompt", "--file", "x.json"], ["--file", "/nowhere/x.json"]])
def test_explain_needs_exactly_one_source(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    """Neither, both, or a file that cannot be read says what to give, and is wrong usage: 2."""
    ran = ofox(capsys, "explain", *argv)
    assert ran.code == 2 and ran.err.startswith("ofox: ")


def test_explain_imports_nothing_heavy(config: Path) -> None:
    """``ofox explain`` loads neither LiteLLM nor a server nor, for JSON, rich."""
    code = (
        "import sys; from ofox_middleware.cli import main; "
        f"code = main(['explain', 'hello', '--config', {str(config)!r}, '--json']); "
        "print(sorted({'litellm', 'uvicorn', 'rich', 'numpy', 'openai', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
