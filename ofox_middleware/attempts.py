"""The attempt that the ASGI door is making, visible to whatever runs inside it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from ofox_middleware.leases import Lease


@dataclass(slots=True)
class DoorAttempt:
    """One call of the app by the ASGI door.

    Attributes:
        model: the candidate that it was made with, as the pool names it.
        lease: its entry in the health book.
        claimed: whether LiteLLM's callbacks feed the lease; they know tokens and failures better than a door does,
            which then only closes what is still open when the request ends.
    """

    model: str
    lease: Lease
    claimed: bool = False


current_attempt: ContextVar[DoorAttempt | None] = ContextVar("ofox_current_attempt", default=None)
"""Set around every call of the app by the ASGI door, ``None`` outside of one."""
