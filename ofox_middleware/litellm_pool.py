"""The candidates of one ``litellm.Router``, the proxy's or a user's own, kept until something in it changes."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from operator import is_
from typing import Any, Final

from ofox_middleware import litellm_facts
from ofox_middleware import litellm_registry as registry
from ofox_middleware.cards import ModelFacts
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings

MOST_KINDS: Final = 1_024
_DEPLOYMENTS_LIMITS: Final = ("default_api_key_rpm_limit", "default_api_key_tpm_limit")


class Candidates(dict[str, tuple[ModelFacts, str | None]]):
    """Facts by name, each with the team that alone may use the model; made anew when anything of the router changes.

    Attributes:
        verdicts: the candidates that a kind of key (:func:`~ofox_middleware.litellm_memory.kind_of`) may call.
        limited: whether a deployment limits every key's requests or tokens by itself.
        guarded: whether a deployment has guardrails of its own.
    """

    def __init__(self, facts: Mapping[str, tuple[ModelFacts, str | None]], model_list: list[Any]) -> None:
        super().__init__(facts)
        self.verdicts: dict[Hashable, tuple[ModelFacts, ...]] = {}
        params = [entry.get("litellm_params") or {} for entry in model_list]
        self.limited = any(each.get(name) is not None for each in params for name in _DEPLOYMENTS_LIMITS)
        self.guarded = any(each.get("guardrails") for each in params)

    def remember(self, kind: Hashable, verdict: tuple[ModelFacts, ...]) -> None:
        """Keeps a verdict, until the router changes or there are too many."""
        if len(self.verdicts) >= MOST_KINDS:
            self.verdicts.clear()
        self.verdicts[kind] = verdict


@dataclass(frozen=True, slots=True)
class _Built:
    router: Callable[[], Any]
    version: int | None
    model_list: list[Any]
    settings: Settings
    pool: Candidates

    def holds(self, router: Any, settings: Settings) -> bool:
        """Whether nothing has changed since."""
        if self.router() is not router or self.settings is not settings:
            return False
        if self.version is not None:
            return self.version == registry.version(router)
        # Older releases have no version to look at; they put a new entry into their list for every added or changed
        # deployment. The old entries are kept alive here, so identity cannot be reused.
        entries = registry.entries(router)
        return len(entries) == len(self.model_list) and all(map(is_, entries, self.model_list))


class Pool:
    """Candidates with their facts, built at the first look and after every change of the router's model list.

    Args:
        find: the router, looked up at every use: a proxy replaces its router when its configuration changes.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self._built: _Built | None = None

    def router(self) -> Any:
        """The router of this moment, ``None`` when there is none."""
        return self._find()

    def facts(self, brain: SmartRouter) -> Candidates:
        """The candidates of this moment."""
        router = self._find()
        if router is None:
            return Candidates({}, [])
        if self._built is None or not self._built.holds(router, brain.settings):
            version, entries = registry.version(router), list(registry.entries(router))
            pool = Candidates(_build(brain, router, entries), entries)
            self._built = _Built(weakref.ref(router), version, entries, brain.settings, pool)
        return self._built.pool

    def by_group(self, brain: SmartRouter, group: str, deployment: str | None = None) -> ModelFacts | None:
        """The candidate that stands for ``group``: of that name, else the first whose requests go to it.

        LiteLLM also answers to aliases, ids of deployments and names of what is behind them; ``deployment``, the id of
        the one that it took, tells the group then.
        """
        known = self.facts(brain)
        if group in known:
            return known[group][0]
        for name in (group, registry.group_of(self._find(), deployment)):
            found = next((facts for facts, _ in known.values() if facts.model == name), None)
            if found is not None:
                return found
        return None


def _build(brain: SmartRouter, router: Any, entries: list[Any]) -> dict[str, tuple[ModelFacts, str | None]]:
    def info_of(deployment: Mapping[str, Any]) -> Mapping[str, Any] | None:
        info = deployment.get("model_info") or {}
        params = deployment.get("litellm_params") or {}
        known = registry.model_info(router, str(info.get("id")), str(params.get("model")))
        return None if known is None else dict(known)

    found = litellm_facts.groups(entries, brain.settings.auto_models)
    return litellm_facts.pool(found, brain.settings, brain.catalog, info_of, os.environ)
