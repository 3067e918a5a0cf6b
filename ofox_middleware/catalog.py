"""What is known of each model: price, window, inputs, ability, speed. Facts only; nothing here decides.

A fact comes from the operator's card, else from LiteLLM's model map, else from the shipped tables; a fact that none of
them holds stays unknown. A name is resolved by exact key first, then by the exact map of keys to models, then by a
careful normal form (:func:`~ofox_middleware.model_names.canonical`): a wrong match is worse than none.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

from ofox_middleware.abilities import (
    ABILITY_INTERCEPT,
    ABILITY_SLOPE,
    Abilities,
    ability_from_share,
    clipped,
    effort_share,
    expected,
    lost_without,
    measured,
    stated_abilities,
    to_logits,
)
from ofox_middleware.model_map import FLAGS, ModelMap, prices_of, provider_of, supports_of, window_of
from ofox_middleware.model_names import (
    GATEWAYS,
    VENDOR_PROVIDERS,
    canonical,
    embedded_date,
    keys_for,
    matches,
    without_mode,
)
from ofox_middleware.providers import known_providers
from ofox_middleware.tables import SHIPPED, Row, Tables, read_tables
from ofox_middleware.types import ModelCard, ModelFacts, Need

__all__ = ["ABILITY_INTERCEPT", "ABILITY_SLOPE", "Catalog", "ability_from_share", "matches"]

_MILLION: Final = 1e6
_SUBSCRIPTIONS: Final = frozenset({"github_copilot", "chatgpt", "microsoft_365_copilot"})
"""Providers that bill by the month: a list price per token would be wrong there."""

_USUAL_SHARE: Final = 0.95
"""Effort share that a model is taken to work at when nothing says how hard it thinks: high, not the very top."""

_THINKING_SHARE: Final = 0.3
"""Effort share from which on a model's first answer token waits for its thoughts."""

_COMPARABLE_SHARES: Final = 0.16
"""Efforts next to each other, such as medium and high; nothing is next to the very top."""

_UNKNOWN_TTFT_S: Final = 1.5
"""Seconds to the first token where nobody has measured any; as in :class:`~ofox_middleware.types.ModelFacts`."""

_MOST_THINKING: Final = 10_000
"""Tokens of thought that a request is taken to cost at most; measured waits hold a few outliers."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Where a candidate's facts are looked up.

    Attributes:
        key: its key in LiteLLM's map, or its name.
        base: the tables' name for it, ``""`` when they have none, and ``row`` what they say.
        provider: who serves it.
        share: how much of its reasoning it gets, 0..1; ``None`` when nothing tells.
        reasons: it is known to reason.
        served: somebody is known to serve it: its card or the map names the provider, or the prefix is one.
    """

    key: str
    base: str
    row: Row | None
    provider: str
    share: float | None
    reasons: bool
    served: bool


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
        row = self._data.models.get(base) if base is not None else None
        model = card.model or card.name
        supports = _supports(card, info)
        known = _Known(
            key=key,
            base=base or "",
            row=row,
            provider=_provider(card, model, info),
            share=effort_share(card.params, key, info, row),
            reasons=supports.get("reasoning", False),
            served=bool(card.provider or provider_of(info)) or self._is_known(model),
        )
        input_usd, output_usd, cached_usd = _prices(card, info, known)
        ability, ability_source = self._ability(card, known, _blended(input_usd, output_usd))
        ttft_s, s_per_token, speed_source = self._speed(card, known)
        thinking_tokens = self._thinking_tokens(known)
        return ModelFacts(
            name=card.name,
            model=model,
            provider=known.provider,
            params=card.params,
            input_usd=input_usd,
            output_usd=output_usd,
            cached_input_usd=cached_usd,
            max_input_tokens=card.max_input_tokens or window_of(info, "max_input_tokens"),
            max_output_tokens=card.max_output_tokens or window_of(info, "max_output_tokens"),
            supports=supports,
            ability=ability,
            ability_source=ability_source,
            ttft_s=ttft_s,
            s_per_token=s_per_token,
            thinking_tokens=thinking_tokens,
            speed_source=speed_source,
        )

    def _is_known(self, model: str) -> bool:
        provider, slash, _ = model.partition("/")
        return not slash or provider in self.providers

    def _ability(self, card: ModelCard, known: _Known, blended_usd: float | None) -> tuple[Abilities, str]:
        """Logits per domain and where they come from: the card, the measured row, or price and release date."""
        if card.ability is not None and (stated := stated_abilities(card.ability)) is not None:
            return stated, "card"
        row = known.row
        abilities, source = (measured(row) if row is not None else None), "measured" if known.served else "name"
        if abilities is None:
            released = card.release_date or (row.released if row is not None else "") or embedded_date(known.key) or ""
            _, abilities, source, _ = expected(blended_usd, released, known.key)
        lost = lost_without(known.share, row, reasons=known.reasons)
        held = clipped(abilities, self._data.ceiling)
        return to_logits(tuple(z - lost for z in held)), source

    def _speed(self, card: ModelCard, known: _Known) -> tuple[float, float, str]:
        """Seconds to the first answer token, seconds per token, and where they come from."""
        ttft_s, tokens_per_s, source = self._speed_prior(known)
        if card.ttft_s is None and card.tokens_per_s is None:
            return ttft_s, 1.0 / tokens_per_s, source
        return ttft_s if card.ttft_s is None else card.ttft_s, 1.0 / (card.tokens_per_s or tokens_per_s), "card"

    def _speed_prior(self, known: _Known) -> tuple[float, float, str]:
        """The same in tokens per second: what the host advertises, the model's median, its maker's, or everybody's.

        The medians are over the usual hosts. A host that advertises far higher rates is judged by its own figures, and
        its first token is unknown. A first token timed at another effort bounds the maker's median from its side.
        """
        tables = self._data
        wanted = _USUAL_SHARE if known.share is None else known.share
        if host := tables.advertised.get(known.provider):
            return _UNKNOWN_TTFT_S, host.get(known.base, host[""]), "advertised"
        maker = self._maker(known)
        medians = tables.makers[maker]
        thinks = known.reasons and wanted >= _THINKING_SHARE
        ttft_s = medians.reasoning_ttft_s if thinks else medians.ttft_s
        rows = tables.speeds.get(known.base)
        if not rows:
            return ttft_s, medians.tokens_per_s, "maker" if maker else "unknown"
        share, measured_ttft_s, tokens_per_s = min(rows, key=lambda row: abs(row[0] - wanted))
        if not known.reasons or _comparable(share, wanted):
            return measured_ttft_s, tokens_per_s, "measured"
        longest = min((ttft for at, ttft, _ in rows if at > wanted), default=math.inf)
        shortest = max((ttft for at, ttft, _ in rows if at < wanted), default=0.0)
        return min(max(ttft_s, shortest), longest), tokens_per_s, "maker"

    def _thinking_tokens(self, known: _Known) -> int:
        """What a model writes before its answer: the wait for it beyond a usual first token, at its output rate."""
        if not known.reasons or (known.share is not None and known.share == 0.0):
            return 0
        ttft_s, tokens_per_s, _ = self._speed_prior(known)
        waits_s = ttft_s - self._data.makers[self._maker(known)].ttft_s
        return min(_MOST_THINKING, round(waits_s * tokens_per_s)) if waits_s > 0.0 else 0

    def _maker(self, known: _Known) -> str:
        """The maker that medians are known for, ``""`` when there is none."""
        tables = self._data
        form = canonical(known.key)
        family = next((maker for start, maker in tables.families.items() if form.startswith(start)), "")
        maker = (known.row.maker if known.row is not None else "") or family
        return maker if maker in tables.makers else ""


def variable_of(value: object) -> str | None:
    """The environment variable that a parameter of a card stands for, written as in LiteLLM: ``os.environ/NAME``."""
    return value.removeprefix("os.environ/") if isinstance(value, str) and value.startswith("os.environ/") else None


def _comparable(share: float, wanted: float) -> bool:
    """Whether a first token measured at one effort says something of another: thinking time grows tenfold and more."""
    return share == wanted or (share < 1.0 and abs(share - wanted) <= _COMPARABLE_SHARES)


def _provider(card: ModelCard, model: str, info: Mapping[str, Any]) -> str:
    """Who serves it: as stated, else the name's prefix, else the map's provider, else the model by itself."""
    if card.provider:
        return card.provider
    prefix, slash, _ = model.partition("/")
    return prefix if slash else provider_of(info) or model


def _supports(card: ModelCard, info: Mapping[str, Any]) -> dict[Need, bool]:
    known = supports_of(info)
    for flag, need in FLAGS.items():
        stated = getattr(card, flag, None)
        if stated is not None:
            known[need] = stated
    return known


def _prices(card: ModelCard, info: Mapping[str, Any], known: _Known) -> tuple[float | None, float | None, float | None]:
    input_usd, output_usd, cached_usd = prices_of(info)
    listed = known.row.usd if known.row is not None and known.provider not in _SUBSCRIPTIONS else None
    if input_usd is None and output_usd is None and listed is not None:
        input_usd, output_usd = listed[0] / _MILLION, listed[1] / _MILLION
    return (
        input_usd if card.input_cost_per_token is None else card.input_cost_per_token,
        output_usd if card.output_cost_per_token is None else card.output_cost_per_token,
        cached_usd if card.cache_read_input_token_cost is None else card.cache_read_input_token_cost,
    )


def _blended(input_usd: float | None, output_usd: float | None) -> float | None:
    """USD per million tokens, three parts input to one part output; ``None`` unless both are known."""
    if input_usd is None or output_usd is None:
        return None
    return (3 * input_usd + output_usd) / 4 * _MILLION
