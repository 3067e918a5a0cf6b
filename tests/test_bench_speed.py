"""What ``ofox bench`` times: every kind of request, and times that add up."""

from __future__ import annotations

import pytest

from ofox_middleware.bench_speed import KINDS, speed
from tests.cli_tools import ofox
from tests.test_bench import router


@pytest.mark.parametrize("kind", list(KINDS))
def test_speed_times_every_kind(kind: str) -> None:
    """Each kind of request is one that the router takes, other words each time, with sizes and times that add up."""
    row = speed(router(), kind, seconds=0.001)
    assert row.calls >= 5 and row.size > 50
    assert 0 < row.decide_us <= row.decide_p99_us and row.door_us >= 0


def test_the_command_times(capsys: pytest.CaptureFixture[str]) -> None:
    """`ofox bench` alone times decisions, as a table or as JSON."""
    told = ofox(capsys, "bench", "--seconds", "0.001", "--models", "openai/gpt-4o,openai/gpt-4o-mini", "--json").json
    assert [row["request"] for row in told["speed"]] == list(KINDS)
    ran = ofox(capsys, "bench", "speed", "--seconds", "0.001")
    assert ran.code == 0 and "OfoxMiddleware adds" in ran.out and "shortlist" in ran.err
