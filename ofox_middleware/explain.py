"""What ``ofox explain`` does: reads requests, decides each without a trace, and keeps what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ofox_middleware.decision import Decision
from ofox_middleware.errors import InvalidRequest, OfoxError, SettingsError
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.signals import surface_of

_PATHS: Final[Mapping[str, str]] = {
    "messages": "/v1/chat/completions", "input": "/v1/responses", "prompt": "/v1/completions",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to explain.

    Attributes:
        label: how tables call it: its line or its id.
        body: the request's JSON.
        path: the endpoint, which tells the body's shape.
    """

    label: str
    body: Mapping[str, Any]
    path: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What came of one request: a decision, or the refusal."""

    asked: Asked
    decision: Decision | None
    error: OfoxError | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        if self.decision is not None:
            return {"request": self.asked.label, **self.decision.to_dict()}
        assert self.error is not None
        return {"request": self.asked.label, "error": {"message": self.error.message, "code": self.error.code}}


def settings_of(config: Path | None, **options: Any) -> Settings:
    """The settings that a command line names: a file's, or those of ``OFOX_CONFIG`` and ``OFOX_*``."""
    return Settings(**options) if config is None else Settings(config=config, **options)


def router_of(settings: Settings, *, seed: int | None = None) -> SmartRouter:
    """A router whose pool is resolved.

    Raises:
        SettingsError: about what keeps it from being.
    """
    try:
        router = SmartRouter(settings, seed=seed)
        _ = router.pool
    except (ValueError, OSError) as error:
        raise SettingsError(f"the configuration cannot be used: {error}.") from None
    return router


def router_for(
    config: Path | None, models: list[str] | None, *, seed: int | None = None, **options: Any
) -> tuple[SmartRouter, str]:
    """A router to decide with here, and what to tell about its pool. ``options`` are settings that win.

    Where no pool is configured, ``models`` are the pool: they are wanted even when no key for them is set.
    """
    settings = settings_of(config, **options)
    if settings.models is None and models:
        return router_of(settings_of(config, **options, models=models), seed=seed), ""
    router = router_of(settings, seed=seed)
    if router.pool:
        return router, ""
    shipped = router.catalog.shortlist(_EveryKey())
    note = "no pool is configured and no provider's API key is set, so this is the shipped shortlist"
    return router_of(settings_of(config, **options, models=shipped), seed=seed), note


class _EveryKey(dict[str, str]):
    """An environment in which every provider's key is set."""

    def get(self, name: str, default: Any = None) -> Any:
        return "set"


def names(written: str | None) -> list[str] | None:
    """Names as the command line has them, comma-separated."""
    return [name.strip() for name in written.split(",") if name.strip()] if written else None


def explain(router: SmartRouter, asked: Asked, wishes: Mapping[str, Any]) -> Explained:
    """Decide one request as the router would now. ``wishes`` that are set win over the request's own config."""
    own = asked.body.get("model_routing_config")
    set_ones = {name: value for name, value in wishes.items() if value is not None}
    config = {**own, **set_ones} if isinstance(own, dict) else (set_ones or own)
    body = {**asked.body, "model_routing_config": config} if config is not None else asked.body
    try:
        return Explained(asked, router.decide(body, asked.path, dry_run=True))
    except OfoxError as error:
        return Explained(asked, None, error)


def read_requests(prompt: str | None, file: Path | None) -> list[Asked]:
    """The requests that the command line names.

    Raises:
        InvalidRequest: there is none, or the file holds something else.
    """
    if (prompt is None) == (file is None):
        raise InvalidRequest("give a prompt or --file FILE (- as the prompt reads standard input).", code="usage")
    if file is None:
        text = sys.stdin.read() if prompt == "-" else prompt
        return [Asked("prompt", {"model": "auto", "messages": [{"role": "user", "content": text}]}, _PATHS["messages"])]
    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise InvalidRequest(f"{file}: cannot be read: {error.strerror or error}.", code="usage") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{file}: is not UTF-8 text.") from None
    requests = list(_requests(text, file))
    if not requests:
        raise InvalidRequest(f"{file}: holds no request.", code="invalid_request")
    return requests


def _requests(text: str, file: Path) -> Iterator[Asked]:
    whole = _decoded(text)
    if isinstance(whole, dict):
        yield _asked(whole, "request", f"{file}")
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _asked(_decoded(line), f"line {number}", f"{file}:{number}")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _asked(value: Any, label: str, place: str) -> Asked:
    """One JSON value as a request: a body, or a line of OpenAI's batch format (``custom_id``, ``url``, ``body``)."""
    if not isinstance(value, dict):
        raise InvalidRequest(f"{place}: is not a JSON object.", code="invalid_json")
    if isinstance(value.get("body"), dict):
        label = str(value.get("custom_id") or label)
        path = str(value.get("url") or "")
        value = value["body"]
        if surface_of(path) is not None:
            return Asked(label, value, path)
    for field, path in _PATHS.items():
        if field in value:
            # Only Anthropic's protocol has the system prompt beside the messages.
            return Asked(label, value, "/v1/messages" if field == "messages" and "system" in value else path)
    raise InvalidRequest(f"{place}: has none of messages, input and prompt.", code="invalid_request")
