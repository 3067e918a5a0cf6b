"""An OpenAI-compatible gateway over LiteLLM with OfoxMiddleware in front: the app of ``ofox serve`` and ``ofox demo``.

``litellm`` costs seconds to import, so it is imported when an app is built and not with this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import anyio
from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive

from ofox_middleware import hollow, sniff
from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.attempts import current_attempt
from ofox_middleware.cards import ModelFacts
from ofox_middleware.errors import InvalidRequest, OfoxError, wire_body
from ofox_middleware.gateway_access import ChatOnly, KeyCheck, lacks_proxy_extra
from ofox_middleware.gateway_answers import is_preamble, plain, raise_if_error, sse, sse_error, sse_event, whole_events
from ofox_middleware.gateway_errors import UpstreamFailed, failure_of
from ofox_middleware.gateway_requests import forwarded
from ofox_middleware.router import SmartRouter
from ofox_middleware.types import Surface
from ofox_middleware.variables import variable_of

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]", "::1")
"""Host names that a gateway without a key answers to, so that no web page can reach it under a name of its own."""

_CALLS: Final[Mapping[Surface, str]] = {
    "chat": "acompletion", "text": "atext_completion", "responses": "aresponses", "messages": "anthropic_messages",
}  # fmt: skip


def load_litellm() -> Any:
    """LiteLLM, set up for a gateway: no telemetry, no fetch at import, no advertisement on standard output."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    import litellm  # noqa: PLC0415

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    return litellm


def create_app(
    router: SmartRouter,
    *,
    routes: Sequence[BaseRoute] = (),
    api_key: str | None = None,
    trusted_hosts: Sequence[str] | None = None,
) -> ASGIApp:
    """The gateway's ASGI app.

    Args:
        router: the brain; its pool is all that callers can reach.
        routes: further routes, such as the demo's controls.
        api_key: what callers must present as ``Authorization: Bearer`` or ``x-api-key``; ``None`` asks for nothing.
        trusted_hosts: the only ``Host`` headers that are answered; ``None`` answers to all.
    """
    gateway = Gateway(router, load_litellm())
    served = Starlette(
        routes=[
            Route("/v1/chat/completions", gateway.endpoint("chat"), methods=["POST"]),
            Route("/v1/completions", gateway.endpoint("text"), methods=["POST"]),
            Route("/v1/responses", gateway.endpoint("responses"), methods=["POST"]),
            Route("/v1/messages", gateway.endpoint("messages"), methods=["POST"]),
            Route("/v1/models", gateway.models),
            Route("/healthz", gateway.healthz),
            *routes,
        ],
        lifespan=gateway.lifespan,
    )
    app: ASGIApp = OfoxMiddleware(served, router=router)
    if lacks_proxy_extra():
        app = ChatOnly(app)
    if api_key is not None:
        app = KeyCheck(app, key=api_key)
    if trusted_hosts is not None:
        app = TrustedHostMiddleware(app, allowed_hosts=list(trusted_hosts))
    return app


# On these LiteLLM looks for tools of its MCP gateway, and fails where the mcp package is not installed, which only its
# proxy extra brings.
_MCP_SURFACES: Final = frozenset({"chat", "responses"})


@functools.cache
def _has_mcp() -> bool:
    return importlib.util.find_spec("mcp") is not None


class Gateway:
    """Answers requests with what LiteLLM's providers say. Which model: the request's, as the middleware left it."""

    def __init__(self, router: SmartRouter, litellm: Any) -> None:
        self._router = router
        self._litellm = litellm

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Closes LiteLLM's connections when the server stops, while their event loop still runs."""
        yield
        await self._litellm.close_litellm_async_clients()
        self._litellm.in_memory_llm_clients_cache.flush_cache()

    def endpoint(self, surface: Surface) -> Callable[[Request], Awaitable[Response]]:
        """The handler of one of the four protocols."""

        async def handle(request: Request) -> Response:
            try:
                return await self._answer(request, surface)
            except OfoxError as error:
                return JSONResponse(wire_body(error, surface), status_code=error.status)
            except Exception as error:  # noqa: BLE001 - whatever a provider or LiteLLM raises becomes an answer
                failure = failure_of(error, surface)
                return JSONResponse(failure.body(surface), status_code=failure.status, headers=failure.headers())

        return handle

    async def models(self, _: Request) -> Response:
        """``GET /v1/models``: the auto names, then the pool with its limits and prices (USD per token)."""
        names = [{"id": name, "object": "model", "created": 0, "owned_by": "ofox"} for name in self._auto_names]
        return JSONResponse({"object": "list", "data": [*names, *(_listed(facts) for facts in self._router.pool)]})

    async def healthz(self, _: Request) -> Response:
        """``GET /healthz``: the process serves; the state of each model is in the body, not in the status."""
        snapshot = self._router.health.snapshot()
        states = {facts.name: snapshot.get(facts.name, {}).get("state", "closed") for facts in self._router.pool}
        return JSONResponse({"status": "ok", "models": states})

    @property
    def _auto_names(self) -> list[str]:
        return self._router.settings.auto_models

    async def _answer(self, request: Request, surface: Surface) -> Response:
        body = await _json_body(request)
        facts = self._asked_for(body.get("model"))
        fields = {**self._arguments(facts), **forwarded(body, surface, frozenset(facts.params))}
        if fields.get("tools") and surface in _MCP_SURFACES and not _has_mcp():
            fields["_skip_mcp_handler"] = True
        call = getattr(self._litellm, _CALLS[surface])
        answer = await _unless_left(request, call(model=facts.model, **fields))
        if not fields.get("stream"):
            whole = plain(answer, whole=surface != "messages")
            whole["model"] = facts.name
            return JSONResponse(whole, headers=_cost_header(answer))
        events = _events(answer, surface, facts.name)
        first = await _unless_left(request, anext(events))
        return StreamingResponse(
            _from(first, events), media_type="text/event-stream", headers={"cache-control": "no-cache"}
        )

    def _asked_for(self, model: object) -> ModelFacts:
        """The member of the pool that this request goes to.

        Within an attempt of the middleware that is the candidate it chose, for two candidates may share a model.
        """
        attempt = current_attempt.get()
        name = model if attempt is None else attempt.model
        facts = self._router.facts(name) if isinstance(name, str) else None
        if facts is not None:
            return facts
        if not isinstance(model, str) or not model:
            raise InvalidRequest("model is missing.", param="model", code="missing_required_parameter")
        error = InvalidRequest(
            f"The model {model[:128]!r} is not in the pool; GET /v1/models lists it.",
            param="model",
            code="model_not_found",
        )
        error.status = 404
        raise error

    def _arguments(self, facts: ModelFacts) -> dict[str, Any]:
        """Keywords of ours. Retries are the middleware's: it has other candidates, LiteLLM has only this one."""
        operators = {name: _from_environment(value, facts.name) for name, value in facts.params.items()}
        return {"num_retries": 0, "drop_params": True, **operators}


async def _json_body(request: Request) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        # Without this a web page could post here from any origin, as plain text needs no preflight.
        error = InvalidRequest("Content-Type must be application/json.", code="unsupported_content_type")
        error.status = 415
        raise error
    raw = await request.body()
    try:
        body = json.loads(raw)
        if b"\\ud" in raw or b"\\uD" in raw:  # half a surrogate pair, which no provider can be sent
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not valid JSON.", code="invalid_json") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    return body


async def _unless_left(request: Request, call: Awaitable[Any]) -> Any:
    """The result of ``call``, which is cancelled as soon as the caller has left or this task is cancelled."""
    working = asyncio.ensure_future(call)
    leaving = asyncio.ensure_future(_left(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _CallerLeft
        return working.result()
    finally:
        for task in (working, leaving):
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


class _CallerLeft(Exception):
    """Nobody waits for the answer any more."""

    status_code = 499
    message = "The caller left."


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _events(stream: Any, surface: Surface, name: str) -> AsyncIterator[bytes]:
    """A LiteLLM stream as server-sent events. An error before the first is raised, a later one ends the stream."""
    begun, held = False, b""
    try:
        async for chunk in whole_events(stream):
            event = sse_event(chunk, surface, name)
            if not begun:
                if is_preamble(event, surface):
                    held += event
                    continue
                raise_if_error(event, surface)
                _raise_if_hollow(stream, event)
            yield held + event
            begun, held = True, b""
    except Exception as error:
        if not begun:
            raise
        yield sse_error(failure_of(error, surface), surface)
        return
    else:
        if not begun:
            raise UpstreamFailed(sniff.BAD_GATEWAY, hollow.MESSAGE)
    finally:
        await _close(stream)
    if surface in {"chat", "text"}:
        yield sse("[DONE]")


def _raise_if_hollow(stream: Any, event: bytes) -> None:
    if hollow.is_hollow(stream) and b".delta" not in event[:100]:
        raise UpstreamFailed(sniff.BAD_GATEWAY, hollow.MESSAGE)


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        yield first
        async for event in rest:
            yield event
    finally:
        with anyio.CancelScope(shield=True):
            await rest.aclose()  # type: ignore[attr-defined]


async def _close(stream: Any) -> None:
    """End the upstream request, also when this task is being cancelled."""
    aclose = getattr(stream, "aclose", None) or getattr(getattr(stream, "completion_stream", None), "aclose", None)
    if aclose is not None:
        with anyio.CancelScope(shield=True):
            await aclose()


def _from_environment(value: Any, card: str) -> Any:
    """LiteLLM's way to keep keys out of files: ``os.environ/NAME`` stands for that variable.

    Where it is not set, LiteLLM would take the provider's usual key, and send it to the card's ``api_base``.
    """
    variable = variable_of(value)
    if variable is None:
        return value
    if not os.environ.get(variable):
        raise UpstreamFailed(502, f"{variable}, which {card} needs, is not set.")
    return os.environ[variable]


def _cost_header(answer: Any) -> dict[str, str]:
    """What LiteLLM reckons that the answer cost, USD, under LiteLLM's own header name."""
    cost = (getattr(answer, "_hidden_params", None) or {}).get("response_cost")
    return {} if cost is None else {"x-litellm-response-cost": f"{cost:.10g}"}


def _listed(facts: ModelFacts) -> dict[str, Any]:
    row: dict[str, Any] = {"id": facts.name, "object": "model", "created": 0, "owned_by": facts.provider}
    if facts.max_input_tokens is not None:
        row["context_length"] = facts.max_input_tokens
    if facts.input_usd is not None and facts.output_usd is not None:
        row["pricing"] = {"prompt": f"{facts.input_usd:.12g}", "completion": f"{facts.output_usd:.12g}"}
    return row
