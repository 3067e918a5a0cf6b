"""Throughput of a real LiteLLM proxy with ``model: "auto"``, beside naming the model and LiteLLM's own auto router.

Run with ``python -m benchmarks.speed.proxy``; it writes ``benchmarks/results/proxy.md``. Three proxies run side by
side before one simulated provider on loopback: with our plugin, without it, and with LiteLLM's ``complexity_router``.
Each is one worker, kept busy by a few clients at once. The contenders take turns, round by round, in an order that
rotates, so that a busy machine slows all of them. Who names a model names those that ``auto`` picked before, as often
as it did. A worker is one event loop, so the processor time of the proxy for a request says what throughput it can
reach, and is steadier than the clock where the machine has something else to do.

A shared machine is quicker and slower by turns of some seconds, so rounds are short and many: the contenders of one
round meet the same turn. One full collection of garbage in LiteLLM's heap takes as long as some forty requests, and
comes once in more than a thousand: so ratios are those of the totals over all rounds, which count every collection,
where a median of the rounds would leave them out. Where things lie in memory is settled by a boot, so there are
several.

Requests are the repository's own prompts (``benchmarks/quality/prompts.jsonl``), half of them alone, half as the last
turn of a conversation with a system prompt, none of them twice in a round. In a round all contenders get the same ones,
each with other numbers at the end. An agent's requests are sessions of several turns with tools, each turn longer than
the one before by a call and its result.
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
from dataclasses import dataclass, field, replace
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
KINDS = ("plain", "streamed", "agent")
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

AGENT_TURNS = 6
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"{name.replace('_', ' ').capitalize()} of the shop. Call it once and read what it says.",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "page": {"type": "integer", "minimum": 0}},
                "required": ["query"],
            },
        },
    }
    for name in ("search_shelves", "read_catalogue", "list_orders", "reserve_book", "write_note", "ask_colleague")
]


def bodies(models: Counter[str], prompts: Sequence[str], rng: random.Random, *, stream: bool) -> list[bytes]:
    """Requests for ``models`` in proportion to their counts, every other one a conversation."""
    made = []
    for index, prompt in enumerate(prompts):
        ask = {"role": "user", "content": f"{prompt} ({rng.randrange(10**6)})"}
        messages = [ask] if index % 2 else [{"role": "system", "content": SYSTEM}, *TURNS, ask]
        [model] = rng.choices(list(models), list(models.values()))
        fields: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": 200}
        made.append(json.dumps(fields | ({"stream": True} if stream else {})).encode())
    return made


def agent_bodies(models: Counter[str], prompts: Sequence[str], rng: random.Random) -> list[bytes]:
    """As many requests, in sessions of :data:`AGENT_TURNS`; every turn of a session comes after those before it."""
    turns: list[list[bytes]] = [[] for _ in range(AGENT_TURNS)]
    for prompt in prompts[: -(-len(prompts) // AGENT_TURNS)]:
        [model] = rng.choices(list(models), list(models.values()))
        messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM * 4}]
        messages.append({"role": "user", "content": f"{prompt} ({rng.randrange(10**6)})"})
        for number, turn in enumerate(turns):
            turn.append(json.dumps({"model": model, "messages": messages, "tools": TOOLS, "max_tokens": 200}).encode())
            call = {"name": "search_shelves", "arguments": json.dumps({"query": prompt[:40], "page": number})}
            name = f"call_{rng.randrange(10**9)}"
            messages.append(
                {"role": "assistant", "content": None,
                 "tool_calls": [{"id": name, "type": "function", "function": call}]}
            )  # fmt: skip
            messages.append(
                {"role": "tool", "tool_call_id": name, "content": f"Page {number}: {TURNS[1]['content']}" * 3}
            )
    return [*itertools.chain(*turns)][: len(prompts)]


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
    """A way to ask, and what was measured of it, round by round.

    Attributes:
        answered: the models in the answers, counted.
        wall_ms, cpu_ms: of one request, as means over a round.
        times: seconds that each request took.
    """

    name: str
    server: Server
    models: Counter[str]
    answered: Counter[str] = field(default_factory=Counter)
    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def clear(self) -> None:
        for figures in (self.wall_ms, self.cpu_ms, self.times):
            figures.clear()

    def add(self, other: Contender) -> None:
        """Takes in what was measured of ``other``, the same contender after another boot."""
        self.wall_ms += other.wall_ms
        self.cpu_ms += other.cpu_ms
        self.times += other.times

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
        self.wall_ms.append((time.perf_counter() - began) / len(asks) * 1e3)
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


def free_ports(count: int) -> list[int]:
    import socket

    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]


@contextlib.contextmanager
def contenders(
    folder: Path, provider_port: int, ports: Sequence[int], under: Sequence[str] = ()
) -> Iterator[list[Contender]]:
    """The proxies, started one after the other, and who is asked what. ``under``: the command that runs a proxy."""
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
            process = stack.enter_context(_running([*under, *command], folder / f"{kind}.log"))
            servers[kind] = Server(f"http://127.0.0.1:{port}", process)
            _wait(servers[kind], folder / f"{kind}.log")
        yield [
            Contender(AUTO, servers["plugin"], Counter(auto=1)),
            Contender(NAMED, servers["plugin"], Counter(MODELS.keys())),
            Contender(PLAIN, servers["plain"], Counter(MODELS.keys())),
            Contender(PEER, servers["peer"], Counter(auto=1)),
        ]


async def measure(rows: list[Contender], *, rounds: int, size: int, clients: int, kind: str, seed: int) -> None:
    """``rounds`` rounds of ``size`` requests for each of ``rows``, after two that do not count."""
    rng = random.Random(seed)
    prompts = [json.loads(line)["prompt"] for line in PROMPTS.read_text().splitlines()]
    order = itertools.cycle(range(len(rows)))
    # Connections are dropped before the servers drop them, after five idle seconds, while the others have their turn.
    connector = aiohttp.TCPConnector(limit=clients, keepalive_timeout=2)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        for number in range(-2, rounds):
            first = next(order)
            asked = rng.sample(prompts, size)
            for row in [*rows[first:], *rows[:first]]:
                await row.round(session, _bodies(kind, row.models, asked, rng), clients)
            if number == -1:
                # LiteLLM takes longer for some models than for others: those who name one name those that auto picked.
                for row in rows[1:3]:
                    row.models = rows[0].answered.copy()
                for row in rows:
                    row.clear()


def _bodies(kind: str, models: Counter[str], prompts: Sequence[str], rng: random.Random) -> list[bytes]:
    if kind == "agent":
        return agent_bodies(models, prompts, rng)
    return bodies(models, prompts, rng, stream=kind == "streamed")


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Of the totals over all rounds, with 95% of what resampled rounds give."""
    pairs = list(zip(ours, theirs, strict=True))
    rng = random.Random(1)
    drawn = sorted(_of_totals(rng.choices(pairs, k=len(pairs))) for _ in range(2000))
    return f"{_of_totals(pairs):.3f} ({drawn[50]:.3f}-{drawn[-50]:.3f})"


def _of_totals(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(ours for ours, _ in pairs) / sum(theirs for _, theirs in pairs)


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
            f"| {row.name} | {1e3 / statistics.mean(row.wall_ms):.1f} | {cuts[49] * 1e3:.1f} | {cuts[98] * 1e3:.1f} "
            f"| {statistics.mean(row.cpu_ms):.2f} |"
        )
    lines += ["", "| plugin with auto, divided by | requests/s | cpu ms/request |", "| --- | --- | --- |"]
    for row in rows[1:]:
        # Requests per second are the inverse of the time for one, so theirs is divided by ours.
        lines.append(f"| {row.name} | {ratio(row.wall_ms, auto.wall_ms)} | {ratio(auto.cpu_ms, row.cpu_ms)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boots", type=int, default=2, help="how often the proxies are started anew")
    parser.add_argument("--rounds", type=int, default=60, help="how often the contenders take turns after each boot")
    parser.add_argument("--size", type=int, default=48, help="requests of one contender in one round; streams: a third")
    parser.add_argument("--clients", type=int, default=8, help="requests under way at once")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--out", type=Path, default=RESULT, help="where the table goes; - prints it only")
    options = parser.parse_args()
    found: dict[str, list[Contender]] = {}
    for boot in range(options.boots):
        provider_port, *ports = free_ports(4)
        with tempfile.TemporaryDirectory() as name, contenders(Path(name), provider_port, ports) as rows:
            for kind in options.kinds:
                for row in rows:
                    row.clear()
                size = max(1, options.size // 3) if kind == "streamed" else options.size
                running = measure(rows, rounds=options.rounds, size=size, clients=options.clients, kind=kind, seed=boot)
                asyncio.run(running)
                so_far = found.setdefault(kind, [replace(row, times=[], wall_ms=[], cpu_ms=[]) for row in rows])
                for total, row in zip(so_far, rows, strict=True):
                    total.add(row)
    text = [
        "# Throughput of the LiteLLM proxy",
        "",
        f"`make bench-proxy`: {options.boots} boots, {options.rounds} interleaved rounds after each, {options.size} "
        f"requests (streams: a third) for each contender in a round, {options.clients} at a time, one worker, provider "
        "on loopback. Ratios are those of the totals, with 95% of what resampled rounds give in brackets.",
    ]
    for kind, rows in found.items():
        text += ["", f"## {kind.capitalize()}", "", *table(rows)]
    text += ["", f"Load average at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."]
    print("\n".join(text))
    if str(options.out) != "-":
        options.out.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
