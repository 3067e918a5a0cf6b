"""Everything about speed in one run: ``python -m benchmarks.speed``, or ``make bench-speed``.

Writes ``benchmarks/results/speed.md`` and ``speed.json`` and prints the former. Contenders take turns in short rounds,
and each ratio is the median of the ratios within a round, so that what else the machine does cancels out; the times
themselves are of this machine and this run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.speed import deciding, door, footprint, report, serving, targets

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PARTS = ("door", "decide", "served", "imports", "memory", "proxy")


def proxy(*, quick: bool) -> dict[str, Any]:
    """The LiteLLM proxy: its tables as they are printed, and the ratios of the plain requests."""
    if find_spec("benchmarks.speed.proxy") is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "proxy.md"
        size = ["--rounds", "3", "--size", "40"] if quick else ["--rounds", "10", "--size", "240"]
        command = [sys.executable, "-m", "benchmarks.speed.proxy", "--boots", "1", *size, "--out", str(out)]
        if subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode:
            print("the proxy part has failed; the others stand", file=sys.stderr)
            return {}
        text = out.read_text()
    ratios: dict[str, float] = {}
    for name, ratio in re.findall(r"^\| ([^|]+) \| (\d+\.\d+) \([^|]*\) \|", text, re.MULTILINE):
        ratios.setdefault(name, float(ratio))
    return {"text": text, "ratios": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, for development; writes no result files")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run; writes no result files")
    parser.add_argument("--decisions", type=int, default=200_000, help="of the memory part; 1000000 takes minutes")
    options = parser.parse_args()
    quick = options.quick
    runs: dict[str, Callable[[], Any]] = {
        "door": lambda: door.run(6 if quick else 40),
        "decide": lambda: deciding.run(4 if quick else 18),
        "served": lambda: serving.run(2 if quick else 8, 1 if quick else 2),
        "imports": lambda: footprint.imports(quick=quick),
        "memory": lambda: footprint.memory(20_000 if quick else options.decisions),
        "proxy": lambda: proxy(quick=quick),
    }
    results: dict[str, Any] = {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "litellm": version("litellm"),
            "load_before": os.getloadavg()[0],
        }
    }
    began = time.monotonic()
    for part in PARTS:
        if part in options.only:
            started = time.monotonic()
            results[part] = runs[part]()
            print(f"{part}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    results["machine"] |= {"load_after": os.getloadavg()[0], "seconds": time.monotonic() - began}
    results["targets"] = targets.check(results)
    text = report.markdown(results)
    print(text)
    if not quick and set(options.only) == set(PARTS):
        (RESULTS / "speed.md").write_text(text)
        (RESULTS / "speed.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
