"""What a routed request may reach beside its pick: by fallbacks, the caller's and the operator's, and by its tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth

from ofox_middleware import litellm_registry as registry
from ofox_middleware.errors import NotAllowed
from ofox_middleware.litellm_access import Grants
from ofox_middleware.litellm_limits import RateLimits, has_budgets, within_budget
from ofox_middleware.litellm_memory import may_be_limited
from ofox_middleware.litellm_pool import Candidates

FALLBACKS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_OTHER_MODELS: Final = ("deployment_id", "models")
"""What else in a request names a model: LiteLLM sends the first in place of the pick, and OpenRouter falls back to the
second."""
_NOT_EXTRA: Final = frozenset({"model", "model_routing_config", *_OTHER_MODELS})


class Reach:
    """What a routed request may still reach beside its pick: by fallbacks, and by tools that name a model.

    Args:
        known: the candidates of the proxy, ``None`` where they could not be read: then every limit is looked at.
    """

    def __init__(
        self, key: UserAPIKeyAuth, data: Mapping[str, Any], call_type: str, auto_models: Sequence[str],
        known: Candidates | None,
    ) -> None:  # fmt: skip
        self._key = key
        self._data = data
        self._call_type = call_type
        self._auto_models = auto_models
        self._known = known
        self._grants: Grants | None = None

    async def granted(self, model: str) -> bool:
        """Whether the caller may use ``model``, which is no auto one."""
        if self._grants is None:
            self._grants = await Grants.of(self._key)
        return model not in self._auto_models and await self._grants.allow(model)

    async def allow(self, model: object) -> bool:
        """Whether ``model`` is a model of the proxy that the caller may use, and may still use now.

        In place of a name that nobody has, `auto` included, LiteLLM takes the operator's default fallback.
        """
        router = proxy_server.llm_router
        if not isinstance(model, str) or router is None or not registry.entries_of(router, model):
            return False
        if not await self.granted(model):
            return False
        if has_budgets(self._key) and not await within_budget(self._key, model):
            return False
        if self._known is not None and not may_be_limited(self._key, self._known):
            return True
        return await RateLimits(self._key, self._data, self._call_type).allow(model)

    async def first(self) -> str:
        """The first model of the proxy that this request may go to, found without a decision, which may be broken.

        Raises:
            NotAllowed: there is none.
        """
        router = proxy_server.llm_router
        for name in [] if router is None else registry.names(router):
            if "*" not in name and await self.allow(name):
                return name
        raise NotAllowed("Your key may use none of the proxy's models now.", param="model")

    async def narrowed_fallbacks(self, *, settled: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
        """The fallback lists of the request, or else of the operator, without what this key may not call now.

        LiteLLM checks the caller's own lists against the key alone, and the operator's (those of a key or team come as
        ``router_settings_override``) not at all unless ``enforce_fallback_model_access`` is on. A request that we route
        must not reach by them what it could not reach by its name.

        Args:
            settled: lists that need no look.

        Returns:
            The lists where that makes a difference.
        """
        narrowed: dict[str, list[Any]] = {}
        override = self._data.get("router_settings_override")
        for setting in FALLBACKS:
            if setting in settled:
                continue
            stated = self._data.get(setting)
            if stated is None and isinstance(override, Mapping):
                stated = override.get(setting)
            if stated is None:
                stated = registry.setting(proxy_server.llm_router, setting)
            if not stated:
                continue
            entries = list(stated) if isinstance(stated, (list, tuple)) else [stated]
            kept = await self._all(entries)
            if kept != entries:
                narrowed[setting] = kept
        return narrowed

    async def _all(self, entries: Any) -> list[Any]:
        listed = entries if isinstance(entries, (list, tuple)) else [entries]
        return [kept for kept in [await self._narrowed(entry) for entry in listed] if kept is not None]

    async def _narrowed(self, entry: Any) -> Any:
        """One entry: a name, a request for a model, or lists of such by group; ``None`` when nothing is allowed."""
        if isinstance(entry, str):
            return entry if await self.allow(entry) else None
        if not isinstance(entry, Mapping):
            return None
        if "model" not in entry:
            return {group: await self._all(targets) for group, targets in entry.items()}
        if not await self.allow(entry["model"]):
            return None
        # LiteLLM lays it over the request, further lists included.
        lists = {setting: await self._all(entry[setting]) for setting in FALLBACKS if entry.get(setting)}
        kept = {**entry, **lists}
        drop_other_models(kept)
        return kept

    async def check_tools(self) -> None:
        """Refuses a tool by which LiteLLM asks another model for advice (Anthropic's advisor).

        Raises:
            NotAllowed: the caller may not use that model.
        """
        tools = self._data.get("tools")
        for tool in tools if isinstance(tools, list) else ():
            if not isinstance(tool, Mapping) or not str(tool.get("type")).startswith("advisor"):
                continue
            if isinstance(tool.get("model"), str) and not await self.granted(tool["model"]):
                raise NotAllowed("Your key may not use the model that a tool names.", param="tools")


def drop_other_models(fields: dict[str, Any]) -> None:
    """Takes out of a request, or a part of one, what would put another model in the place of its own."""
    for name in _OTHER_MODELS:
        fields.pop(name, None)
    extra = fields.pop("extra_body", None)
    if isinstance(extra, Mapping):
        # LiteLLM lays this over what it sends, the name of the model included.
        fields["extra_body"] = {name: extra[name] for name in extra if name not in _NOT_EXTRA}
