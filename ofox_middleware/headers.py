"""Headers: what the ASGI door reads from a request's, and what it writes into both directions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from ofox_middleware.decision import Decision

Headers = Iterable[tuple[bytes, bytes]]

PREFIX: Final = b"x-ofox-"
_OURS: Final = frozenset(
    PREFIX + name for name in (b"model", b"preference", b"reason", b"decision-id", b"attempts")
)  # fmt: skip

_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-litellm-api-key"})
# What describes the bytes of a body, and so is wrong for any other body.
_BODY_HEADERS: Final = frozenset({
    b"content-length", b"transfer-encoding", b"content-md5", b"content-digest", b"repr-digest", b"digest",
})  # fmt: skip
_UNSAFE: Final = re.compile(r"[^\x20-\x7e\xa1-\xff]")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """What a request's headers say that matters for routing.

    Attributes:
        credential: what the caller proves itself with; hash it before it goes anywhere.
        session: the conversation's id as LiteLLM's clients send it, ``None`` when absent.
        dry_run: only the decision is wanted.
    """

    credential: bytes
    session: str | None
    dry_run: bool

    @property
    def caller(self) -> str:
        """An opaque name of the caller, ``""`` for one without credentials."""
        return blake2b(self.credential, digest_size=12).hexdigest() if self.credential else ""


def read_head(headers: Headers, max_bytes: int) -> RequestHead | None:
    """The head of a request whose body can be read as it stands, ``None`` for any other.

    That is: JSON by its content type, not compressed, and not declared longer than ``max_bytes`` or in an odd way.
    """
    content_type = length = None
    credential = b""
    session = None
    dry_run = False
    for name, value in headers:
        if name == b"content-type":
            if content_type is not None:
                return None
            content_type = value
        elif name == b"content-length":
            if length is not None or not value.isdigit() or len(value) > 18 or int(value) > max_bytes:
                return None
            length = value
        elif name == b"content-encoding":
            if value.strip().lower() not in (b"", b"identity"):
                return None
        elif name in _CREDENTIALS:
            credential += name + b"\0" + value + b"\0"
        elif name == b"x-litellm-session-id":
            session = value[:512].decode("latin-1")
        elif name == b"x-ofox-dry-run":
            dry_run = value.strip().lower() == b"true"
    if content_type is None or not _is_json(content_type):
        return None
    return RequestHead(credential, session or None, dry_run)


@lru_cache(maxsize=64)
def _is_json(content_type: bytes) -> bool:
    media, _, parameters = content_type.lower().partition(b";")
    media = media.strip()
    if media != b"application/json" and not (media.startswith(b"application/") and media.endswith(b"+json")):
        return False
    charset = re.search(rb'charset\s*=\s*"?([^\s";]+)', parameters)
    return charset is None or charset[1] in (b"utf-8", b"utf8", b"us-ascii")


def for_body(headers: Headers, length: int) -> list[tuple[bytes, bytes]]:
    """Request headers for a body of ``length`` bytes in place of the one that was sent."""
    kept = [pair for pair in headers if pair[0] not in _BODY_HEADERS]
    kept.append((b"content-length", b"%d" % length))
    return kept


def stamped(headers: Headers, ours: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Response headers with ``ours``, and without any of the same names that the app has set."""
    return [pair for pair in headers if pair[0].lower() not in _OURS] + ours


def of_decision(decision: Decision, model: str, attempts: int) -> list[tuple[bytes, bytes]]:
    """The response headers of a routed request that ``model`` answers after ``attempts`` tries."""
    return [
        (b"x-ofox-model", safe(model)),
        (b"x-ofox-preference", safe(decision.preference)),
        (b"x-ofox-reason", safe(decision.reason if model == decision.model else "fallback")),
        (b"x-ofox-decision-id", decision.id.encode("ascii", "replace")),
        (b"x-ofox-attempts", b"%d" % attempts),
    ]


def of_refusal() -> list[tuple[bytes, bytes]]:
    """The response headers of a request that no model was asked for."""
    return [(b"x-ofox-reason", b"refused"), (b"x-ofox-attempts", b"0")]


@lru_cache(maxsize=1024)
def safe(value: str) -> bytes:
    """``value`` as a header may hold it: Latin-1 without control characters, at most 256 bytes."""
    return _UNSAFE.sub("?", value[:256]).strip().encode("latin-1")
