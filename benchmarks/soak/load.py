"""The load: every kind of caller there is, polite and not, at a steady rate."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.soak.server import BROKEN, QUICK, SICK, STRONG

ASKS = ("Say hi.", "What is the capital of France?", "Prove that there are infinitely many primes.",
        "Refactor this module so that the parser is testable: " + "def f(x): return x\n" * 40)  # fmt: skip
TOO_LARGE = b'{"model":"auto","x":"' + b"x" * (9 * 1024 * 1024) + b'"}'
URL = "/v1/chat/completions"


class Unexpected(Exception):
    """An answer that this request should not have had."""


@dataclass
class Tally:
    """How often each kind of request ended as it should, and the errors of those that did not."""

    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)


class Callers:
    """Sends requests of drawn kinds."""

    def __init__(self, client: httpx.AsyncClient, seed: int) -> None:
        self._client = client
        self._dice = random.Random(seed)
        self._numbers = itertools.count()
        self.tally = Tally()
        shares: dict[str, tuple[int, Callable[[], Awaitable[None]]]] = {
            "plain": (20, self.plain),
            "stream": (12, self.stream),
            "new conversation": (10, self.conversation),
            "stream left in the middle": (8, self.leave_stream),
            "left while waiting": (8, self.leave_waiting),
            "fallback": (8, self.fallback),
            "stream that breaks": (4, self.breaking),
            "nobody can": (3, self.hopeless),
            "model named": (8, self.named),
            "not JSON": (4, self.not_json),
            "wrong config": (4, self.wrong_config),
            "dry run": (4, self.dry_run),
            "other path": (4, self.other_path),
            "console": (3, self.console),
            "half a body": (2, self.half_a_body),
            "too large": (1, self.too_large),
        }
        self._kinds = {name: call for name, (_, call) in shares.items()}
        self._weights = [share for share, _ in shares.values()]

    async def one(self) -> None:
        """One request of a drawn kind, entered in the tally."""
        kind = self._dice.choices(list(self._kinds), self._weights)[0]
        try:
            await self._kinds[kind]()
        except (Unexpected, httpx.HTTPError, OSError) as error:
            self.tally.wrong[f"{kind}: {type(error).__name__} {error}"[:200]] += 1
        else:
            self.tally.right[kind] += 1

    def _body(self, **more: Any) -> dict[str, Any]:
        return {"model": "auto", "messages": [{"role": "user", "content": self._dice.choice(ASKS)}], **more}

    async def _expect(self, status: int, **request: Any) -> httpx.Response:
        answer = await self._client.post(URL, **request)
        if answer.status_code != status:
            raise Unexpected(f"{answer.status_code} for {status}: {answer.text[:100]}")
        return answer

    @contextlib.asynccontextmanager
    async def _streamed(self, body: dict[str, Any]) -> AsyncIterator[httpx.Response]:
        async with self._client.stream("POST", URL, json={**body, "stream": True}) as answer:
            if answer.status_code != 200:
                raise Unexpected(f"{answer.status_code} for a stream")
            yield answer

    async def plain(self) -> None:
        answer = await self._expect(200, json=self._body(**routing(models=["fine/*"])))
        if answer.json()["model"] != answer.headers["x-ofox-model"]:
            raise Unexpected("header and answer name two models")

    async def stream(self) -> None:
        async with self._streamed(self._body(**routing(models=["fine/*"]))) as answer:
            lines = [line async for line in answer.aiter_lines()]
        if "data: [DONE]" not in lines:
            raise Unexpected("a stream without its end")

    async def conversation(self) -> None:
        session = f"conversation {next(self._numbers)}"
        await self._expect(200, json=self._body(**routing(models=["fine/*"], session_id=session)))

    async def leave_stream(self) -> None:
        async with self._streamed(self._body(**routing(models=["fine/*"]))) as answer:
            async for _ in answer.aiter_raw():
                break

    async def leave_waiting(self) -> None:
        body = self._body(**routing(models=["sick/failing", "fine/strong"], preference="quality"))
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):  # one class since Python 3.11
            await asyncio.wait_for(self._client.post(URL, json=body), self._dice.uniform(0.001, 0.02))

    async def fallback(self) -> None:
        await self._expect(200, json=self._body(**routing(models=[SICK, QUICK, STRONG], preference="quality")))

    async def breaking(self) -> None:
        async with self._streamed(self._body(**routing(models=[BROKEN]))) as answer:
            lines = [line async for line in answer.aiter_lines()]
        if "data: [DONE]" in lines:
            raise Unexpected("a broken stream with an end")

    async def hopeless(self) -> None:
        await self._expect(503, json=self._body(**routing(models=[SICK])))

    async def named(self) -> None:
        await self._expect(200, json={**self._body(), "model": QUICK, **routing(preference="cost")})

    async def not_json(self) -> None:
        await self._expect(400, content=b'{"model":"auto",', headers=JSON)

    async def wrong_config(self) -> None:
        await self._expect(400, json=self._body(**routing(preference="none of them")))

    async def dry_run(self) -> None:
        await self._expect(200, json=self._body(), headers={"x-ofox-dry-run": "true"})

    async def other_path(self) -> None:
        answer = await self._client.get("/plain")
        if answer.content != b"plain":
            raise Unexpected(f"{answer.status_code} on another path")

    async def console(self) -> None:
        for path in ("/ofox/api/status", "/ofox/api/decisions?limit=20"):
            if (answer := await self._client.get(path)).status_code != 200:
                raise Unexpected(f"{answer.status_code} at {path}")

    async def half_a_body(self) -> None:
        """A client that hangs up in the middle of its upload."""
        url = self._client.base_url
        _, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {URL} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
        writer.write(head.encode() + b'{"model":"auto",')
        await writer.drain()
        await asyncio.sleep(self._dice.uniform(0, 0.02))
        writer.transport.abort()

    async def too_large(self) -> None:
        """Over the limit a body is the app's own, which knows no model of the name."""
        await self._expect(404, content=TOO_LARGE, headers=JSON)


JSON = {"content-type": "application/json"}


def routing(**config: Any) -> dict[str, Any]:
    return {"model_routing_config": config}


async def send(callers: Callers, seconds: float, rate: float) -> None:
    """``rate`` requests a second for so long, each begun on time whether or not others are under way, up to 64."""
    gate = asyncio.Semaphore(64)
    under_way: set[asyncio.Task[None]] = set()

    async def gated() -> None:
        async with gate:
            await callers.one()

    begun = time.monotonic()
    for number in itertools.count():
        if (due := number / rate) >= seconds:
            break
        await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
        while len(under_way) > 256:  # a machine that cannot keep up sends less, instead of holding more
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(gated())
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way)
