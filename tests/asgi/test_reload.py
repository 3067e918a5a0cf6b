"""A changed configuration at the ASGI door: taken on by the middleware itself, in a server that goes on serving."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.settings import Settings
from tests.asgi.harness import ASK, BEST, LAST, Models, router
from tests.asgi.server import serving
from tests.test_reload import eventually

CARDS = f"""\
share_within: 0
models:
  - {{name: {BEST}, ability: 0.95, input_cost_per_token: 1.0e-5, output_cost_per_token: 1.0e-5}}
  - {{name: {LAST}, ability: 0.3, input_cost_per_token: 1.0e-7, output_cost_per_token: 1.0e-7}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration under which the best model answers."""
    path = tmp_path / "ofox.yaml"
    path.write_text(f"{CARDS}preference: quality\n")
    return path


def watchers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ofox-reload"]


@pytest.mark.parametrize("by", ["variable", "argument"])
def test_a_changed_file_is_taken_on(config: Path, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    """While a server runs, the next request after a change is decided by the new file; a wrong one changes nothing."""
    monkeypatch.setattr("ofox_middleware.reload.Reloader.start.__defaults__", (0.02,))
    options: dict[str, Any] = {"config": config} if by == "argument" else {}
    if by == "variable":
        monkeypatch.setenv("OFOX_CONFIG", str(config))
    door = OfoxMiddleware(Models(), **options)
    with serving(door) as url, httpx.Client(base_url=url, trust_env=False) as client:

        def answered_by() -> str:
            return str(client.post("/v1/chat/completions", json=ASK).headers["x-ofox-model"])

        assert answered_by() == BEST
        door.router.health.record_failure("else/where", status=500)
        config.write_text(f"{CARDS}exclude: ['{BEST}']\npreference: cheapest\n")
        assert answered_by() == BEST
        config.write_text(f"{CARDS}exclude: ['{BEST}']\n")
        assert eventually(lambda: answered_by() == LAST)
        assert door.router.health.snapshot()["else/where"]["failed"] == 1


def test_the_console_of_the_door_reloads(config: Path) -> None:
    """The API of the console reads the file again: 409 and the reason for a wrong one, what changed for a right one."""
    door = OfoxMiddleware(Models(), config=config, watch_config=False, console_path="/ofox")
    with serving(door) as url, httpx.Client(base_url=url, trust_env=False) as client:
        config.write_text(f"{CARDS}preference: cheapest\n")
        refused = client.post("/ofox/api/reload", json={})
        assert refused.status_code == 409 and f"{config}:5" in refused.json()["error"]["message"]
        config.write_text(f"{CARDS}preference: cost\n")
        assert client.post("/ofox/api/reload", json={}).json()["changed"] == ["preference"]
        assert client.post("/v1/chat/completions", json=ASK).headers["x-ofox-preference"] == "cost"


def test_a_log_of_decisions_is_kept(config: Path, tmp_path: Path) -> None:
    """With ``decision_log`` the door writes decisions to the file, from which `ofox decisions` reads them."""
    path = tmp_path / "decisions.sqlite3"
    door = OfoxMiddleware(Models(), config=config, watch_config=False, decision_log=path, console_path="/ofox")
    with serving(door) as url, httpx.Client(base_url=url, trust_env=False) as client:
        decided = client.post("/v1/chat/completions", json=ASK).headers["x-ofox-decision-id"]
        assert client.get(f"/ofox/api/decisions/{decided}").json()["outcome"]["ok"]
        assert "ofox_decisions_total{" in client.get("/ofox/metrics").text
    (store,) = (observer for observer in door.router.observers if isinstance(observer, DecisionStore))
    store.close()
    with DecisionStore(path) as kept:
        assert kept.get(decided) is not None


def test_nothing_is_watched_unless_the_door_read_a_file(config: Path) -> None:
    """No thread for settings without a file, for a router of the caller's own, or with ``watch_config: false``."""
    given = Settings(config=config)
    for door in (
        OfoxMiddleware(Models(), router=router()),
        OfoxMiddleware(Models(), models=[BEST]),
        OfoxMiddleware(Models(), settings=given),
        OfoxMiddleware(Models(), config=config, watch_config=False),
    ):
        assert door._watcher is None


def test_the_watch_ends_with_the_door(config: Path) -> None:
    """A middleware that is no longer used leaves no thread behind."""
    gc.collect()  # those that earlier tests left go now, not below
    before = len(watchers())
    door = OfoxMiddleware(Models(), config=config)
    assert door._watcher is not None
    door._watcher.start()
    door._watcher.start()
    assert len(watchers()) == before + 1
    del door
    gc.collect()
    assert len(watchers()) == before
