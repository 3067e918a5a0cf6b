"""Budgets and rate limits that LiteLLM keeps for single models, asked about each candidate.

Auth has checked them for the name ``auto`` only. A caller who is over one is routed to another model.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import litellm
from litellm.exceptions import BudgetExceededError
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth

from ofox_middleware.errors import OfoxError
from ofox_middleware.litellm_keys import reader

log: Final = logging.getLogger("ofox_middleware")

_budgets: Final = reader("model_max_budget", "team_model_max_budget", "user_model_max_budget",
                         "end_user_model_max_budget", "team_member_model_max_budget")  # fmt: skip


class OverBudget(OfoxError):
    """Every candidate is over a budget that LiteLLM keeps for it."""

    status = 429
    code = "model_budget_exceeded"

    def __init__(self) -> None:
        super().__init__("Your budget for each of the models that `auto` chooses from is used up.", param="model")


class OverLimit(OfoxError):
    """Every candidate is over a rate limit (requests or tokens a minute) that LiteLLM keeps for it."""

    status = 429
    code = "model_rate_limit_exceeded"

    def __init__(self) -> None:
        super().__init__(
            "Your rate limit for each of the models that `auto` chooses from is reached; try again in a minute.",
            param="model",
        )


def has_budgets(key: UserAPIKeyAuth) -> bool:
    """Whether any budget for a single model binds this caller."""
    return any(_budgets(key))


async def within_budget(key: UserAPIKeyAuth, model: str) -> bool:
    """Whether the caller's budgets for single models let ``model`` through."""
    limiter = proxy_server.model_max_budget_limiter
    own, team = key.model_max_budget, key.team_model_max_budget
    try:
        if own:
            await limiter.is_key_within_model_budget(user_api_key_dict=key, model=model)
        if team and key.team_id:
            await limiter.is_team_within_model_budget(key.team_id, team, own, model)
        if key.user_model_max_budget and key.user_id:
            check = limiter.is_user_within_model_budget
            await check(key.user_id, key.user_model_max_budget, model, **_team(check, key))
        if key.end_user_model_max_budget and key.end_user_id:
            check = limiter.is_end_user_within_model_budget
            await check(key.end_user_id, key.end_user_model_max_budget, model, **_team(check, key))
        member = getattr(key, "team_member_model_max_budget", None)
        if member and key.user_id and key.team_id:
            await limiter.is_team_member_within_model_budget(key.user_id, key.team_id, member, model)
    except BudgetExceededError:
        return False
    return True


def _team(check: Any, key: UserAPIKeyAuth) -> Mapping[str, Any]:
    """Newer releases resolve a team's own names for models as well."""
    return {"team_id": key.team_id} if "team_id" in inspect.signature(check).parameters else {}


class RateLimits:
    """LiteLLM's limits of requests and tokens a minute for single models, read without being charged.

    The limiter itself runs after us and charges the picked model; it would answer 429 where another model is free.
    Where a release has no such limiter, or not in this form, that is what happens.

    Args:
        key: the caller.
        data: the request, by which the limiter estimates its tokens.
    """

    def __init__(self, key: UserAPIKeyAuth, data: Mapping[str, Any], call_type: str) -> None:
        self._key = key
        self._data = data
        self._call_type = call_type
        self._limiter = next((each for each in litellm.callbacks if _is_limiter(each)), None)

    async def allow(self, model: str) -> bool:
        """Whether this request could be charged to ``model`` now."""
        if self._limiter is None:
            return True
        try:
            return await self._has_room(self._limiter, model)
        except Exception:
            log.exception("ofox: cannot read a rate limit; it is left to LiteLLM")
            return True

    async def _has_room(self, limiter: Any, model: str) -> bool:
        bounds = await limiter._build_request_rate_limit_descriptors(self._key, {**self._data, "model": model}, None)
        single = [bound for bound in bounds if bound["key"].startswith("model_per_")]
        if not single:
            return True
        state = await limiter.should_rate_limit(descriptors=single, read_only=True)
        if state["overall_code"] == "OVER_LIMIT":
            return False
        left = [row["limit_remaining"] for row in state["statuses"] if row["rate_limit_type"] == "tokens"]
        return not left or self._tokens(limiter, model, bounds) <= min(left)

    def _tokens(self, limiter: Any, model: str, bounds: Sequence[Mapping[str, Any]]) -> int:
        """What the limiter will set aside for this request."""
        limits = [(bound["rate_limit"] or {}).get("tokens_per_unit") for bound in bounds]
        tokens: int = limiter._estimate_tokens_for_request(
            data={**self._data, "model": model},
            model=model,
            min_configured_tpm_limit=min(int(limit) for limit in limits if limit is not None),
            call_type=self._call_type,
        )
        return max(tokens, 1)


def _is_limiter(callback: Any) -> bool:
    names = ("_build_request_rate_limit_descriptors", "_estimate_tokens_for_request", "should_rate_limit")
    return all(hasattr(callback, name) for name in names)
