"""The farm: OpenAI-compatible fake providers on loopback, in a process of their own, that fail as the scenario says.

``POST /{provider}/{model}/v1/chat/completions``. Every attempt is recorded with the request id that its prompt holds.
``POST /_start`` begins the run (until then nobody fails), ``GET /_log`` tells what was seen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.arena.scenario import DEFAULT, Fault, Model, Scenario

REQUEST_ID = re.compile(r"\[(\w+)\]")
TOKENS_PER_PIECE = 8
SPREAD = 0.25
"""Standard deviation of the logarithm of a model's times."""


class Cut(Exception):
    """The provider breaks the connection."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What an attempt gets to hear, when, and how it ends.

    Attributes:
        attempt: its entry in the log.
        body: the request.
        kind: the fault that strikes it, if any.
        cut_after: pieces after which the connection breaks, ``None`` for a whole answer.
    """

    attempt: dict[str, Any]
    body: dict[str, Any]
    kind: str | None
    ttft_s: float
    s_per_piece: float
    pieces: int
    cut_after: int | None

    @property
    def model(self) -> str:
        return str(self.body["model"])

    @property
    def nonce(self) -> str:
        return str(self.attempt["nonce"])


class Farm:
    """Every fake model, and the log of what was asked of them."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.models = {model.name: model for model in scenario.models}
        self.began: float | None = None
        self.in_flight: Counter[str] = Counter()
        self.tries: Counter[tuple[str, str]] = Counter()
        self.log: list[dict[str, Any]] = []
        self.buckets = {model.name: (0.0, model.limit_per_s or 0.0) for model in scenario.models}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/{provider}/{model}/v1/chat/completions", self.answer)
        app.router.add_post("/_start", self.start)
        app.router.add_get("/_log", self.tell)
        return app

    async def start(self, request: web.Request) -> web.Response:
        self.began = (await request.json())["at"]
        self.log.clear()
        return web.json_response({})

    async def tell(self, _: web.Request) -> web.Response:
        return web.json_response({"log": self.log, "in_flight": sum(self.in_flight.values())})

    async def answer(self, request: web.Request) -> web.StreamResponse:
        model = self.models[f"{request.match_info['provider']}/{request.match_info['model']}"]
        body = await request.json()
        now = time.monotonic()
        second = -1.0 if self.began is None else now - self.began
        found = REQUEST_ID.findall(str(body["messages"][-1]["content"]))
        fault = self.scenario.at(model.name, second)
        attempt: dict[str, Any] = {
            "id": found[0] if found else "?",
            "model": model.name,
            "at": second,
            "fault": fault.kind if fault else None,
            "outcome": "left",
            "input_tokens": 0,
            "output_tokens": 0,
        }
        self.log.append(attempt)
        self.in_flight[model.name] += 1
        # The same request has the same luck at the same model, whoever routes it; its next try there has another.
        self.tries[attempt["id"], model.name] += 1
        luck = random.Random(
            f"{self.scenario.seed} {attempt['id']} {model.name} {self.tries[attempt['id'], model.name]}"
        )
        try:
            speech = await self._prepared(body, attempt, model, fault=fault, luck=luck)
            if isinstance(speech, web.Response):
                return speech
            response = await (_stream if body.get("stream") else _plain)(request, speech)
            attempt["outcome"] = "masked" if speech.kind == "masked" else "ok"
            return response
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        except ConnectionError:
            attempt["outcome"] = "left"
            raise
        finally:
            self.in_flight[model.name] -= 1
            attempt["took"] = time.monotonic() - now

    async def _prepared(
        self,
        body: dict[str, Any],
        attempt: dict[str, Any],
        model: Model,
        *,
        fault: Fault | None,
        luck: random.Random,
    ) -> Speech | web.Response:
        struck = fault is not None and luck.random() < fault.share
        kind = fault.kind if fault is not None and struck else None
        refused = await self._refusal(attempt, model, fault if struck else None, luck)
        if refused is not None:
            return refused
        attempt["input_tokens"] = sum(len(str(message.get("content"))) for message in body["messages"]) // 4
        if kind == "hang" or (kind == "stall" and not body.get("stream")):
            attempt["outcome"] = "hang"
            await asyncio.sleep(3600)
        busy = max(1.0, self.in_flight[model.name] / ((fault and fault.capacity) or model.capacity))
        slow = busy * (fault.slow if fault else 1.0)
        ttft_s = model.ttft_s * math.exp(luck.gauss(0, SPREAD)) * slow
        s_per_piece = TOKENS_PER_PIECE / model.tokens_per_s * math.exp(luck.gauss(0, SPREAD)) * slow
        pieces = math.ceil(body["max_tokens"] / TOKENS_PER_PIECE)
        cut_after = luck.randrange(pieces) if kind == "cut" else None
        attempt["nonce"] = f"{attempt['id']}.{len(self.log)}"
        return Speech(attempt, body, kind, ttft_s, s_per_piece, pieces, cut_after)

    async def _refusal(
        self, attempt: dict[str, Any], model: Model, fault: Fault | None, luck: random.Random
    ) -> web.Response | None:
        kind = fault.kind if fault else None
        if kind == "down":
            attempt["outcome"] = "down"
            raise Cut
        if kind == "limit" or not self._within_limit(model):
            attempt["outcome"] = "limit"
            seconds = fault.retry_after_s if fault and kind == "limit" else 1.0
            return _error(429, "Rate limit reached", {"retry-after": f"{seconds:g}"})
        if kind == "error" or luck.random() < self.scenario.error_share:
            await asyncio.sleep(luck.uniform(0.02, 0.3))
            attempt["outcome"] = "error"
            return _error(luck.choice((500, 502, 503)), "The server had an error")
        return None

    def _within_limit(self, model: Model) -> bool:
        """A token bucket that holds one second's worth."""
        if model.limit_per_s is None:
            return True
        at, left = self.buckets[model.name]
        now = time.monotonic()
        left = min(model.limit_per_s, left + (now - at) * model.limit_per_s)
        self.buckets[model.name] = (now, left - 1 if left >= 1 else left)
        return left >= 1


async def _plain(request: web.Request, speech: Speech) -> web.StreamResponse:
    if speech.kind == "masked":
        await asyncio.sleep(speech.ttft_s)
        return web.json_response({"error": {"message": "internal error", "type": "server_error", "code": 500}})
    attempt = speech.attempt
    await asyncio.sleep(speech.ttft_s + speech.s_per_piece * speech.pieces)
    attempt["output_tokens"] = speech.pieces * TOKENS_PER_PIECE
    text = "".join(f"{speech.nonce}:{index} " for index in range(speech.pieces))
    whole = json.dumps({
        "id": f"chatcmpl-{speech.nonce}", "object": "chat.completion", "created": int(time.time()),
        "model": speech.model, "usage": _usage(attempt),
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
    }).encode()  # fmt: skip
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": str(len(whole))})
    await response.prepare(request)
    if speech.cut_after is not None:
        await response.write(whole[: len(whole) * speech.cut_after // speech.pieces])
        attempt["outcome"] = "cut"
        raise Cut
    await response.write(whole)
    await response.write_eof()
    return response


async def _stream(request: web.Request, speech: Speech) -> web.StreamResponse:
    attempt = speech.attempt
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    head = {"id": f"chatcmpl-{speech.nonce}", "object": "chat.completion.chunk", "created": int(time.time()),
            "model": speech.model}  # fmt: skip

    async def say(delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        await response.write(_sse({**head, "choices": [choice]}))

    if speech.kind == "masked":
        await response.prepare(request)
        await asyncio.sleep(speech.ttft_s)
        await response.write(_sse({"error": {"message": "overloaded", "type": "server_error", "code": 503}}))
        await response.write_eof()
        return response
    if speech.kind == "stall":
        await response.prepare(request)
        await say({"role": "assistant", "content": ""})
        attempt["outcome"] = "hang"
        await asyncio.sleep(3600)
    await asyncio.sleep(speech.ttft_s)
    await response.prepare(request)
    await say({"role": "assistant", "content": ""})
    due = time.monotonic()
    for index in range(speech.pieces):
        if index == speech.cut_after:
            attempt["outcome"] = "cut"
            raise Cut
        due += speech.s_per_piece
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await say({"content": f"{speech.nonce}:{index} "})
        attempt["output_tokens"] += TOKENS_PER_PIECE
    await say({}, "stop")
    if (speech.body.get("stream_options") or {}).get("include_usage"):
        await response.write(_sse({**head, "choices": [], "usage": _usage(attempt)}))
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _sse(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _usage(attempt: dict[str, Any]) -> dict[str, int]:
    asked, answered = attempt["input_tokens"], attempt["output_tokens"]
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"error": {"message": message, "type": "server_error" if status >= 500 else "rate_limit_error"}}
    return web.json_response(body, status=status, headers=headers)


async def serve(scenario: Scenario, port: int) -> None:
    # A client that leaves cancels its request, as a provider stops to generate.
    runner = web.AppRunner(Farm(scenario).app(), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--scenario", type=Path, default=DEFAULT)
    options = parser.parse_args()
    scenario = Scenario.load(options.seed, seconds=options.seconds, path=options.scenario)
    asyncio.run(serve(scenario, options.port))


if __name__ == "__main__":
    main()
