"""Routing inside LiteLLM's pre-call hook: candidates by access, the decision, and the request rewritten in place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

import msgspec
from litellm.litellm_core_utils.core_helpers import get_or_create_metadata_bucket
from litellm.proxy._types import UserAPIKeyAuth
from msgspec import structs

from ofox_middleware import litellm_events as events
from ofox_middleware import litellm_proxy as proxy
from ofox_middleware import litellm_spans as spans
from ofox_middleware.decision import Decision
from ofox_middleware.errors import InvalidRequest, OfoxError
from ofox_middleware.ledger import Call
from ofox_middleware.litellm_adapting import adapted, allow_dropping, put
from ofox_middleware.litellm_limits import OverLimit
from ofox_middleware.litellm_pool import Candidates, Pool
from ofox_middleware.litellm_private import optional
from ofox_middleware.litellm_reach import Reach, drop_other_models
from ofox_middleware.litellm_routed import Routed, card_params, fallback_entries, hops, leaves_to_us
from ofox_middleware.litellm_shapes import check_shapes
from ofox_middleware.litellm_tags import by_tags
from ofox_middleware.litellm_usage import OPTIONS, ask_for_usage
from ofox_middleware.router import SmartRouter

log: Final = logging.getLogger("ofox_middleware")


class Asked(msgspec.Struct, frozen=True):
    """What the request at hand asks for.

    When a limiter after us refuses the pick, LiteLLM begins the request anew with one of the operator's fallbacks for
    it, without a look at what the caller may use. It is decided anew then.

    Attributes:
        model: the auto model.
        key: who asks.
        refused: groups that have been picked for it.
    """

    model: str
    key: UserAPIKeyAuth
    refused: frozenset[str] = frozenset()


_asked: Final[ContextVar[Asked | None]] = ContextVar("ofox_asked", default=None)

_RAW_NAME: Final = optional("RETURN_RAW_MODEL_NAME_METADATA_KEY")
"""LiteLLM writes the name that the client sent into every answer unless this is set; then we write the pool's name."""


async def route(
    brain: SmartRouter,
    data: dict[str, Any],
    key: UserAPIKeyAuth,
    call_type: str,
    *,
    candidates: Pool,
    config: Any,
    call: Call | None,
) -> dict[str, Any]:
    """Rewrites ``data`` for the picked model when it asks for an auto one.

    Raises:
        Refusal: the request cannot be routed; the proxy answers with its status.
    """
    again, refused = _asked.get(), frozenset[str]()
    if again is not None and again.key is key and call_type in events.PATHS:
        data["model"], refused = again.model, again.refused
    if not brain.is_auto(data.get("model")):
        if _among_several(brain, data.get("model")):
            raise proxy.Refusal(
                InvalidRequest("`auto` is one model; it cannot stand in a list of several.", param="model")
            )
        try:
            await proxy.check_address(data, key, call_type, brain.settings.auto_models)
            await proxy.check_stand_in(data, key, brain.settings.auto_models)
        except OfoxError as error:
            raise proxy.Refusal(error) from None
        return data
    asked: str = data["model"]
    known: Candidates | None = None
    try:
        known = candidates.facts(brain)
        decision, dry = await _decide(
            brain, data, key, call_type, known=known, litellm_router=candidates.router(), config=config, refused=refused
        )
        if not dry:
            await _rewrite(data, decision, call, key, brain, call_type=call_type, known=known)
            _asked.set(Asked(asked, key, refused | {data["model"]}))
            if known.guarded:
                proxy.merge_guardrails(data)
            return data
    except OfoxError as error:
        brain.stats["refused"] += 1
        limited = optional("ProxyRateLimitError") if refused else None
        if limited is not None:
            # LiteLLM then answers with the refusal that it met first.
            raise limited(detail=error.message) from None
        raise proxy.Refusal(error) from None
    except Exception:
        # An error of ours must not cost the request: the first model that the key may use answers it.
        log.exception("ofox: error in a decision")
        brain.stats["litellm_decision_error"] += 1
        try:
            data["model"] = await Reach(key, data, call_type, brain.settings.auto_models, known).first()
            data["disable_fallbacks"] = True
            drop_other_models(data)
            _asked.set(Asked(asked, key, refused | {data["model"]}))
        except OfoxError as unknown:
            raise proxy.Refusal(unknown) from None
        return data
    raise proxy.dry_run(decision, decision.surface, data)


async def _decide(
    brain: SmartRouter,
    data: dict[str, Any],
    key: UserAPIKeyAuth,
    call_type: str,
    *,
    known: Candidates,
    litellm_router: Any,
    config: Any,
    refused: frozenset[str],
) -> tuple[Decision, bool]:
    """The decision, and whether it was only asked for."""
    path = events.PATHS.get(call_type)
    if path is None:
        proxy.answer_lost_refusals()
        raise events.not_chat()
    check_shapes(data)
    pool = await proxy.allowed(known, key, data, call_type)
    if refused:
        pool = [facts for facts in pool if facts.model not in refused]
        if not pool:
            raise OverLimit
    keeper = proxy.keeper_of(data.get("previous_response_id"))
    if keeper is not None:
        pool = [facts for facts in pool if facts.model == keeper]
    pool = by_tags(pool, litellm_router, data)
    dry = brain.settings.dry_run and _asks_dry_run(data)
    decision = brain.decide(
        {**data, "model_routing_config": config},
        path,
        caller=str(key.token or key.api_key or key.user_id or ""),
        session=_session(data),
        pool=pool,
        adapts=brain.settings.adapt_params,
        dry_run=dry,
    )
    return decision, dry


async def _rewrite(
    data: dict[str, Any],
    decision: Decision,
    call: Call | None,
    key: UserAPIKeyAuth,
    brain: SmartRouter,
    *,
    call_type: str,
    known: Candidates,
) -> None:
    reach = Reach(key, data, call_type, brain.settings.auto_models, known)
    if data.get("tools"):
        await reach.check_tools()
    names = hops(decision, brain.settings.max_attempts)
    free = card_params(decision, names, data)
    allow_dropping(data, decision, brain.settings)
    changes = adapted(brain, decision, names, data)
    usage = ask_for_usage(brain, decision, names, data, call_type=call_type, team=key.team_id)
    if usage is not None:
        # A model's refusal of it is to be believed like that of a parameter which the caller set.
        decision = structs.replace(decision, params=decision.params | {OPTIONS})
        changes = {name: {**changes.get(name, {}), **usage[name]} for name in names} if usage else changes
    put(data, changes.get(decision.model, {}))
    patient = leaves_to_us(data)
    pick = decision.targets[decision.model]
    data["model"] = pick.model
    for param in free & pick.params.keys():
        data[param] = pick.params[param]
    routed = Routed(decision, names, free, patient=patient, span=key.parent_otel_span)
    settled: frozenset[str] = frozenset()
    if data.get("fallbacks") is None:
        if not decision.fallback:
            data["disable_fallbacks"] = True
        elif len(names) > 1:
            data["fallbacks"] = routed.fallbacks = fallback_entries(decision, names[1:], free, brain.health, changes)
            settled = frozenset({"fallbacks"})
    data.update(await reach.narrowed_fallbacks(settled=settled))
    drop_other_models(data)
    _, bucket = get_or_create_metadata_bucket(data)
    if _RAW_NAME is not None:
        bucket[_RAW_NAME] = True
    noted = bucket.get("spend_logs_metadata")
    bucket["spend_logs_metadata"] = {**(noted if isinstance(noted, dict) else {}), "ofox": _summary(decision)}
    if routed.span is not None:
        spans.decided(routed.span, decision)
    if call is not None:
        call.routed = routed
        bucket[events.KEY] = call


def _summary(decision: Decision) -> dict[str, Any]:
    """The decision as the spend log keeps it, small and without text of the prompt."""
    return {
        "decision_id": decision.id,
        "model": decision.model,
        "ranking": list(decision.ranking[:10]),
        "reason": decision.reason,
        "preference": decision.preference,
        "difficulty": round(decision.difficulty, 4),
    }


def _among_several(brain: SmartRouter, model: object) -> bool:
    """Whether ``model`` is LiteLLM's list of models that all answer, and an auto one is among them."""
    return isinstance(model, str) and "," in model and any(brain.is_auto(name.strip()) for name in model.split(","))


def _asks_dry_run(data: Mapping[str, Any]) -> bool:
    headers = (data.get("proxy_server_request") or {}).get("headers") or {}
    said = headers.get("x-ofox-dry-run")
    return said is not None and str(said).strip().lower() == "true"


def _session(data: Mapping[str, Any]) -> str | None:
    session = data.get("litellm_session_id")
    return session if isinstance(session, str) and session else None
