"""What every copy of the LiteLLM plugin shares in one process.

LiteLLM executes the file that a YAML's dotted path names. A file of the same name beside the configuration wins over
the installed package and becomes a second module, so what lives in the plugin's own module may exist twice. This
module is imported normally and exists once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ofox_middleware.ledger import Ledger
from ofox_middleware.router import SmartRouter

_lock = threading.RLock()  # one shared thing may need another when it is made
_router: SmartRouter | None = None
_ledger: Ledger | None = None
_shared: dict[str, Any] = {}


def current() -> SmartRouter | None:
    """The brain of the LiteLLM door, ``None`` before it was first needed."""
    return _router


def router(make: Callable[[], SmartRouter]) -> SmartRouter:
    """The brain of the LiteLLM door, made by ``make`` when there is none yet."""
    global _router, _ledger  # noqa: PLW0603 - being the one place with this state is what the module is for
    if _router is not None:
        return _router
    with _lock:
        if _router is None:
            made = make()
            _ledger = Ledger(made.health)
            _router = made
    return _router


def ledger(make: Callable[[], SmartRouter]) -> Ledger:
    """The ledger of the brain's health book; ``make`` as for :func:`router`."""
    if _ledger is None:
        router(make)
    assert _ledger is not None
    return _ledger


def use(new: SmartRouter | None) -> None:
    """Puts ``new`` in place of the brain; ``None`` forgets it, so that settings are read again."""
    global _router, _ledger  # noqa: PLW0603
    with _lock:
        _ledger = None if new is None else Ledger(new.health)
        _router = new


def shared(name: str, make: Callable[[], Any]) -> Any:
    """The one object of this process that is called ``name``."""
    if name not in _shared:
        with _lock:
            if name not in _shared:
                _shared[name] = make()
    return _shared[name]
