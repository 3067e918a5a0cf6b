"""What the tests of the console share: a pool, and a client at an address."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings

TOKEN = "a-token-that-is-long-enough"
PROMPT = "What is the heliotrope capital of France?"
ASK = {"messages": [{"role": "user", "content": PROMPT}]}
CARDS = [
    ModelCard(
        name="a/strong", ability=0.9, input_cost_per_token=1e-5, output_cost_per_token=1e-4, supports_vision=True,
        params={"api_key": "sk-operators-own"},
    ),
    ModelCard(
        name="b/weak", ability=0.4, input_cost_per_token=1e-7, output_cost_per_token=1e-6, supports_vision=False
    ),
]  # fmt: skip


class Client:
    """Asks an ASGI app in this process, as a client at an address."""

    def __init__(self, app: Any, *, client: str | None = "127.0.0.1", host: str = "127.0.0.1:4100") -> None:
        self._app = app
        self._client = client
        self._host = host

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self._app({**scope, "client": (self._client, 5) if self._client else None}, receive, send)

        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{self._host}") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(main())

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.ask("POST", path, headers, json=body)


def new_router(**more: Any) -> SmartRouter:
    return SmartRouter(Settings(models=CARDS, seed=1, **more))


def ended(decision: Decision, **more: Any) -> Outcome:
    told: dict[str, Any] = {
        "model": decision.model, "ok": True, "status": 200, "attempts": (decision.model,), "ttft_s": 0.2, "total_s": 1.0
    }  # fmt: skip
    return Outcome(decision, **{**told, **more})
