"""Names and globs that somebody wrote -> candidates with all their facts."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ofox_middleware.cards import ModelCard, ModelFacts
from ofox_middleware.catalog import Catalog
from ofox_middleware.errors import NoPool, SettingsError
from ofox_middleware.settings import Settings

KEPT: Final = 256
"""Callers' pools that are kept resolved; the one that was used least recently goes first."""


class Pools:
    """Resolves pools, and keeps those that callers name, which come again with every request of an app."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._callers: OrderedDict[tuple[str, ...], tuple[ModelFacts, ...]] = OrderedDict()

    def operators(self, settings: Settings) -> tuple[ModelFacts, ...]:
        """The pool of ``settings``; without one the shortlist of models whose keys are in the environment.

        Raises:
            SettingsError: a card makes no sense, or no known model matches.
        """
        if settings.models is None:
            return self._resolve([ModelCard(name=name) for name in self._catalog.shortlist(os.environ)])
        pool = self._resolve(settings.models)
        if not pool:
            patterns = ", ".join(card.name for card in settings.models)
            hint = "" if "/" in patterns else "; names begin with their provider, as in openai/gpt-*"
            raise SettingsError(f"models: no known model matches {patterns}{hint}.", param="models")
        return pool

    def callers(self, models: Sequence[str] | None) -> tuple[ModelFacts, ...]:
        """The pool that a caller names where the operator has none.

        Raises:
            NoPool: the caller names none either.
        """
        if models is None:
            raise NoPool(
                "There is no model to choose from: set `models` in the configuration (OFOX_MODELS), "
                "or name candidates in model_routing_config.models.",
                param="model_routing_config.models",
            )
        names = tuple(models)
        pool = self._callers.pop(names, None)
        if pool is None:
            pool = self._resolve([ModelCard(name=name) for name in names])
        self._callers[names] = pool
        while len(self._callers) > KEPT:
            self._callers.popitem(last=False)
        return pool

    def _resolve(self, cards: Sequence[ModelCard]) -> tuple[ModelFacts, ...]:
        """Facts of each card, globs spread out; a model that is named twice counts once, its first card wins."""
        exact = {card.name for card in cards if "*" not in card.name}
        pool: dict[str, ModelFacts] = {}
        for card in cards:
            for name in self._names(card, exact):
                if name not in pool:
                    pool[name] = self._facts(replace(card, name=name))
        return tuple(pool.values())

    def _names(self, card: ModelCard, exact: set[str]) -> list[str]:
        if "*" not in card.name:
            return [card.name]
        return [name for name in self._catalog.expand(card.name) if name not in exact]

    def _facts(self, card: ModelCard) -> ModelFacts:
        try:
            return self._catalog.facts(card)
        except ValueError as error:
            raise SettingsError(f"models: {card.name}: {error}.", param="models") from None
