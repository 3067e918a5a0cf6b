"""OfoxMiddleware: ``model: "auto"`` for any ASGI app. Pure ASGI, on asyncio as the common servers run it."""

from __future__ import annotations

import importlib
import logging
import sys
import weakref
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ofox_middleware import body as bodies
from ofox_middleware import headers
from ofox_middleware.adapting import NAMES as ADAPTED
from ofox_middleware.dispatch import Dispatch
from ofox_middleware.errors import OfoxError
from ofox_middleware.hedging import Budget
from ofox_middleware.reload import Reloader, reloader_of
from ofox_middleware.replay import Upload, collect, hand_back, replay, with_body
from ofox_middleware.replies import refuse, respond
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.signals import surface_of
from ofox_middleware.splice import splice

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from ofox_middleware.sharing import HealthSharing

log: Final = logging.getLogger("ofox_middleware.asgi")


class OfoxMiddleware:
    """Answers requests for ``model: "auto"`` with the best model: rewrites the request and lets the app carry it.

    Everything else passes through untouched, and so does an answer, but for the ``x-ofox-*`` headers it gets. While
    nothing was sent to the caller, a 408, 429 or 5xx, an exception, silence for ``Settings.first_byte_timeout_s``
    seconds, a stream that begins with an error or a 200 without an answer (a page, broken JSON, a stream that ends
    before it says anything) makes the app be called again with the next best model, and so does a 400 that tells of
    what the model lacks; the last one in the row is not timed. What limits callers (rate limits, authentication)
    belongs outside of this middleware.

    Args:
        app: the app within.
        router: a brain to share with other doors; it has settings of its own.
        settings: what to build a brain from; by default ``options``, ``OFOX_*`` variables and ``OFOX_CONFIG``, whose
            changes are then taken on while requests run.
        console_path: where to serve the console, such as ``/ofox``; ``Settings.console_path`` when ``None``. It answers
            this machine only, or whoever presents ``Settings.console_token``.
        options: fields of :class:`~ofox_middleware.settings.Settings`.

    Raises:
        SettingsError: the configuration is wrong.
        TypeError: more than one of ``router``, ``settings`` and ``options`` is given.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        router: SmartRouter | None = None,
        settings: Settings | None = None,
        console_path: str | None = None,
        **options: Any,
    ) -> None:
        if (router is not None) + (settings is not None) + bool(options) > 1:
            raise TypeError("give a router, or settings, or single options")
        reloader: Reloader | None = None
        if router is None:
            router = SmartRouter(Settings(**options) if settings is None else settings)
            reloader = reloader_of(router, lambda: Settings(**options)) if settings is None else None
        _ = router.pool  # a pool that cannot be used is refused now, not at the first request
        if router.settings.decision_log is not None:
            # By name, as the console below: who wants none does not load it.
            importlib.import_module("ofox_middleware.decision_store").store_of(router)
        path = console_path or router.settings.console_path
        self.app = app if path is None else _with_console(app, path, router, reloader)
        self.router = router
        self._settings = router.settings
        self._marks = bodies.needles(router.settings.auto_models)
        self._watches_litellm = False
        self._hedges = Budget()
        self._sharing = _sharing(router)
        self._watcher = reloader if reloader is not None and reloader.watches else None
        if self._watcher is not None:
            weakref.finalize(self, self._watcher.stop)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or surface_of(scope["path"]) is None:
            await self.app(scope, receive, send)
            return
        limit = self.router.settings.max_body_bytes
        head = headers.read_head(scope["headers"], limit)
        if head is None:
            await self.app(scope, receive, send)
            return
        # No local name for the body, here and below: it would stay in memory for as long as the answer takes.
        await self._carry(head, await collect(receive, limit), scope, receive, send)

    def _carry(
        self, head: headers.RequestHead, upload: Upload, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """Decides what becomes of a request whose body is here; what it returns does it."""
        surface = surface_of(scope["path"]) or "chat"
        try:
            document = self._document(upload)
            if document is None:
                return self.app(scope, replay(upload, receive), send)
            if not self.router.is_auto(document.fields.get(bodies.MODEL)):
                return self._without_config(document, scope, receive, send)
            self._watch_litellm()
            if self._sharing is not None:
                self._sharing.start()
            if self._watcher is not None:
                self._watcher.start()
            dry_run = head.dry_run and self.router.settings.dry_run
            adapts = self.router.settings.adapt_params
            decision = self.router.decide(
                document.fields,
                scope["path"],
                caller=head.caller,
                session=head.session,
                adapts=adapts,
                dry_run=dry_run,
            )
        except OfoxError as error:
            return refuse(send, error, surface, headers.of_refusal())
        if dry_run:
            shown = msgspec.json.encode(decision.to_dict())
            return respond(send, 200, shown, headers.of_decision(decision, decision.model, 0))
        return Dispatch(
            self.app,
            self.router,
            decision,
            document.without_values(),
            scope=scope,
            receive=receive,
            send=send,
            litellm_reports=self._watches_litellm,
            hedges=self._hedges,
            given={name: document.fields[name] for name in document.fields.keys() & ADAPTED} if adapts else {},
        ).run()

    def _document(self, upload: Upload) -> bodies.RequestBody | None:
        """The body of a request that concerns us, ``None`` for any other."""
        settings = self.router.settings
        if not upload.whole or len(upload.body) > settings.max_body_bytes:
            return None
        if self._settings is not settings:
            self._settings, self._marks = settings, bodies.needles(settings.auto_models)
        if not bodies.may_concern(upload.body, self._marks, self.router.is_auto):
            return None
        document = bodies.read(upload.body)
        if document is None:
            return None
        concerns = bodies.CONFIG in document.fields or self.router.is_auto(document.fields.get(bodies.MODEL))
        return document if concerns else None

    def _without_config(
        self, document: bodies.RequestBody, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """A request that names its model: only its routing config goes, which no provider must see."""
        raw = splice(document, model=None, params={})
        inner = with_body(scope, len(raw))
        return self._handing_back(scope, inner, replay(Upload(raw), receive), send)

    async def _handing_back(self, scope: Scope, inner: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(inner, receive, send)
        finally:
            hand_back(scope, inner)

    def _watch_litellm(self) -> None:
        """Has LiteLLM's callbacks feed the health book, once the app itself has imported LiteLLM."""
        if self._watches_litellm or not hasattr(sys.modules.get("litellm"), "acompletion"):
            return
        self._watches_litellm = True
        try:
            # By name: the house's order puts that door below this one, and litellm must not be imported from here.
            importlib.import_module("ofox_middleware.litellm_plugin").watch(self.router)
        except Exception:
            self.router.stats["litellm_watch_error"] += 1
            log.exception("health is fed by the ASGI door alone: LiteLLM's callbacks could not be attached")


def _with_console(app: ASGIApp, path: str, router: SmartRouter, reloader: Reloader | None) -> ASGIApp:
    from ofox_middleware.beside import beside  # noqa: PLC0415 - loads Starlette

    # By name: the house's order puts the console below this door, and who wants none does not load it.
    consoles = importlib.import_module("ofox_middleware.console")
    return beside(app, path, consoles.for_settings(router, reloader=reloader))


def _sharing(router: SmartRouter) -> HealthSharing | None:
    """What shares the router's health with other workers, ``None`` where there is nobody to share with."""
    url = router.settings.redis_url
    if url is None:
        return None
    from ofox_middleware.sharing import HealthSharing  # noqa: PLC0415 - loads aiocache

    return HealthSharing(router.health, url=url, memories=router.memories)
