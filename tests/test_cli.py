"""The ``ofox`` command: what it prints, its exit codes, and how light it is."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from ofox_middleware import __version__, cli, server
from ofox_middleware.tour import TourFailed

EASY = "What is the capital of France?"
CARDS = """
models:
  - name: house/large
    input_cost_per_token: 5.0e-6
    output_cost_per_token: 2.5e-5
    max_input_tokens: 200000
    ability: 0.95
    ttft_s: 0.8
    tokens_per_s: 60
    supports_vision: true
  - name: other/small
    input_cost_per_token: 1.0e-7
    output_cost_per_token: 4.0e-7
    max_input_tokens: 16000
    ability: 0.5
    ttft_s: 0.1
    tokens_per_s: 250
    supports_vision: false
profiles:
  frugal: {quality: 0.2, cost: 0.7, time: 0.1, floor: 0.5}
preference: frugal
"""


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings and no provider's key from outside."""
    for name in os.environ:
        if name.startswith("OFOX_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with two models and a profile."""
    path = tmp_path / "ofox.yaml"
    path.write_text(CARDS, "utf-8")
    return path


class Ran:
    """What a command printed and returned."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def ofox(capsys: pytest.CaptureFixture[str], *argv: object) -> Ran:
    """Run a command in this process."""
    code = cli.main([str(item) for item in argv])
    out, err = capsys.readouterr()
    return Ran(code, out, err)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints the version and exits 0."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [[], ["dance"], ["demo", "--port", "x"], ["demo", "--port", "70000"], ["demo", "--pace", "-1"],
             ["demo", "--pace", "x"]],
)  # fmt: skip
def test_wrong_usage_is_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the command line cannot mean exits 2 with the usage."""
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    assert "usage: ofox" in capsys.readouterr().err


# explain ---------------------------------------------------------------------------------------------------------


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


# check -----------------------------------------------------------------------------------------------------------


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


# serve and demo, as far as they get without a server ---------------------------------------------------------------


def test_serve_does_not_lend_keys_to_the_network(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """Listening beyond loopback without a key is refused with what to do."""
    ran = ofox(capsys, "serve", "--config", config, "--host", "0.0.0.0")
    assert ran.code == 2 and "OFOX_SERVE_KEY" in ran.err and "--open" in ran.err


def test_serve_without_models_says_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    """No pool and no keys: the message names both ways out."""
    ran = ofox(capsys, "serve", "--port", "0")
    assert ran.code == 1 and "OFOX_MODELS" in ran.err and "OPENAI_API_KEY" in ran.err


def test_a_port_in_use_is_a_clear_message(capsys: pytest.CaptureFixture[str]) -> None:
    """A second server on a port says so and names ``--port``."""
    with server.listen("127.0.0.1", 0) as taken:
        ran = ofox(capsys, "demo", "--port", taken.getsockname()[1])
    assert ran.code == 1 and "cannot listen" in ran.err and "--port" in ran.err


def test_an_address_that_is_not_ours_is_a_clear_message(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """An address of nobody's says so."""
    ran = ofox(capsys, "serve", "--config", config, "--host", "no.such.host.invalid", "--open")
    assert ran.code == 1 and "cannot listen" in ran.err


@pytest.mark.parametrize("as_json", [False, True])
def test_demo_says_how_to_use_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    """The starting lines name the address, a curl line, the OpenAI client and how to break a provider."""
    monkeypatch.setattr("ofox_middleware.server.serve", lambda app, listener, stopping: listener.close() or 0)
    ran = ofox(capsys, "demo", "--port", "0", *(["--json"] if as_json else []))
    assert ran.code == 0
    if as_json:
        assert ran.json["base_url"] == f"{ran.json['url']}/v1" and "north/titan" in ran.json["models"]
        return
    for word in ("http://127.0.0.1:", "curl", "OpenAI(base_url=", "/demo/providers/north"):
        assert word in ran.out


def test_serve_says_how_to_use_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    """The starting lines name the address; on every interface, that of this machine. A short key is warned of."""
    monkeypatch.setattr("ofox_middleware.server.serve", lambda app, listener, stopping: listener.close() or 0)
    monkeypatch.setenv("OFOX_SERVE_KEY", "sesame")
    ran = ofox(capsys, "serve", "--config", config, "--host", "0.0.0.0", "--port", "0", "--decisions", ":memory:")
    assert ran.code == 0 and "console is off" in ran.out and "2 models on http://127.0.0.1:" in ran.out
    assert "fewer than 16 characters and can be guessed" in ran.err and "sesame" not in ran.out + ran.err
    monkeypatch.setenv("OFOX_SERVE_KEY", "sesame-open-the-door")
    ran = ofox(capsys, "serve", "--config", config, "--port", "0", "--decisions", ":memory:")
    assert ran.code == 0 and "can be guessed" not in ran.err


def test_ctrl_c_stops_a_server() -> None:
    """A server that is interrupted finishes cleanly and returns 130."""
    listener = server.listen("127.0.0.1", 0)
    port = listener.getsockname()[1]

    def interrupt() -> None:
        httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=20)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert server.serve(Starlette(), listener) == 130
    thread.join()


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("192.168.1.2", False), ("example.com", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_network(host: str, local: bool) -> None:
    """Only addresses that nobody else can reach count as local."""
    assert server.is_loopback(host) is local


def test_interrupting_is_130(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    """Ctrl-C ends without a traceback, with the usual exit code."""

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ofox_middleware.explain.settings_of", interrupted)
    assert cli.main(["check", str(config)]) == 130


def test_a_reader_that_has_enough_is_no_error(config: Path) -> None:
    """``ofox check | head -0`` ends quietly."""
    command = f"{sys.executable} -m ofox_middleware check {config} --json | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert not done.stderr


def test_a_failed_tour_is_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that does not hold ends the tour with its message and exit code 1."""
    import contextlib

    from ofox_middleware import tour

    class Sad:
        def __init__(self, url: str) -> None: ...

        def rows(self) -> Any:
            raise TourFailed("the image went to a blind model")

        def close(self) -> None: ...

    monkeypatch.setattr(tour, "Tour", Sad)
    monkeypatch.setattr("ofox_middleware.server.background", lambda app, listener: contextlib.closing(listener))
    monkeypatch.setattr("ofox_middleware.demo.Demo", lambda **_: SimpleNamespace(app=None))
    assert cli.main(["demo", "--tour", "--port", "0", "--json"]) == 1
    assert "blind model" in json.loads(capsys.readouterr().out)["error"]["message"]


# tune


def outcomes(path: Path, requests: int, *, noise: bool = False) -> Path:
    """Labelled requests: short ones that both models answer, long ones that only the large one does."""
    rows = []
    for i in range(requests):
        easy = i % 2 == 0
        text = f"What is {i} plus {i}?" if easy else f"Prove theorem {i}: " + "for every compact manifold " * 20
        for model, score in (("house/large", 1.0), ("other/small", float(easy))):
            rows.append({"request": text, "model": model, "score": float(i % 3 == 0) if noise else score})
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


def test_tune_writes_weights_that_the_settings_take(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, config: Path
) -> None:
    """What `ofox tune` writes is read by `difficulty_weights`, and tuned abilities are named as such."""
    out = tmp_path / "weights.json"
    ran = ofox(capsys, "tune", outcomes(tmp_path / "o.jsonl", 200), "--out", out, "--json")
    assert ran.code == 0, ran.out
    assert ran.json["written"] == str(out)
    assert ran.json["after"]["log_loss"] < ran.json["before"]["log_loss"]
    config.write_text(CARDS + f"difficulty_weights: {out}\n", "utf-8")
    seen = ofox(capsys, "explain", EASY, "--config", config, "--json").json
    assert {row["ability_source"] for row in seen["candidates"]} == {"tuned"}
    assert seen["difficulty_source"] == "tuned"


def test_tune_says_why_it_wrote_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With too few requests nothing is written, the reason is said, and the exit code is 1."""
    out = tmp_path / "weights.json"
    ran = ofox(capsys, "tune", outcomes(tmp_path / "o.jsonl", 10), "--out", out)
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
    ran = ofox(capsys, "tune", path, "--out", tmp_path / "w.json")
    assert ran.code == (2 if text is None else 1)
    assert said in ran.err
