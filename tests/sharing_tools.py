"""What the tests of sharing have in common."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from aiocache import SimpleMemoryCache
from aiocache.serializers import NullSerializer

from ofox_middleware.envelope import Envelope
from ofox_middleware.fleet import Report
from ofox_middleware.health import HealthBook
from ofox_middleware.sharing import HealthSharing

FAST_S = 0.05
KEY = "ofox:default:health:1:{}"


def a_book() -> HealthBook:
    return HealthBook(rng=random.Random(1))


def a_cache() -> Any:
    return SimpleMemoryCache(serializer=NullSerializer(encoding=None))


def sharing(book: HealthBook, **options: Any) -> HealthSharing:
    return HealthSharing(book, **{"interval_s": FAST_S, "rng": random.Random(1), **options})


async def until(condition: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Waits for ``condition``; what takes how long is not what these tests are about."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)


def envelope(models: dict[str, Report], worker: str = "w", *, ago_s: float = 0.0) -> bytes:
    return msgspec.json.encode(Envelope(worker, time.time() - ago_s, models))


DOWN = {"m": Report(failed=9, open_s=30.0, tripped_ago_s=0.1)}


@contextlib.asynccontextmanager
async def running(*shares: HealthSharing) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for share in shares:
            await stack.enter_async_context(share)
        yield
