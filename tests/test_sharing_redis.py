"""Sharing through a real Redis, also one that is killed, stands still or is poisoned."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ofox_middleware import sharing as module
from ofox_middleware.sharing import TTL_S, HealthSharing
from tests.health_tools import look, succeed, trip
from tests.redis_server import RedisServer, needs_redis
from tests.sharing_tools import DOWN, KEY, a_book, envelope, running, sharing, until


@needs_redis
def test_workers_share_through_redis(redis: RedisServer) -> None:
    """Four workers at the usual pace: when one trips, all avoid the model within three seconds."""

    async def main() -> None:
        books = [a_book() for _ in range(4)]
        shares = [HealthSharing(book, url=redis.url, rng=random.Random(n)) for n, book in enumerate(books)]
        async with running(*shares):
            await until(lambda: all(book.workers() == 3 for book in books))
            trip(books[0])
            tripped = time.monotonic()
            await until(lambda: all(look(book).state != "closed" for book in books))
            # The rule of the house, with room for a busy machine: the rounds of both sides take a second each.
            assert all(share.status()["rounds"] > 0 for share in shares)
            assert time.monotonic() - tripped < 30.0
        assert redis.ask("KEYS", "*:health:*") == b"*0\r\n"

    asyncio.run(main())


@needs_redis
def test_summaries_expire(redis: RedisServer) -> None:
    """What a worker publishes is forgotten by Redis 15 s after its last round."""

    async def main() -> None:
        book = a_book()
        succeed(book, 1)
        share = sharing(book, url=redis.url)
        async with running(share):
            await until(lambda: share.status()["rounds"] > 0)
            left = int(redis.ask("PTTL", KEY.format(share._place))[1:-2])
            assert 0 < left <= TTL_S * 1_000
            assert b'"m":[1,0,' in redis.ask("GET", KEY.format(share._place))

    asyncio.run(main())


@needs_redis
def test_redis_killed_and_restarted(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A Redis that dies in mid-run costs nothing but the sharing; when it is back, so is the sharing. The log says both
    once per worker, and not where the Redis is."""

    async def main() -> None:
        books = [a_book(), a_book()]
        shares = [sharing(book, url=redis.url) for book in books]
        async with running(*shares):
            await until(lambda: all(book.workers() == 1 for book in books))
            redis.kill()
            await until(lambda: all(share.status()["failures"] > 1 for share in shares))
            for book in books:
                succeed(book, 10)
            assert all(look(book).state == "closed" for book in books)
            assert not any(share.status()["connected"] for share in shares)
            redis.start()
            await until(lambda: all(share.status()["connected"] for share in shares), 60.0)
            trip(books[0])
            await until(lambda: look(books[1]).state == "open", 60.0)

    asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if record.name == "ofox_middleware.sharing"]
    assert sum("not shared" in line for line in told) == sum("shared again" in line for line in told) == 2
    assert len(told) == 4 and str(redis.port) not in caplog.text


@needs_redis
def test_redis_that_stands_still(redis: RedisServer) -> None:
    """While Redis does not answer, its operations are given up; requests and the loop go on."""

    async def main() -> None:
        book = a_book()
        share = sharing(book, url=redis.url)
        async with running(share):
            await until(lambda: share.status()["rounds"] > 0)
            redis.ask("CLIENT", "PAUSE", "1500", "ALL")
            await until(lambda: share.status()["failures"] > 0)
            succeed(book, 100)
            failures = share.status()["failures"]
            rounds = share.status()["rounds"]
            assert share.status()["last_error"]
            await until(lambda: share.status()["rounds"] > rounds, 60.0)
            assert failures >= 1

    asyncio.run(main())


@needs_redis
def test_redis_not_there_at_start(redis: RedisServer) -> None:
    """A worker may start before its Redis does."""

    async def main() -> None:
        redis.kill()
        share = sharing(a_book(), url=redis.url)
        async with running(share):
            await until(lambda: share.status()["failures"] > 0)
            redis.start()
            await until(lambda: share.status()["rounds"] > 0, 60.0)

    asyncio.run(main())


@needs_redis
def test_poisoned_redis(redis: RedisServer) -> None:
    """Keys of the wrong type and values that are none of ours do not end the sharing."""

    async def main() -> None:
        redis.ask("RPUSH", KEY.format(1), "a list")
        redis.ask("SET", KEY.format(2), b"\x80\x81\x82")
        redis.ask("SET", KEY.format(3), envelope(DOWN, ago_s=-3_600.0))
        books = [a_book(), a_book()]
        shares = [sharing(book, url=redis.url, rng=random.Random(n)) for n, book in enumerate(books)]
        async with running(*shares):
            await until(lambda: all(book.workers() == 1 for book in books))
            await until(lambda: all(share.status()["dropped"] > 1 for share in shares))
        assert all(look(book).state == "closed" for book in books)

    asyncio.run(main())


@needs_redis
def test_wrong_password(redis: RedisServer) -> None:
    """Refused by Redis, a worker goes on alone, and shows no password."""

    async def main() -> None:
        redis.ask("CONFIG", "SET", "requirepass", "right")
        share = sharing(a_book(), url=redis.url.replace("redis://", "redis://:wrong@"))
        async with running(share):
            await until(lambda: share.status()["failures"] > 0)
            assert "wrong" not in str(share.status())
        good = sharing(a_book(), url=redis.url.replace("redis://", "redis://:right@"))
        async with running(good):
            await until(lambda: good.status()["rounds"] > 0)

    asyncio.run(main())


@needs_redis
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_processes_share(redis: RedisServer, tmp_path: Path) -> None:
    """Workers in processes of their own, forked from one that had the sharing made already, hear each other."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import asyncio, os, sys, time\n"
        "from ofox_middleware.health import HealthBook\n"
        "from ofox_middleware.sharing import HealthSharing\n"
        "book = HealthBook()\n"
        f"share = HealthSharing(book, url={redis.url!r}, interval_s=0.1)\n"
        "child = os.fork()\n"
        "async def main():\n"
        "    share.start()\n"
        "    end = time.monotonic() + 40\n"
        "    while time.monotonic() < end:\n"
        "        await asyncio.sleep(.01)\n"
        "        if not child and book.workers() and book.view('m', 1.0, .01).state == 'open': return 0\n"
        "        if child and book.workers() and not book.snapshot(): [book.record_failure('m') for _ in range(5)]\n"
        "        if child:\n"
        "            done, code = os.waitpid(child, os.WNOHANG)\n"
        "            if done: return os.waitstatus_to_exitcode(code)\n"
        "    return 1\n"
        "os._exit(asyncio.run(main()))\n",
        "utf-8",
    )
    path = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, timeout=60, check=False, env=path
    )
    assert (done.returncode, done.stderr) == (0, b"")
