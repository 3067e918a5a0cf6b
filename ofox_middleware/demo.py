"""The ``ofox demo`` server: simulated providers behind real LiteLLM, with OfoxMiddleware in front.

No API key, no network: the providers are a LiteLLM custom handler, so LiteLLM's own callbacks, cost calculation and
error classes are at work, and only the models are make-believe. ``litellm`` is imported when the server is built.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ofox_middleware.beside import beside
from ofox_middleware.console import console
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.gateway import LOOPBACK, create_app, load_litellm
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.simulated import POOL, Reply, SimulatedFailure, SimulatedModel, Simulation


class Demo:
    """Everything that a running demo consists of.

    Args:
        seed: makes answers, times and ties between models repeatable.
        pace: multiplies every simulated time; 0 answers at once.
        pool: who is simulated.

    Attributes:
        simulation: the providers; take one down with ``simulation.set_state("north", "down")``.
        router, log: the brain and what it decided.
        console: the page at ``/ofox/``; tell it to ``stop`` when the server does.
        app: the ASGI app to serve.
    """

    def __init__(self, *, seed: int = 7, pace: float = 1.0, pool: Sequence[SimulatedModel] = POOL) -> None:
        self.simulation = Simulation(pool, DifficultyModel.load(), seed=seed, pace=pace)
        cards = [model.card for model in pool]
        self.router = SmartRouter(Settings(models=cards, seed=seed, expected_output_tokens=60))
        self.log = DecisionStore()
        self.router.subscribe(self.log)
        self.console = console(self.router, log=self.log, demo="/demo")
        register(self.simulation)
        served = create_app(self.router, routes=_control_routes(self), trusted_hosts=LOOPBACK)
        self.app: ASGIApp = beside(served, "/ofox", self.console)


def register(simulation: Simulation) -> None:
    """Make LiteLLM serve every simulated model under its own name, at its stated price."""
    litellm = load_litellm()
    # Here failures are part of the show, and each has its row; LiteLLM would print a traceback for some.
    logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    from litellm.utils import custom_llm_setup  # noqa: PLC0415

    handler = _handler(litellm, simulation)
    others = [item for item in litellm.custom_provider_map if item["provider"] not in simulation.providers]
    litellm.custom_provider_map = [
        *others,
        *({"provider": provider, "custom_handler": handler(provider)} for provider in simulation.providers),
    ]
    custom_llm_setup()
    litellm.register_model(
        {
            name: {
                "litellm_provider": name.partition("/")[0],
                "mode": "chat",
                "input_cost_per_token": model.card.input_cost_per_token,
                "output_cost_per_token": model.card.output_cost_per_token,
                "cache_read_input_token_cost": model.card.input_cost_per_token,
                "cache_creation_input_token_cost": model.card.input_cost_per_token,
                "max_input_tokens": model.card.max_input_tokens,
                "max_output_tokens": model.card.max_output_tokens,
                "supports_vision": model.card.supports_vision,
                "supports_function_calling": model.card.supports_function_calling,
            }
            for name, model in simulation.models.items()
        }
    )


def _handler(litellm: Any, simulation: Simulation) -> type[Any]:
    """A LiteLLM handler class; built here because its base class is LiteLLM's."""

    class SimulatedProvider(litellm.CustomLLM):  # type: ignore[misc]
        """One provider of the simulation, in the shape that LiteLLM calls."""

        def __init__(self, provider: str) -> None:
            super().__init__()
            self._provider = provider

        async def _reply(self, model: str, messages: list[Any], params: Mapping[str, Any]) -> Reply:
            try:
                return simulation.reply(f"{self._provider}/{model}", messages, params)
            except SimulatedFailure as failure:
                await asyncio.sleep(failure.after_s)
                raise _as_litellm(litellm, failure, model, self._provider) from None

        async def acompletion(
            self, model: str, messages: list[Any], model_response: Any, optional_params: dict[str, Any], **_: Any
        ) -> Any:
            reply = await self._reply(model, messages, optional_params)
            await asyncio.sleep(reply.ttft_s + reply.s_per_piece * reply.completion_tokens)
            choice = model_response.choices[0]
            choice.message.content = "".join(reply.text) or None
            if reply.tool_call:
                choice.finish_reason = "tool_calls"
                choice.message.tool_calls = [litellm.ChatCompletionMessageToolCall(**_tool_call(reply))]
            model_response.usage = litellm.Usage(**_usage(reply))
            model_response.model = model
            return model_response

        async def astreaming(
            self, model: str, messages: list[Any], optional_params: dict[str, Any], **_: Any
        ) -> AsyncIterator[dict[str, Any]]:
            reply = await self._reply(model, messages, optional_params)
            await asyncio.sleep(reply.ttft_s)
            for piece in reply.text:
                yield _piece(text=piece)
                await asyncio.sleep(reply.s_per_piece)
            if reply.tool_call:
                yield _piece(tool_use={**_tool_call(reply), "index": 0})
            yield _piece(finish_reason="tool_calls" if reply.tool_call else "stop", usage=_usage(reply))

    return SimulatedProvider


def _as_litellm(litellm: Any, failure: SimulatedFailure, model: str, provider: str) -> Exception:
    """The exception that LiteLLM raises for a real provider's answer of this kind."""
    import httpx  # noqa: PLC0415

    headers = {} if failure.retry_after_s is None else {"retry-after": f"{failure.retry_after_s:g}"}
    request = httpx.Request("POST", f"http://{provider}.invalid/v1/chat/completions")
    response = httpx.Response(failure.status, headers=headers, request=request)
    told = {"message": failure.message, "model": model, "llm_provider": provider}
    if failure.status == 429:
        error: Exception = litellm.RateLimitError(**told, response=response)
    elif failure.status == 503:
        error = litellm.ServiceUnavailableError(**told, response=response)
    elif "maximum context length" in failure.message:
        error = litellm.ContextWindowExceededError(**told)
    else:
        error = litellm.BadRequestError(**told)
    return error


def _usage(reply: Reply) -> dict[str, int]:
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": reply.prompt_tokens + reply.completion_tokens,
    }


def _tool_call(reply: Reply) -> dict[str, Any]:
    name, arguments = reply.tool_call or ("", "")
    return {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": arguments}}


def _piece(*, text: str = "", finish_reason: str = "", tool_use: Any = None, usage: Any = None) -> dict[str, Any]:
    """One chunk as LiteLLM's ``GenericStreamingChunk``."""
    return {
        "text": text,
        "tool_use": tool_use,
        "is_finished": bool(finish_reason),
        "finish_reason": finish_reason,
        "usage": usage,
        "index": 0,
    }


def _control_routes(demo: Demo) -> list[Route]:
    """What the tour and a curious person use to look inside and to break things."""

    async def providers(_: Request) -> Response:
        return JSONResponse(demo.simulation.status())

    async def set_provider(request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
            demo.simulation.set_state(request.path_params["name"], str(asked["state"]))
        except KeyError as error:
            return JSONResponse({"error": {"message": f"unknown or missing: {error}"}}, status_code=404)
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": {"message": str(error)}}, status_code=400)
        return JSONResponse(demo.simulation.status()[request.path_params["name"]])

    async def health(_: Request) -> Response:
        return JSONResponse(demo.router.health.snapshot())

    async def decisions(_: Request) -> Response:
        return JSONResponse([entry.to_dict() for entry in demo.log.recent()])

    async def decision(request: Request) -> Response:
        entry = demo.log.get(request.path_params["id"])
        if entry is None:
            return JSONResponse({"error": {"message": "no such decision"}}, status_code=404)
        return JSONResponse(entry.to_dict())

    async def savings(_: Request) -> Response:
        return JSONResponse(demo.log.savings().to_dict())

    return [
        Route("/demo/providers", providers),
        Route("/demo/providers/{name}", set_provider, methods=["POST"]),
        Route("/demo/health", health),
        Route("/demo/decisions", decisions),
        Route("/demo/decisions/{id}", decision),
        Route("/demo/savings", savings),
    ]
