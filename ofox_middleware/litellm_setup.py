"""Where the LiteLLM door's settings come from, and the proxy's router of the moment."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import litellm
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from ofox_middleware import plugin_state
from ofox_middleware.cards import ModelFacts
from ofox_middleware.errors import SettingsError
from ofox_middleware.litellm_pool import Pool
from ofox_middleware.redis_urls import redis_url
from ofox_middleware.reload import Reloader, reloader_of
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.variables import variable_of

if TYPE_CHECKING:
    from ofox_middleware.sharing import HealthSharing

log: Final = logging.getLogger("ofox_middleware")


def _settings() -> Settings:
    """Settings from ``callback_settings.ofox``, over ``OFOX_*`` and ``OFOX_CONFIG``."""
    given = (getattr(litellm, "callback_settings", None) or {}).get("ofox") or {}
    if not isinstance(given, Mapping):
        raise SettingsError("callback_settings.ofox: must hold settings by name, such as `preference: balanced`.")
    options = {str(name): _resolved(value) for name, value in given.items()}
    try:
        return Settings(**options)
    except SettingsError as error:
        raise SettingsError(error.message.replace("argument ", "callback_settings.ofox.", 1)) from None


def _resolved(value: Any) -> Any:
    """LiteLLM's ``os.environ/NAME`` notation, which it resolves in most sections but not in this one."""
    variable = variable_of(value)
    if variable is not None:
        return os.environ.get(variable)
    if isinstance(value, Mapping):
        return {name: _resolved(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item) for item in value]
    return value


def proxy_router() -> Any:
    """The proxy's router of this moment; ``None`` while it starts."""
    server = sys.modules.get("litellm.proxy.proxy_server")
    return getattr(server, "llm_router", None)


def make_router() -> SmartRouter:
    """The brain of the door. Raises ``SettingsError`` when the settings are wrong."""
    router = SmartRouter(_settings())
    if router.settings.decision_log is not None:
        # By name: the house's order puts the store below this door, and who wants none does not load it.
        importlib.import_module("ofox_middleware.decision_store").store_of(router)
    return router


def watch_config(router: SmartRouter) -> None:
    """Takes on changes of the file that ``OFOX_CONFIG``, or ``config`` in ``callback_settings.ofox``, names."""
    reloader = _reloader(router)
    if reloader is not None and reloader.watches:
        reloader.start()


def _reloader(router: SmartRouter) -> Reloader | None:
    reloader: Reloader | None = plugin_state.shared("reloader", lambda: reloader_of(router, _settings))
    return reloader


def serve_console(router: SmartRouter, candidates: Pool) -> None:
    """Has the proxy's own app answer at ``Settings.console_path``, when one is set. Once per process."""
    path = router.settings.console_path
    app = getattr(sys.modules.get("litellm.proxy.proxy_server"), "app", None)
    if path is None or app is None:
        return
    plugin_state.shared("console", lambda: _mounted(app, path, router, candidates))


def _mounted(app: Any, path: str, router: SmartRouter, candidates: Pool) -> Any:
    # By name, for the same reason.
    consoles = importlib.import_module("ofox_middleware.console")

    def pool() -> list[ModelFacts]:
        return [facts for facts, _ in candidates.facts(router).values()]

    made = consoles.for_settings(router, reloader=_reloader(router), pool=pool)
    # First, for the proxy has routes that match any path.
    app.router.routes.insert(0, Mount(path, made))
    app.router.routes.insert(0, Route(path, RedirectResponse(f"{path}/")))
    return made


def share_health(router: SmartRouter) -> None:
    """Shares the health of the proxy's workers through Redis: ours, or else the one that LiteLLM is told to use."""
    sharing = plugin_state.shared("sharing", lambda: _make_sharing(router))
    if sharing is not None:
        sharing.start()


def _make_sharing(router: SmartRouter) -> HealthSharing | None:
    if router.settings.redis_url is None and not any(name.startswith("REDIS_") for name in os.environ):
        return None
    from ofox_middleware.sharing import HealthSharing  # noqa: PLC0415 - loads aiocache

    url = router.settings.redis_url or redis_url(os.environ)
    try:
        return None if url is None else HealthSharing(router.health, url=url, memories=router.memories)
    except SettingsError as error:
        # LiteLLM may take a URL that we do not; its requests must not suffer for it.
        log.error("ofox: health is not shared between workers: %s", error.message)  # noqa: TRY400
        return None
