"""Everything known of one candidate: what its card states, else its map entry, else its row in the tables. Pure.

Which entry and which row are a model's is for :mod:`~ofox_middleware.catalog` to find.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ofox_middleware.abilities import (
    Abilities,
    clipped,
    effort_share,
    expected,
    lost_without,
    measured,
    stated_abilities,
    to_logits,
)
from ofox_middleware.cards import ModelCard, ModelFacts
from ofox_middleware.model_map import FLAGS, prices_of, provider_of, supports_of, window_of
from ofox_middleware.model_names import canonical, embedded_date
from ofox_middleware.tables import Row, Tables
from ofox_middleware.types import Need

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
"""Seconds to the first token where nobody has measured any; as in :class:`~ofox_middleware.cards.ModelFacts`."""

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
        served: as in :func:`facts_of`.
    """

    key: str
    base: str
    row: Row | None
    provider: str
    share: float | None
    reasons: bool
    served: bool


def facts_of(
    card: ModelCard, info: Mapping[str, Any], tables: Tables, *, key: str, base: str | None, served: bool
) -> ModelFacts:
    """The facts of a candidate, each with the best source that holds it.

    Args:
        card: what the operator states; wins.
        info: the model's entry in LiteLLM's map, or a deployment's info, which has the same keys; may be empty.
        tables: what is measured.
        key: the model's key in LiteLLM's map, or its name.
        base: its name in ``tables``; ``None`` when they do not hold it.
        served: somebody is known to serve it: its card or ``info`` names the provider, or its prefix is one. What was
            measured goes by the bare name otherwise.

    Raises:
        ValueError: the card states an ability for a domain that does not exist.
    """
    row = tables.models.get(base) if base is not None else None
    model = card.model or card.name
    supports = _supports(card, info)
    known = _Known(
        key=key,
        base=base or "",
        row=row,
        provider=_provider(card, model, info),
        share=effort_share(card.params, key, info, row),
        reasons=supports.get("reasoning", False),
        served=served,
    )
    input_usd, output_usd, cached_usd = _prices(card, info, known)
    ability, ability_source = _ability(tables, card, known, _blended(input_usd, output_usd))
    ttft_s, s_per_token, speed_source = _speed(tables, card, known)
    thinking_tokens = _thinking_tokens(tables, known)
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


def _ability(tables: Tables, card: ModelCard, known: _Known, blended_usd: float | None) -> tuple[Abilities, str]:
    """Logits per domain and where they come from: the card, the measured row, or price and release date."""
    if card.ability is not None and (stated := stated_abilities(card.ability)) is not None:
        return stated, "card"
    row = known.row
    abilities, source = (measured(row) if row is not None else None), "measured" if known.served else "name"
    if abilities is None:
        released = card.release_date or (row.released if row is not None else "") or embedded_date(known.key) or ""
        _, abilities, source, _ = expected(blended_usd, released, known.key)
    lost = lost_without(known.share, row, reasons=known.reasons)
    held = clipped(abilities, tables.ceiling)
    return to_logits(tuple(z - lost for z in held)), source


def _speed(tables: Tables, card: ModelCard, known: _Known) -> tuple[float, float, str]:
    """Seconds to the first answer token, seconds per token, and where they come from."""
    ttft_s, tokens_per_s, source = _speed_prior(tables, known)
    if card.ttft_s is None and card.tokens_per_s is None:
        return ttft_s, 1.0 / tokens_per_s, source
    return ttft_s if card.ttft_s is None else card.ttft_s, 1.0 / (card.tokens_per_s or tokens_per_s), "card"


def _speed_prior(tables: Tables, known: _Known) -> tuple[float, float, str]:
    """The same in tokens per second: what the host advertises, the model's median, its maker's, or everybody's.

    The medians are over the usual hosts. A host that advertises far higher rates is judged by its own figures, and
    its first token is unknown. A first token timed at another effort bounds the maker's median from its side.
    """
    wanted = _USUAL_SHARE if known.share is None else known.share
    if host := tables.advertised.get(known.provider):
        return _UNKNOWN_TTFT_S, host.get(known.base, host[""]), "advertised"
    maker = _maker(tables, known)
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


def _thinking_tokens(tables: Tables, known: _Known) -> int:
    """What a model writes before its answer: the wait for it beyond a usual first token, at its output rate."""
    if not known.reasons or (known.share is not None and known.share == 0.0):
        return 0
    ttft_s, tokens_per_s, _ = _speed_prior(tables, known)
    waits_s = ttft_s - tables.makers[_maker(tables, known)].ttft_s
    return min(_MOST_THINKING, round(waits_s * tokens_per_s)) if waits_s > 0.0 else 0


def _maker(tables: Tables, known: _Known) -> str:
    """The maker that medians are known for, ``""`` when there is none."""
    form = canonical(known.key)
    family = next((maker for start, maker in tables.families.items() if form.startswith(start)), "")
    maker = (known.row.maker if known.row is not None else "") or family
    return maker if maker in tables.makers else ""


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
