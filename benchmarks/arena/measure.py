"""A run's record -> numbers. Pure.

How each is counted is said at :class:`Measures`; the report prints the same words.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from benchmarks.arena.processes import Run
from benchmarks.arena.scenario import Fault, Scenario

IN_USE = 0.05
"""A model that got under this share of the attempts before a fault was not in use: it can neither be left nor
returned to."""

SETTLED_S = 3.0
"""Leaving and returning are judged by the three seconds that follow."""

ROOM_S = 15.0 + SETTLED_S
"""A model that has less time than this before its next fault, or the run's end, may have had too little to come back:
it should be back within 15 s, and that shows three seconds later."""

OUTDONE = 0.5
NEVER = ("next fault first", "run ended first", "others well again and preferred", "not taken back")
"""Why a model was not taken back. For the third at least half of the requests went to models that were at fault when
this one's share was measured."""


@dataclass(slots=True)
class Episode:
    """One fault and how a contender took it.

    Attributes:
        share_before: of all attempts, in the 5 s before.
        left_s: from the fault's begin until, for three seconds, no more than 5% of all attempts went there;
            ``None`` when that never came.
        back_s: from the fault's end until, in three seconds, the model got half of its former share.
        first_ok_s: from the fault's end until the model answered a request.
        room_s: from the fault's end until the model's next fault, or the run's end.
        next_fault: it is a fault that ends that time, not the run.
        newcomers: share of attempts, from its first answer after the fault until it was taken back or its time was
            over, at models that were themselves at fault just before this fault: with those well again, nobody can
            expect the share that it had without them. ``None``: it did not answer.
        opened_s, closed_s: our breaker, of several workers' the first: open after the fault's begin, closed after its
            end; ``None``: it was not.
        after_open: attempts there, and all attempts, from the breaker's opening until the fault's end.
        during: attempts there, and all attempts, while the fault lasted.
    """

    fault: Fault
    share_before: float
    left_s: float | None = None
    back_s: float | None = None
    first_ok_s: float | None = None
    room_s: float = 0.0
    next_fault: bool = False
    newcomers: float | None = None
    opened_s: float | None = None
    closed_s: float | None = None
    after_open: tuple[int, int] = (0, 0)
    after_left: tuple[int, int] = (0, 0)
    during: tuple[int, int] = (0, 0)

    @property
    def in_use(self) -> bool:
        return self.share_before >= IN_USE

    @property
    def outdone(self) -> bool:
        """Whether it answered again while most requests went to models that were at fault before, and are well now."""
        return self.newcomers is not None and self.newcomers >= OUTDONE

    @property
    def never_back(self) -> str | None:
        """Why it was not taken back; ``None`` when it was, or was not in use."""
        if not self.in_use or self.back_s is not None:
            return None
        if self.room_s < ROOM_S:
            return NEVER[0] if self.next_fault else NEVER[1]
        return NEVER[2] if self.outdone else NEVER[3]


@dataclass(slots=True)
class Measures:
    """The numbers of one or more runs of a contender.

    Attributes:
        answered, failed, cancelled: requests; a request that its client cancelled is neither success nor failure.
        broken: of the failed ones, streams that broke after content had reached the client: nobody can take those back.
        ttft_s, total_s: of answered requests, sorted; the first of streams only.
        attempts: at the farm, for requests that were not cancelled; all but one per answered request are wasted.
        cost_usd: input of every attempt that a provider took on, and output as far as it was written.
        twice: clients that saw a mix of two answers, another's answer, or an answer with two ends.
        doubled: requests of which two attempts were answered whole, though the client saw one answer: the other came
            just when the request had gone to another model.
        drift: in flight by the contender's books when nothing was; ``None``: keeps no books.
        episodes: see :class:`Episode`.
        redis_requests, redis_failed: requests that began while there was no Redis, and those of them that failed,
            without the streams that broke after content.
        dead_with_redis, dead_without_redis: attempts at dead models, and all attempts, after the first breaker opened,
            while there was a Redis and while there was none and every worker had to find out by itself.
        spreads_s: of each dead fault that began while there was one and opened a breaker: from the first worker's trip
            until all had left the model, as in ``left_s``; ``None`` when they did not.
    """

    contender: str
    answered: int = 0
    failed: int = 0
    cancelled: int = 0
    broken: int = 0
    ttft_s: list[float] = field(default_factory=list)
    total_s: list[float] = field(default_factory=list)
    attempts: int = 0
    cost_usd: float = 0.0
    twice: int = 0
    doubled: int = 0
    drift: int | None = None
    cpu_s: float = 0.0
    load_average: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    episodes: list[Episode] = field(default_factory=list)
    redis_requests: int = 0
    redis_failed: int = 0
    dead_with_redis: tuple[int, int] = (0, 0)
    dead_without_redis: tuple[int, int] = (0, 0)
    spreads_s: list[float | None] = field(default_factory=list)

    @property
    def success(self) -> float:
        return self.answered / max(1, self.answered + self.failed)

    @property
    def recoverable_success(self) -> float:
        """Success without the streams that broke after content had been sent."""
        return self.answered / max(1, self.answered + self.failed - self.broken)

    @property
    def wasted(self) -> float:
        """Attempts per request beyond the one that answers."""
        return (self.attempts - self.answered) / max(1, self.answered + self.failed)

    def dead(self, name: str) -> float | None:
        """Share of attempts at dead models: ``name`` is ``during``, ``after_left`` or ``after_open``."""
        pairs = [getattr(item, name) for item in self.episodes if item.fault.dead]
        of = sum(total for _, total in pairs)
        return sum(there for there, _ in pairs) / of if of else None

    def slow_back_s(self) -> list[float | None]:
        """Until a model that had been slow, not failing, was taken back; of those in use before."""
        return [item.back_s for item in self.episodes if item.fault.kind == "brownout" and item.in_use]

    def never_back(self) -> Counter[str]:
        """Why models that were dead and in use before were not taken back."""
        return Counter(item.never_back for item in self.episodes if item.fault.dead and item.never_back is not None)

    def back_s(self, *, outdone: bool) -> list[float]:
        """Until a model that had been dead was taken back, of those that others outdid meanwhile, or of the rest."""
        dead = [item for item in self.episodes if item.fault.dead and item.in_use]
        return [item.back_s for item in dead if item.back_s is not None and item.outdone == outdone]

    def times(self, name: str) -> list[float | None]:
        """One time of every dead fault; of those in use before, where the time makes sense for those only."""
        used_only = name in {"left_s", "back_s"}
        return [getattr(item, name) for item in self.episodes if item.fault.dead and (item.in_use or not used_only)]


def quantile(values: list[float], share: float) -> float | None:
    """The ``share`` quantile of sorted ``values`` (nearest rank)."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else None


def median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def measure(runs: list[Run], scenarios: list[Scenario]) -> Measures:
    """The numbers of ``runs`` of one contender, each beside its scenario, taken together."""
    total = Measures(runs[0].contender)
    for run, scenario in zip(runs, scenarios, strict=True):
        _add(total, run, scenario)
    total.ttft_s.sort()
    total.total_s.sort()
    return total


def _add(total: Measures, run: Run, scenario: Scenario) -> None:
    prices = {model.name: model for model in scenario.models}
    cancelled = {row["id"] for row in run.requests if row["outcome"] == "cancelled"}
    total.cancelled += len(cancelled)
    for row in run.requests:
        if row["outcome"] == "cancelled":
            continue
        if row["outcome"] == "ok":
            total.answered += 1
            total.total_s.append(row["total_s"])
            if row["stream"]:
                total.ttft_s.append(row["ttft_s"])
            continue
        total.failed += 1
        total.broken += row["pieces"] > 0
        total.reasons[row["outcome"] + (" after content" if row["pieces"] else "")] += 1
    whole: Counter[str] = Counter()
    for attempt in run.attempts:
        model = prices[attempt["model"]]
        total.cost_usd += attempt["input_tokens"] * model.input_usd + attempt["output_tokens"] * model.output_usd
        whole[attempt["id"]] += attempt["outcome"] == "ok"
        total.attempts += attempt["id"] not in cancelled
    total.doubled += sum(count > 1 for count in whole.values())
    total.twice += sum(row["outcome"] in {"answers mixed", "another's answer", "ended twice"} for row in run.requests)
    if run.in_flight is not None:
        total.drift = (total.drift or 0) + run.in_flight
    total.cpu_s += run.cpu_s
    total.load_average = max(total.load_average, run.load_average)
    total.episodes += [_episode(fault, run, scenario) for fault in scenario.faults]
    if run.redis_outage:
        down, up = (*run.redis_outage, scenario.seconds)[:2]
        without = [row for row in run.requests if down <= row["at"] < up and row["outcome"] != "cancelled"]
        total.redis_requests += len(without)
        for episode in total.episodes[-len(scenario.faults) :]:
            if episode.fault.dead and episode.opened_s is not None:
                _add_dead(total, run, episode, down, up)
        total.redis_failed += sum(row["outcome"] != "ok" and not row["pieces"] for row in without)
        total.spreads_s += [
            _spread(episode, run)
            for episode in total.episodes[-len(scenario.faults) :]
            if episode.fault.dead and not down - SETTLED_S <= episode.fault.start < up + SETTLED_S
            and _first_open(episode.fault, run) is not None
        ]  # fmt: skip


def _add_dead(total: Measures, run: Run, episode: Episode, down: float, up: float) -> None:
    since = episode.fault.start + (episode.opened_s or 0.0)
    for attempt in run.attempts:
        if since <= attempt["at"] < episode.fault.end:
            there = attempt["model"] == episode.fault.model
            name = "dead_without_redis" if down <= attempt["at"] < up else "dead_with_redis"
            before = getattr(total, name)
            setattr(total, name, (before[0] + there, before[1] + 1))


def _first_open(fault: Fault, run: Run) -> float | None:
    """When the first of the workers was seen with an open breaker, seconds after the fault's begin."""
    opened = [
        at - fault.start
        for worker in run.workers or [run.states]
        for at, states in worker
        if fault.start <= at < fault.end and states.get(fault.model) == "open"
    ]
    return min(opened, default=None)


def _spread(episode: Episode, run: Run) -> float | None:
    first = _first_open(episode.fault, run)
    return None if first is None or episode.left_s is None else max(0.0, episode.left_s - first)


def _episode(fault: Fault, run: Run, scenario: Scenario) -> Episode:
    there = [attempt for attempt in run.attempts if attempt["model"] == fault.model]

    def counts(start: float, end: float) -> tuple[int, int]:
        return (
            sum(start <= attempt["at"] < end for attempt in there),
            sum(start <= attempt["at"] < end for attempt in run.attempts),
        )

    def share(start: float, end: float) -> float:
        here, everywhere = counts(start, end)
        return here / everywhere if everywhere else 0.0

    episode = Episode(fault, share(fault.start - 5.0, fault.start), during=counts(fault.start, fault.end))
    moments = [attempt["at"] for attempt in there if fault.start <= attempt["at"] < fault.end]
    candidates = [fault.start, *(at + 1e-6 for at in moments)]
    last = fault.end - SETTLED_S
    left = next((at for at in candidates if at <= last and share(at, at + SETTLED_S) <= IN_USE), None)
    if left is not None:
        episode.left_s = left - fault.start
        episode.after_left = counts(left, fault.end)
    later = [item.start for item in scenario.faults if item.model == fault.model and item.start >= fault.end]
    following = min([scenario.seconds, *later])
    episode.room_s, episode.next_fault = following - fault.end, bool(later)
    after = [attempt for attempt in there if fault.end <= attempt["at"] < following]
    if episode.in_use:
        wanted = episode.share_before / 2
        starts = [attempt["at"] for attempt in after if attempt["at"] <= following - SETTLED_S]
        back = next((at for at in starts if share(at, at + SETTLED_S) >= wanted), None)
        episode.back_s = None if back is None else back - fault.end
    answered = [attempt["at"] + attempt["took"] for attempt in after if attempt["outcome"] == "ok"]
    episode.first_ok_s = min(answered) - fault.end if answered else None
    if episode.first_ok_s is not None:
        since, until = fault.end + episode.first_ok_s, fault.end + (episode.back_s or episode.room_s)
        lately = {
            item.model for item in scenario.faults if item.start < fault.start and item.end > fault.start - 5.0
        } - {fault.model}
        asked = [attempt["model"] for attempt in run.attempts if since <= attempt["at"] < until]
        episode.newcomers = sum(name in lately for name in asked) / max(1, len(asked))
    opened_s = _first_open(fault, run)
    if opened_s is not None:
        episode.opened_s = opened_s
        episode.after_open = counts(fault.start + opened_s, fault.end)
        closed = next(
            (at for at, states in run.states if fault.end <= at < following and states.get(fault.model) == "closed"),
            None,
        )
        episode.closed_s = None if closed is None else closed - fault.end
    return episode


def as_dict(item: Measures) -> dict[str, Any]:
    """Plain JSON types."""
    return {
        "contender": item.contender,
        "requests": item.answered + item.failed + item.cancelled,
        "answered": item.answered,
        "failed": item.failed,
        "cancelled": item.cancelled,
        "broken_after_content": item.broken,
        "success": item.success,
        "recoverable_success": item.recoverable_success,
        "failures": dict(item.reasons),
        **{
            f"{name}_p{round(share * 100)}": quantile(getattr(item, name), share)
            for name in ("ttft_s", "total_s")
            for share in (0.5, 0.95, 0.99)
        },
        "attempts": item.attempts,
        "wasted_per_request": item.wasted,
        "usd_per_1000_answers": 1000 * item.cost_usd / max(1, item.answered),
        "answered_twice": item.twice,
        "doubled_at_providers": item.doubled,
        "in_flight_drift": item.drift,
        "dead_share_during_faults": item.dead("during"),
        "dead_share_after_left": item.dead("after_left"),
        "dead_share_after_breaker_opened": item.dead("after_open"),
        "not_taken_back": dict(item.never_back()),
        "back_s_worst": max(item.back_s(outdone=False), default=None),
        "back_s_worst_where_others_were_preferred": max(item.back_s(outdone=True), default=None),
        "slow_model_back_s": item.slow_back_s(),
        "without_redis": {"requests": item.redis_requests, "failed": item.redis_failed},
        "dead_after_open_with_redis": item.dead_with_redis,
        "dead_after_open_without_redis": item.dead_without_redis,
        "trip_to_all_workers_s": item.spreads_s,
        "cpu_s": item.cpu_s,
        "load_average": item.load_average,
        "episodes": [
            {
                "model": episode.fault.model, "kind": episode.fault.kind, "share": episode.fault.share,
                "from": episode.fault.start, "to": episode.fault.end,
                **{name: getattr(episode, name) for name in (
                    "share_before", "left_s", "back_s", "first_ok_s", "room_s", "newcomers", "never_back",
                    "opened_s", "closed_s", "during", "after_left",
                    "after_open")},
            }
            for episode in item.episodes
        ],
    }  # fmt: skip
