"""Requests per second through uvicorn under wrk, with and without the middleware. Needs Debian's ``wrk``.

Every contender is a server process of its own that is up all the time; they take turns of a few seconds under wrk, and
ratios are taken within a round. Processor seconds of the server per request say the same and are steadier on a machine
that does other work. Asks are 3,000 different ones from the repository's own prompts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.speed import processor
from benchmarks.speed.served import CHUNKS

ROOT = Path(__file__).parents[2]
PROMPTS = ROOT / "benchmarks" / "quality" / "prompts.jsonl"
ASKS = 3000  # more than the router remembers
SYSTEM = "You are a helpful assistant of a bookshop. Answer briefly, and say so when you do not know. " * 8

# wrk calls request() for each request; the bodies are read once, one a line.
SCRIPT = """
local bodies, at = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer sk-0123456789abcdef"
function request()
  at = at %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format("FIGURES %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass
class Server:
    name: str
    app: str
    factory: bool
    port: int
    process: subprocess.Popen[bytes]

    def cpu_s(self) -> float:
        return processor.used_s(self.process.pid)


@dataclass
class Contender:
    """A row: who is asked for what, and what each turn gave.

    Attributes:
        peer: name of the row that it is compared with, ``""`` for none.
        per: what one request counts for, such as the chunks of its stream.
    """

    name: str
    server: str
    path: str
    model: str = "auto"
    peer: str = ""
    connections: int = 16
    per: int = 1
    per_s: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    errors: int = 0

    def turn(self, server: Server, script: Path, seconds: float) -> None:
        cpu_s = server.cpu_s()
        url = f"http://127.0.0.1:{server.port}{self.path}"
        command = ["wrk", "-t1", f"-c{self.connections}", f"-d{seconds:.0f}s", "-s", str(script), url]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30)
        found = re.search(r"FIGURES (\d+) (\d+) (\d+) (\d+) (\d+)", ran.stdout)
        if found is None or found[1] == "0":
            raise RuntimeError(f"{self.name}: wrk says {ran.stdout} {ran.stderr}")
        requests, took_us, p50_us, p99_us, errors = map(int, found.groups())
        self.per_s.append(requests * self.per / (took_us / 1e6))
        self.cpu_us.append((server.cpu_s() - cpu_s) / (requests * self.per) * 1e6)
        self.p50_ms.append(p50_us / 1e3)
        self.p99_ms.append(p99_us / 1e3)
        self.errors += errors

    def clear(self) -> None:
        for figures in (self.per_s, self.cpu_us, self.p50_ms, self.p99_ms):
            figures.clear()
        self.errors = 0


CHAT = "/v1/chat/completions"
NOW, SLOW = "answers at once", "takes 20 ms"


def contenders() -> list[Contender]:
    rows = []
    for kind, label in (("gateway", "app with a provider over HTTP"), ("bare", "app that answers by itself")):
        for path, speed, connections in ((CHAT, NOW, 8), (f"/slow{CHAT}", SLOW, 16)):
            alone = f"{label}, provider {speed}"
            rows += [
                Contender(alone, kind, path, connections=connections),
                Contender(f"  with OfoxMiddleware, auto, {speed}, {kind}", f"{kind}+ofox", path,
                          peer=alone, connections=connections),
            ]  # fmt: skip
    alone = f"app that answers by itself, provider {NOW}"
    rows += [
        Contender("  with OfoxMiddleware, model named", "bare+ofox", CHAT, "provider-0/model-0", alone, 8),
        Contender("  with OfoxMiddleware, other path", "bare+ofox", "/v1/embeddings", "auto", alone, 8),
        Contender("  with BaseHTTPMiddleware that reads the body", "bare+base", CHAT, "auto", alone, 8),
        Contender("streamed chunks", "bare", f"/stream{CHAT}", connections=4, per=CHUNKS),
        Contender("  with OfoxMiddleware, auto, streamed", "bare+ofox", f"/stream{CHAT}", peer="streamed chunks",
                  connections=4, per=CHUNKS),
    ]  # fmt: skip
    return rows


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in found]


@contextlib.contextmanager
def _servers() -> Iterator[dict[str, Server]]:
    apps = {
        "provider": ("bare", False),
        "bare": ("bare", False),
        "bare+ofox": ("with_ofox", True),
        "bare+base": ("with_base", True),
        "gateway": ("gateway", True),
        "gateway+ofox": ("gateway_with_ofox", True),
    }
    ports = _free_ports(len(apps))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OFOX_")}
    env = {**kept, "BENCH_PROVIDER": f"http://127.0.0.1:{ports[0]}"}
    servers = {}
    try:
        for (name, (app, factory)), port in zip(apps.items(), ports, strict=True):
            command = [sys.executable, "-m", "uvicorn", f"benchmarks.speed.served:{app}", "--port", str(port),
                       "--log-level", "error", "--no-access-log", *(["--factory"] if factory else [])]  # fmt: skip
            process = subprocess.Popen(command, cwd=ROOT, env=env)
            servers[name] = Server(name, app, factory, port, process)
        for server in servers.values():
            _wait(server)
        yield servers
    finally:
        for server in servers.values():
            server.process.terminate()
        for server in servers.values():
            server.process.wait(20)


def _wait(server: Server) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"{server.name} did not start")


def _scripts(folder: Path) -> dict[str, Path]:
    """A wrk script for each model that is asked for."""
    prompts = [json.loads(line)["prompt"] for line in PROMPTS.read_text().splitlines()]
    scripts = {}
    for model in ("auto", "provider-0/model-0"):
        stem = model.replace("/", "-")
        lines = []
        for number in range(ASKS):
            ask = f"{prompts[number % len(prompts)]} ({number})"
            messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ask}]
            lines.append(json.dumps({"model": model, "messages": messages}))
        (folder / f"{stem}.jsonl").write_text("\n".join(lines))
        scripts[model] = folder / f"{stem}.lua"
        scripts[model].write_text(SCRIPT % (folder / f"{stem}.jsonl"))
    return scripts


def run(rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Turns of ``seconds`` under wrk; the rows of the table, empty where there is no wrk."""
    if shutil.which("wrk") is None:
        return []
    rows = contenders()
    named = {row.name: row for row in rows}
    with tempfile.TemporaryDirectory() as folder, _servers() as servers:
        scripts = _scripts(Path(folder))
        for number in range(-1, rounds):
            shift = number % len(rows)
            for row in [*rows[shift:], *rows[:shift]]:
                row.turn(servers[row.server], scripts[row.model], 1 if number < 0 else seconds)
            if number < 0:
                for row in rows:
                    row.clear()
    return [
        {
            "name": row.name,
            "per_s": statistics.median(row.per_s),
            "p50_ms": statistics.median(row.p50_ms),
            "p99_ms": statistics.median(row.p99_ms),
            "cpu_us": statistics.median(row.cpu_us),
            "peer": row.peer,
            "ratio": _ratio(row.per_s, named[row.peer].per_s) if row.peer else None,
            "cpu_ratio": _ratio(row.cpu_us, named[row.peer].cpu_us) if row.peer else None,
            "cpu_added_us": _added(row.cpu_us, named[row.peer].cpu_us) if row.peer else None,
            "errors": row.errors,
        }
        for row in rows
    ]


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def _added(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(mine - other for mine, other in zip(ours, theirs, strict=True))
