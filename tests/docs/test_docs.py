"""The documentation is true: links lead somewhere, snippets run, commands do what they say, tables are complete."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from ofox_middleware import Settings, cli
from ofox_middleware.cards import ModelCard
from ofox_middleware.settings import BUILTIN_PROFILES, RoutingConfig
from ofox_middleware.types import DOMAINS, Profile, Reason
from tests.docs.markdown import PAGES, ROOT, anchors, blocks, commands, inline, links, table
from tests.docs.sandbox import LITELLM, Sandbox

DOCS = ROOT / "docs"
LANGUAGES = {"python", "yaml", "json", "console", "text"}
DEMO_MODELS = (("openai/*", "north/*"), ("anthropic/*", "river/*"))
"""Names in snippets that talk to the demo, and what stands for them there."""
SERVERS = ("ofox demo", "ofox serve")
PLACEHOLDER = re.compile(r"\b[A-Z]{2,}(?:_[A-Z]+)*\b")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path_factory.mktemp("docs"))
    yield made
    made.close()


# Links and pages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link and picture is a file of the repository, and each anchor a heading of its page."""
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(file), f"{target}: no such heading"


def test_every_page_is_listed() -> None:
    """The documentation's front page links to each of its pages, and the README to that front page."""
    listed = {target.partition("#")[0] for target in links(DOCS / "README.md")}
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= listed
    assert any(target.startswith("docs/README.md") for target in links(ROOT / "README.md"))


def test_the_front_page_is_short() -> None:
    """A front page is read, so it has fewer than 300 lines."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 300


def test_blocks_say_what_they_are() -> None:
    """Every block of code has a language that the tests below know."""
    assert [block.where for block in blocks() if block.language not in LANGUAGES] == []


def test_the_picture_is_what_its_script_draws() -> None:
    """The picture of a decision shows the pick, the order and the reasons of today; numbers move with every weight."""
    script = DOCS / "img" / "decision.py"
    spec = util.spec_from_file_location("decision_picture", script)
    assert spec is not None and spec.loader is not None
    drawing = util.module_from_spec(spec)
    spec.loader.exec_module(drawing)

    def shape(svg: str) -> str:
        return re.sub(r"because of [^<]*|[-−]?\d[\d.,]*", "", svg)

    drawn = shape(drawing.picture(drawing.decide()))
    assert drawn == shape(script.with_suffix(".svg").read_text("utf-8")), f"run {script}"


# Tables --------------------------------------------------------------------------------------------------------------


def test_every_setting_is_told_with_its_default() -> None:
    """The table has exactly the fields of ``Settings``, each with the default that it really has."""
    told = table(DOCS / "settings.md", "setting")
    assert set(told) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        assert yaml.safe_load(told[name][0].strip("`")) == default, name


def test_every_field_is_told() -> None:
    """So have the tables of cards, profiles, the request's own config, kinds of task, preferences and reasons."""
    page = DOCS / "settings.md"
    assert set(table(page, "field")) == {name for name in ModelCard.__dataclass_fields__ if name[0] != "_"}
    text = page.read_text("utf-8")
    (profiles,) = re.findall(r"^## Profiles\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^\| `([^|]+)` \|", profiles, re.MULTILINE)[0].split("`, `")) | {"floor", "tie"} == set(
        Profile.__dataclass_fields__
    )
    assert set(table(page, "field of `model_routing_config`")) == set(RoutingConfig.model_fields)
    assert all(f"`{domain}`" in text for domain in DOMAINS)
    assert set(table(DOCS / "decisions.md", "`x-ofox-reason`")) == set(get_args(Reason))


def test_preferences_are_told_with_their_numbers() -> None:
    """Weights, floor and tie of the built-in preferences are those of the code."""
    told = table(DOCS / "decisions.md", "preference")
    assert set(told) == set(BUILTIN_PROFILES)
    for name, profile in BUILTIN_PROFILES.items():
        _, weights, floor, tie = told[name]
        assert [float(weight) for weight in weights.split(",")] == [profile.quality, profile.cost, profile.time], name
        assert (float(floor), float(tie)) == (profile.floor, profile.tie), name


def test_every_metric_is_told() -> None:
    """The table of metrics has what is exported, no more and no less."""
    pytest.importorskip("prometheus_client", reason="pip install 'ofox-middleware[metrics]'")
    from tests.test_dashboard import Busy, exposition

    busy = Busy()
    busy.turn()
    exported = set(re.findall(r"^# TYPE (ofox_\w+) (?:counter|gauge|histogram)$", exposition(busy), re.MULTILINE))
    assert set(table(DOCS / "metrics.md", "metric")) == {name for name in exported if not name.endswith("_created")}


# Configurations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.where)
def test_configurations_are_valid(block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML parses; settings pass ``ofox check``, and what is for a LiteLLM proxy names what exists."""
    document = yaml.safe_load(block.text)
    assert isinstance(document, dict)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    if set(document) & {"litellm_settings", "callback_settings", "model_list"}:
        for path in document.get("litellm_settings", {}).get("callbacks", ()):
            module, _, name = path.rpartition(".")
            assert hasattr(importlib.import_module(module), name)
        Settings(**document.get("callback_settings", {}).get("ofox", {}))
        return
    if document.get("difficulty_weights") is not None:
        weights = ROOT / "ofox_middleware" / "data" / "difficulty.json"
        (tmp_path / document["difficulty_weights"]).symlink_to(weights)
        (tmp_path / "difficulty.lexicon.json").symlink_to(weights.with_name("difficulty.lexicon.json"))
    path = tmp_path / "ofox.yaml"
    path.write_text(block.text, "utf-8")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", str(path), "--json"]) == 0


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.where)
def test_json_is_json(block: Any) -> None:
    """JSON parses, and the routing config in it is one that a request may have."""
    document = json.loads(block.text)
    RoutingConfig.read(document.get("model_routing_config"))


# Python --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(sandbox: Sandbox) -> dict[str, str]:
    """Every Python snippet, run; what went wrong by place."""
    snippets = {}
    for block in blocks("python"):
        code = block.text
        if "client." in code:
            for name, there in DEMO_MODELS:
                code = code.replace(name, there)
        snippets[block.where] = code.replace("http://127.0.0.1:4100", sandbox.url)
    return sandbox.snippets(snippets)


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.where)
def test_python_runs(block: Any, ran: dict[str, str]) -> None:
    """Each snippet compiles, its imports resolve, and it runs without an error, clients against the demo."""
    ast.parse(block.text)
    assert ran[block.where] == ""


# Commands ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "where"), commands().items())
def test_commands_work(command: str, where: str, sandbox: Sandbox) -> None:
    """Each command of the documentation is run and succeeds; installations, and what takes long, are checked to
    exist with their options."""
    first, *words = shlex.split(command)
    if first == "pip":
        _is_installable(words)
    elif first == "make":
        _has_target(words[0])
    elif first == "litellm":
        assert yaml.safe_load((ROOT / words[words.index("--config") + 1]).read_text("utf-8"))["model_list"]
    elif first == "python" and words[0] == "-m":
        _takes(words[1], words[2:])
    elif first == "python":
        # Examples serve or call providers: their own tests run each of them, so here it is enough that there is one.
        script = Path(words[0])
        assert (ROOT / script).exists()
        tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
        assert script.relative_to(script.parts[0]).as_posix() in tests
    elif command.startswith(SERVERS) and "--tour" not in words:
        assert sandbox.serve(command)["models"]
    else:
        done = sandbox.run(command)
        assert done.returncode == 0, f"{where}: {done.stderr}{done.stdout}"


def _is_installable(words: list[str]) -> None:
    """``pip install`` names this package with extras that it has, or a library that the tests use."""
    extras = set(metadata.metadata("ofox-middleware").get_all("Provides-Extra") or ())
    assert words[0] == "install"
    for word in words[1:]:
        name, _, extra = word.partition("[")
        if name == "ofox-middleware":
            assert not extra or set(extra.rstrip("]").split(",")) <= extras
        elif not name.startswith("-"):
            assert util.find_spec(name.split("-")[0]) is not None


def _has_target(target: str) -> None:
    """``make -n`` knows the target, and what it would start exists."""
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for module, options in re.findall(r"python -m (benchmarks[\w.]*)(.*)", done.stdout):
        _takes(module, shlex.split(options))


def _takes(module: str, words: list[str]) -> None:
    """A benchmark, which takes minutes, says how it is used, and knows the options that are shown."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for option in (word.partition("=")[0] for word in words if word.startswith("--")):
        assert option in done.stdout, f"{module} has no {option}"


@pytest.mark.parametrize(("command", "page"), inline("ofox ").items())
def test_commands_in_sentences_are_such(command: str, page: str) -> None:
    """A command named in a sentence or a table is one that the command line takes, placeholders filled in."""
    words = shlex.split(PLACEHOLDER.sub("bash", command.removesuffix(" ...")))
    if words[1:] == []:
        return
    try:
        cli.parser().parse_args(words[1:])
    except SystemExit as error:
        missing = words[2:] == [] and words[1] in {"explain", "check", "tune", "completion"}
        assert missing and error.code == 2, f"{page}: {command}"


@pytest.mark.parametrize(("command", "page"), inline("make ").items())
def test_make_targets_in_sentences_are_such(command: str, page: str) -> None:
    """A target named in a sentence is in the Makefile."""
    for target in shlex.split(command)[1:]:
        if "=" not in target:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), page


def test_the_sandbox_is_what_commands_expect(tmp_path: Path) -> None:
    """The LiteLLM configuration that commands are given is one."""
    assert len(yaml.safe_load(LITELLM)["model_list"]) == 2
