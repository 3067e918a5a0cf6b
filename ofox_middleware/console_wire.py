"""How the console reads and answers: bounded JSON in, JSON, events and files out."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ofox_middleware.errors import NoCandidate, OfoxError

MOST_BODY: Final = 1024 * 1024


def file_endpoint(content: bytes, media_type: str) -> Any:
    """An endpoint that always answers ``content``."""

    async def send_file(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return send_file


def answer(value: Any, status: int = 200) -> Response:
    """``value`` as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def server_sent(kind: str, value: Any) -> bytes:
    """``value`` as a server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(value))


async def read_object(request: Request) -> dict[str, Any]:
    """The request's JSON object. Raises ``OfoxError`` when it is something else, or too large."""
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > MOST_BODY:
            raise refusal(413, "too_large", f"the console reads at most {MOST_BODY} bytes.")
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise refusal(400, "invalid_json", "the body must be a JSON object.")
    return body


def refusal(status: int, code: str, message: str) -> OfoxError:
    """An error to raise."""
    error = OfoxError(message, code=code)
    error.status = status
    return error


def not_found(message: str) -> OfoxError:
    """A 404 to raise."""
    return refusal(404, "not_found", message)


async def refused(_: Request, error: Exception) -> Response:
    """Starlette's handler of our errors."""
    assert isinstance(error, OfoxError)
    told: dict[str, Any] = {"message": error.message, "code": error.code, "param": error.param}
    if isinstance(error, NoCandidate):
        told["candidates"] = [{"name": row.name, "reason": row.reason} for row in error.candidates]
    return answer({"error": told}, status=error.status)
