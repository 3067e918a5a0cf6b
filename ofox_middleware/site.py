"""What ``ofox serve`` puts together: the gateway, its console, its decision store, and a configuration kept fresh."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.routing import Route
from starlette.types import ASGIApp

from ofox_middleware.beside import beside
from ofox_middleware.console import Console
from ofox_middleware.console import console as console_of
from ofox_middleware.console_access import SHORTEST_TOKEN
from ofox_middleware.decision_file import default_path
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.gateway import LOOPBACK, create_app
from ofox_middleware.metrics import metrics_or_refusal
from ofox_middleware.reload import Reloader
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings

CONSOLE_PATH: Final = "/ofox"
METRICS_PATH: Final = "/metrics"


class Site:
    """Everything that a running gateway consists of.

    Args:
        router: the brain.
        key: what callers must present; the console asks for it too.
        local: the gateway listens on this machine only.
        console: whether the console is served at ``/ofox/``; with a key that is too short to guard it, it is not.
        decisions: the decision store's file, ``None`` for ``Settings.decision_log``, else one in the user's state
            directory.
        config: the settings file, watched for changes; ``None`` for the one that ``OFOX_CONFIG`` names.

    Attributes:
        app: the ASGI app to serve.
        store: the decisions.

    Raises:
        SettingsError: the store's file cannot be used.
    """

    def __init__(
        self,
        router: SmartRouter,
        *,
        key: str | None,
        local: bool,
        console: bool,
        decisions: str | None = None,
        config: Path | None = None,
    ) -> None:
        self.store = DecisionStore(decisions or router.settings.decision_log or default_path())
        router.subscribe(self.store)
        named = config or os.environ.get("OFOX_CONFIG")
        path = Path(named) if named else None
        self._reloader = Reloader(router, lambda: Settings() if config is None else Settings(config=config), path)
        hosts = LOOPBACK if local and key is None else None
        app = create_app(
            router, routes=[Route(METRICS_PATH, metrics_or_refusal(router))], api_key=key, trusted_hosts=hosts
        )
        self._console: Console | None = None
        if console and (key is None or len(key) >= SHORTEST_TOKEN):
            self._console = console_of(router, log=self.store, token=key, reloader=self._reloader)
            app = beside(app, CONSOLE_PATH, self._console)
        self.app: ASGIApp = app

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While the block runs, changes of the configuration are taken on; at its end the decisions are on the disk."""
        self._reloader.start()
        self._reloader.on_signal()
        try:
            yield
        finally:
            self._reloader.stop()
            self.store.close()

    @property
    def has_console(self) -> bool:
        """Whether the console is served."""
        return self._console is not None

    def stop(self) -> None:
        """For the server: it is about to stop."""
        if self._console is not None:
            self._console.stop()
