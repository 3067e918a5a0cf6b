"""The console: a web page and an API that show what a router does and why. See :func:`console`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ofox_middleware.cards import ModelFacts
from ofox_middleware.console_access import Access
from ofox_middleware.console_feed import SLOT_S, Feed
from ofox_middleware.console_live import MOST_STREAMS, Live
from ofox_middleware.console_wire import answer, file_endpoint, not_found, read_object, refusal, refused
from ofox_middleware.decision_store import DecisionStore, store_of
from ofox_middleware.errors import OfoxError
from ofox_middleware.metrics import metrics_or_refusal
from ofox_middleware.reload import Reloader
from ofox_middleware.router import SmartRouter

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PAGE: Final = Path(__file__).parent / "console_page"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}  # fmt: skip

API: Final = (Path(__file__).parent / "data" / "console.openapi.json").read_bytes()
"""The API's description, as OpenAPI; served beside it."""

MOST_LISTED: Final = 500
MOST_PROFILES: Final = 12


def console(
    router: SmartRouter,
    *,
    log: DecisionStore | None = None,
    token: str | None = None,
    reloader: Reloader | None = None,
    demo: str | None = None,
    pool: Callable[[], Sequence[ModelFacts]] | None = None,
    metrics: ASGIApp | None = None,
) -> Console:
    """The console of ``router``, to be mounted in any ASGI app: ``app.mount("/ofox", console(router))``.

    Args:
        router: what is shown.
        log: where decisions are looked up; it must be subscribed to the router already. ``None`` keeps the last
            10,000 in memory.
        token: what callers must present as ``Authorization: Bearer``, at least 16 characters. ``None`` answers
            loopback clients only (:class:`~ofox_middleware.console_access.Access`).
        reloader: what the page's reload button asks.
        demo: where the demo's controls are, such as ``/demo``.
        pool: the candidates, for a door that has its own; ``None`` is the router's pool.
        metrics: an app that answers Prometheus under ``metrics``.

    Raises:
        ValueError: the token is too short.
    """
    if log is None:
        log = DecisionStore()
        router.subscribe(log)
    return Console(router, log, token=token, reloader=reloader, demo=demo, pool=pool, metrics=metrics)


def for_settings(
    router: SmartRouter,
    *,
    reloader: Reloader | None = None,
    pool: Callable[[], Sequence[ModelFacts]] | None = None,
) -> Console:
    """For doors: the console with what the settings name, ``console_token`` and ``decision_log``, and with metrics
    (where ``prometheus-client`` is not installed, a 501 that says so)."""
    secret = router.settings.console_token
    token = None if secret is None else secret.get_secret_value()
    return console(
        router, log=store_of(router), token=token, reloader=reloader, pool=pool, metrics=metrics_or_refusal(router)
    )


class Console:
    """An ASGI app; build it with :func:`console`."""

    def __init__(
        self,
        router: SmartRouter,
        log: DecisionStore,
        *,
        token: str | None,
        reloader: Reloader | None,
        demo: str | None,
        pool: Callable[[], Sequence[ModelFacts]] | None = None,
        metrics: ASGIApp | None = None,
    ) -> None:
        self.log = log
        self._router = router
        self._reloader = reloader
        self._demo = demo
        self._pool = pool
        self._feed = Feed(router, pool=pool)
        self._live = Live(router, self._feed, log.savings, reloader)
        router.subscribe(self._feed)
        files = {path.name: (path.read_bytes(), _TYPES[path.suffix]) for path in sorted(PAGE.iterdir())}
        routes = [
            Route("/api/openapi.json", file_endpoint(API, "application/json")),
            Route("/api/status", self._get_status),
            Route("/api/events", self._get_events),
            Route("/api/decisions", self._get_decisions),
            Route("/api/decisions.jsonl", self._get_export),
            Route("/api/decisions/{id}", self._get_decision),
            Route("/api/explain", self._post_explain, methods=["POST"]),
            Route("/api/feedback", self._post_feedback, methods=["POST"]),
            Route("/api/reload", self._post_reload, methods=["POST"]),
            Route("/", file_endpoint(*files.pop("index.html"))),
            *(Route(f"/{name}", file_endpoint(*content)) for name, content in files.items()),
            *([] if metrics is None else [Route("/metrics", metrics)]),
        ]
        served = Starlette(routes=routes, exception_handlers={OfoxError: refused})
        self._app: ASGIApp = Access(served, token)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def stop(self) -> None:
        """End the event streams, for a server that is about to stop."""
        self._live.stop()

    # Reads -----------------------------------------------------------------------------------------------------------

    async def _get_status(self, _: Request) -> Response:
        count = self._feed.count
        recent = await run_sync(lambda: [entry.to_dict() for entry in self.log.recent(100)])
        status = await self._live.status()
        return answer({
            **status,
            "history": self._feed.history(),
            "slot_s": SLOT_S,
            "settings": self._settings(),
            "decisions": recent,
            "events": count,
            "demo": self._demo,
        })  # fmt: skip

    async def _get_decisions(self, request: Request) -> Response:
        asked = request.query_params.get("limit", "50")
        limit = min(int(asked), MOST_LISTED) if asked.isascii() and asked.isdigit() else 50
        entries = await run_sync(self.log.recent, limit)
        return answer({"decisions": [entry.to_dict() for entry in entries]})

    async def _get_decision(self, request: Request) -> Response:
        entry = await run_sync(self.log.get, request.path_params["id"])
        if entry is None:
            raise not_found("no such decision; the log is bounded, so it may have been forgotten.")
        return answer(entry.to_dict())

    async def _get_export(self, _: Request) -> Response:
        # Starlette reads plain iterators from a thread.
        named = {"content-disposition": 'attachment; filename="decisions.jsonl"'}
        return StreamingResponse(self.log.export(), media_type="application/jsonl", headers=named)

    async def _get_events(self, request: Request) -> Response:
        if self._live.streams >= MOST_STREAMS:
            raise refusal(503, "too_many_streams", "too many pages watch already; close one.")
        asked = request.query_params.get("after", "")
        after = int(asked) if asked.isascii() and asked.isdigit() else self._feed.count
        return StreamingResponse(
            self._live.events(after), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    def _settings(self) -> dict[str, Any]:
        """What the page needs of the settings. Never the cards, whose parameters may hold keys."""
        settings = self._router.settings
        return {
            "preference": settings.preference,
            "profiles": {
                name: {"quality": it.quality, "cost": it.cost, "time": it.time, "floor": it.floor}
                for name, it in self._profiles()
            },
            "auto": settings.auto_models[0],
            "log_prompts": settings.log_prompts,
        }

    def _profiles(self) -> list[tuple[str, Any]]:
        settings = self._router.settings
        order = ["balanced", "quality", "speed", "cost", *sorted(settings.profiles)]
        known = settings.all_profiles
        return [(name, known[name]) for name in dict.fromkeys(order)][:MOST_PROFILES]

    # Writes ----------------------------------------------------------------------------------------------------------

    async def _post_explain(self, request: Request) -> Response:
        """A dry run: the decision for ``request``, and in short what each other preference would pick."""
        asked = await read_object(request)
        body, path = asked.get("request"), asked.get("path", "/v1/chat/completions")
        if not isinstance(body, dict) or not isinstance(path, str):
            raise refusal(400, "invalid_request", 'send {"request": {"messages": [...]}}.')
        started = time.perf_counter()
        decision = self._decide(body, path)
        took_s = time.perf_counter() - started
        picks = {}
        for name, _ in self._profiles():
            # Drawing again might pick another of two equals, which would look like a contradiction.
            other = decision if name == decision.preference else self._decide(_preferring(body, name), path)
            pick = other.candidate(other.model)
            picks[name] = {
                "model": pick.name, "cost_usd": pick.cost_usd, "time_s": pick.time_s, "quality": pick.quality
            }  # fmt: skip
        return answer({"decision": decision.to_dict(), "picks": picks, "took_s": round(took_s, 6)})

    def _decide(self, body: Mapping[str, Any], path: str) -> Any:
        # A session of its own: a conversation that began with the same words must not answer for this one.
        pool = None if self._pool is None else self._pool()
        return self._router.decide(body, path, session=os.urandom(8).hex(), pool=pool, dry_run=True)

    async def _post_feedback(self, request: Request) -> Response:
        asked = await read_object(request)
        decision_id, score = asked.get("id"), asked.get("score")
        if not isinstance(decision_id, str) or isinstance(score, bool) or not isinstance(score, (int, float)):
            raise refusal(400, "invalid_feedback", 'send {"id": "...", "score": 0.0 to 1.0}.')
        if not 0 <= score <= 1:
            raise refusal(400, "invalid_feedback", "score must be from 0 to 1.")
        if not await run_sync(self.log.feedback, decision_id, float(score)):
            raise not_found("no such decision; the log is bounded, so it may have been forgotten.")
        return answer({"id": decision_id, "score": score})

    async def _post_reload(self, request: Request) -> Response:
        await read_object(request)
        if self._reloader is None:
            raise not_found("this console was given no configuration to reload.")
        result = await run_sync(self._reloader.reload)
        self._live.renew()
        if not result.ok:
            raise refusal(409, "invalid_settings", f"refused, the old configuration stays in force: {result.error}")
        return answer(result.to_dict())


def _preferring(body: Mapping[str, Any], preference: str) -> dict[str, Any]:
    config = body.get("model_routing_config") or {}
    return {**body, "model_routing_config": {**config, "preference": preference}}
