"""Whether a conversation keeps the model that it is on, and how long it is expected to go on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ofox_middleware.scoring import Assessed, worth_staying
from ofox_middleware.sessions import LEAST_CACHED_TOKENS, Pin
from ofox_middleware.types import Profile, Signals

MOST_FURTHER: Final = 20
"""A conversation is expected to go on for as many requests as it has sent, the best guess of who knows nothing else,
and for no more than this."""

MOST_SWITCHES: Final = 3
"""Moves after which the margin for the next one grows no further."""


def pinned_to(pin: Pin | None, feasible: Sequence[Assessed], *, degraded: bool) -> Assessed | None:
    """The candidate that the conversation is on, unless it cannot serve or was only a stopgap."""
    if pin is None or (pin.degraded and not degraded):
        return None
    return next((item for item in feasible if item.facts.name == pin.model and item.healthy), None)


def prefers_anew(held: Pin, stated: str | None, read: Signals) -> bool:
    """Whether the request states another preference than the one that put the conversation on its model: then it is
    decided as if it were the first, caches counted. Not where another model could not go on."""
    return stated not in {None, held.preference} and not (read.in_tool_loop or read.thinking_signed)


def stays(pinned: Assessed, best: Assessed, read: Signals, profile: Profile, margin: float) -> bool:
    """Whether the conversation keeps its model. Signed thinking can be read only by the model that wrote it."""
    if read.in_tool_loop or read.thinking_signed:
        return True
    return worth_staying(pinned, best, margin, tie=profile.tie)


def further(read: Signals, held: Pin | None) -> int:
    """How many more requests the conversation will send. Of a new one only that a long prompt rarely comes once."""
    if read.housekeeping:
        return 0
    if held is None:
        return int(read.input_tokens >= LEAST_CACHED_TOKENS)
    return max(1, min(MOST_FURTHER, read.human_turns + read.tool_turns - 1))


def margin_of(pin: Pin, session_margin: float) -> float:
    """How much better another model must be: more after each move, so that no conversation goes to and fro."""
    return session_margin * (1 + min(pin.switches, MOST_SWITCHES))
