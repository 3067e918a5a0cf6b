"""Who and what is turned away in front of the gateway: callers without its key, protocols that this LiteLLM lacks."""

from __future__ import annotations

import functools
import hmac
import importlib.util
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from ofox_middleware.errors import InvalidRequest, OfoxError
from ofox_middleware.replies import refuse
from ofox_middleware.types import Surface

# LiteLLM's Responses and Messages paths import modules of its proxy, which ones depends on the release.
_PROXY_PATHS: Final = frozenset({"/v1/responses", "/v1/messages"})
_PROXY_MODULES: Final = ("fastapi", "mcp", "orjson")
INSTALL_PROXY: Final = (
    "/v1/responses and /v1/messages need what LiteLLM's proxy extra installs: pip install 'ofox-middleware[proxy]'"
)


@functools.cache
def lacks_proxy_extra() -> bool:
    """Whether LiteLLM was installed without its proxy extra, so that only chat and text completions work."""
    return any(importlib.util.find_spec(name) is None for name in _PROXY_MODULES)


class ChatOnly:
    """Refuses what this LiteLLM cannot do, before a model is chosen and blamed for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] not in _PROXY_PATHS:
            await self._app(scope, receive, send)
            return
        await _turn_away(OfoxError(f"{INSTALL_PROXY}.", code="proxy_extra_missing"), 501, scope, send)


class KeyCheck:
    """Lets through only callers that know the key; ``/healthz`` is open, for it tells nothing."""

    def __init__(self, app: ASGIApp, *, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == "/healthz" or self._knows(scope):
            await self._app(scope, receive, send)
            return
        error = InvalidRequest("The gateway's key is missing or wrong.", code="invalid_api_key")
        await _turn_away(error, 401, scope, send)

    def _knows(self, scope: Scope) -> bool:
        for name, value in scope["headers"]:
            if name == b"authorization" and hmac.compare_digest(value, b"Bearer " + self._key):
                return True
            if name == b"x-api-key" and hmac.compare_digest(value, self._key):
                return True
        return False


async def _turn_away(error: OfoxError, status: int, scope: Scope, send: Send) -> None:
    error.status = status
    surface: Surface = "messages" if scope["path"].endswith("/messages") else "chat"
    await refuse(send, error, surface, [])
