"""The simulation of many workers runs, repeats itself, and shows what the README says of it."""

from __future__ import annotations

import pytest

from benchmarks.simulation.__main__ import Scenario, row, run, scenarios
from benchmarks.simulation.world import Fault, Provider, Timeline


def test_timeline_runs_in_order() -> None:
    """Callbacks run at their time, in the order of their times, equal ones in the order they came."""
    line, seen = Timeline(), list[tuple[float, str]]()
    for when, name in ((2.0, "b"), (1.0, "a"), (2.0, "c"), (9.0, "late")):
        line.at(when, lambda name=name: seen.append((line.now, name)))  # type: ignore[misc]
    line.run(5.0)
    assert (seen, line.now) == ([(1.0, "a"), (2.0, "b"), (2.0, "c")], 5.0)


def test_providers_slow_down_under_load_and_fault() -> None:
    """A provider is slower the fuller it is, and by its factor while a fault says so."""
    provider = Provider("m", 1.0, 0.01, capacity=10.0, faults=(Fault(5.0, 6.0, "slow", 4.0),))
    assert provider.slowness(0.0) == 1.0
    provider.in_flight = 10
    assert provider.slowness(0.0) == 2.0
    assert provider.slowness(5.5) == 8.0
    assert provider.fault(6.0) is None


def test_a_seed_repeats_a_run() -> None:
    """The same scenario and seed give the same table row, another seed another one."""
    scenario = Scenario("error", 2, 4, "error", rate=5.0, pool=4)
    rows = [row(run(scenario, seed)).rpartition(" ")[0] for seed in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]


@pytest.mark.parametrize("fault", ["error", "hang", "slow"])
@pytest.mark.parametrize("shared", [False, True])
def test_a_failing_model_is_left_and_taken_back(fault: str, shared: bool) -> None:
    """Four workers leave the model within ten virtual seconds, hardly use it while it fails, and take it back within
    fifteen; no request is lost and none is left in flight."""
    result = run(Scenario(fault, 4, 8, fault, rate=20.0, shared=shared), 1)
    assert result.success == 1.0
    assert result.leave_s <= 10.0
    assert result.dead_share <= 0.03
    assert result.return_s <= 15.0
    assert result.surge <= 2.0
    assert result.drift == 0


def test_nobody_herds() -> None:
    """On models that slow down under load the traffic settles, where the last ten latencies swing to and fro."""
    ours, theirs = (
        run(Scenario("capacity", 4, 8, capacity=10.0, rate=20.0, policy=policy), 1) for policy in ("ofox", "last-ten")
    )
    assert ours.swing < 0.5 * theirs.swing
    assert ours.drift == 0


def test_every_scenario_has_a_place_in_the_table() -> None:
    """The table covers outage, hang, slowness and capacity, up to 1,000 workers and 100 models."""
    rows = scenarios(full=True)
    assert {scenario.name for scenario in rows} == {"error", "hang", "slow", "capacity"}
    assert max((scenario.workers, scenario.models) for scenario in rows) == (1_000, 100)
    assert len(scenarios(full=False)) < len(rows)
