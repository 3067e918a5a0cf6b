"""What ``ofox serve`` puts together: gateway, console, store, metrics and reload, over a provider on loopback."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.site import Site
from tests.console.tools import Client
from tests.litellm.upstream import Upstream, running_upstream

# LiteLLM's own types make pydantic warn when it builds them; nothing of ours is silenced.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydantic._internal._generate_schema")

KEY = "a-key-that-is-long-enough"
ASK = {"model": "auto", "messages": [{"role": "user", "content": "What is six times seven?"}]}
CONFIG = """\
models:
  - {{name: house/large, model: openai/large, ability: 0.95, params: {params},
     input_cost_per_token: 5.0e-6, output_cost_per_token: 2.0e-5}}
  - {{name: other/small, model: openai/small, ability: 0.50, params: {params},
     input_cost_per_token: 1.0e-7, output_cost_per_token: 4.0e-7}}
preference: {preference}
"""


def site(tmp_path: Path, **options: Any) -> Site:
    """A site that nobody serves."""
    told: dict[str, Any] = {"key": None, "local": True, "console": True, "decisions": str(tmp_path / "d.sqlite3")}
    return Site(SmartRouter(Settings(models=[ModelCard(name="a/b", ability=0.5)])), **{**told, **options})


def test_the_console_and_the_metrics_are_beside_the_gateway(tmp_path: Path) -> None:
    """Without a key, this machine gets the gateway, the console and the metrics, and another name gets nothing."""
    made = site(tmp_path)
    client = Client(made.app)
    assert made.has_console
    assert client.get("/ofox/api/status").json()["models"][0]["name"] == "a/b"
    assert client.get("/v1/models").status_code == 200
    assert "ofox_model_state" in client.get("/metrics").text
    for path in ("/ofox/", "/metrics", "/v1/models"):
        assert Client(made.app, host="evil.example").get(path).status_code in {400, 403}
    made.store.close()


def test_one_key_guards_everything(tmp_path: Path) -> None:
    """With a key the gateway, the metrics and the console's data ask for it; the console's empty page does not."""
    made = site(tmp_path, key=KEY, local=False)
    client = Client(made.app, client="8.8.8.8", host="ofox.example")
    for path in ("/v1/models", "/metrics", "/ofox/api/status"):
        assert client.get(path).status_code == 401
        assert client.get(path, authorization=f"Bearer {KEY}").status_code == 200
    assert client.get("/ofox/").status_code == 200
    made.store.close()


@pytest.mark.parametrize("options", [{"console": False}, {"key": "short"}])
def test_without_a_console_the_path_is_nothing(tmp_path: Path, options: dict[str, Any]) -> None:
    """The console is left out when it is not wanted, and when the key is too short to guard it."""
    made = site(tmp_path, **options)
    made.stop()
    key = options.get("key", "")
    assert not made.has_console
    assert Client(made.app).get("/ofox/", authorization=f"Bearer {key}").status_code == 404
    made.store.close()


def test_metrics_need_their_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without prometheus-client ``/metrics`` says what to install, and everything else works."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    made = site(tmp_path)
    answer = Client(made.app).get("/metrics")
    assert answer.status_code == 501 and "pip install 'ofox-middleware[metrics]'" in answer.json()["error"]["message"]
    assert Client(made.app).get("/v1/models").status_code == 200
    made.store.close()


def test_running_watches_the_file_and_closes_the_store(tmp_path: Path) -> None:
    """Within ``running`` a hangup reloads; at its end the store's file is whole."""
    path = tmp_path / "ofox.yaml"
    path.write_text("models: [a/b]\npreference: cost\n")
    before = signal.getsignal(signal.SIGHUP)
    router = SmartRouter(Settings(config=path))
    made = Site(router, key=None, local=True, console=True, decisions=str(tmp_path / "d.sqlite3"), config=path)
    try:
        with made.running():
            chosen = router.decide({"prompt": "Hi"}, "/v1/completions")
            path.write_text("models: [a/b]\npreference: speed\n")
            assert Client(made.app).post("/ofox/api/reload", {}).json()["changed"] == ["preference"]
            made.stop()
            assert Client(made.app).get("/ofox/api/events").text == ""
    finally:
        signal.signal(signal.SIGHUP, before)
    db = sqlite3.connect(tmp_path / "d.sqlite3")
    assert db.execute("SELECT id FROM decisions").fetchall() == [(chosen.id,)]
    db.close()


def until(http: httpx.Client, console: str, holds: Callable[[Any], bool]) -> Any:
    """The console's status, once something holds of it."""
    for _ in range(200):
        status = http.get(f"{console}api/status").json()
        if holds(status):
            return status
        time.sleep(0.05)
    raise AssertionError(status)


# The process -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


def test_the_process_is_reloaded_by_a_hangup_and_keeps_its_decisions(provider: Upstream, tmp_path: Path) -> None:
    """``ofox serve`` prints the console's address, takes on a changed file on SIGHUP and keeps its decisions."""
    config, store = tmp_path / "ofox.yaml", tmp_path / "d.sqlite3"
    params = f"{{api_base: '{provider.base_url}', api_key: os.environ/HOUSE_KEY}}"
    config.write_text(CONFIG.format(params=params, preference="cost"))
    command = ["serve", "--config", str(config), "--port", "0", "--json", "--decisions", str(store)]
    process = subprocess.Popen(
        [sys.executable, "-m", "ofox_middleware", *command],
        env={**os.environ, "HOUSE_KEY": "operators-own-key", "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        with httpx.Client(trust_env=False, timeout=30) as http:
            assert "Ofox console" in http.get(told["console"]).text
            first = http.post(f"{told['base_url']}/chat/completions", json=ASK)
            assert first.headers["x-ofox-model"] == "other/small"
            config.write_text(CONFIG.format(params=params, preference="quality"))
            process.send_signal(signal.SIGHUP)
            status = until(http, told["console"], lambda status: status["reload"]["last"] is not None)
            assert status["reload"]["last"]["ok"] and status["reload"]["last"]["changed"] == ["preference"]
            again = http.post(f"{told['base_url']}/chat/completions", json={**ASK, "user": "somebody else"})
            assert again.headers["x-ofox-preference"] == "quality"
            until(http, told["console"], lambda status: status["savings"]["requests"] == 2)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in errors
    db = sqlite3.connect(store)
    ids = [row[0] for row in db.execute("SELECT id FROM decisions ORDER BY seq")]
    db.close()
    assert ids == [first.headers["x-ofox-decision-id"], again.headers["x-ofox-decision-id"]]
