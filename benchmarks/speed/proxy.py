"""Throughput of a real LiteLLM proxy with ``model: "auto"``, beside naming the model and LiteLLM's own auto router.

Run with ``python -m benchmarks.speed.proxy``; it writes ``benchmarks/results/proxy.md``. Three proxies run side by
side before one simulated provider on loopback: with our plugin, without it, and with LiteLLM's ``complexity_router``.
Each is one worker, kept busy by a few clients at once. The contenders take turns, round by round, in an order that
rotates, and every ratio is taken within a round, so that a busy machine slows all of them. Who names a model names
those that ``auto`` picked before, as often as it did. Processor time of the proxy for each request says the same as
throughput where the machine has nothing else to do, and is steadier where it has.

Requests are the repository's own prompts (``benchmarks/quality/prompts.jsonl``), half of them alone, half as the last
turn of a conversation with a system prompt, none of them twice in a round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import yaml

from benchmarks.speed import processor

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "proxy.md"
PROMPTS = ROOT / "benchmarks" / "quality" / "prompts.jsonl"
KEY = "sk-bench"
MODELS = {"small": (0.4, 1e-7), "middle": (0.6, 1e-6), "large": (0.8, 5e-6), "frontier": (0.95, 1.5e-5)}
AUTO, NAMED, PLAIN, PEER = (
    "plugin, auto",
    "plugin, model named",
    "no plugin, model named",
    "LiteLLM's complexity_router, auto",
)
_MODEL = re.compile(rb'"model": ?"([^"]+)"')
SYSTEM = "You are a helpful assistant of a bookshop. Answer briefly, and say so when you do not know. " * 4
TURNS = [
    {"role": "user", "content": "Do you have anything on the history of navigation? I liked the one on longitude."},
    {"role": "assistant", "content": "We have three, two of them on order. " * 8},
    {"role": "user", "content": "Put the second aside for me, please."},
    {"role": "assistant", "content": "It is on the shelf behind the counter, under your name, until Saturday. " * 3},
]


def bodies(models: Counter[str], count: int, rng: random.Random, *, stream: bool) -> list[bytes]:
    """Requests for ``models`` in proportion to their counts, every other one a conversation."""
    prompts = [json.loads(line)["prompt"] for line in PROMPTS.read_text().splitlines()]
    made = []
    for index, prompt in enumerate(rng.sample(prompts, count)):
        ask = {"role": "user", "content": f"{prompt} ({rng.randrange(10**6)})"}
        messages = [ask] if index % 2 else [{"role": "system", "content": SYSTEM}, *TURNS, ask]
        [model] = rng.choices(list(models), list(models.values()))
        fields: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": 200}
        made.append(json.dumps(fields | ({"stream": True} if stream else {})).encode())
    return made


def config(provider: str, *, plugin: bool = False, peer: bool = False) -> dict[str, Any]:
    """The YAML of one proxy."""
    models: list[dict[str, Any]] = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": f"{provider}/v1", "api_key": "sk-none",
                               "input_cost_per_token": price, "output_cost_per_token": 4 * price},
            "model_info": {"ofox": {"ability": ability}},
        }
        for name, (ability, price) in MODELS.items()
    ]  # fmt: skip
    if peer:
        tiers = dict(zip(("SIMPLE", "MEDIUM", "COMPLEX", "REASONING"), MODELS, strict=True))
        params = {
            "model": "auto_router/complexity_router",
            "complexity_router_config": {"tiers": tiers},
            "complexity_router_default_model": "middle",
        }
        models.append({"model_name": "auto", "litellm_params": params})
    settings: dict[str, Any] = {"callbacks": ["ofox_middleware.litellm_plugin.ofox"]} if plugin else {}
    return {"model_list": models, "litellm_settings": settings, "general_settings": {"master_key": KEY}}


@dataclass
class Server:
    """A proxy process."""

    url: str
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        return processor.used_s(self.process.pid)


@dataclass
class Contender:
    """A way to ask, and what was measured of it, round by round; ``answered`` counts the models in the answers."""

    name: str
    server: Server
    models: Counter[str]
    answered: Counter[str] = field(default_factory=Counter)
    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def clear(self) -> None:
        for figures in (self.per_s, self.cpu_ms, self.times):
            figures.clear()

    async def round(self, session: aiohttp.ClientSession, asks: list[bytes], clients: int) -> None:
        queue = iter(asks)
        url = f"{self.server.url}/v1/chat/completions"

        async def client() -> None:
            for body in queue:
                began = time.perf_counter()
                async with session.post(url, data=body) as response:
                    text = await response.read()
                if response.status != 200 or (b"forty-two" not in text and b"[DONE]" not in text):
                    raise RuntimeError(f"{self.name}: {response.status} {text[:300]!r}")
                self.times.append(time.perf_counter() - began)
                self.answered.update(found.decode() for found in _MODEL.findall(text)[:1])

        cpu_s, began = self.server.cpu_s(), time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        self.per_s.append(len(asks) / (time.perf_counter() - began))
        # LiteLLM logs a little after it has answered, and that belongs to the request as well.
        await asyncio.sleep(0.2)
        self.cpu_ms.append((self.server.cpu_s() - cpu_s) / len(asks) * 1e3)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OFOX_", "LITELLM_", "REDIS_"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_LOG": "CRITICAL",
        "NO_PROXY": "127.0.0.1",
    }


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent, env=_environment())
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: Server, log: Path) -> None:
    until = time.monotonic() + 180
    while time.monotonic() < until and server.process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{server.url}/health/liveliness", timeout=2, trust_env=False).status_code == 200:
                return
        time.sleep(0.3)
    raise RuntimeError(f"the proxy did not start:\n{log.read_text()[-3000:]}")


def _free_ports(count: int) -> list[int]:
    import socket

    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]


@contextlib.contextmanager
def contenders(folder: Path, provider_port: int, ports: Sequence[int]) -> Iterator[list[Contender]]:
    """The proxies, started one after the other, and who is asked what."""
    provider = f"http://127.0.0.1:{provider_port}"
    kinds: dict[str, dict[str, bool]] = {"plugin": {"plugin": True}, "plain": {}, "peer": {"peer": True}}
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.speed.provider", "--port", str(provider_port)]
        stack.enter_context(_running(command, folder / "provider.log"))
        servers = {}
        for (kind, options), port in zip(kinds.items(), ports, strict=True):
            file = folder / f"{kind}.yaml"
            file.write_text(yaml.safe_dump(config(provider, **options), sort_keys=False))
            program = "from litellm import run_server; run_server()"
            command = [sys.executable, "-c", program, "--config", str(file), "--host", "127.0.0.1", "--port", str(port)]
            process = stack.enter_context(_running(command, folder / f"{kind}.log"))
            servers[kind] = Server(f"http://127.0.0.1:{port}", process)
            _wait(servers[kind], folder / f"{kind}.log")
        yield [
            Contender(AUTO, servers["plugin"], Counter(auto=1)),
            Contender(NAMED, servers["plugin"], Counter(MODELS.keys())),
            Contender(PLAIN, servers["plain"], Counter(MODELS.keys())),
            Contender(PEER, servers["peer"], Counter(auto=1)),
        ]


async def measure(rows: list[Contender], *, rounds: int, size: int, clients: int, stream: bool) -> None:
    """``rounds`` rounds of ``size`` requests for each of ``rows``, after two that do not count."""
    rng = random.Random(1)
    order = itertools.cycle(range(len(rows)))
    # Connections are dropped before the servers drop them, after five idle seconds, while the others have their turn.
    connector = aiohttp.TCPConnector(limit=clients, keepalive_timeout=2)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        for number in range(-2, rounds):
            first = next(order)
            for row in [*rows[first:], *rows[:first]]:
                await row.round(session, bodies(row.models, size, rng, stream=stream), clients)
            if number == -1:
                # LiteLLM takes longer for some models than for others: those who name one name those that auto picked.
                for row in rows[1:3]:
                    row.models = rows[0].answered.copy()
                for row in rows:
                    row.clear()


def ratio(ours: list[float], theirs: list[float]) -> str:
    """The median over the rounds, and the middle half of them."""
    found = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    if len(found) < 2:
        return f"{found[0]:.3f}"
    low, _, high = statistics.quantiles(found, n=4)
    return f"{statistics.median(found):.3f} ({low:.3f}-{high:.3f})"


def table(rows: list[Contender]) -> list[str]:
    """Markdown."""
    auto = rows[0]
    lines = [
        "| | requests/s | p50 ms | p99 ms | cpu ms/request |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        cuts = statistics.quantiles(row.times, n=100)
        lines.append(
            f"| {row.name} | {statistics.median(row.per_s):.1f} | {cuts[49] * 1e3:.1f} | {cuts[98] * 1e3:.1f} "
            f"| {statistics.median(row.cpu_ms):.2f} |"
        )
    lines += ["", "| plugin with auto, divided by | requests/s | cpu ms/request |", "| --- | --- | --- |"]
    lines += [f"| {row.name} | {ratio(auto.per_s, row.per_s)} | {ratio(auto.cpu_ms, row.cpu_ms)} |" for row in rows[1:]]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="how often the contenders take turns")
    parser.add_argument("--size", type=int, default=120, help="requests of one contender in one round")
    parser.add_argument("--clients", type=int, default=8, help="requests under way at once")
    parser.add_argument("--kinds", nargs="+", choices=("plain", "streamed"), default=["plain", "streamed"])
    parser.add_argument("--out", type=Path, default=RESULT, help="where the table goes; - prints it only")
    options = parser.parse_args()
    text = [
        "# Throughput of the LiteLLM proxy",
        "",
        f"`make bench-proxy`: {options.rounds} interleaved rounds of {options.size} requests for each contender, "
        f"{options.clients} at a time, one worker, provider on loopback. Ratios are medians of the ratios within a "
        "round, with the middle half of the rounds in brackets.",
    ]
    provider_port, *ports = _free_ports(4)
    with tempfile.TemporaryDirectory() as name, contenders(Path(name), provider_port, ports) as rows:
        for kind in options.kinds:
            for row in rows:
                row.clear()
            asyncio.run(measure(rows, rounds=options.rounds, size=options.size, clients=options.clients,
                                stream=kind == "streamed"))  # fmt: skip
            text += ["", f"## {kind.capitalize()}", "", *table(rows)]
    text += ["", f"Load average at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."]
    print("\n".join(text))
    if str(options.out) != "-":
        options.out.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
