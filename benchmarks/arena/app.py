"""The small app of the arena, as a user would write it, over each of the contenders that live in an app.

``GET /_arena`` shows the runner what the contender knows: requests in flight and the state of each model.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from benchmarks.arena.scenario import DEFAULT, Model, Scenario

STRATEGIES = {
    "litellm-latency": "latency-based-routing",
    "litellm-least-busy": "least-busy",
    "litellm-shuffle": "simple-shuffle",
}
ABILITY = 0.7
"""Our models are told to be equally able: the others take them to be interchangeable."""

Complete = Callable[..., Awaitable[Any]]


class Contender(Protocol):
    """What the runner asks a contender besides answers."""

    app: ASGIApp

    def view(self) -> dict[str, Any]: ...


def api_base(farm: str, model: Model) -> str:
    return f"{farm}/{model.name}/v1"


def _settings(scenario: Scenario, prefix: str = "") -> dict[str, Any]:
    """What an operator states about models that no catalogue knows, and the time-out and tries that everybody gets."""
    cards = [
        {
            "name": f"{prefix}{model.name}", "provider": model.name.partition("/")[0],
            "ability": ABILITY, "ttft_s": model.ttft_s, "tokens_per_s": model.tokens_per_s,
            "input_cost_per_token": model.input_usd, "output_cost_per_token": model.output_usd,
        }
        for model in scenario.models
    ]  # fmt: skip
    return {"models": cards, "first_byte_timeout_s": scenario.timeout_s, "max_attempts": scenario.tries}


# --- over httpx


def httpx_app(scenario: Scenario, farm: str) -> Starlette:
    """Hands requests on to the provider of the model that they name."""
    bases = {model.name: api_base(farm, model) for model in scenario.models}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    client = httpx.AsyncClient(timeout=httpx.Timeout(scenario.timeout_s), limits=limits, trust_env=False)

    async def relay(request: Request) -> Response:
        body = await request.json()
        url = f"{bases[body['model']]}/chat/completions"
        upstream = client.build_request("POST", url, json=body)
        try:
            answer = await client.send(upstream, stream=True)
            streamed = answer.headers["content-type"].startswith("text/event-stream")
            if not streamed:
                await answer.aread()
        except httpx.HTTPError as error:
            return JSONResponse({"error": {"message": type(error).__name__, "type": "api_error"}}, status_code=502)
        kept = {name: answer.headers[name] for name in ("content-type", "retry-after") if name in answer.headers}
        if not streamed:
            return Response(answer.content, answer.status_code, kept)
        return StreamingResponse(_relayed(answer), answer.status_code, kept)

    return Starlette(routes=[Route("/v1/chat/completions", relay, methods=["POST"])])


async def _relayed(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except httpx.HTTPError as error:
        yield _event({"error": {"message": type(error).__name__, "type": "api_error", "code": 502}})
    finally:
        await answer.aclose()


# --- over LiteLLM


def litellm_app(complete: Complete) -> Starlette:
    """Answers with what ``complete``, LiteLLM's ``acompletion`` or that of a router, says."""

    async def answer(request: Request) -> Response:
        body = await request.json()
        try:
            result = await complete(**body)
            if not body.get("stream"):
                return JSONResponse(result.model_dump(exclude_none=True))
            first = await anext(result)
        except Exception as error:  # noqa: BLE001 - whatever is raised becomes an answer
            status, shown, headers = _failure(error)
            return JSONResponse(shown, status_code=status, headers=headers)
        return StreamingResponse(_events(first, result), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])


async def _events(first: Any, rest: Any) -> AsyncIterator[bytes]:
    try:
        yield _chunk(first)
        async for chunk in rest:
            yield _chunk(chunk)
        yield b"data: [DONE]\n\n"
    except Exception as error:  # noqa: BLE001
        yield _event(_failure(error)[1])
    finally:
        close = getattr(rest, "aclose", None)
        if close is not None:
            await close()


def _chunk(chunk: Any) -> bytes:
    return b"data: " + chunk.model_dump_json(exclude_none=True, exclude_unset=True).encode() + b"\n\n"


def _event(event: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def _failure(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) and 400 <= status <= 599 else 500
    headers = getattr(error, "litellm_response_headers", None) or {}
    kept = {name: headers[name] for name in ("retry-after",) if name in headers}
    return status, {"error": {"message": str(error)[:200], "type": type(error).__name__, "code": status}}, kept


def load_litellm() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOG", "CRITICAL")
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


# --- the contenders


class Ofox:
    """OfoxMiddleware over the small app."""

    def __init__(self, scenario: Scenario, farm: str, *, over_litellm: bool, **options: Any) -> None:
        from ofox_middleware import OfoxMiddleware, Settings, SmartRouter

        self.prefix = "openai/" if over_litellm else ""
        self.router = SmartRouter(Settings(**_settings(scenario, self.prefix), **options))
        inner = _plain_litellm(scenario, farm) if over_litellm else httpx_app(scenario, farm)
        self.app: ASGIApp = OfoxMiddleware(inner, router=self.router)

    def view(self) -> dict[str, Any]:
        health = {name.removeprefix(self.prefix): entry for name, entry in self.router.health.snapshot().items()}
        return {
            "in_flight": self.router.health.in_flight(),
            "health": health,
            "hedged": self.router.stats["hedged"],
        }


def _plain_litellm(scenario: Scenario, farm: str) -> Starlette:
    litellm = load_litellm()
    bases = {f"openai/{model.name}": api_base(farm, model) for model in scenario.models}

    async def complete(*, model: str, **body: Any) -> Any:
        return await litellm.acompletion(
            model=model, api_base=bases[model], api_key="sk-farm", num_retries=0, max_retries=0,
            timeout=scenario.timeout_s, **body,
        )  # fmt: skip

    return litellm_app(complete)


class LiteLLMRouter:
    """``litellm.Router`` under the small app: all models in one group, its retries on, and a fallback group of the
    same models with retries again, so that a request has as many tries as with the others."""

    def __init__(self, scenario: Scenario, farm: str, strategy: str) -> None:
        litellm = load_litellm()
        self.router = litellm.Router(
            model_list=[
                {
                    "model_name": group,
                    "litellm_params": {
                        "model": f"openai/{model.name}", "api_base": api_base(farm, model), "api_key": "sk-farm",
                        "max_retries": 0,
                        "input_cost_per_token": model.input_usd, "output_cost_per_token": model.output_usd,
                    },
                    "model_info": {"id": f"{group}-{model.name}"},
                }
                for group in ("auto", "backup")
                for model in scenario.models
            ],
            routing_strategy=strategy,
            num_retries=scenario.tries // 2 - 1,
            fallbacks=[{"auto": ["backup"]}],
            timeout=scenario.timeout_s,
            stream_timeout=scenario.timeout_s,
        )  # fmt: skip
        self.app: ASGIApp = litellm_app(self.router.acompletion)

    def view(self) -> dict[str, Any]:
        ids = [(entry["model_name"], entry["model_info"]["id"]) for entry in self.router.model_list]
        counts = [self.router.cache.get_cache(key=f"{group}_request_count:{name}") for group, name in ids]
        known = [count for count in counts if count is not None]
        return {"in_flight": sum(abs(count) for count in known) if known else None, "health": {}}


def contender(name: str, scenario: Scenario, farm: str, redis: str | None = None) -> Contender:
    if name in STRATEGIES:
        return LiteLLMRouter(scenario, farm, STRATEGIES[name])
    options: dict[str, Any] = {"preference": "speed", "hedge": True} if name == "ofox-speed" else {}
    return Ofox(scenario, farm, over_litellm=name == "ofox-litellm", redis_url=redis, **options)


def with_view(contender: Contender) -> ASGIApp:
    """The contender's app and, beside it, what it knows."""

    async def view(request: Request) -> Response:
        if "final" in request.query_params:
            gc.collect()
        return JSONResponse(contender.view())

    beside = Starlette(routes=[Route("/_arena", view)])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        inner = beside if scope["type"] != "http" or scope["path"] == "/_arena" else contender.app
        await inner(scope, receive, send)

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contender", required=True)
    parser.add_argument("--farm", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--scenario", type=Path, default=DEFAULT)
    parser.add_argument("--redis", help="URL of a Redis to share health through")
    options = parser.parse_args()
    scenario = Scenario.load(options.seed, path=options.scenario)
    app = with_view(contender(options.contender, scenario, options.farm, options.redis))
    uvicorn.run(app, host="127.0.0.1", port=options.port, log_level="critical", access_log=False)


if __name__ == "__main__":
    main()
