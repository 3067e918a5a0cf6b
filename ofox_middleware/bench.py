"""What ``ofox bench`` measures: how quick routing is here, and what it makes of an operator's own requests."""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.decision import Candidate, Decision
from ofox_middleware.errors import OfoxError
from ofox_middleware.explain import Asked
from ofox_middleware.router import SmartRouter

PATH: Final = "/v1/chat/completions"
FEWEST: Final = 10
"""Calls of a kind that are timed at least."""

# Speed -----------------------------------------------------------------------------------------------------------

SAID: Final = (
    "prove that the integral of this function over every compact set is bounded and write a short test in python "
    "which shows how the cache answers when two workers ask for the same key at once then explain why it is faster "
    "what does the contract say about notice periods list three risks and translate the summary into french"
)
TOOL: Final = {
    "type": "function",
    "function": {
        "name": "search_orders",
        "description": "Finds orders of a customer by number, date or state, newest first, and returns at most fifty.",
        "parameters": {"type": "object", "properties": {"number": {"type": "string"}, "state": {"type": "string"}}},
    },
}


@dataclass(frozen=True, slots=True)
class Speed:
    """How long one kind of request took.

    Attributes:
        name: the kind.
        size: bytes of its body.
        decide_us, decide_p99_us: one decision, median and 99th percentile, microseconds.
        door_us: what ``OfoxMiddleware`` adds to a request in all, median, microseconds.
        calls: how many were timed.
    """

    name: str
    size: int
    decide_us: float
    decide_p99_us: float
    door_us: float
    calls: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "request": self.name, "bytes": self.size, "decide_us": round(self.decide_us, 1),
            "decide_p99_us": round(self.decide_p99_us, 1), "door_us": round(self.door_us, 1), "calls": self.calls,
        }  # fmt: skip


def _text(draw: random.Random, size: int) -> str:
    known, words = SAID.split(), list[str]()
    while size > 0:
        words.append(draw.choice(known))
        size -= len(words[-1]) + 1
    return " ".join(words)


def _chat(*turns: str, **more: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": turn} for number, turn in enumerate(turns)]
    return {"model": "auto", "messages": messages, **more}


KINDS: Final[Mapping[str, Callable[[random.Random], dict[str, Any]]]] = {
    "one line": lambda draw: _chat(_text(draw, 60)),
    "1 KB prompt": lambda draw: _chat(_text(draw, 1_000)),
    "10 KB prompt": lambda draw: _chat(_text(draw, 10_000)),
    "100 KB prompt": lambda draw: _chat(_text(draw, 100_000)),
    "41 turns of 500 bytes": lambda draw: _chat(*(_text(draw, 500) for _ in range(41))),
    "one line, 20 tools": lambda draw: _chat(_text(draw, 60), tools=[TOOL] * 20),
}
"""Makers of request bodies. Each call gives other words, so that nothing remembered flatters the time."""


def speed(
    router: SmartRouter, kind: str, *, models: Sequence[str] | None = None, seconds: float = 0.5, seed: int = 0
) -> Speed:
    """Times ``kind`` for about ``seconds``: the decision alone, and the whole way through the ASGI door."""
    draw = random.Random(seed)
    config = {"model_routing_config": {"models": list(models)}} if models else {}
    decisions: list[float] = []
    bare: list[float] = []
    through: list[float] = []
    door = OfoxMiddleware(_answering, router=router)
    loop = asyncio.new_event_loop()
    try:
        ends = time.perf_counter() + seconds
        while len(decisions) < FEWEST or time.perf_counter() < ends:
            body = {**KINDS[kind](draw), **config}
            started = time.perf_counter()
            router.decide(body, PATH)
            decisions.append(time.perf_counter() - started)
            # In turns, so that a busy machine slows both; other words again, for the last ones were just read.
            raw = json.dumps({**KINDS[kind](draw), **config}).encode()
            bare.append(loop.run_until_complete(_called(_answering, raw)))
            through.append(loop.run_until_complete(_called(door, raw)))
    finally:
        loop.close()
    # What ran first paid for caches that were cold.
    warm = slice(FEWEST // 2, None)
    ordered = sorted(decisions[warm])
    added = statistics.median(through[warm]) - statistics.median(bare[warm])
    return Speed(
        kind, len(raw), 1e6 * statistics.median(ordered), 1e6 * ordered[int(0.99 * (len(ordered) - 1))],
        1e6 * max(0.0, added), len(ordered),
    )  # fmt: skip


async def _answering(scope: Any, receive: Any, send: Any) -> None:
    """An app that reads the request and answers at once."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"choices": []}'})


async def _called(app: Any, raw: bytes) -> float:
    """Seconds that one request takes, as a server would make it."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(raw))]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": PATH,
        "raw_path": PATH.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    waiting = [{"type": "http.request", "body": raw, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        """The answer is not looked at."""

    started = time.perf_counter()
    await app(scope, receive, send)
    return time.perf_counter() - started


# Own requests ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Policy:
    """What one way of choosing would have come to, over all requests that it could serve. All are expectations.

    Attributes:
        name: a preference, ``always strongest``, ``always cheapest``, or ``always`` a model.
        requests: how many it could serve.
        unpriced: how many of them have no known price, and are left out of ``cost_usd``.
        cost_usd: USD.
        picks: requests per model.
    """

    name: str
    requests: int = 0
    unpriced: int = 0
    cost_usd: float = 0.0
    quality: float = 0.0
    time_s: float = 0.0
    picks: Counter[str] = field(default_factory=Counter)

    def add(self, row: Candidate) -> None:
        """One request went to ``row``."""
        self.requests += 1
        self.quality += row.quality or 0.0
        self.time_s += row.time_s or 0.0
        self.picks[row.name] += 1
        if row.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += row.cost_usd

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; quality and time are means."""
        count = max(1, self.requests)
        return {
            "policy": self.name, "requests": self.requests, "unpriced": self.unpriced,
            "cost_usd": round(self.cost_usd, 8), "mean_quality": round(self.quality / count, 4),
            "mean_time_s": round(self.time_s / count, 3), "picks": dict(self.picks.most_common()),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """What routing makes of a file of requests.

    Attributes:
        requests: how many were read.
        refused: those that no model can serve, with the reason.
        difficulties: of the others.
        preferences: each preference.
        baselines: without routing: always strongest, always cheapest, and each model alone.
    """

    requests: int
    refused: tuple[tuple[str, str], ...]
    difficulties: tuple[float, ...]
    preferences: tuple[Policy, ...]
    baselines: tuple[Policy, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "requests": self.requests,
            "refused": [{"request": label, "message": message} for label, message in self.refused],
            "difficulty": _quartiles(self.difficulties),
            "preferences": [policy.to_dict() for policy in self.preferences],
            "baselines": [policy.to_dict() for policy in self.baselines],
        }


def bench(router: SmartRouter, requests: Iterable[Asked], *, models: Sequence[str] | None = None) -> Bench:
    """Decides each request under every preference, without a trace, and adds up what that and its rivals come to.

    Cost, quality and time are what the router expects, for every policy alike: they compare policies, and foretell a
    bill only as well as the estimates of tokens do.

    Args:
        router: whose pool and preferences are tried.
        requests: what was asked.
        models: candidates, names or globs, in place of those that the requests name.
    """
    wishes = {} if models is None else {"models": list(models)}
    preferences = {name: Policy(name) for name in router.settings.all_profiles}
    strongest, cheapest = Policy("always strongest"), Policy("always cheapest")
    alone: dict[str, Policy] = {}
    refused: list[tuple[str, str]] = []
    difficulties: list[float] = []
    count = 0
    for asked in requests:
        count += 1
        try:
            decisions = {name: _decided(router, asked, {**wishes, "preference": name}) for name in preferences}
        except OfoxError as error:
            refused.append((asked.label, error.message))
            continue
        one = next(iter(decisions.values()))
        difficulties.append(one.difficulty)
        for name, decision in decisions.items():
            preferences[name].add(decision.candidate(decision.model))
        able = [row for row in one.candidates if row.status != "skipped"]
        strongest.add(max(able, key=lambda row: (row.quality or 0.0, row.cost_usd or 0.0)))
        cheapest.add(min(able, key=lambda row: float("inf") if row.cost_usd is None else row.cost_usd))
        for row in able:
            alone.setdefault(row.name, Policy(f"always {row.name}")).add(row)
    by_cost = sorted(alone.values(), key=lambda policy: (-policy.requests, policy.cost_usd))
    return Bench(
        count, tuple(refused), tuple(difficulties), tuple(preferences.values()), (strongest, cheapest, *by_cost)
    )


def _decided(router: SmartRouter, asked: Asked, wishes: Mapping[str, Any]) -> Decision:
    own = asked.body.get("model_routing_config")
    config = {**(own if isinstance(own, dict) else {}), **wishes}
    # A session of its own: requests of one file that begin alike are not one conversation here.
    session = os.urandom(8).hex()
    return router.decide({**asked.body, "model_routing_config": config}, asked.path, session=session, dry_run=True)


def _quartiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    if len(values) == 1:
        return {"p25": round(values[0], 4), "p50": round(values[0], 4), "p75": round(values[0], 4)}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"p25": round(low, 4), "p50": round(middle, 4), "p75": round(high, 4)}
