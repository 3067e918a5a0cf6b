"""Who may see the console: this machine, or who knows the token. An ASGI wrapper with nothing of the console in it."""

from __future__ import annotations

import hmac
import ipaddress
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHORTEST_TOKEN: Final = 16
"""Characters; a token that can be guessed is worse than none, for with one the console answers everybody."""

HEADERS: Final = [
    # Everything that the page loads comes from beside it; nothing of it can be framed, and no form can leave it.
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
_FORWARDED: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"})


class Access:
    """Lets through what may see the console, and answers the rest.

    Without a token only this machine is answered: a loopback client that names a loopback host, so that no web page
    reaches the console under a name of its own (DNS rebinding), and that no proxy speaks for. With a token, everybody
    who presents it as ``Authorization: Bearer`` is, and the page itself, which holds no data, is open so that it can
    ask for the token. What changes something must be JSON and, from a browser, come from this very origin.

    Args:
        app: the console.
        token: what callers must present; ``None`` answers this machine only.

    Raises:
        ValueError: the token is shorter than 16 characters.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        if token is not None and len(token) < SHORTEST_TOKEN:
            raise ValueError(f"the console's token must have at least {SHORTEST_TOKEN} characters")
        self._app = app
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, guarded)
            return
        status, code, message = refusal
        body = msgspec.json.encode({"error": {"message": message, "code": code}})
        fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        if status == 401:
            fields.append((b"www-authenticate", b"Bearer"))
        await guarded({"type": "http.response.start", "status": status, "headers": fields})
        await guarded({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._token is None:
            if not (_from_here(scope) and _names_here(headers.get(b"host", b"")) and not _FORWARDED & headers.keys()):
                return 403, "console_is_local", "Without a token the console answers this machine only."
        elif _holds_data(scope) and not self._knows(headers.get(b"authorization", b"")):
            return 401, "console_token", "The console's token is missing or wrong."
        if scope["method"] in {"GET", "HEAD"}:
            return None
        if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
            # A web page of another origin can send anything but JSON without asking.
            return 415, "content_type", "Content-Type must be application/json."
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != headers.get(b"host"):
            return 403, "other_origin", "The request comes from a page of another origin."
        return None

    def _knows(self, authorization: bytes) -> bool:
        scheme, _, presented = authorization.partition(b" ")
        assert self._token is not None
        return scheme.lower() == b"bearer" and hmac.compare_digest(presented.strip(), self._token)


def _holds_data(scope: Scope) -> bool:
    return "/api/" in scope["path"] or scope["path"].rstrip("/").endswith("/metrics")


def _from_here(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and _is_loopback(client[0])


def _names_here(host: bytes) -> bool:
    """Whether a ``Host`` header, with or without a port, names this machine."""
    name = host.decode("latin-1").strip().lower()
    name = name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]
    return name == "localhost" or _is_loopback(name.strip("[]"))


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # A socket for both families sees IPv4 clients as mapped addresses, which not every Python knows to be loopback.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback
