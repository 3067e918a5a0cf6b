"""``python -m benchmarks.simulation``: herding, oscillation and recovery, in one table.

Every row is one seeded run on a virtual clock. ``--full`` adds the runs of 1,000 workers that share health.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from dataclasses import dataclass, field

from benchmarks.simulation.world import POLICIES, Fault, Healthy, Provider, Tally, Timeline, Worker, share_health

DOWN, UP, END = 60.0, 120.0, 200.0


@dataclass(frozen=True)
class Scenario:
    """One run. ``watch``: the model whose share is followed. ``rate``: requests per second of all workers."""

    name: str
    workers: int
    models: int
    fault: str = ""
    capacity: float = math.inf
    rate: float = 40.0
    pool: int = 8
    shared: bool = False
    policy: str = "ofox"


@dataclass
class Result:
    """Shares are of first picks. Times in seconds."""

    scenario: Scenario
    success: float
    p50: float
    p99: float
    extra: float
    leave_s: float = math.nan
    dead_share: float = math.nan
    return_s: float = math.nan
    surge: float = math.nan
    swing: float = math.nan
    overload: float = math.nan
    drift: int = 0
    took_s: float = field(default=0.0)


def providers(scenario: Scenario, rng: random.Random) -> list[Provider]:
    """A tenth of the models are the fast ones that everybody wants, and those get the fault."""
    made = []
    for index in range(scenario.models):
        fast = index < max(1, scenario.models // 10)
        ttft_s = rng.uniform(0.3, 0.4) if fast else rng.uniform(0.6, 1.2)
        faults = (Fault(DOWN, UP, scenario.fault),) if fast and scenario.fault else ()
        capacity = scenario.capacity if fast else math.inf
        made.append(Provider(f"m{index}", ttft_s, 0.01 if fast else 0.02, capacity, faults=faults))
    return made


def run(scenario: Scenario, seed: int) -> Result:
    began = time.perf_counter()
    rng = random.Random(seed)
    line, tally = Timeline(), Tally()
    models = providers(scenario, rng)
    fast = [model for model in models if model.capacity < math.inf or model.faults] or models[:1]
    slow = [model for model in models if model not in fast]
    workers = []
    for _ in range(scenario.workers):
        pool = [rng.choice(fast), *rng.sample(slow, min(scenario.pool - 1, len(slow)))]
        draw = random.Random(rng.random())
        policy = POLICIES[scenario.policy](line, draw)
        workers.append(Worker(line, policy, pool=pool, rate=scenario.rate / scenario.workers, tally=tally, rng=draw))
    if scenario.shared:
        share_health(line, workers, rng)
    line.run(END)
    ttfts = sorted(tally.ttft_s)
    share = [
        sum(model.picked[second] for model in fast) / max(1, tally.first_picks[second]) for second in range(int(END))
    ]
    result = Result(
        scenario,
        success=tally.answered / (tally.answered + tally.lost),
        p50=ttfts[len(ttfts) // 2],
        p99=ttfts[int(len(ttfts) * 0.99)],
        extra=tally.attempts / tally.requests - 1.0,
        took_s=time.perf_counter() - began,
        drift=_drift(workers, models),
    )
    if scenario.fault:
        _recovery(result, share, fast)
    if scenario.capacity < math.inf:
        settled = share[30:]
        result.swing = statistics.pstdev(settled) / max(1e-9, statistics.fmean(settled))
        result.overload = max(model.most[second] / model.capacity for model in fast for second in range(30, int(END)))
    return result


def _drift(workers: list[Worker], models: list[Provider]) -> int:
    """Requests in flight by the books, less those that really are; 0 when nothing leaks."""
    books = [worker.policy.book for worker in workers if isinstance(worker.policy, Healthy)]
    return sum(book.in_flight() for book in books) - sum(model.in_flight for model in models) if books else 0


def _recovery(result: Result, share: list[float], fast: list[Provider]) -> None:
    before = statistics.fmean(share[20 : int(DOWN)])
    down, up = int(DOWN), int(UP)
    left = next((second for second in range(down, up - 3) if max(share[second : second + 3]) < 0.05 * before), None)
    if left is not None:
        result.leave_s = left - DOWN
        result.dead_share = statistics.fmean(share[left:up])
    back = next((second for second in range(up, int(END)) if share[second] >= 0.5 * before), None)
    if back is not None:
        result.return_s = back - UP
    most_before = max(model.most[second] for model in fast for second in range(20, down))
    most_after = max(model.most[second] for model in fast for second in range(up, int(END)))
    result.surge = most_after / max(1, most_before)


def scenarios(*, full: bool) -> list[Scenario]:
    rows = []
    for fault in ("error", "hang", "slow"):
        rows += [Scenario(fault, 4, 8, fault, policy=policy) for policy in ("ofox", "last-ten", "random")]
        rows.append(Scenario(fault, 4, 8, fault, shared=True))
        rows.append(Scenario(fault, 64, 8, fault, rate=200.0, shared=True))
        rows.append(Scenario(fault, 1000, 100, fault, rate=1000.0))
    for policy in ("ofox", "last-ten", "random"):
        rows.append(Scenario("capacity", 4, 8, capacity=20.0, policy=policy))
    rows.append(Scenario("capacity", 64, 8, capacity=80.0, rate=200.0))
    rows.append(Scenario("capacity", 64, 8, capacity=80.0, rate=200.0, shared=True))
    rows.append(Scenario("capacity", 1000, 100, capacity=40.0, rate=1000.0))
    if full:
        rows.append(Scenario("error", 1000, 100, "error", rate=1000.0, shared=True))
        rows.append(Scenario("capacity", 1000, 100, capacity=40.0, rate=1000.0, shared=True))
    return rows


HEAD = (
    f"{'scenario':9} {'policy':9} {'workers':>7} {'models':>6} {'shared':>6} | "
    f"{'ok %':>7} {'ttft p50':>8} {'p99':>6} {'extra %':>7} | "
    f"{'leave s':>7} {'dead %':>6} {'return s':>8} {'surge':>5} | {'swing':>5} {'overload':>8} {'drift':>5} {'took':>5}"
)


def row(result: Result) -> str:
    scenario = result.scenario
    return (
        f"{scenario.name:9} {scenario.policy:9} {scenario.workers:7} {scenario.models:6} "
        f"{'yes' if scenario.shared else 'no':>6} | {100 * result.success:7.3f} {result.p50:8.3f} {result.p99:6.2f} "
        f"{100 * result.extra:7.2f} | {_number(result.leave_s, 7, 0)} {_number(100 * result.dead_share, 6, 2)} "
        f"{_number(result.return_s, 8, 0)} {_number(result.surge, 5, 1)} | {_number(result.swing, 5, 2)} "
        f"{_number(result.overload, 8, 2)} {result.drift:5} {result.took_s:4.0f}s"
    )


def _number(value: float, width: int, digits: int) -> str:
    return f"{'-':>{width}}" if math.isnan(value) else f"{value:{width}.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="", help="scenarios whose name starts with this")
    options = parser.parse_args()
    print(HEAD)
    for scenario in scenarios(full=options.full):
        if scenario.name.startswith(options.only):
            print(row(run(scenario, options.seed)), flush=True)


if __name__ == "__main__":
    main()
