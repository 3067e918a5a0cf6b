"""A long mixed load on a real server with the middleware: ``python -m benchmarks.soak [--minutes 30]``.

Plain requests and streams, callers that leave, models that fail and break off, bodies that are wrong, too large or
never end, the console beside. Writes what the server held over time, and ends with exit code 1 when memory, file
descriptors, tasks or requests in flight did not come back, or a request did not end as it should. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from benchmarks.soak.load import Callers, send
from benchmarks.soak.report import Sample, as_json, as_markdown, verdicts

RESULTS = Path(__file__).parents[1] / "results"
WARM_UP = 1 / 3
REST_S = 30.0
LONGEST_WARM_UP_S = 300.0


async def sample(client: httpx.AsyncClient, begun: float, *, collect: bool = False) -> Sample:
    """What the server holds now; with ``collect`` after a collection of what is unreachable."""
    answer = await client.get("/state", params={"collect": 1} if collect else {})
    return Sample(round(time.monotonic() - begun, 1), **answer.json())


async def soak(url: str, options: argparse.Namespace) -> bool:
    """Loads the server at ``url`` and writes the report; true when all is as it should be."""
    seconds = 60 * options.minutes
    warm_up_s = min(WARM_UP * seconds, LONGEST_WARM_UP_S)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=5)
    begun = time.monotonic()
    async with (
        httpx.AsyncClient(base_url=url, timeout=60) as watcher,
        httpx.AsyncClient(base_url=url, timeout=60, limits=limits, trust_env=False) as client,
    ):
        callers = Callers(client, options.seed)
        idle = await sample(watcher, begun, collect=True)
        samples = [idle]
        load = asyncio.create_task(send(callers, seconds, options.rate))
        while not load.done():
            await asyncio.wait({load}, timeout=max(1.0, seconds / 120))
            samples.append(await sample(watcher, begun))
        await load
        await client.aclose()
        deadline = time.monotonic() + REST_S
        while True:
            end = await sample(watcher, begun, collect=True)
            if (end.in_flight == 0 and end.tasks <= idle.tasks) or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
    warm = [one for one in samples if one.at >= warm_up_s]
    checks = verdicts(idle, warm, end, callers.tally)
    command = f"python -m benchmarks.soak --minutes {options.minutes:g} --rate {options.rate:g}"
    page = as_markdown([*samples, end], checks, callers.tally, warm_up_s, command)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "soak.md").write_text("# Soak\n\n" + page, "utf-8")
    (options.out / "soak.json").write_text(json.dumps(as_json([*samples, end], checks, callers.tally)) + "\n", "utf-8")
    print(page)
    return all(met for _, met in checks.values())


def main() -> int:
    """Starts the server, soaks it and stops it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where soak.md and soak.json go")
    options = parser.parse_args()
    # A fixed threshold: large bodies go back to the system when they are freed, and what stays is what is held.
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144"}
    command = [sys.executable, "-m", "benchmarks.soak.server"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of `finally`, so that the server is stopped too
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        return 0 if asyncio.run(soak(f"http://127.0.0.1:{port}", options)) else 1
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    sys.exit(main())
