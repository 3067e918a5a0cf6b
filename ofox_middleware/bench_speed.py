"""How quick routing is here: what ``ofox bench`` times."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.router import SmartRouter

PATH: Final = "/v1/chat/completions"
FEWEST: Final = 10
"""Calls of a kind that are timed at least."""

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
