"""What is known of each model: price, window, inputs, ability, speed. Facts only; nothing here decides.

A fact comes from the operator's card, else from LiteLLM's model map, else from the shipped tables; a fact that none of
them holds stays unknown. A name is resolved by exact key first, then by the exact map of keys to models, then by a
careful normal form (:func:`~ofox_middleware.model_names.canonical`): a wrong match is worse than none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from ofox_middleware.cards import ModelCard, ModelFacts
from ofox_middleware.model_facts import facts_of
from ofox_middleware.model_map import ModelMap, prices_of, provider_of
from ofox_middleware.model_names import GATEWAYS, VENDOR_PROVIDERS, canonical, keys_for, matches, without_mode
from ofox_middleware.providers import known_providers
from ofox_middleware.tables import SHIPPED, Tables, read_tables


class Catalog:
    """Looks models up. Cheap to make: each source is read at the first look-up that needs it.

    Args:
        model_map: LiteLLM's map; default is the installed package's file.
        tables: the shipped tables, or another file in their form.
        today: the date that decides what is deprecated.
    """

    def __init__(
        self, *, model_map: ModelMap | None = None, tables: Path = SHIPPED, today: Callable[[], date] = date.today
    ) -> None:
        self._map = ModelMap.installed() if model_map is None else model_map
        self._path = tables
        self._today = today
        self._tables: Tables | None = None
        self._bases: dict[str, str] = {}
        self._providers: frozenset[str] | None = None
        self._canonical: dict[str, str] | None = None
        self._names: tuple[str, list[str]] | None = None

    @classmethod
    def load(cls) -> Catalog:
        """The shipped tables and the installed LiteLLM's model map."""
        return cls()

    def facts(self, card: ModelCard) -> ModelFacts:
        """Everything known of a candidate; what its card states wins.

        Raises:
            ValueError: the card states an ability for a domain that does not exist.
        """
        model = card.model or card.name
        found = self._map.find(model)
        key, info = found if found is not None else (model, {})
        base = self._base(model, key)
        if found is None and base is not None:
            info = self._makers_entry(model, base)
        return self._facts(card, info, key, base)

    def facts_from_info(self, card: ModelCard, info: Mapping[str, Any], *, key: str | None) -> ModelFacts:
        """Facts of a deployment from LiteLLM's own model info, which has the keys of its map.

        Unless the card names a provider, ``info`` does: a group's name says nothing of who serves it.

        Args:
            card: what the operator states; wins.
            info: for example ``router.get_deployment_model_info(...)``; missing or ``None`` is unknown. Two prices of
                zero count as unknown where the map does not say zero as well: LiteLLM fills them in.
            key: the deployment's key in LiteLLM's map where it is known, such as its ``base_model``.
        """
        model = key or info.get("key") or info.get("base_model") or card.model or card.name
        stated = self._map.find(model)
        if info.get("input_cost_per_token") == 0 and info.get("output_cost_per_token") == 0 and stated is not None:
            known = prices_of(stated[1])
            info = {**info, "input_cost_per_token": known[0], "output_cost_per_token": known[1]}
        served_by = card.provider or provider_of(info) or None
        base = self._base(model, stated[0] if stated is not None else model)
        return self._facts(replace(card, provider=served_by), info, model, base)

    def expand(self, pattern: str) -> list[str]:
        """``provider/model`` names of the chat models in LiteLLM's map that fit a ``*`` glob and are not deprecated.

        Fine-tunes, price classes and keys that are no general chat model are left out, and so is what a paid host
        lists at a price of zero. Without litellm, the names of the shipped tables.
        """
        today = self._today().isoformat()
        if self._names is None or self._names[0] != today:
            self._names = (today, self._map.chat_names(today) if self._map else self._shipped_names())
        return [name for name in self._names[1] if matches(pattern, name)]

    def shortlist(self, environ: Mapping[str, str]) -> list[str]:
        """The shipped shortlist, limited to providers whose API key is in ``environ`` and to models in service."""
        today = self._today().isoformat()
        return [
            entry.name
            for entry in self._data.shortlist
            if any(environ.get(variable) for variable in entry.keys) and not self._map.is_deprecated(entry.name, today)
        ]

    def key_variables(self, provider: str) -> tuple[str, ...]:
        """The environment variables of which one must hold the API key of ``provider``; none when not known."""
        named = (entry.keys for entry in self._data.shortlist if entry.name.startswith(f"{provider}/"))
        return next(named, ())

    @property
    def providers(self) -> frozenset[str]:
        """What a model's name may begin with."""
        if self._providers is None:
            self._providers = known_providers(self._map, itertools.chain(*self._data.keys.values()))
        return self._providers

    @property
    def _data(self) -> Tables:
        if self._tables is None:
            self._tables = read_tables(self._path)
            self._bases = {key: base for base, keys in self._tables.keys.items() for key in keys}
        return self._tables

    def _shipped_names(self) -> list[str]:
        listed = ((key, row) for base, row in self._data.models.items() for key in self._data.keys.get(base, ()))
        makers = {"OpenAI": "openai", "Anthropic": "anthropic"}
        return sorted(
            key if "/" in key else f"{makers[row.maker]}/{key}"
            for key, row in listed
            if "/" in key or (row.maker in makers and not set(key) & {":", "@"} and key.split("-", 1)[0].isalnum())
        )

    def _base(self, name: str, key: str) -> str | None:
        """The tables' name for the model, whoever serves it; ``None`` when no match is certain."""
        models = self._data.models
        for exact in (key, name, *(spelling for spelling, _ in keys_for(name))):
            if exact in self._bases:
                return self._bases[exact]
        index = self._index()
        for written in (key, name):
            form = canonical(written)
            for candidate in (form, without_mode(form)):
                base = candidate if candidate in models else index.get(candidate)
                if base:
                    return base
        return None

    def _index(self) -> dict[str, str]:
        """Canonical form of every mapped key -> base; forms that two bases share are left out."""
        if self._canonical is None:
            index: dict[str, str] = {}
            for key, base in self._bases.items():
                form = canonical(key)
                index[form] = base if index.get(form, base) == base else ""
            self._canonical = index
        return self._canonical

    def _makers_entry(self, name: str, base: str) -> dict[str, Any]:
        """The maker's own map entry for a name without one, unless the name says that somebody else serves it."""
        key = self._data.models[base].key
        entry = self._map.entry(key)
        prefix, slash, _ = name.partition("/")
        provider = VENDOR_PROVIDERS.get(prefix, prefix)
        if entry is None or (slash and prefix not in GATEWAYS and provider != provider_of(entry)):
            return {}
        return entry

    def _facts(self, card: ModelCard, info: Mapping[str, Any], key: str, base: str | None) -> ModelFacts:
        served = bool(card.provider or provider_of(info)) or self._is_known(card.model or card.name)
        return facts_of(card, info, self._data, key=key, base=base, served=served)

    def _is_known(self, model: str) -> bool:
        provider, slash, _ = model.partition("/")
        return not slash or provider in self.providers
