"""The load generator, in a process of its own: asks as scheduled, whatever becomes of earlier requests.

Prints one JSON object: a row per request with what its client saw.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.arena.scenario import DEFAULT, Ask, Scenario


class Bad(Exception):
    """The answer is not what a client could use; the argument says why."""


class Client:
    """Sends the scenario's requests to the workers of one contender, by turns, and notes what comes back."""

    def __init__(
        self, base_urls: Sequence[str], scenario: Scenario, session: aiohttp.ClientSession, began: float
    ) -> None:
        self._urls = itertools.cycle([f"{base_url}/v1/chat/completions" for base_url in base_urls])
        self._scenario = scenario
        self._session = session
        self._began = began

    async def ask(self, ask: Ask) -> dict[str, Any]:
        await asyncio.sleep(max(0.0, self._began + ask.at - time.monotonic()))
        row: dict[str, Any] = {"id": ask.id, "at": ask.at, "stream": ask.stream, "outcome": "ok", "pieces": 0}
        started = time.monotonic()
        patience_s = self._scenario.client_patience_s if ask.cancel_s is None else ask.cancel_s
        try:
            await asyncio.wait_for(self._answer(ask, row, started), patience_s)
        except asyncio.TimeoutError:
            row["outcome"] = "gave_up" if ask.cancel_s is None else "cancelled"
        except Bad as error:
            row["outcome"] = str(error)
        except (aiohttp.ClientError, ConnectionError) as error:
            row["outcome"] = type(error).__name__
        row["total_s"] = time.monotonic() - started
        return row

    async def _answer(self, ask: Ask, row: dict[str, Any], started: float) -> None:
        body: dict[str, Any] = {
            "model": "auto",
            "messages": [{"role": "user", "content": f"[{ask.id}] {ask.prompt}"}],
            "max_tokens": ask.output_tokens,
        }
        if ask.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        async with self._session.post(next(self._urls), json=body) as response:
            row["status"] = response.status
            row["model"] = response.headers.get("x-ofox-model")
            row["attempts"] = response.headers.get("x-ofox-attempts")
            if response.status != 200:
                await response.read()
                raise Bad(f"status {response.status}")
            if ask.stream:
                text = await self._stream(response, row, started)
            else:
                text = _content(await response.json())
        check(text, ask.id)

    async def _stream(self, response: aiohttp.ClientResponse, row: dict[str, Any], started: float) -> str:
        text, finished = "", False
        async for line in response.content:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                if finished:
                    raise Bad("ended twice")
                finished = True
                continue
            event = json.loads(data)
            if event.get("error"):
                raise Bad("error in stream")
            for choice in event.get("choices") or ():
                piece = (choice.get("delta") or {}).get("content")
                if piece:
                    if not text:
                        row["ttft_s"] = time.monotonic() - started
                    text += piece
                    row["pieces"] += 1
        if not finished:
            raise Bad("stream broke off")
        return text


def _content(body: Any) -> str:
    if not isinstance(body, dict) or body.get("error") or not body.get("choices"):
        raise Bad("error in body")
    return str(body["choices"][0]["message"]["content"])


def check(text: str, request_id: str) -> None:
    """Raises :class:`Bad` unless ``text`` is one attempt's answer to this request, whole and in order."""
    pieces = [piece.rpartition(":") for piece in text.split()]
    if not pieces or len({nonce for nonce, _, _ in pieces}) != 1:
        raise Bad("answers mixed" if pieces else "empty answer")
    if not pieces[0][0].startswith(f"{request_id}."):
        raise Bad("another's answer")
    if [index for _, _, index in pieces] != [str(number) for number in range(len(pieces))]:
        raise Bad("pieces missing")


async def run(base_urls: Sequence[str], scenario: Scenario, began: float) -> list[dict[str, Any]]:
    # A connection that is kept may be closed by the server just as it is used again, which is nobody's failure.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=None)
    headers = {"authorization": "Bearer sk-arena"}
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers) as session:
        client = Client(base_urls, scenario, session, began)
        return list(await asyncio.gather(*(client.ask(ask) for ask in scenario.asks())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, nargs="+")
    parser.add_argument("--began", type=float, required=True, help="time.monotonic() of the run's second 0")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--scenario", type=Path, default=DEFAULT)
    options = parser.parse_args()
    scenario = Scenario.load(options.seed, seconds=options.seconds, path=options.scenario)
    json.dump(asyncio.run(run(options.url, scenario, options.began)), sys.stdout)


if __name__ == "__main__":
    main()
