"""One run of one contender: farm, server and load in processes of their own, and a record of all that was seen."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.arena.app import ABILITY, api_base
from benchmarks.arena.redis import Redis
from benchmarks.arena.scenario import Scenario

ROOT = Path(__file__).parents[2]
BOOT_S = 120.0
WARM_UP = 12
DRAIN_S = 15.0
POLL_S = 0.25
WORKERS = {"ofox-workers": 4}
"""Contenders that run in several processes, which share health through a Redis that fails in the middle of the run."""


@dataclass(slots=True)
class Run:
    """What one run left behind.

    Attributes:
        requests: a row per request, as its client saw it (:mod:`benchmarks.arena.load`).
        attempts: a row per attempt, as the farm saw it (:mod:`benchmarks.arena.farm`).
        states: (second, state by model) of our breakers over time; empty for other contenders.
        workers: the same for each of its workers, where there are several.
        redis_outage: seconds between which there was no Redis to share health through; empty where none is used.
        in_flight: by the contender's own books at the end, when the farm has nothing left; ``None``: keeps no books.
        cpu_s: processor seconds of the contender's server during the run.
        load_average: of the machine, at the run's end.
    """

    contender: str
    seed: int
    requests: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    states: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    workers: list[list[tuple[float, dict[str, str]]]] = field(default_factory=list)
    redis_outage: tuple[float, ...] = ()
    in_flight: int | None = None
    cpu_s: float = 0.0
    load_average: float = 0.0


def run(contender: str, scenario: Scenario, path: Path) -> Run:
    """Runs ``contender`` through ``scenario``, which was read from ``path``."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        common = ["--seed", str(scenario.seed), "--scenario", str(path)]
        timed = [*common, "--seconds", str(scenario.seconds)]
        farm_port = _free_port()
        ports = [_free_port() for _ in range(WORKERS.get(contender, 1))]
        farm = f"http://127.0.0.1:{farm_port}"
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        redis = None
        if contender in WORKERS:
            redis = Redis(_free_port(), folder)
            stack.callback(redis.kill)
            redis.start()
        stack.enter_context(_process("benchmarks.arena.farm", ["--port", str(farm_port), *timed], folder / "farm.log"))
        if contender == "ofox-proxy":
            servers = [stack.enter_context(_proxy(scenario, farm, ports[0], folder))]
        else:
            sharing = [] if redis is None else ["--redis", redis.url]
            arguments = ["--contender", contender, "--farm", farm, *common, *sharing]
            servers = [
                stack.enter_context(
                    _process("benchmarks.arena.app", [*arguments, "--port", str(port)], folder / "server.log")
                )
                for port in ports
            ]
        with httpx.Client(trust_env=False, timeout=30.0) as client:
            _wait(client, f"{farm}/_log", folder / "farm.log")
            for url in urls:
                _wait(client, f"{url}/_arena", folder / "server.log")
                _warm_up(client, url)
            site = Site(farm, urls, servers, redis)
            return _measured(client, contender, scenario, site=site, timed=timed)


@dataclass(frozen=True, slots=True)
class Site:
    """What is running: the farm, the contender's workers, and the Redis that they share."""

    farm: str
    urls: list[str]
    servers: list[subprocess.Popen[bytes]]
    redis: Redis | None


def _measured(client: httpx.Client, contender: str, scenario: Scenario, *, site: Site, timed: Sequence[str]) -> Run:
    began = time.monotonic() + 2.0
    client.post(f"{site.farm}/_start", json={"at": began})
    cpu_s = sum(_cpu_s(server.pid) for server in site.servers)
    made = Run(contender, scenario.seed, [], [], workers=[[] for _ in site.urls])
    failing = contextlib.nullcontext() if site.redis is None else site.redis.failing(began, scenario.seconds)
    command = [sys.executable, "-m", "benchmarks.arena.load", "--url", *site.urls, "--began", str(began), *timed]
    with tempfile.TemporaryFile() as out, failing:
        load = subprocess.Popen(command, stdout=out, cwd=ROOT, env=_environment())
        try:
            while load.poll() is None:
                time.sleep(POLL_S)
                for url, states in zip(site.urls, made.workers, strict=True):
                    # A server that is too busy for this has other problems.
                    with contextlib.suppress(httpx.HTTPError):
                        health = client.get(f"{url}/_arena", timeout=2.0).json()["health"]
                        if health:
                            seen = {name: entry["state"] for name, entry in health.items()}
                            states.append((time.monotonic() - began, seen))
        finally:
            load.kill()
            load.wait()
        out.seek(0)
        made.requests = json.load(out)
    made.states = made.workers[0]
    if site.redis is not None:
        made.redis_outage = site.redis.outage
    made.cpu_s = sum(_cpu_s(server.pid) for server in site.servers) - cpu_s
    made.load_average = os.getloadavg()[0]
    until = time.monotonic() + DRAIN_S
    while time.monotonic() < until:
        seen = client.get(f"{site.farm}/_log").json()
        made.attempts = seen["log"]
        counts = [client.get(f"{url}/_arena", params={"final": "1"}).json()["in_flight"] for url in site.urls]
        made.in_flight = None if counts[0] is None else sum(counts)
        if not seen["in_flight"] and not made.in_flight:
            break
        time.sleep(0.5)
    return made


@contextlib.contextmanager
def _process(module: str, arguments: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with _started([sys.executable, "-m", module, *arguments], log, ROOT) as process:
        yield process


@contextlib.contextmanager
def _started(command: Sequence[str], log: Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=cwd, env=_environment())
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(8)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _proxy(scenario: Scenario, farm: str, port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(proxy_config(scenario, farm), sort_keys=False))
    program = "from litellm import run_server; run_server()"
    command = [sys.executable, "-c", program, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    with _started(command, folder / "server.log", folder) as process:
        yield process


def proxy_config(scenario: Scenario, farm: str) -> dict[str, Any]:
    """The YAML of a proxy whose models are the farm's."""
    return {
        "model_list": [
            {
                "model_name": model.name,
                "litellm_params": {
                    "model": f"openai/{model.name}", "api_base": api_base(farm, model), "api_key": "sk-farm",
                    "max_retries": 0,
                    "input_cost_per_token": model.input_usd, "output_cost_per_token": model.output_usd,
                },
                "model_info": {"ofox": {"ability": ABILITY, "ttft_s": model.ttft_s,
                                        "tokens_per_s": model.tokens_per_s}},
            }
            for model in scenario.models
        ],
        "litellm_settings": {"callbacks": ["ofox_middleware.litellm_plugin.ofox", "benchmarks.arena.probe.probe"]},
        "callback_settings": {"ofox": {"max_attempts": scenario.tries}},
        "router_settings": {"num_retries": 0, "timeout": scenario.timeout_s, "stream_timeout": scenario.timeout_s},
        "general_settings": {"master_key": "sk-arena"},
    }  # fmt: skip


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OFOX_", "LITELLM_"))}
    paths = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(paths),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_LOG": "CRITICAL",
        "NO_PROXY": "127.0.0.1",
    }


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait(client: httpx.Client, url: str, log: Path) -> None:
    until = time.monotonic() + BOOT_S
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if client.get(url, timeout=2.0).status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"{url} did not answer:\n{log.read_text()[-4000:]}")


def _warm_up(client: httpx.Client, url: str) -> None:
    """A few requests before the clock runs: connections, imports, caches. The farm's log of them is dropped."""
    for index in range(WARM_UP):
        body = {"model": "auto", "messages": [{"role": "user", "content": f"[warm{index}] Say hi."}], "max_tokens": 40}
        body |= {"stream": True} if index % 2 else {}
        answer = client.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": "Bearer sk-arena"})
        if answer.status_code not in (200, 429, 500, 502, 503):
            raise RuntimeError(f"warm-up: {answer.status_code} {answer.text[:500]}")


def _cpu_s(pid: int) -> float:
    """Processor seconds of a process so far; Linux only, 0 elsewhere."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
