"""``ofox demo --tour``: a scripted walk through what routing does, over real HTTP, that fails when it does not hold."""

from __future__ import annotations

import base64
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

EASY = "What is the capital of France?"
HARD = (
    "Prove that every finite group of order p^2 for a prime p is abelian, then derive step by step how many groups of "
    "order p^3 there are up to isomorphism, and justify each case rigorously with explicit presentations."
)
HARD_CODE = (
    "Implement a lock-free multi-producer multi-consumer queue in C++20 with hazard pointers, prove its "
    "linearizability and analyse the memory orderings that each atomic operation needs on ARM and on x86."
)
BURST_TOPICS = (
    "the Riemann-Roch theorem for curves", "the Atiyah-Singer index theorem", "Szemeredi's regularity lemma",
    "the PCP theorem", "Gromov's theorem on groups of polynomial growth", "the h-cobordism theorem",
    "the Hodge decomposition theorem", "Faltings's theorem",
)  # fmt: skip
LATER_TOPICS = ("the Nash embedding theorem", "Mostow's rigidity theorem")
RECOVERY_TOPICS = tuple(
    f"the {name} spectral sequence" for name in ("Serre", "Adams", "Leray", "Bockstein", "May", "Eilenberg-Moore")
)
RECOVERY_LIMIT_S = 90.0
"""A tripped breaker lets a probe through after about 5 s; a model that failed too little to trip it is out for 60 s."""


class TourFailed(Exception):
    """An expectation of a step does not hold."""


@dataclass(frozen=True, slots=True)
class Row:
    """One request of the tour.

    Attributes:
        asked: what was asked, in words.
        preference: the preference that was sent.
        model: who answered; empty for a refusal.
        why: the reason header, and what the decision rests on.
        cost_usd: from the answer's usage and the prices of ``/v1/models``; ``None`` when there is none.
        time_s: seconds until the whole answer was there.
        attempts: models tried.
        note: what to notice.
    """

    asked: str
    preference: str
    model: str
    why: str
    cost_usd: float | None
    time_s: float
    attempts: int
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


class Tour:
    """Sends the scripted requests to a running demo.

    Args:
        base_url: the demo, such as ``http://127.0.0.1:4100``.
        sleep: waits between probes of a provider that is recovering.

    Raises:
        TourFailed: while iterating :meth:`rows`.
    """

    def __init__(self, base_url: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        import httpx  # noqa: PLC0415 - both come with LiteLLM, and take seconds to import
        from openai import OpenAI  # noqa: PLC0415

        self._sleep = sleep
        # A proxy that the environment names is for the outside world, not for a server on loopback.
        self._http = httpx.Client(base_url=base_url, trust_env=False, timeout=60.0)
        self._client = OpenAI(
            base_url=f"{base_url.rstrip('/')}/v1", api_key="not-needed", max_retries=0, http_client=self._http
        )
        self._pool = {row["id"]: row for row in self._get("/v1/models")["data"] if "pricing" in row}

    def rows(self) -> Iterator[Row]:
        """The rows, one per request, as they come in."""
        yield from self._preferences()
        yield from self._needs()
        yield from self._limits()
        yield self._stream()
        yield from self._outage()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def savings(self) -> dict[str, Any]:
        """The demo's ledger: what was spent, against always-strongest and always-cheapest."""
        ledger: dict[str, Any] = self._get("/demo/savings")
        return ledger

    # The steps ---------------------------------------------------------------------------------------------------

    def _preferences(self) -> Iterator[Row]:
        by_price = sorted(self._pool, key=lambda name: float(self._pool[name]["pricing"]["completion"]))
        easy = self._ask("an easy question", EASY, note="no need for a dear model")
        _expect(easy.model != by_price[-1], f"the easy question went to the dearest model, {easy.model}")
        yield easy
        cheap = self._ask("an easy question", EASY + " And of Spain?", "cost")
        _expect(_rank(by_price, cheap) <= 1, f"preference cost picked {cheap.model} for an easy question")
        yield cheap
        hard = self._ask("a hard proof", HARD)
        _expect(_rank(by_price, hard) > _rank(by_price, cheap), f"the hard proof went to {hard.model}, as easy ones do")
        yield hard
        best = self._ask("a hard proof", HARD + " Use no citations.", "quality")
        _expect(_rank(by_price, best) >= len(by_price) - 2, f"preference quality picked {best.model} for a hard proof")
        yield best
        frugal = self._ask("a hard proof", HARD + " Be brief.", "cost", note="the cheapest that can do it")
        _expect(_rank(by_price, frugal) <= _rank(by_price, best), "preference cost was dearer than quality")
        yield frugal
        fast = self._ask("an easy question", EASY + " And of Italy?", "speed")
        _expect(fast.time_s <= best.time_s, f"preference speed took {fast.time_s:.2f} s with {fast.model}")
        yield fast
        yield self._ask("hard code", HARD_CODE)

    def _needs(self) -> Iterator[Row]:
        image = [
            {"type": "text", "text": "What colour is this square?"},
            {"type": "image_url", "image_url": {"url": _red_square()}},
        ]
        seen = self._ask("an image", image, "cost", note="models without vision are left out")
        _expect(
            seen.model in {"north/titan", "north/swift", "river/flash"},
            f"the image went to {seen.model}, which has no vision",
        )
        yield seen
        long = "Summarise these minutes. " + "The committee discussed the budget and agreed to meet again. " * 2500
        read = self._ask("a long prompt (about 30,000 tokens)", long, "cost", note="small windows are left out")
        window = int(self._pool[read.model]["context_length"])
        _expect(window >= 30_000, f"the long prompt went to {read.model}, whose window is {window} tokens")
        yield read
        tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
        called = self._ask("a question with a tool", "What is the weather in Oslo?", "cost", tools=[tool])
        _expect(called.model != "pebble/mini", "the tool call went to pebble/mini, which has no tools")
        yield called

    def _limits(self) -> Iterator[Row]:
        globbed = self._ask("a pool of the caller's own", EASY + " And of Malta?", config={"models": ["north/*"]})
        _expect(globbed.model.startswith("north/"), f"models: [north/*] was answered by {globbed.model}")
        yield globbed
        refused = self._ask("a price cap that nothing meets", HARD, config={"max_cost_usd": 1e-9}, refused=400)
        _expect("no_candidate_model" in refused.why, f"expected no_candidate_model, got: {refused.why}")
        yield refused

    def _stream(self) -> Row:
        started = time.monotonic()
        raw = self._client.chat.completions.with_raw_response.create(
            model="auto",
            messages=[{"role": "user", "content": "Tell me a short story about a fox."}],
            stream=True,
            stream_options={"include_usage": True},
        )
        pieces, models, usage, ttft = 0, set(), None, 0.0
        for chunk in raw.parse():
            models.add(chunk.model)
            usage = chunk.usage or usage
            if chunk.choices and chunk.choices[0].delta.content:
                ttft = ttft or time.monotonic() - started
                pieces += 1
        model = raw.headers["x-ofox-model"]
        _expect(models == {model}, f"the header names {model}, the chunks name {sorted(models)}")
        _expect(pieces > 5, f"the stream came in {pieces} pieces")
        note = f"{pieces} pieces, the first after {ttft:.2f} s"
        return self._row("a stream", "balanced", raw.headers, usage, time_s=time.monotonic() - started, note=note)

    def _outage(self) -> Iterator[Row]:
        proof = "Prove {} in full detail, with every lemma, and discuss where each hypothesis is needed."
        before = self._ask("a hard proof, all providers up", proof.format("Quillen-Suslin"), "quality")
        provider = before.model.partition("/")[0]
        yield before
        self._set_state(provider, "down")
        try:
            yield from self._while_down(provider, proof)
        finally:
            self._set_state(provider, "up")
        yield self._recovered(provider, proof)

    def _while_down(self, provider: str, proof: str) -> Iterator[Row]:
        asked = f"a hard proof, {provider} down"
        with ThreadPoolExecutor(len(BURST_TOPICS)) as pool:
            at_once = [pool.submit(self._ask, asked, proof.format(topic), "quality") for topic in BURST_TOPICS]
            burst = [future.result() for future in at_once]
        after = [self._ask(asked, proof.format(topic), "quality") for topic in LATER_TOPICS]
        for row in (*burst, *after):
            _expect(not row.model.startswith(f"{provider}/"), f"{row.model} answered while {provider} is down")
        _expect(max(row.attempts for row in burst) > 1, f"nothing was tried on {provider}, so its failure was not seen")
        attempts = [row.attempts for row in after]
        _expect(attempts == [1] * len(after), f"traffic did not leave {provider}: attempts were {attempts}")
        for row in burst:
            yield replace(row, note="one of eight at once")
        for row in after:
            yield replace(row, note=f"nothing goes to {provider} any more")

    def _recovered(self, provider: str, proof: str) -> Row:
        started = time.monotonic()
        turn = 0
        while time.monotonic() - started < RECOVERY_LIMIT_S:
            topic = f"{RECOVERY_TOPICS[turn % len(RECOVERY_TOPICS)]} ({turn})"
            row = self._ask(f"a hard proof, {provider} up again", proof.format(topic), "quality")
            if row.model.startswith(f"{provider}/"):
                return replace(row, note=f"after {time.monotonic() - started:.0f} s")
            turn += 1
            self._sleep(1.0)
        raise TourFailed(f"{provider} is up again, but had no traffic for {RECOVERY_LIMIT_S:.0f} s")

    # The plumbing ------------------------------------------------------------------------------------------------

    def _ask(
        self,
        asked: str,
        content: Any,
        preference: str = "balanced",
        *,
        note: str = "",
        config: dict[str, Any] | None = None,
        tools: list[Any] | None = None,
        refused: int | None = None,
    ) -> Row:
        from openai import APIStatusError  # noqa: PLC0415

        started = time.monotonic()
        more: dict[str, Any] = {"tools": tools} if tools else {}
        try:
            raw = self._client.chat.completions.with_raw_response.create(
                model="auto",
                messages=[{"role": "user", "content": content}],
                extra_body={"model_routing_config": {"preference": preference, **(config or {})}},
                **more,
            )
        except APIStatusError as error:
            _expect(error.status_code == refused, f"{asked}: {error.status_code} {error.message}")
            return Row(
                asked, preference, "", str(error.code), None, time.monotonic() - started, 0, "refused, as it must"
            )
        answer = raw.parse()
        model = raw.headers["x-ofox-model"]
        _expect(answer.model == model, f"the header names {model}, the body {answer.model}")
        time_s = time.monotonic() - started
        return self._row(asked, preference, raw.headers, answer.usage, time_s=time_s, note=note)

    def _row(self, asked: str, preference: str, headers: Any, usage: Any, *, time_s: float, note: str) -> Row:
        model = headers["x-ofox-model"]
        decision = self._get(f"/demo/decisions/{headers['x-ofox-decision-id']}")
        candidate = next(row for row in decision["candidates"] if row["name"] == model)
        why = f"{headers['x-ofox-reason']}: difficulty {decision['difficulty']:.2f}, quality {candidate['quality']:.2f}"
        price = self._pool[model]["pricing"]
        cost = usage.prompt_tokens * float(price["prompt"]) + usage.completion_tokens * float(price["completion"])
        return Row(asked, preference, model, why, cost, time_s, int(headers["x-ofox-attempts"]), note)

    def _set_state(self, provider: str, state: str) -> None:
        answer = self._http.post(f"/demo/providers/{provider}", json={"state": state})
        _expect(answer.status_code == 200, f"could not set {provider} {state}: {answer.text}")

    def _get(self, path: str) -> Any:
        answer = self._http.get(path)
        _expect(answer.status_code == 200, f"GET {path} answered {answer.status_code}: {answer.text[:200]}")
        return answer.json()


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise TourFailed(otherwise)


def _rank(by_price: list[str], row: Row) -> int:
    return by_price.index(row.model)


def _red_square() -> str:
    """A PNG of 8 x 8 red pixels as a data URL."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress((b"\x00" + b"\xff\x00\x00" * 8) * 8)
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()
