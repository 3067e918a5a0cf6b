"""``python -m benchmarks.arena``: every contender through the same faults, one after another.

Needs the package with its ``proxy`` and ``bench`` extras. Everything runs on loopback; nothing is spent. A run takes
its seconds and about 15 more; with the seven contenders and two seeds, ``--seconds 75`` takes about 21 minutes.
``--redis`` needs a ``redis-server`` too, and is not part of the standard run.
"""

from __future__ import annotations

import argparse
import os
import pickle
import time
from pathlib import Path

from benchmarks.arena import report
from benchmarks.arena.measure import measure
from benchmarks.arena.processes import WORKERS, Run, run
from benchmarks.arena.scenario import DEFAULT, Scenario

CONTENDERS = (
    "ofox-asgi", "ofox-speed", "ofox-litellm", "ofox-proxy",
    "litellm-latency", "litellm-least-busy", "litellm-shuffle",
)  # fmt: skip
RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.arena", description=__doc__)
    parser.add_argument("--seconds", type=float, help="length of a run; the scenario is stretched to it")
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="one run of every contender for each")
    parser.add_argument("--contender", nargs="+", default=CONTENDERS, choices=[*CONTENDERS, *WORKERS])
    parser.add_argument(
        "--redis", action="store_true", help="only four workers of ours that share a Redis, which is killed half-way"
    )
    parser.add_argument("--scenario", type=Path, default=DEFAULT)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where arena.md, arena.json and arena.png go")
    parser.add_argument("--quiet", type=float, help="before each run, wait until the machine's load average is below")
    parser.add_argument("--raw", type=Path, help="a file for everything that was seen, pickled")
    options = parser.parse_args()
    contenders, name = (tuple(WORKERS), "arena-redis") if options.redis else (options.contender, "arena")
    scenarios = [Scenario.load(seed, seconds=options.seconds, path=options.scenario) for seed in options.seed]
    runs: list[list[Run]] = []
    for contender in contenders:
        runs.append([])
        for scenario in scenarios:
            while options.quiet is not None and os.getloadavg()[0] >= options.quiet:
                time.sleep(5.0)
            runs[-1].append(run(contender, scenario, options.scenario))
        measures = [measure(group, scenarios) for group in runs]
        report.write(options.out, measures, runs, scenarios, name=name)
        if options.raw is not None:
            options.raw.write_bytes(pickle.dumps((runs, scenarios)))
        print(
            f"{contender}: {100 * measures[-1].success:.2f}% of {measures[-1].answered + measures[-1].failed}",
            flush=True,
        )
    print(report.markdown(measures, scenarios))


if __name__ == "__main__":
    main()
