"""What a soak showed, and whether the server held what it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.soak.load import Tally

FLAT_KB = 4096
FLAT_SHARE = 0.03
"""Memory is flat when the line fitted through it after the warm-up rises by less than the larger of the two. A leak of
one short body a request, 1 KB, is 18 MB in three minutes at 100 requests a second."""
SPARE_FDS = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server held ``at`` seconds after the start; memory in KB."""

    at: float
    rss_kb: int
    fds: int
    tasks: int
    in_flight: int
    objects: int
    ended: int


def rise_kb(samples: Sequence[Sample]) -> float:
    """How much memory grew from the first to the last sample, by the least-squares line through all."""
    if len(samples) < 3:
        return 0.0
    mean_at = sum(sample.at for sample in samples) / len(samples)
    mean_kb = sum(sample.rss_kb for sample in samples) / len(samples)
    spread = sum((sample.at - mean_at) ** 2 for sample in samples)
    slope = sum((sample.at - mean_at) * (sample.rss_kb - mean_kb) for sample in samples) / spread
    return slope * (samples[-1].at - samples[0].at)


def verdicts(idle: Sample, warm: Sequence[Sample], end: Sample, tally: Tally) -> dict[str, tuple[str, bool]]:
    """What was asked for: what was seen, and whether it is so.

    Args:
        idle: before the load.
        warm: under load, after the warm-up.
        end: after the load, at rest.
        tally: what the callers saw.
    """
    rise = rise_kb(warm)
    bound = max(FLAT_KB, FLAT_SHARE * warm[0].rss_kb)
    wrong = sum(tally.wrong.values())
    return {
        "memory is flat after the warm-up": (f"{rise:+.0f} KB by the fitted line, bound {bound:.0f} KB", rise < bound),
        "file descriptors come back": (f"{idle.fds} before, {end.fds} after", end.fds <= idle.fds + SPARE_FDS),
        "tasks come back": (f"{idle.tasks} before, {end.tasks} after", end.tasks <= idle.tasks),
        "nothing stays in flight": (f"{end.in_flight} after", end.in_flight == 0),
        "every request ends as it should": (f"{wrong} wrong of {wrong + sum(tally.right.values())}", wrong == 0),
    }


def as_json(samples: Sequence[Sample], checks: dict[str, tuple[str, bool]], tally: Tally) -> dict[str, Any]:
    return {
        "checks": {name: {"seen": seen, "met": met} for name, (seen, met) in checks.items()},
        "requests": dict(tally.right),
        "errors": dict(tally.wrong),
        "samples": [asdict(sample) for sample in samples],
    }


def as_markdown(
    samples: Sequence[Sample], checks: dict[str, tuple[str, bool]], tally: Tally, warm_up_s: float, command: str
) -> str:
    """A page: the checks, the course of the run in about a dozen rows, and the requests by kind."""
    lines = [f"Made by `{command}`: {samples[-1].at / 60:.1f} minutes, of which {warm_up_s / 60:.1f} are warm-up.", ""]
    lines += ["| asked for | seen | met |", "| --- | --- | --- |"]
    lines += [f"| {name} | {seen} | {'yes' if met else '**no**'} |" for name, (seen, met) in checks.items()]
    lines += ["", "| second | memory MB | file descriptors | tasks | in flight | objects | routed |"]
    lines += ["| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    step = max(1, len(samples) // 12)
    for sample in [*samples[:-1:step], samples[-1]]:
        held = (sample.fds, sample.tasks, sample.in_flight, sample.objects, sample.ended)
        lines.append(f"| {sample.at:.0f} | {sample.rss_kb / 1024:.1f} | " + " | ".join(map(str, held)) + " |")
    lines += ["", "| request | ended as it should |", "| --- | ---: |"]
    lines += [f"| {kind} | {count} |" for kind, count in tally.right.most_common()]
    lines += [f"- {count} x {error}" for error, count in tally.wrong.most_common(20)]
    return "\n".join(lines) + "\n"
