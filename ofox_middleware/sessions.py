"""Conversation pins: which model a conversation is on, bounded in number and time."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from hashlib import blake2b
from typing import Final

import msgspec

from ofox_middleware.types import Clock

CACHE_WARM_S: Final = 300.0
"""A provider's prompt cache is taken to be warm for five idle minutes, the shortest lifetime that the large providers
document for it."""

LEAST_CACHED_TOKENS: Final = 1024
"""A shorter prompt is in no cache (OpenAI and most Anthropic models; others begin at 128 to 4,096)."""

MOST_TOLD: Final = 128
TOLD_FOR_S: Final = 15.0
"""A worker tells the others of at most this many conversations, those of the last seconds; who reads less often than
that has missed some."""

_SAME_S: Final = 0.5  # what comes back of one's own words is no later than they were
_KEY_CHARS: Final = 32
_LONGEST_NAME: Final = 64
_told: Final = msgspec.json.Decoder(dict[str, tuple[str, int, float, bool, str]])
_MOST_LEFT: Final = 2  # models that a conversation has left whose caches are remembered


class Pin(msgspec.Struct, frozen=True, gc=False):
    """The model that a conversation is on.

    Attributes:
        model: as the pool names it.
        sent_tokens: prompt tokens that the model has read already, and so may have cached.
        at: when the conversation last used it, by the book's clock.
        degraded: chosen while a candidate was unhealthy; it holds only as long as that lasts.
        left: the models that it was on before, latest first, each with its ``sent_tokens`` and ``at``.
        switches: how often it has changed its model.
        preference: the one that it was put there by; ``""`` when not known.
    """

    model: str
    sent_tokens: int
    at: float
    degraded: bool = False
    left: tuple[tuple[str, int, float], ...] = ()
    switches: int = 0
    preference: str = ""

    def warm(self, now: float) -> dict[str, int]:
        """Prompt tokens that are likely to be in each model's cache at ``now``, by name; only models that have some."""
        read = ((self.model, self.sent_tokens, self.at), *self.left)
        return {
            model: tokens for model, tokens, at in read if tokens >= LEAST_CACHED_TOKENS and now - at <= CACHE_WARM_S
        }


class SessionBook:
    """Pins by conversation key: least recently used out first, and forgotten after ``ttl_s`` idle seconds."""

    def __init__(self, *, clock: Clock, ttl_s: float, max_sessions: int) -> None:
        self.ttl_s = ttl_s
        self.max_sessions = max_sessions
        self._clock = clock
        self._pins: OrderedDict[str, Pin] = OrderedDict()
        # LiteLLM's sync calls decide in threads; reordering and evicting are two steps.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pins)

    def get(self, key: str) -> Pin | None:
        """The pin of ``key``, or ``None`` when there is none or it has been idle too long."""
        pin = self._pins.get(key)
        if pin is None or self._clock() - pin.at <= self.ttl_s:
            return pin
        self.forget(key)
        return None

    def pin(self, key: str, model: str, *, sent_tokens: int, degraded: bool = False, preference: str = "") -> None:
        """Puts the conversation ``key`` on ``model``. Does nothing for the empty key."""
        if not key or self.max_sessions == 0:
            return
        self._put(key, model, sent_tokens, self._clock(), degraded=degraded, preference=preference)

    def _put(self, key: str, model: str, sent_tokens: int, at: float, *, degraded: bool, preference: str) -> None:
        with self._lock:
            known = self._pins.get(key)
            left: tuple[tuple[str, int, float], ...] = ()
            switches = 0
            if known is not None:
                switches = known.switches + (known.model != model)
                read = ((known.model, known.sent_tokens, known.at), *known.left)
                left = tuple(entry for entry in read if entry[0] != model)[:_MOST_LEFT]
            self._pins[key] = Pin(model, sent_tokens, at, degraded, left, switches, preference)
            self._pins.move_to_end(key)
            while len(self._pins) > self.max_sessions:
                self._pins.popitem(last=False)

    def summary(self) -> dict[str, tuple[str, int, float, bool, str]]:
        """The conversations that went on just now, for other workers: model, tokens sent, seconds ago, degraded,
        preference."""
        now = self._clock()
        told: dict[str, tuple[str, int, float, bool, str]] = {}
        with self._lock:
            for key in itertools.islice(reversed(self._pins), MOST_TOLD):
                pin = self._pins[key]
                if now - pin.at > TOLD_FOR_S:
                    break
                told[key] = (pin.model, pin.sent_tokens, now - pin.at, pin.degraded, pin.preference)
        return told

    def merge(self, told: bytes, *, age_s: float) -> None:
        """Takes over the conversations that went on at another worker later than here. What is odd is left out.

        A pin decides among models that the caller may use and that can serve, whatever is written there.
        """
        now = self._clock()
        for key, (model, sent, ago_s, degraded, preference) in itertools.islice(_told.decode(told).items(), MOST_TOLD):
            at = now - max(0.0, ago_s) - age_s
            if not (len(key) == _KEY_CHARS and key.isalnum() and 0 <= sent < 2**31 and now - at <= self.ttl_s):
                continue
            known = self._pins.get(key)
            if known is None or known.at < at - _SAME_S:
                self._put(key, model, sent, at, degraded=degraded, preference=preference[:_LONGEST_NAME])

    def forget(self, key: str) -> None:
        """Drops the pin of ``key`` if there is one."""
        with self._lock:
            self._pins.pop(key, None)


def session_key(opening: str, caller: str, session_id: str | None) -> str:
    """What a conversation is known by: a hash, so that neither prompt text nor an id of the caller's is kept.

    Args:
        opening: system text and first human message, as :attr:`Signals.opening` holds them.
        caller: who asks, so that two callers with the same opening do not share a pin.
        session_id: the caller's own name for the conversation; it then stands alone for ``opening``.

    Returns:
        32 hexadecimal digits, or ``""`` when there is nothing to know the conversation by.
    """
    if not session_id and not opening:
        return ""
    text = f"{caller}\0id\0{session_id}" if session_id else f"{caller}\0opening\0{opening}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
