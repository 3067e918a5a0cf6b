"""What the ASGI door can tell from the bytes of an answer: whether it is an error, when it says something. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from ofox_middleware.headers import Headers

_TAIL: Final = 2048
"""Bytes at the end of an answer that are searched for its usage; every known protocol puts it last."""

_OUTPUT_TOKENS: Final = re.compile(rb'"(?:completion|output)_tokens"\s*:\s*([0-9]{1,9})')
_DATA: Final = re.compile(rb"^data: ?(.*)$", re.MULTILINE)
_ERROR_EVENT: Final = re.compile(rb"^event: ?error\s*$", re.MULTILINE)
BAD_GATEWAY: Final = 502
"""What counts for an answer that is none: a page, a document that breaks off, a stream that ends without a word."""

_DECIMAL: Final = re.compile(rb"[0-9]{1,6}(?:\.[0-9]{1,18})?(?:e-[0-9]{1,2})?")
_HEAD: Final = 16 * 1024


def announced(headers: Headers) -> tuple[str, float | None]:
    """What response headers announce: server-sent events (``"stream"``), a JSON document (``"json"``), a page
    (``"html"``) or anything else, as what is packed (``""``), and what LiteLLM says there that the answer cost, USD."""
    kind, packed, cost_usd = "", False, None
    for name, value in headers:
        lower = name.lower()
        if lower == b"content-type":
            media = value.lower().lstrip()
            if media.startswith(b"text/event-stream"):
                kind = "stream"
            elif media.startswith(b"application/json"):
                kind = kind or "json"
            elif media.startswith(b"text/html"):
                kind = kind or "html"
        elif lower == b"content-encoding":
            packed = value.lower().strip() != b"identity"
        elif lower == b"x-litellm-response-cost" and _DECIMAL.fullmatch(value):
            cost_usd = float(value)
    return "" if packed and kind != "html" else kind, cost_usd


def is_passing_failure(status: int) -> bool:
    """Whether another model may do better: 408, 429 and 5xx. Other 4xx are about the request and stay."""
    return status in (408, 429) or status >= 500


def first_error(chunk: bytes) -> int | None:
    """The status of the error with which a stream begins, ``None`` when it begins with anything else that says
    something (see :func:`says_nothing`).

    Knows OpenAI's ``data: {"error": ...}``, Anthropic's and Responses' ``event: error`` and ``{"type": "error"}``.
    An error that gives no status counts as a 500.
    """
    head = bytes(chunk[:_HEAD])  # some apps send views
    if b"error" not in head:
        return None
    for event, fields in _events(head):
        status = _error_of(event, fields)
        if status is not None or not _is_preamble(fields):
            return status
    return None


def last_error(chunks: Iterable[bytes]) -> int | None:
    """The status of the error with which a stream ends, ``None`` when it ends otherwise."""
    tail = b"".join(chunks)[-_TAIL:]
    if b"error" not in tail:
        return None
    status = None
    for event, fields in _events(tail):
        if b"[DONE]" not in event:
            status = _error_of(event, fields)
    return status


def says_nothing(chunk: bytes) -> bool:
    """Whether all that a chunk of a stream holds is what servers send before a model has said anything: comments,
    pings, a role without content, the announcement of an answer."""
    return len(chunk) < _HEAD and all(_is_preamble(fields) for _, fields in _events(bytes(chunk)))


def error_in(body: bytes, *, whole: bool = False) -> int | None:
    """The status of the error that a JSON document is in place of an answer, ``None`` for an answer.

    Some gateways answer 200 with an error inside. A document that is not whole, or longer than an error would be, is
    taken for an answer; when all of it should be here, one that breaks off or is none is an error of the gateway's.
    """
    if whole and _is_broken(bytes(body)):
        return BAD_GATEWAY
    if len(body) > _HEAD or b"error" not in bytes(body):
        return None
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or any(fields.get(name) for name in _ANSWERS):
        return None
    return _error_of(b"", fields)


def _is_broken(document: bytes) -> bool:
    if len(document) > _HEAD:
        return not document.rstrip().endswith(b"}")
    try:
        msgspec.json.decode(document, type=msgspec.Raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return True
    return False


_ANSWERS: Final = ("choices", "content", "output")
_PREAMBLES: Final = frozenset({
    "ping", "message_start", "content_block_start", "response.created", "response.queued", "response.in_progress",
    "response.output_item.added", "response.content_part.added",
})  # fmt: skip


def _events(text: bytes) -> Iterator[tuple[bytes, Any]]:
    """The events of a stream, each with its decoded data: ``None`` without data, ``False`` for data that is no JSON."""
    for event in text.replace(b"\r\n", b"\n").split(b"\n\n"):
        if not event.strip(b"\n"):
            continue
        data = b"\n".join(_DATA.findall(event))
        if data.strip() == b"[DONE]":
            data = b""
        try:
            yield event, msgspec.json.decode(data) if data else None
        except (msgspec.DecodeError, ValueError, RecursionError):
            yield event, False


def _error_of(event: bytes, fields: Any) -> int | None:
    if not isinstance(fields, dict):
        return _status({}) if not isinstance(fields, list) and _ERROR_EVENT.search(event) else None
    error = fields.get("error")
    if not error and fields.get("type") != "error" and not _ERROR_EVENT.search(event):
        return None
    return _status(error if isinstance(error, dict) else fields)


def _is_preamble(fields: Any) -> bool:
    if not isinstance(fields, dict):
        return fields is None
    if fields.get("type") in _PREAMBLES:
        return True
    choices = fields.get("choices")
    return isinstance(choices, list) and not fields.get("usage") and all(map(_is_unspoken, choices))


def _is_unspoken(choice: Any) -> bool:
    if not isinstance(choice, dict) or choice.get("finish_reason") or choice.get("text"):
        return False
    delta = choice.get("delta")
    return isinstance(delta, dict) and not any(value for name, value in delta.items() if name != "role")


_KINDS: Final = {
    "invalid_request_error": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "overloaded_error": 529,
}  # fmt: skip


def _status(error: dict[str, Any]) -> int:
    for name in ("code", "status", "status_code"):
        value = error.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    kind = error.get("type")
    return _KINDS.get(kind, 500) if isinstance(kind, str) else 500


def output_tokens(chunks: Iterable[bytes]) -> int | None:
    """The output tokens that the last bytes of an answer report, ``None`` when they report none.

    Within a JSON string a quote is escaped, so text of the answer cannot be mistaken for its usage.
    """
    found = _OUTPUT_TOKENS.findall(b"".join(chunks)[-_TAIL:])
    return int(found[-1]) if found else None
