"""``ofox init``, ``ofox decisions``, ``ofox tune`` and ``ofox completion``."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from ofox_middleware import cli
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.cli_tools import CARDS, EASY, write_config
from tests.cli_tools import ofox as run
from tests.decision_tools import answered, decision

KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GROQ_API_KEY", "GEMINI_API_KEY", "XAI_API_KEY", "MISTRAL_API_KEY")
LITELLM = """\
model_list:
  - model_name: house-strong
    litellm_params: {model: openai/gpt-4o, api_key: sk-a-literal-key-in-the-file}
  - model_name: house-strong
    litellm_params: {model: azure/gpt-4o}
  - model_name: groq/openai/gpt-oss-120b
    litellm_params: {model: groq/openai/gpt-oss-120b}
  - model_name: vectors
    litellm_params: {model: openai/text-embedding-3-small}
    model_info: {mode: embedding}
  - model_name: "groq/*"
    litellm_params: {model: "groq/*"}
  - model_name: auto
    litellm_params: {model: openai/none}
  - broken
  - {model_name: half}
"""


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither keys nor decisions of whoever runs the tests."""
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def ofox(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    """The exit code and what was said."""
    code = cli.main([str(word) for word in argv])
    out = capsys.readouterr()
    return code, out.out, out.err


# init --------------------------------------------------------------------------------------------------------------


def test_init_writes_what_check_and_serve_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a key set, the file names that provider's models, is a valid configuration, and does not hold the key."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine-and-nobody-elses")
    code, out, _ = ofox(capsys, "init")
    assert code == 0 and "ofox check ofox.yaml" in out
    text = (tmp_path / "ofox.yaml").read_text()
    assert "sk-mine" not in text and "in, $" in text
    router = SmartRouter(Settings(config=tmp_path / "ofox.yaml"))
    assert router.pool and all(facts.provider == "openai" for facts in router.pool)
    assert ofox(capsys, "check", "ofox.yaml")[0] == 0


def test_every_commented_setting_is_right(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever a person uncomments in the file is a valid setting."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    lines = ofox(capsys, "init", "-")[1].splitlines()
    settings = [
        line.removeprefix("# ") if line.startswith(("# ", "#   ")) and _is_setting(line) else line for line in lines
    ]
    path = tmp_path / "all.yaml"
    path.write_text("\n".join(settings))
    loaded = Settings(config=path)
    assert loaded.console_path == "/ofox" and loaded.redis_url and "frugal" in loaded.profiles and loaded.exclude


def _is_setting(line: str) -> bool:
    return line.removeprefix("#").strip().partition(":")[0].isidentifier()


def test_init_does_not_overwrite(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there stays unless ``--force`` is said; JSON names what was written."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    Path("mine.yaml").write_text("models: [a/b]\n")
    code, _, err = ofox(capsys, "init", "mine.yaml")
    assert code == 1 and "--force" in err and Path("mine.yaml").read_text() == "models: [a/b]\n"
    assert json.loads(ofox(capsys, "init", "mine.yaml", "--force", "--json")[1]) == {"file": "mine.yaml"}
    assert "openai/" in Path("mine.yaml").read_text()


def test_init_takes_the_groups_of_a_litellm_proxy(capsys: pytest.CaptureFixture[str]) -> None:
    """Each chat group is named once, with the model behind it; no key of the file is taken along."""
    Path("litellm.yaml").write_text(LITELLM)
    assert ofox(capsys, "init", "--litellm", "litellm.yaml")[0] == 0
    text = Path("ofox.yaml").read_text()
    assert "sk-a-literal" not in text
    cards = Settings(config=Path("ofox.yaml")).models
    assert cards is not None
    assert [(card.name, card.model) for card in cards] == [
        ("house-strong", "openai/gpt-4o"), ("groq/openai/gpt-oss-120b", None), ("groq/*", None)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "OPENAI_API_KEY"),
        (("--litellm", "none.yaml"), "cannot be read"),
        (("--litellm", "other.yaml"), "no model_list"),
        (("--litellm", "empty.yaml"), "no model to write down"),
    ],
)
def test_init_without_models_says_what_to_do(
    capsys: pytest.CaptureFixture[str], argv: tuple[str, ...], said: str
) -> None:
    """Without keys or a usable LiteLLM file nothing is written, and the message says what is missing."""
    Path("other.yaml").write_text("models: [a/b]\n")
    Path("empty.yaml").write_text("model_list: []\n")
    code, _, err = ofox(capsys, "init", *argv)
    assert code == 1 and said in err and not Path("ofox.yaml").exists()


def test_a_place_that_cannot_be_written_is_a_clear_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that is not there says so."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    code, _, err = ofox(capsys, "init", "nowhere/ofox.yaml")
    assert code == 1 and "cannot be written" in err


def test_tune_without_a_log_names_what_it_wants(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no decision was ever stored and no file is named, the message says to name one."""
    code, _, err = ofox(capsys, "tune", "--out", "weights.json")
    assert code == 1 and "name a file of outcomes" in err


# decisions ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A store with an answered, a failed and an unfinished request."""
    path = tmp_path / "state" / "ofox" / "decisions.sqlite3"
    with DecisionStore(path, clock=lambda: 1_700_000_000.0) as store:
        for name in ("d1", "d2", "d3"):
            store.decided(decision(name))
        store.ended(answered(decision("d1"), total_s=1.5))
        failed = answered(decision("d2"))
        store.ended(type(failed)(failed.decision, failed.model, False, 502, failed.attempts))
    return path


@pytest.mark.usefixtures("stored")
def test_decisions_are_shown_with_what_they_saved(capsys: pytest.CaptureFixture[str]) -> None:
    """The table holds the latest decisions and the sums; ``--json`` the same for programs."""
    code, out, _ = ofox(capsys, "decisions")
    assert code == 0 and "failed 502" in out and "1.50 s" in out and "1 answers for" in out
    told = json.loads(ofox(capsys, "decisions", "--json", "--limit", "2")[1])
    assert [entry["id"] for entry in told["decisions"]] == ["d3", "d2"] and told["savings"]["requests"] == 1


def test_one_decision_is_shown_whole(capsys: pytest.CaptureFixture[str], stored: Path) -> None:
    """An id shows that decision with its candidates; an unknown one exits 1."""
    one = json.loads(ofox(capsys, "decisions", "d1", "--file", stored)[1])
    assert one["candidates"] and one["outcome"]["total_s"] == 1.5
    code, _, err = ofox(capsys, "decisions", "d9", "--file", stored)
    assert code == 1 and "no such decision" in err


@pytest.mark.usefixtures("stored")
def test_decisions_are_exported(capsys: pytest.CaptureFixture[str]) -> None:
    """The export is JSON lines, oldest first."""
    lines = ofox(capsys, "decisions", "--export")[1].splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["d1", "d2", "d3"]


def test_without_a_store_nothing_is_made(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Asking for decisions where none were written says so, and leaves no file."""
    code, _, err = ofox(capsys, "decisions")
    assert code == 1 and "ofox serve" in err and not (tmp_path / "state").exists()


# completion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_option(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    """The script names each command and long option of the parser."""
    script = ofox(capsys, "completion", shell)[1]
    action = next(item for item in cli.parser()._actions if isinstance(item, argparse._SubParsersAction))
    for name, command in action.choices.items():
        assert name in script
        for option in (text for item in command._actions for text in item.option_strings if text.startswith("--")):
            assert option[2:] in script


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["ofox", "de"], {"demo", "decisions"}),
        (["ofox", "explain", "--pre"], {"--preference"}),
        (["ofox", "--json", "serve", "--no"], {"--no-console"}),
        (["ofox", "check", "of"], set()),
    ],
)
def test_bash_completes(capsys: pytest.CaptureFixture[str], words: list[str], wanted: set[str]) -> None:
    """In a real bash the script completes commands, then the options of the command; files are left to bash."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash")
    script = ofox(capsys, "completion", "bash")[1]
    asked = " ".join(f"'{word}'" for word in words)
    code = f"{script}\nCOMP_WORDS=({asked}); COMP_CWORD={len(words) - 1}; _ofox; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    said = subprocess.run([bash, "-c", code], capture_output=True, text=True, check=True)
    assert set(said.stdout.split()) == wanted


# tune ---------------------------------------------------------------------------------------------------------------


def outcomes(path: Path, requests: int, *, noise: bool = False) -> Path:
    """Labelled requests: long ones that both models answer, sums that only the large one does, whatever the shipped
    difficulty says of them."""
    rows = []
    for i in range(requests):
        easy = i % 2 == 0
        text = f"Prove theorem {i}: " + "for every compact manifold " * 20 if easy else f"What is {i} plus {i}?"
        for model, score in (("house/large", 1.0), ("other/small", float(easy))):
            rows.append({"request": text, "model": model, "score": float(i % 3 == 0) if noise else score})
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


def test_tune_writes_weights_that_the_settings_take(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    """What `ofox tune` writes is read by `difficulty_weights`, and tuned abilities are named as such."""
    out = tmp_path / "weights.json"
    ran = run(capsys, "tune", outcomes(tmp_path / "o.jsonl", 200), "--out", out, "--json")
    assert ran.code == 0, ran.out
    assert ran.json["written"] == str(out)
    assert ran.json["after"]["log_loss"] < ran.json["before"]["log_loss"]
    config.write_text(CARDS + f"difficulty_weights: {out}\n", "utf-8")
    seen = run(capsys, "explain", EASY, "--config", config, "--json").json
    assert {row["ability_source"] for row in seen["candidates"]} == {"tuned"}
    assert seen["difficulty_source"] == "tuned"


def test_tune_says_why_it_wrote_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With too few requests nothing is written, the reason is said, and the exit code is 1."""
    out = tmp_path / "weights.json"
    ran = run(capsys, "tune", outcomes(tmp_path / "o.jsonl", 10), "--out", out)
    assert (ran.code, out.exists()) == (1, False)
    assert "nothing written: " in ran.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("{", "o.jsonl:1: is not JSON"),
        ("[1]", "o.jsonl:1: is not a JSON object"),
        ('{"request": 1, "model": "m", "score": 1}', "row 1"),
    ],
)
def test_tune_refuses_what_is_no_outcomes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str | None, said: str
) -> None:
    """Broken JSON and wrong rows are refused in one line with the place; a missing file is wrong usage."""
    path = tmp_path / "o.jsonl"
    if text is not None:
        path.write_text(text, "utf-8")
    ran = run(capsys, "tune", path, "--out", tmp_path / "w.json")
    assert ran.code == (2 if text is None else 1)
    assert said in ran.err
