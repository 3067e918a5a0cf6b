"""What importing takes, and whether memory stays flat over many decisions. Each figure is from a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
IMPORTS = {
    "import ofox_middleware": 7,
    "from ofox_middleware import OfoxMiddleware; OfoxMiddleware(print, models=['openai/gpt-4o'])": 7,
    "import starlette.applications": 7,
    "import fastapi": 7,
    "import litellm": 3,
    "import ofox_middleware.litellm_plugin": 3,
}
SESSIONS = 100_000
CHECKPOINTS = 10

_TIMED = """
import time; began = time.perf_counter()
{statement}
took = time.perf_counter() - began
import json, sys
pages = int(open("/proc/self/statm").read().split()[1])
print(json.dumps([took, pages * 4096 / 2**20, len(sys.modules)]))
"""


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OFOX_")}
    return {**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "CRITICAL", "PYTHONPATH": str(ROOT)}


def _run(*command: str) -> Any:
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, env=_environment())
    return json.loads(done.stdout.splitlines()[-1])


def imports(*, quick: bool) -> list[dict[str, Any]]:
    """Seconds, memory and modules of each statement in a fresh interpreter, in turns."""
    taken: dict[str, list[list[float]]] = {statement: [] for statement in IMPORTS}
    for number in range(2 if quick else max(IMPORTS.values())):
        for statement, times in IMPORTS.items():
            if number < (1 if quick and times < 5 else times):
                taken[statement].append(_run("-c", _TIMED.format(statement=statement)))
    rows = []
    for statement, runs in taken.items():
        took, rss, modules = (statistics.median(column) for column in zip(*runs, strict=True))
        rows.append({"name": statement, "seconds": took, "rss_mb": rss, "modules": int(modules)})
    return rows


def memory(decisions: int) -> dict[str, Any]:
    """Resident memory while ``decisions`` are taken for 100,000 conversations, and how it grows in the second half."""
    points = _run("-m", "benchmarks.speed.footprint", str(decisions))
    half = [(count, mb) for count, mb in points if count >= decisions / 2]
    counts, sizes = zip(*half, strict=True)
    slope = statistics.linear_regression(counts, sizes).slope
    return {"decisions": decisions, "sessions": SESSIONS, "rss_mb": points, "growth_mb_per_million": slope * 1e6}


def _decide(decisions: int) -> None:
    from benchmarks.speed.deciding import pool
    from ofox_middleware import Settings, SmartRouter

    router = SmartRouter(Settings(models=pool(8)))
    points = []
    for number in range(decisions + 1):
        if number % (decisions // CHECKPOINTS) == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            points.append((number, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
        ask = {"role": "user", "content": f"What is the capital of region {number}?"}
        decision = router.decide({"messages": [ask], "model_routing_config": {"session_id": f"s-{number % SESSIONS}"}})
        lease = router.health.begin(decision.model)
        lease.first_token()
        lease.succeed(output_tokens=20)
    print(json.dumps(points))


if __name__ == "__main__":
    _decide(int(sys.argv[1]))
