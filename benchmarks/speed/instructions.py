"""Instructions that a LiteLLM proxy takes for a request, with ``model: "auto"`` and with the model named.

Run with ``python -m benchmarks.speed.instructions``; it needs valgrind. Processor time depends on what else a machine
does, by more than what is to be told apart here; the instructions that a request takes do not, to a few in a thousand.
They say nothing of caches, which suit LiteLLM's code and ours alike. A round that holds a full collection of garbage
stands out by a tenth, so figures are medians of rounds. The contenders are those of :mod:`benchmarks.speed.proxy`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.speed.proxy import KEY, PROMPTS, Contender, bodies, contenders, free_ports

_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


def _told(pid: int, *command: str) -> None:
    subprocess.run(["vgdb", f"--pid={pid}", *command], check=True, capture_output=True, timeout=60)


async def _asked(row: Contender, prompts: list[str], rng: random.Random) -> None:
    # One at a time, so that every run takes the same turns.
    connector = aiohttp.TCPConnector(limit=1)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        await row.round(session, bodies(row.models, prompts, rng, stream=False), 1)


def _counted(row: Contender, prompts: list[str], rng: random.Random, folder: Path) -> float:
    """Instructions for each of ``prompts``."""
    pid = row.server.process.pid
    _told(pid, "zero")
    _told(pid, "instrumentation", "on")
    asyncio.run(_asked(row, prompts, rng))
    time.sleep(1)  # LiteLLM logs a little after it has answered
    _told(pid, "instrumentation", "off")
    _told(pid, "dump")
    dump = max(folder.glob(f"callgrind.{pid}.*"), key=lambda file: file.stat().st_mtime_ns)
    found = _TOTAL.search(dump.read_text())
    assert found is not None
    dump.unlink()
    return int(found[1]) / len(prompts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender is counted")
    parser.add_argument("--size", type=int, default=40, help="requests in a round")
    parser.add_argument("--warm", type=int, default=100, help="requests of each contender before that")
    options = parser.parse_args()
    prompts = [json.loads(line)["prompt"] for line in PROMPTS.read_text().splitlines()]
    rng = random.Random(1)
    provider_port, *ports = free_ports(4)
    with tempfile.TemporaryDirectory() as name:
        under = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet",
                 f"--callgrind-out-file={name}/callgrind.%p"]  # fmt: skip
        with contenders(Path(name), provider_port, ports, under) as rows:
            for row in rows:
                asyncio.run(_asked(row, rng.sample(prompts, options.warm), rng))
            for row in rows[1:3]:
                row.models = rows[0].answered.copy()
            counts: dict[str, list[float]] = {row.name: [] for row in rows}
            for _ in range(options.rounds):
                asked = rng.sample(prompts, options.size)
                for row in rows:
                    counts[row.name].append(_counted(row, asked, rng, Path(name)))
    auto = statistics.median(counts[rows[0].name])
    print("| | million instructions per request | plugin with auto, divided by it |\n| --- | ---: | ---: |")
    for name, found in counts.items():
        median = statistics.median(found)
        print(f"| {name} | {median / 1e6:.2f} ({min(found) / 1e6:.2f}-{max(found) / 1e6:.2f}) | {auto / median:.4f} |")


if __name__ == "__main__":
    main()
