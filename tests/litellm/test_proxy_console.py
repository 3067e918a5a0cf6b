"""The console in a real LiteLLM proxy, and a configuration file that changes while the proxy runs."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest
import yaml

from ofox_middleware.decision_store import DecisionStore
from tests.litellm.conftest import chat, config
from tests.litellm.proxy import running_proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy

TOKEN = "a-token-that-is-long-enough"


def test_console_and_reload_in_the_proxy(tmp_path: Path, upstream: Upstream) -> None:
    """`console_path` serves the console from the proxy, to the token alone; a changed file is taken on, a wrong one is
    refused, and what is known of the models' health stays."""
    settings = config(upstream.base_url)
    file = tmp_path / "ofox.yaml"
    first = {**settings["callback_settings"]["ofox"], "preference": "cost", "console_path": "/ofox"}
    first["decision_log"] = str(tmp_path / "decisions.sqlite3")
    file.write_text(yaml.safe_dump(first))
    settings["callback_settings"]["ofox"] = {"config": str(file), "console_token": "os.environ/CONSOLE_TOKEN"}
    with (
        running_proxy(settings, tmp_path, CONSOLE_TOKEN=TOKEN) as proxy,
        httpx.Client(base_url=f"{proxy.base_url}/ofox", headers={"authorization": f"Bearer {TOKEN}"}) as console,
    ):
        assert "Ofox console" in httpx.get(f"{proxy.base_url}/ofox", follow_redirects=True).text
        assert httpx.get(f"{proxy.base_url}/ofox/api/status").status_code == 401
        assert proxy.post("/v1/chat/completions", chat()).headers["x-ofox-model"] == "cheap"
        seen = console.get("/api/status").json()
        assert {row["name"] for row in seen["models"]} == {"cheap", "mid", "dear"}
        assert [entry["model"] for entry in seen["decisions"]] == ["cheap"] and seen["reload"]["can"]

        tried = console.post("/api/explain", json={"request": chat()}).json()
        assert tried["decision"]["model"] == tried["picks"]["cost"]["model"] == "cheap"

        upstream.behave("prov-cheap", status=503)
        assert proxy.post("/v1/chat/completions", chat()).status_code == 200
        newest = console.get("/api/decisions").json()["decisions"][0]["outcome"]
        assert (newest["attempts"][0], newest["failures"]) == ("cheap", ["503"])
        upstream.reset()

        counted = console.get("/metrics").text
        assert 'ofox_fallbacks_total{model="cheap"} 1.0' in counted
        assert httpx.get(f"{proxy.base_url}/ofox/metrics").status_code == 401

        file.write_text(yaml.safe_dump({**first, "preference": "cheapest"}))
        refused = console.post("/api/reload", json={})
        assert refused.status_code == 409 and "unknown preference" in refused.json()["error"]["message"]
        file.write_text(yaml.safe_dump({**first, "exclude": ["cheap"]}))
        until = time.monotonic() + 20
        while console.get("/api/status").json()["reload"]["last"]["ok"] is not True:
            assert time.monotonic() < until, "the changed file was not taken on"
            time.sleep(0.1)
        assert proxy.post("/v1/chat/completions", chat()).headers["x-ofox-model"] == "mid"
        assert proxy.settled()["health"]["cheap"]["ok"] == 1
    with DecisionStore(tmp_path / "decisions.sqlite3") as kept:
        assert [entry.outcome["model"] for entry in kept.recent() if entry.outcome][-1] == "cheap"
