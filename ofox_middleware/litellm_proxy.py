"""The proxy's side of the LiteLLM door: its groups as candidates, who may call them, and refusals as it words them.

Imported at the first request inside a proxy, never by SDK users, who need not have the proxy's packages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import litellm
from litellm.exceptions import BudgetExceededError, ModifyResponseException
from litellm.proxy import proxy_server
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.fallback_model_access import is_model_authorized_for_token
from litellm.proxy.hooks.responses_id_security import ResponsesIDSecurity
from litellm.responses.utils import ResponsesAPIRequestUtils
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ofox_middleware.errors import NotAllowed, OfoxError
from ofox_middleware.types import Decision, ModelFacts, Surface

_MODEL_BUDGETS: Final = (
    "model_max_budget",
    "team_model_max_budget",
    "user_model_max_budget",
    "end_user_model_max_budget",
)
OPERATOR_FALLBACKS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


class OverBudget(OfoxError):
    """Every candidate is over a budget that LiteLLM keeps for it."""

    status = 429
    code = "model_budget_exceeded"


class Refusal(ProxyException):  # type: ignore[misc]
    """An :class:`OfoxError` in the proxy's own words.

    A bare ``ProxyException`` puts the HTTP status where OpenAI's error object has its ``code``; this one keeps both.
    """

    def __init__(self, error: OfoxError) -> None:
        super().__init__(message=error.message, type=error.type, param=error.param, code=error.status)
        # Some of LiteLLM's endpoints look for the status here, and answer 500 when there is none.
        self.status_code = error.status
        self.code = str(error.status)
        self.word = error.code

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "code": self.word}


class DryRun(ProxyException):  # type: ignore[misc]
    """The answer to a dry run. LiteLLM lets a hook end a request in no other way than by an exception."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(message="dry run", type="dry_run", param=None, code=200)
        self.decision = decision


async def _answer_dry_run(_: Request, error: Exception) -> Response:
    assert isinstance(error, DryRun)
    return JSONResponse(error.decision.to_dict(), headers=error.headers)


def dry_run(decision: Decision, surface: Surface, data: dict[str, Any]) -> Exception:
    """The exception that answers a dry run with 200.

    On every surface but ``/v1/messages`` the body is the decision's JSON. That endpoint turns every exception into an
    Anthropic error except the one by which a guardrail replaces an answer; so there the decision's JSON is the text of
    an Anthropic message.
    """
    handlers = _exception_middleware()
    if surface != "messages" and handlers is not None:
        # Adding the same class again replaces it, so there is no need to remember.
        handlers.add_exception_handler(DryRun, _answer_dry_run)
        return DryRun(decision)
    answer: Exception = ModifyResponseException(
        message=json.dumps(decision.to_dict()), model=decision.model, request_data=data
    )
    return answer


def _exception_middleware() -> ExceptionMiddleware | None:
    """Starlette's exception middleware in the running app's stack, which is built before plugins are loaded."""
    layer = getattr(proxy_server.app, "middleware_stack", None)
    for _ in range(64):
        if layer is None or isinstance(layer, ExceptionMiddleware):
            return layer
        layer = getattr(layer, "app", None)
    return None


async def allowed(pool: Mapping[str, tuple[ModelFacts, str | None]], key: UserAPIKeyAuth) -> list[ModelFacts]:
    """The part of ``pool`` that the caller's key, team, user and end user may call, by LiteLLM's own rules.

    Auth has only seen the name ``auto``; LiteLLM takes access to a router's name as access to everything behind it.

    Raises:
        NotAllowed: nothing is left.
        OverBudget: nothing is left that a budget for a single model does not forbid.
    """
    mine = [facts for facts, team in pool.values() if team is None or team == key.team_id]
    kept = [facts for facts in mine if await _may(key, facts.model)]
    if mine and not kept:
        raise NotAllowed("Your key may use none of the models that `auto` chooses from.", param="model")
    if not any(getattr(key, budget, None) for budget in _MODEL_BUDGETS):
        return kept
    paid_for = [facts for facts in kept if await _within_budget(key, facts.model)]
    if not paid_for:
        raise OverBudget("Your budget for each of the models that `auto` chooses from is used up.", param="model")
    return paid_for


async def first_allowed(key: UserAPIKeyAuth, auto_models: Sequence[str]) -> str | None:
    """The first group of the proxy that this key may call, found without any part of ours that could be broken."""
    llm_router = proxy_server.llm_router
    for name in [] if llm_router is None else llm_router.get_model_names():
        if name not in auto_models and "*" not in name and await _may(key, name):
            return str(name)
    return None


async def _may(key: UserAPIKeyAuth, model: str) -> bool:
    llm_router = proxy_server.llm_router
    if llm_router is None:
        return False
    return bool(await is_model_authorized_for_token(model=model, valid_token=key, llm_router=llm_router))


async def _within_budget(key: UserAPIKeyAuth, model: str) -> bool:
    """Whether the caller's budgets for single models let ``model`` through; auth has checked them for ``auto`` only."""
    limiter = proxy_server.model_max_budget_limiter
    own, team = key.model_max_budget, key.team_model_max_budget
    try:
        if own:
            await limiter.is_key_within_model_budget(user_api_key_dict=key, model=model)
        if team and key.team_id:
            await limiter.is_team_within_model_budget(key.team_id, team, own, model)
        if key.user_model_max_budget and key.user_id:
            await limiter.is_user_within_model_budget(key.user_id, key.user_model_max_budget, model)
        if key.end_user_model_max_budget and key.end_user_id:
            await limiter.is_end_user_within_model_budget(key.end_user_id, key.end_user_model_max_budget, model)
    except BudgetExceededError:
        return False
    return True


def keeper_of(previous_response_id: object) -> str | None:
    """The group that holds an earlier response, read from the id that LiteLLM gave out; ``None`` when it does not say.

    A provider knows only its own responses, so a request that continues one cannot go anywhere else.
    """
    llm_router = proxy_server.llm_router
    if not isinstance(previous_response_id, str) or llm_router is None:
        return None
    for callback in litellm.callbacks:
        # LiteLLM seals the ids that it hands out; its own hook opens them, but runs after ours.
        if isinstance(callback, ResponsesIDSecurity) and callback._is_encrypted_response_id(previous_response_id):
            previous_response_id = callback._decrypt_response_id(previous_response_id)[0]
            break
    deployment = llm_router.get_deployment(
        model_id=ResponsesAPIRequestUtils.get_model_id_from_response_id(previous_response_id) or ""
    )
    return None if deployment is None else str(deployment.model_name)


async def operator_fallbacks(key: UserAPIKeyAuth) -> dict[str, list[Any]]:
    """The operator's own fallback lists without what this key may not call, where that makes a difference.

    LiteLLM does not check them unless ``enforce_fallback_model_access`` is on. A request that we route must not reach
    by them what it could not reach by its name.
    """
    llm_router = proxy_server.llm_router
    narrowed: dict[str, list[Any]] = {}
    for setting in OPERATOR_FALLBACKS:
        stated = getattr(llm_router, setting, None)
        if not stated:
            continue
        kept = [await _narrowed(entry, key) for entry in stated]
        if kept != list(stated):
            narrowed[setting] = kept
    return narrowed


async def _narrowed(entry: Any, key: UserAPIKeyAuth) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return {group: [target for target in targets if await _may_target(key, target)] for group, targets in entry.items()}


async def _may_target(key: UserAPIKeyAuth, target: Any) -> bool:
    name = target.get("model") if isinstance(target, Mapping) else target
    return isinstance(name, str) and await _may(key, name)


def merge_guardrails(data: dict[str, Any]) -> None:
    """Puts the picked model's own guardrails where LiteLLM would have put them had the client named it."""
    from litellm.proxy.utils import check_and_merge_model_level_guardrails  # noqa: PLC0415

    merged = check_and_merge_model_level_guardrails(
        data=data, llm_router=proxy_server.llm_router, trust_client_model_info=False
    )
    if merged is not data:
        data.update(merged)
