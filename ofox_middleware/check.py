"""What ``ofox check`` says: what a configuration means, where each fact comes from, and what to mind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ofox_middleware.cards import ModelCard, ModelFacts
from ofox_middleware.model_names import matches
from ofox_middleware.providers import nearest
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import BUILTIN_PROFILES, Settings
from ofox_middleware.types import DOMAINS, Profile
from ofox_middleware.variables import variable_of


@dataclass(frozen=True, slots=True)
class ModelLine:
    """One candidate as it is understood.

    Attributes:
        facts: everything known about it.
        ability: mean share of middling-hard requests that it answers well, 0..1.
        sources: where prices, window, ability and speed come from: ``card``, ``catalogue``, or why not.
    """

    facts: ModelFacts
    ability: float
    sources: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types. Parameters are named and not shown: they may hold keys."""
        facts = self.facts
        return {
            "name": facts.name,
            "model": facts.model,
            "provider": facts.provider,
            "params": sorted(facts.params),
            "input_cost_per_token": facts.input_usd,
            "output_cost_per_token": facts.output_usd,
            "max_input_tokens": facts.max_input_tokens,
            "max_output_tokens": facts.max_output_tokens,
            "supports": dict(sorted(facts.supports.items())),
            "ability": round(self.ability, 4),
            "ability_by_domain": {
                name: round(_share(logit), 4) for name, logit in zip(DOMAINS, facts.ability, strict=True)
            },
            "ttft_s": facts.ttft_s,
            "tokens_per_s": round(1.0 / facts.s_per_token, 2),
            "sources": dict(self.sources),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What a configuration means.

    Attributes:
        models: the pool, globs spread out.
        profiles: every preference by name.
        default: the preference of requests that name none.
        auto_models: the names that ask for routing.
        warnings: what an operator should know before it costs money; empty is good.
    """

    models: tuple[ModelLine, ...]
    profiles: Mapping[str, Profile]
    default: str
    auto_models: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "ok": True,
            "models": [line.to_dict() for line in self.models],
            "preference": self.default,
            "profiles": {
                name: {
                    "quality": profile.quality,
                    "cost": profile.cost,
                    "time": profile.time,
                    "floor": profile.floor,
                    "tie": profile.tie,
                }
                for name, profile in self.profiles.items()
            },
            "auto_models": list(self.auto_models),
            "warnings": list(self.warnings),
        }


def check(router: SmartRouter, environ: Mapping[str, str] | None = None) -> Report:
    """What the settings of ``router`` come to; with ``environ``, whether the providers' API keys are in it too."""
    settings = router.settings
    cards = {card.name: card for card in settings.models or ()}
    lines = tuple(_line(facts, cards.get(facts.name)) for facts in router.pool)
    return Report(
        models=lines,
        profiles=settings.all_profiles,
        default=settings.preference,
        auto_models=tuple(settings.auto_models),
        warnings=(
            *_warnings(settings, lines),
            *strange_providers(router),
            *([] if environ is None else missing_keys(router, environ)),
        ),
    )


def missing_keys(router: SmartRouter, environ: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each key that ``environ`` lacks: a provider's whose cards have none, or one that a card names."""
    for facts in router.pool:
        for param, value in facts.params.items():
            variable = variable_of(value)
            if variable is not None and not environ.get(variable):
                yield f"{facts.name}: {variable}, its {param}, is not set, so it cannot be asked from here"
    for provider in sorted({facts.provider for facts in router.pool if "api_key" not in facts.params}):
        variables = router.catalog.key_variables(provider)
        if variables and not any(environ.get(name) for name in variables):
            yield f"{provider}: {' or '.join(variables)} is not set, so its models cannot be asked from here"


def strange_providers(router: SmartRouter) -> Iterator[str]:
    """A sentence for each model of the pool whose name begins with a provider that nobody knows, where that looks like
    a slip, or where facts are taken from the rest of the name all the same."""
    stated = {card.name for card in router.settings.models or () if card.provider}
    known = router.catalog.providers
    for facts in router.pool:
        provider, slash, _ = facts.model.partition("/")
        if not slash or provider in known or facts.provider != provider or facts.name in stated:
            continue
        near, by_name = nearest(provider, known), facts.ability_source == "name"
        if near or by_name:
            hint = f"is it {near}?" if near else "if it is one of your own, say so with `provider`."
            source = " What is known of the model goes by the rest of its name." if by_name else ""
            yield f"{facts.name}: {provider} is not known as a provider; {hint}{source}"


def _line(facts: ModelFacts, card: ModelCard | None) -> ModelLine:
    def source(known: object, stated: object) -> str:
        if known is None:
            return "unknown"
        return "card" if stated is not None else "catalogue"

    priced = None if facts.input_usd is None or facts.output_usd is None else facts.input_usd
    return ModelLine(
        facts=facts,
        ability=sum(map(_share, facts.ability)) / len(facts.ability),
        sources={
            "price": source(priced, card and card.input_cost_per_token),
            "window": source(facts.max_input_tokens, card and card.max_input_tokens),
            "ability": facts.ability_source,
            "speed": facts.speed_source,
        },
    )


def _share(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def _warnings(settings: Settings, lines: tuple[ModelLine, ...]) -> Iterator[str]:
    if not lines:
        yield "the pool is empty: name models, or set a provider's API key, such as OPENAI_API_KEY"
        return
    for line in lines:
        yield from _doubts(line)
    yield from _about_pool(settings, lines)
    overridden = sorted(set(settings.profiles) & set(BUILTIN_PROFILES))
    if overridden:
        yield f"profiles: {', '.join(overridden)} no longer means what the documentation says"


def _doubts(line: ModelLine) -> Iterator[str]:
    name, sources = line.facts.name, line.sources
    if sources["price"] == "unknown":
        yield f"{name}: unknown price, so it counts as the dearest; set input_cost_per_token and output_cost_per_token"
    if sources["window"] == "unknown":
        yield f"{name}: unknown context window, so no prompt is too long for it; set max_input_tokens"
    if sources["ability"] not in {"card", "tuned", "measured", "name"}:
        guess = {"unknown": "taken as middling"}.get(sources["ability"], f"guessed from {sources['ability']}")
        yield f"{name}: nobody has measured its ability, it is {guess.replace('_', ' ')}; set ability (0..1)"


def _about_pool(settings: Settings, lines: tuple[ModelLine, ...]) -> Iterator[str]:
    names = [line.facts.name for line in lines]
    if len(lines) == 1:
        yield "only one model: there is nothing to choose from, and nothing to fall back to"
    elif len({line.facts.provider for line in lines}) == 1:
        yield f"every model is served by {lines[0].facts.provider}: when it is down, all of them are"
    for name in settings.auto_models:
        if name in names:
            yield f"auto_models: {name} is also a model of the pool, which callers can no longer name"
    for pattern in settings.exclude:
        if not any(matches(pattern, name) for name in names):
            yield f"exclude: {pattern} matches no model of the pool"
    left = [line for line in lines if not any(matches(pattern, line.facts.name) for pattern in settings.exclude)]
    if not left:
        yield "exclude: leaves no model of the pool"
    elif not any(line.facts.supports.get("image") for line in left):
        yield "no model is known to take images"
