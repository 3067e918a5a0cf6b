"""What the ASGI door answers by itself: decisions, refusals, and that no model has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from ofox_middleware.errors import OfoxError, wire_body
from ofox_middleware.types import Surface

if TYPE_CHECKING:
    from starlette.types import Send

CLIENT_LEFT: Final = 499
"""What is answered to nobody: outer middleware and logs see a response, as nginx writes it, and no broken app."""


class NoAnswer(OfoxError):
    """Every model that was tried stayed silent, or failed with an answer too long to keep."""

    status = 504
    code = "upstream_timeout"

    @property
    def type(self) -> str:
        return "timeout_error" if self.status == 504 else "api_error"


async def respond(send: Send, status: int, body: bytes, extra: list[tuple[bytes, bytes]]) -> None:
    """Sends a JSON answer of ours."""
    fixed = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": fixed + extra})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, error: OfoxError, surface: Surface, extra: list[tuple[bytes, bytes]]) -> None:
    """Answers ``error`` in the protocol of ``surface``."""
    await respond(send, error.status, msgspec.json.encode(wire_body(error, surface)), extra)
