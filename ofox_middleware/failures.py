"""What counts as a provider's failure, and how long it asks to be left alone. Pure; a leaf."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

HINT_CAP_S: Final = 300.0
"""No ``Retry-After`` holds a model longer than this (seconds); the same cap as Linkerd's load biaser."""

_HARD: Final = frozenset({401, 402, 403, 404, 408, 429})
"""4xx that say "this provider does not serve us now": credentials, payment, no such model, time-out, rate limit."""

_MESSAGE_WINDOW: Final = 2_000
"""Characters of an error message that are looked at."""

# Whole phrases of known providers, not words: a 400 may quote the prompt, and a prompt must not trip a breaker.
_NO_CREDIT: Final = re.compile(
    r"credit balance is too low|insufficient[ _](?:quota|balance|funds|credits?)\b|exceeded your current quota"
    r"|billing[ _](?:hard limit|not[ _]active|details|limit|account)|check your plan and billing"
    r"|account (?:is )?(?:not active|deactivated|suspended|in arrears|overdue)|arrearage|out of credits?\b"
    # An invalid key is a 401 with other providers, a 400 with Google's.
    r"|api key (?:not valid|expired)|api_key_invalid",
    re.IGNORECASE,
)


def is_failure(status: int | None, message: str = "") -> bool:
    """Whether an attempt's end is a hard failure of the provider, one that speaks about the next request too.

    Failures: no status at all (connection error or our own time-out), 5xx, 408, 429, 401, 402, 403, 404, and a 400
    whose message says that the account has no credit or the key is not valid. Everything else (other 4xx, content
    filter, context overflow, 499) is the request's own affair. A caller's own short time-out and refusals of ours
    look the same from here; a door must :meth:`~ofox_middleware.leases.Lease.cancel` those itself.

    Args:
        status: HTTP status of the attempt, ``None`` when there was none.
        message: the provider's error text; only its first 2,000 characters are looked at.
    """
    if status is None or status >= 500 or status in _HARD:
        return True
    return status == 400 and _NO_CREDIT.search(message[:_MESSAGE_WINDOW]) is not None


def retry_after_s(source: Any, *, wall: Callable[[], float] = time.time) -> float | None:
    """Seconds that a provider asks to be left alone, 0..300; ``None`` when it does not say, or says nonsense.

    Args:
        source: response headers as a mapping or as pairs (``str`` or ``bytes``, any case), or the bare value of a
            ``Retry-After``. ``retry-after-ms`` wins over ``Retry-After``, which may be seconds or an HTTP date
            (RFC 9110, section 10.2.3).
        wall: seconds since the epoch, to read a date with.
    """
    if source is None:
        return None
    if isinstance(source, (str, bytes, int, float)):
        return _seconds(source, wall)
    named: dict[str, Any] = {}
    try:
        pairs: Iterable[Any] = source.items() if isinstance(source, Mapping) else source
        for name, value in pairs:
            lowered = _text(name).lower()
            if lowered in ("retry-after", "retry-after-ms"):
                named[lowered] = value
    except (TypeError, ValueError):
        return None
    millis = _number(_text(named.get("retry-after-ms", "")))
    if millis is not None:
        return min(millis / 1000.0, HINT_CAP_S)
    return _seconds(named.get("retry-after", ""), wall)


def _seconds(value: Any, wall: Callable[[], float]) -> float | None:
    text = _text(value)
    number = _number(text)
    if number is not None:
        return min(number, HINT_CAP_S)
    # Every HTTP date starts with the name of a day; the parser of mail dates accepts much that is none.
    if len(text) > 64 or not text[:3].isalpha():
        return None
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(max(0.0, at - wall()), HINT_CAP_S)


def _number(text: str) -> float | None:
    """A plain decimal that is not negative; neither ``1e9`` nor ``inf``, which only a fuzzer would send."""
    return float(text) if len(text) <= 20 and re.fullmatch(r"[0-9]+(?:\.[0-9]*)?", text) else None


def _text(value: Any) -> str:
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).strip()
