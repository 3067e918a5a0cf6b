"""Workers behind the ASGI door that share what they see of the models through a real Redis."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.errors import SettingsError
from tests.asgi.harness import ASK, BEST, NEXT, Models, call, router
from tests.redis_server import RedisServer, needs_redis


def test_a_wrong_redis_url_is_refused_at_start() -> None:
    """A URL that cannot be used is refused when the middleware is made, not at the first request."""
    with pytest.raises(SettingsError, match="redis_url"):
        OfoxMiddleware(Models(), router=router(redis_url="ftp://127.0.0.1"))


@needs_redis
def test_one_workers_trip_is_everyones(tmp_path: Path) -> None:
    """A model that fails at one of four workers is left by all of them, without a failure of their own."""

    async def main(url: str) -> None:
        apps = [Models() for _ in range(4)]
        workers = [OfoxMiddleware(app, router=router(redis_url=url)) for app in apps]
        for worker in workers:
            assert (await call(worker)).headers["x-ofox-model"] == BEST
        for _ in range(6):
            workers[0].router.health.record_failure(BEST, status=500)
        end = time.monotonic() + 20
        while True:
            models = {worker.router.decide(ASK, dry_run=True).model for worker in workers}
            if models == {NEXT}:
                return
            assert time.monotonic() < end, models
            await asyncio.sleep(0.05)

    server = RedisServer(tmp_path)
    server.start()
    try:
        asyncio.run(main(server.url))
    finally:
        server.kill()


@needs_redis
def test_refusals_and_conversations_are_everyones(tmp_path: Path) -> None:
    """What a model refused at one worker, and where a conversation is, the other worker knows as well."""
    warm = {**ASK, "temperature": 0.1}

    async def main(url: str) -> None:
        workers = [OfoxMiddleware(Models(), router=router(redis_url=url)) for _ in range(2)]
        first, second = (worker.router for worker in workers)
        for worker in workers:
            await call(worker, {"model": "auto", "messages": [{"role": "user", "content": "Wake up."}]})
        decision = first.decide(warm)
        assert first.refused(decision, BEST, "Unsupported parameter: 'temperature' is not supported with this model.")
        key = first.decide(warm).session
        end = time.monotonic() + 20
        while True:
            pin = second.sessions.get(key)
            if pin is not None and second.decide(warm, dry_run=True).model == NEXT:
                break
            assert time.monotonic() < end
            await asyncio.sleep(0.05)
        assert pin.model == NEXT

    server = RedisServer(tmp_path)
    server.start()
    try:
        asyncio.run(main(server.url))
    finally:
        server.kill()


def test_nothing_is_loaded_where_nothing_is_shared() -> None:
    """Without a Redis URL there is nothing to start."""
    door: Any = OfoxMiddleware(Models(), router=router())
    assert door._sharing is None
