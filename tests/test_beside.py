"""One app beside another."""

from __future__ import annotations

import asyncio
from typing import Any

from ofox_middleware.beside import beside
from ofox_middleware.console import console
from tests.console.tools import new_router


def test_beside_passes_other_scopes_on() -> None:
    """The app's lifespan and web sockets are its own."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    served = beside(app, "/ofox", console(new_router()))
    for kind in ("lifespan", "websocket"):
        asyncio.run(served({"type": kind, "path": "/ofox/"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan", "websocket"]
