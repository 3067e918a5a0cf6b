"""Starts a real ``litellm --config`` process and looks into the plugin that runs in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.litellm.upstream import free_port

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MASTER_KEY = "sk-master"
BOOT_S = 300
PLUGIN = "ofox_middleware.litellm_plugin.ofox"


@dataclass
class Proxy:
    """A running proxy."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, body: Any, *, key: str = MASTER_KEY, **options: Any) -> httpx.Response:
        """Posts ``body`` (JSON, or raw bytes) and returns the whole answer."""
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json", **options.pop("headers", {})}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return httpx.post(f"{self.base_url}{path}", headers=headers, timeout=60, **content, **options)

    def get(self, path: str, *, key: str = MASTER_KEY) -> httpx.Response:
        return httpx.get(f"{self.base_url}{path}", headers={"authorization": f"Bearer {key}"}, timeout=60)

    def probe(self) -> dict[str, Any]:
        """The plugin's own view: in flight, health, counters."""
        answer = httpx.get(f"{self.base_url}/_probe", timeout=30)
        return dict(answer.json())

    def record(self, answer: httpx.Response) -> dict[str, Any]:
        """LiteLLM's own record of a request. It comes after the answer, perhaps after that of another."""
        call_id = answer.headers["x-litellm-call-id"]
        for _ in range(300):
            found = [record for record in self.probe()["logged"] if record["call_id"] == call_id]
            if found:
                assert len(found) == 1, found
                return dict(found[0])
            time.sleep(0.1)
        raise AssertionError("LiteLLM has no record of the request")

    def settled(self, wanted: int = 0) -> dict[str, Any]:
        """The view once ``wanted`` requests are in flight; LiteLLM reports successes from a queue, a moment late."""
        for _ in range(200):
            view = self.probe()
            if view["in_flight"] == wanted:
                return view
            time.sleep(0.05)
        return self.probe()


def environment(**extra: str) -> dict[str, str]:
    """The environment of a proxy: no network, the package from this tree."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OFOX_", "LITELLM_"))}
    return {
        **kept,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "127.0.0.1",
        **extra,
    }


def spawn(config: Path, port: int, log: Path, env: Mapping[str, str], *more: str) -> subprocess.Popen[bytes]:
    """Starts the proxy's process without waiting for it. ``more``: further arguments of the ``litellm`` command."""
    runner = [str(HERE / "beside" / "run_litellm.py")]
    if "coverage" in sys.modules and sys.modules["coverage"].Coverage.current() is not None:
        data = os.environ.get("COVERAGE_FILE", str(ROOT / ".coverage"))
        runner = ["-m", "coverage", "run", "-p", f"--rcfile={ROOT / 'pyproject.toml'}", f"--data-file={data}", *runner]
    command = [sys.executable, *runner, "--config", str(config), "--port", str(port), "--host", "127.0.0.1", *more]
    with log.open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=dict(env), cwd=config.parent)


@contextmanager
def running_proxy(config: Mapping[str, Any], folder: Path, **env: str) -> Iterator[Proxy]:
    """Runs ``litellm --config`` with ``config``; custom_auth.py and probe.py of this folder lie beside it."""
    for helper in ("custom_auth.py", "probe.py"):
        shutil.copy(HERE / "beside" / helper, folder / helper)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False))
    port, log = free_port(), folder / "proxy.log"
    process = spawn(path, port, log, environment(**env))
    try:
        wait(process, port, log)
        yield Proxy(port, process, log)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends a proxy by an interrupt: of a SIGTERM uvicorn dies without Python's own exit, and coverage is lost."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Returns when the proxy answers; raises with its log when it does not."""
    until = time.monotonic() + BOOT_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the proxy ended with {process.returncode}:\n{log.read_text()[-4000:]}")
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/liveliness", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"the proxy did not start:\n{log.read_text()[-4000:]}")


def deployment(group: str, backend: str, base_url: str, **model_info: Any) -> dict[str, Any]:
    """An entry of ``model_list`` that calls the simulated provider."""
    params: dict[str, Any] = {"model": f"openai/{backend}", "api_base": f"{base_url}/v1", "api_key": "sk-upstream"}
    # LiteLLM keeps accounts by its own prices.
    facts = model_info.get("ofox") or {}
    params.update({name: price for name, price in facts.items() if name.endswith("_cost_per_token")})
    info = {"id": f"id-{group}", **model_info}
    return {"model_name": group, "litellm_params": params, "model_info": info}
