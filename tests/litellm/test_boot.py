"""What a proxy makes of our configuration when it starts."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.litellm.conftest import chat, config, routing
from tests.litellm.proxy import HERE, ROOT, environment, running_proxy, spawn
from tests.litellm.upstream import Upstream, free_port

pytestmark = pytest.mark.proxy


def refused(folder: Path, settings: dict[str, Any], **env: str) -> str:
    """Starts a proxy that must end by itself, and returns its log."""
    for helper in ("custom_auth.py", "probe.py"):
        shutil.copy(HERE / "beside" / helper, folder / helper)
    path, log = folder / "config.yaml", folder / "proxy.log"
    path.write_text(yaml.safe_dump(settings))
    process = spawn(path, free_port(), log, environment(**env))
    try:
        assert process.wait(120) != 0
    finally:
        process.kill()
        process.wait()
    return log.read_text()


def test_a_wrong_setting_stops_the_proxy_with_a_clear_message(tmp_path: Path) -> None:
    """`callback_settings.ofox` is checked while the proxy reads its configuration."""
    log = refused(tmp_path, config("http://127.0.0.1:1", preference="best"))
    assert "callback_settings.ofox.preference: unknown preference 'best'" in log


def test_a_wrong_variable_stops_the_proxy_too(tmp_path: Path) -> None:
    """OFOX_* variables are checked at the same moment."""
    settings = config("http://127.0.0.1:1")
    del settings["callback_settings"]
    assert "OFOX_PREFERENCE" in refused(tmp_path, settings, OFOX_PREFERENCE="best")


def test_the_three_lines_are_enough_and_a_copy_beside_the_config_shares_state(
    tmp_path: Path, upstream: Upstream
) -> None:
    """No settings at all; and a file of the plugin's name beside the YAML, which LiteLLM executes in its place."""
    settings = config(upstream.base_url)
    del settings["callback_settings"]
    shadow = tmp_path / "ofox_middleware"
    shadow.mkdir()
    shutil.copy(ROOT / "ofox_middleware" / "litellm_plugin.py", shadow / "litellm_plugin.py")
    settings["model_list"].append(
        {
            "model_name": "auto",
            "litellm_params": {"model": "openai/auto", "api_key": "none"},
            "model_info": {"id": "ofox-auto", "mode": "chat", "disable_background_health_check": True},
        }
    )
    with running_proxy(settings, tmp_path, OFOX_PREFERENCE="cost", OFOX_SEED="3", OFOX_SHARE_WITHIN="0") as proxy:
        answer = proxy.post("/v1/chat/completions", chat())
        assert answer.json()["model"] == "cheap"
        assert answer.headers["x-ofox-preference"] == "cost"
        assert proxy.settled()["health"]["cheap"]["ok"] == 1
        shown = proxy.post("/v1/chat/completions", chat(), headers={"x-ofox-dry-run": "true"}).json()
        assert {row["name"] for row in shown["candidates"]} == {"cheap", "mid", "dear"}
        listed = {row["id"] for row in proxy.get("/v1/models").json()["data"]}
        assert "auto" in listed
        refusal = proxy.post("/v1/chat/completions", chat(**routing(models=["auto"])))
        assert refusal.json()["error"]["code"] == "no_candidate_model"
    assert upstream.models() == ["prov-cheap"]
