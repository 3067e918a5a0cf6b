"""The proxy's side of the LiteLLM door: its groups as candidates, who may call them, and refusals as it words them.

Imported at the first request inside a proxy, never by SDK users, who need not have the proxy's packages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import litellm
from litellm.proxy import proxy_server
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ofox_middleware import litellm_events as events
from ofox_middleware import litellm_registry as registry
from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Decision
from ofox_middleware.errors import NotAllowed, OfoxError
from ofox_middleware.litellm_access import TEAMS_OWN, Grants
from ofox_middleware.litellm_limits import OverBudget, OverLimit, RateLimits, has_budgets, within_budget
from ofox_middleware.litellm_memory import kind_of, may_be_limited
from ofox_middleware.litellm_pool import Candidates
from ofox_middleware.litellm_private import optional
from ofox_middleware.types import Surface

_NAMES_MODEL: Final = re.compile(r"[?&]model=|/(?:engines|deployments|models|model)/")
# A name may hold slashes itself.
_IN_PATH: Final = re.compile(
    r"/(?:engines|deployments)/(.+?)/(?:(?:chat/)?completions|embeddings|images|audio|responses)"
    r"|/models/([^:]+):|/model/(.+)/(?:invoke|converse)"
)


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


def answer_lost_refusals() -> None:
    """Has the app answer refusals that LiteLLM loses: where ``prisma`` is not installed, its handler of errors at some
    endpoints (``/v1/batches`` is one) fails in looking for it, and the caller would get a bare 500."""
    handlers = _exception_middleware()
    if handlers is not None and find_spec("prisma") is None:
        handlers.add_exception_handler(ModuleNotFoundError, _answer_lost_refusal)


async def _answer_lost_refusal(_: Request, error: Exception) -> Response:
    lost: BaseException | None = error
    while lost is not None:
        if isinstance(lost, Refusal):
            return JSONResponse({"error": lost.to_dict()}, lost.status_code, headers=lost.headers)
        lost = lost.__context__
    raise error


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
    replaces_answer = optional("ModifyResponseException")
    if replaces_answer is None:
        return DryRun(decision)
    answer: Exception = replaces_answer(message=json.dumps(decision.to_dict()), model=decision.model, request_data=data)
    return answer


def _exception_middleware() -> ExceptionMiddleware | None:
    """Starlette's exception middleware in the running app's stack, which is built before plugins are loaded."""
    layer = getattr(proxy_server.app, "middleware_stack", None)
    for _ in range(64):
        if layer is None or isinstance(layer, ExceptionMiddleware):
            return layer
        layer = getattr(layer, "app", None)
    return None


async def allowed(pool: Candidates, key: UserAPIKeyAuth, data: Mapping[str, Any], call_type: str) -> list[ModelFacts]:
    """The part of ``pool`` that the caller may call, and may still call by budgets and rate limits of single models.

    Raises:
        NotAllowed: the caller may use nothing of it.
        OverBudget: nothing is left that a budget for a single model does not forbid.
        OverLimit: nothing is left that a rate limit for a single model does not forbid.
    """
    kept = await _granted(pool, key)
    if not kept:
        if _visible(pool, key):
            raise NotAllowed("Your key may use none of the models that `auto` chooses from.", param="model")
        return kept
    if has_budgets(key):
        kept = [facts for facts in kept if await within_budget(key, facts.model)]
        if not kept:
            raise OverBudget
    if not may_be_limited(key, pool):
        return kept
    limits = RateLimits(key, data, call_type)
    free = [facts for facts in kept if await limits.allow(facts.model)]
    if not free:
        raise OverLimit
    return free


async def check_address(
    data: Mapping[str, Any], key: UserAPIKeyAuth, call_type: str, auto_models: Sequence[str]
) -> None:
    """Refuses a model that the address names (``?model=``, ``/engines/NAME``, ``/deployments/NAME``, Google's
    ``/models/NAME:``, Amazon's ``/model/NAME``) and the key may not use, and an auto model on an endpoint that looks
    into its address by itself.

    LiteLLM serves the name in the address, but behind a custom auth it checks the one in the body, where `auto`, or any
    other name that the key may use, then opens every model.

    Raises:
        InvalidRequest: an auto model on an endpoint that does not chat.
        NotAllowed: the key may not use it.
    """
    address = (data.get("proxy_server_request") or {}).get("url")
    # The parameter's own name may be written with escapes.
    if not isinstance(address, str) or not _NAMES_MODEL.search(unquote(address)):
        return
    parts = urlsplit(address)
    in_path = (name for found in _IN_PATH.findall(unquote(parts.path)) for name in found if name)
    named = [*parse_qs(parts.query).get("model", []), *in_path]
    asked = [name for name in named if name not in auto_models]
    if len(asked) < len(named) and call_type not in events.PATHS:
        answer_lost_refusals()
        raise events.not_chat()
    if not asked:
        return
    grants = await Grants.of(key)
    for name in asked:
        if not await grants.allow(name):
            raise NotAllowed("Your key may not use the model that the address names.", param="model")


def _visible(pool: Candidates, key: UserAPIKeyAuth) -> list[ModelFacts]:
    """What is not another team's own."""
    return [facts for facts, team in pool.values() if team is None or team == key.team_id]


async def check_stand_in(data: Mapping[str, Any], key: UserAPIKeyAuth, auto_models: Sequence[str]) -> None:
    """Refuses a model that LiteLLM has put in the place of an auto one (by a team's alias, or a stored prompt) and that
    the key may not use; with a key's own aliases, LiteLLM looks at that itself.

    Raises:
        NotAllowed: the key may not use it.
    """
    came = data.get("proxy_server_request")
    body = came.get("body") if isinstance(came, Mapping) else None
    asked, model = (body.get("model") if isinstance(body, Mapping) else None), data.get("model")
    if asked not in auto_models or not isinstance(model, str):
        return
    if not model.startswith(TEAMS_OWN) and not await (await Grants.of(key)).allow(model):
        raise NotAllowed(f"Your key may not use the model that stands for `{asked}` here.", param="model")


async def _granted(pool: Candidates, key: UserAPIKeyAuth) -> list[ModelFacts]:
    kind = kind_of(key)
    known = None if kind is None else pool.verdicts.get(kind)
    if known is not None:
        return list(known)
    grants = await Grants.of(key)
    kept = [facts for facts in _visible(pool, key) if await grants.allow(facts.model)]
    if kind is not None:
        pool.remember(kind, tuple(kept))
    return kept


def keeper_of(previous_response_id: object) -> str | None:
    """The group that holds an earlier response, read from the id that LiteLLM gave out; ``None`` when it does not say.

    A provider knows only its own responses, so a request that continues one cannot go anywhere else.
    """
    llm_router = proxy_server.llm_router
    if not isinstance(previous_response_id, str) or llm_router is None:
        return None
    sealer, ids = optional("ResponsesIDSecurity"), optional("ResponsesAPIRequestUtils")
    for callback in [] if sealer is None else litellm.callbacks:
        # LiteLLM seals the ids that it hands out; its own hook opens them, but runs after ours.
        if isinstance(callback, sealer) and callback._is_encrypted_response_id(previous_response_id):
            previous_response_id = callback._decrypt_response_id(previous_response_id)[0]
            break
    model_id = None if ids is None else ids.get_model_id_from_response_id(previous_response_id)
    return registry.group_of(llm_router, model_id)


def merge_guardrails(data: dict[str, Any]) -> None:
    """Puts the picked model's own guardrails where LiteLLM would have put them had the client named it."""
    merge = optional("check_and_merge_model_level_guardrails")
    if merge is None:
        return  # they still run, at the deployment instead of before it
    merged = merge(data=data, llm_router=proxy_server.llm_router, trust_client_model_info=False)
    if merged is not data:
        data.update(merged)
