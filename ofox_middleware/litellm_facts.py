"""What LiteLLM knows of its deployments, as candidates: ``model_list`` in, :class:`ModelFacts` out. Imports no LiteLLM.

A candidate is a *group*: all deployments that share a ``model_name``. LiteLLM spreads a group's requests over its
deployments, so a group can only promise what all of them can do, and costs what they cost on average.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ofox_middleware.cards import ModelCard, ModelFacts
from ofox_middleware.catalog import Catalog
from ofox_middleware.model_names import matches
from ofox_middleware.settings import Settings

log: Final = logging.getLogger("ofox_middleware")

Deployment = Mapping[str, Any]
InfoOf = Callable[[Deployment], Mapping[str, Any] | None]
"""LiteLLM's facts of one deployment (``router.get_deployment_model_info``), ``None`` when it knows nothing."""

CHAT_MODES: Final = frozenset({"chat", "responses", None})
"""Modes of LiteLLM's map that answer conversations. An unknown mode stays in: most private models have none."""

_CARD: Final = TypeAdapter(ModelCard)
_FLAGS: Final = tuple(field.name for field in fields(ModelCard) if field.name.startswith("supports_"))
_PRICES: Final = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
_LIMITS: Final = ("max_input_tokens", "max_output_tokens")
_STATED: Final = frozenset(field.name for field in fields(ModelCard)) - {"name", "model", "params"}


@dataclass(frozen=True, slots=True)
class Group:
    """The deployments behind one name that a client may call.

    Attributes:
        name: ``model_name``; for a team's own deployment, the name that the team calls it by.
        deployments: entries of ``model_list``.
        team: the team that alone may use it, ``None`` for everybody.
    """

    name: str
    deployments: tuple[Deployment, ...]
    team: str | None = None


def groups(model_list: Iterable[Deployment], auto_models: Sequence[str]) -> list[Group]:
    """The groups of ``model_list`` in its order, without placeholders that carry an auto name."""
    found: dict[tuple[str, str | None], list[Deployment]] = {}
    for deployment in model_list:
        info = deployment.get("model_info") or {}
        team = info.get("team_id") if info.get("team_public_model_name") else None
        name = info["team_public_model_name"] if team else deployment.get("model_name")
        if isinstance(name, str) and name not in auto_models:
            found.setdefault((name, team), []).append(deployment)
    return [Group(name, tuple(deployments), team) for (name, team), deployments in found.items()]


def pool(
    found: Sequence[Group], settings: Settings, catalog: Catalog, info_of: InfoOf, environ: Mapping[str, str]
) -> dict[str, tuple[ModelFacts, str | None]]:
    """The candidates that ``found`` can serve and the operator wants, each with the team that alone may use it.

    Args:
        found: what :func:`groups` returned.
        settings: ``models`` narrows the groups, and its cards override facts; unset, every chat group is a candidate.
        environ: tells which providers have keys, for a bare ``*`` group.

    Returns:
        Facts by name. ``model`` is what the request must name; for a card it may differ from ``name``.
    """
    reachable: dict[str, tuple[Group, str]] = {}
    for group in found:
        if "*" not in group.name and _serves_chat(group, info_of):
            reachable[group.name] = (group, _backend(group.deployments[0]))
    for group in found:
        if "*" in group.name:
            for name, backend in _spread(group, catalog, environ):
                reachable.setdefault(name, (group, backend))

    def made(name: str, served: tuple[Group, str], card: ModelCard | None) -> tuple[ModelFacts, str | None]:
        return _facts(name, served, card, catalog, info_of), served[0].team

    if settings.models is None:
        return {name: made(name, served, None) for name, served in reachable.items()}
    wanted: dict[str, tuple[ModelFacts, str | None]] = {}
    for card in sorted(settings.models, key=lambda card: "*" in card.name):
        names = [name for name in reachable if matches(card.name, name)] if "*" in card.name else [card.name]
        for name in names:
            target = name if card.model is None else card.model
            served = reachable.get(target) or _by_wildcard(target, found)
            if served is None:
                log.warning("ofox: models names %s, which no group of the proxy's model_list serves", name)
            elif name not in wanted:
                wanted[name] = made(name, served, replace(card, name=name, model=target))
    return wanted


def _serves_chat(group: Group, info_of: InfoOf) -> bool:
    return all(_mode(deployment, info_of) in CHAT_MODES for deployment in group.deployments)


def _mode(deployment: Deployment, info_of: InfoOf) -> Any:
    stated = (deployment.get("model_info") or {}).get("mode")
    return stated if stated is not None else (info_of(deployment) or {}).get("mode")


def _backend(deployment: Deployment) -> str:
    """What stands behind a deployment, as the catalogue may know it."""
    base = (deployment.get("model_info") or {}).get("base_model")
    return str(base or (deployment.get("litellm_params") or {}).get("model") or deployment.get("model_name"))


def _spread(group: Group, catalog: Catalog, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names that a wildcard group serves, with what stands behind each: known current chat models only."""
    behind = _backend(group.deployments[0])
    if behind == "*" or "*" not in behind:
        known = catalog.shortlist(environ)
        return [(name, name) for name in known if matches(group.name, name)]
    head, _, tail = group.name.partition("*")
    before, _, after = behind.partition("*")
    spread = []
    for backend in catalog.expand(behind):
        middle = backend[len(before) : len(backend) - len(after)]
        spread.append((f"{head}{middle}{tail}", backend))
    return spread


def _by_wildcard(target: str, found: Sequence[Group]) -> tuple[Group, str] | None:
    """The wildcard group that serves a name which the operator stated, known to the catalogue or not."""
    for group in found:
        if "*" in group.name and matches(group.name, target):
            behind = _backend(group.deployments[0])
            head, _, tail = group.name.partition("*")
            middle = target[len(head) : len(target) - len(tail)]
            return group, behind.replace("*", middle, 1)
    return None


def _facts(
    name: str, served: tuple[Group, str], card: ModelCard | None, catalog: Catalog, info_of: InfoOf
) -> ModelFacts:
    group, backend = served
    stated: dict[str, Any] = {}
    for deployment in group.deployments:
        stated.update(_stated(deployment, name))
    target, params = name, {}
    if card is not None:
        stated.update({key: getattr(card, key) for key in _STATED if getattr(card, key) is not None})
        target, params = card.model or name, dict(card.params)
    stated.setdefault("provider", _provider(group.deployments[0]))
    full = ModelCard(name=name, model=backend, params=params, **stated)
    known = _known(group, info_of) if "*" not in group.name else None
    facts = catalog.facts(full) if known is None else catalog.facts_from_info(full, known, key=backend)
    return replace(facts, model=target)


def _provider(deployment: Deployment) -> str | None:
    """Who serves it: candidates that fail together share this."""
    params = deployment.get("litellm_params") or {}
    stated = params.get("custom_llm_provider")
    if stated:
        return str(stated)
    model = str(params.get("model") or "")
    return model.split("/", 1)[0] if "/" in model else None


def _known(group: Group, info_of: InfoOf) -> dict[str, Any] | None:
    """What LiteLLM knows of every deployment of the group, put together so that the group can keep it."""
    infos = [info for deployment in group.deployments if (info := info_of(deployment)) is not None]
    if not infos or len(infos) < len(group.deployments):
        return None
    known = dict(infos[0])
    if len(infos) == 1:
        return known
    for key in _FLAGS:
        values = {info.get(key) for info in infos}
        known[key] = False if False in values else values == {True} or None
    for key in _LIMITS:
        known[key] = min((limit for info in infos if isinstance(limit := info.get(key), int)), default=None)
    for key in _PRICES:
        prices = [price for info in infos if isinstance(price := info.get(key), (int, float))]
        known[key] = sum(prices) / len(prices) if len(prices) == len(infos) else None
    return known


def _stated(deployment: Deployment, name: str) -> dict[str, Any]:
    """``model_info.ofox`` of a deployment; what is wrong in it is left out with a warning, not guessed at."""
    stated = (deployment.get("model_info") or {}).get("ofox")
    if stated is None:
        return {}
    if not isinstance(stated, Mapping):
        log.warning("ofox: model_info.ofox of %s must hold facts by name", name)
        return {}
    good: dict[str, Any] = {}
    for key, value in stated.items():
        if key not in _STATED:
            log.warning("ofox: model_info.ofox of %s: unknown fact %r", name, key)
            continue
        try:
            good[key] = getattr(_CARD.validate_python({"name": name, key: value}), key)
        except ValidationError as error:
            log.warning("ofox: model_info.ofox of %s: %s: %s", name, key, error.errors()[0]["msg"])
    return good
