"""The soak's own arithmetic, and a few seconds of it against the real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.soak.load import Tally
from benchmarks.soak.report import Sample, rise_kb, verdicts

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads what a process holds from /proc")


def sample(at: float, **held: int) -> Sample:
    return Sample(at, **{"rss_kb": 60_000, "fds": 10, "tasks": 3, "in_flight": 0, "objects": 1, "ended": 0, **held})


def test_rise_is_that_of_the_line() -> None:
    """A steady leak is its slope times the time, and noise around a level is nothing."""
    assert rise_kb([sample(at, rss_kb=1000 + 5 * at) for at in range(100)]) == pytest.approx(495)
    assert abs(rise_kb([sample(at, rss_kb=1000 + 50 * (at % 2)) for at in range(100)])) < 5


@pytest.mark.parametrize(
    ("end", "wrong", "unmet"),
    [
        ({}, 0, set()),
        ({"fds": 100}, 0, {"file descriptors come back"}),
        ({"tasks": 4}, 0, {"tasks come back"}),
        ({"in_flight": 1}, 0, {"nothing stays in flight"}),
        ({}, 1, {"every request ends as it should"}),
    ],
)
def test_each_leak_is_seen(end: dict[str, int], wrong: int, unmet: set[str]) -> None:
    """What does not come back, and what ended wrong, is named; the rest is not blamed."""
    tally = Tally()
    tally.right["plain"] = 9
    tally.wrong.update({"plain: 500": wrong} if wrong else {})
    seen = verdicts(sample(0), [sample(at) for at in range(10)], sample(11, **end), tally)
    assert {name for name, (_, met) in seen.items() if not met} == unmet


def test_growing_memory_is_seen() -> None:
    """A kilobyte a request at a hundred requests a second is not flat."""
    warm = [sample(at, rss_kb=60_000 + 100 * at) for at in range(60, 180)]
    checks = verdicts(sample(0), warm, sample(181), Tally())
    assert [name for name, (_, met) in checks.items() if not met] == ["memory is flat after the warm-up"]


def test_a_short_soak(tmp_path: Path) -> None:
    """Every kind of caller against the real server: all requests end as they should, and nothing is left behind."""
    command = [sys.executable, "-m", "benchmarks.soak", "--minutes", "0.1", "--rate", "40", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    report = json.loads((tmp_path / "soak.json").read_text())
    assert report["errors"] == {}, done.stderr[-2000:]
    assert sum(report["requests"].values()) == 240
    # Six seconds are no warm-up, so memory is left to the longer runs.
    unmet = {name for name, check in report["checks"].items() if not check["met"]}
    assert unmet <= {"memory is flat after the warm-up"}
