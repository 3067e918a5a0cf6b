"""Keys of the tests, with what each may call; stands in for LiteLLM's database of virtual keys."""

from fastapi import Request
from litellm.proxy._types import UserAPIKeyAuth

KEYS = {
    "sk-master": {"models": []},
    "sk-auto": {"models": ["auto"]},
    "sk-auto-cheap": {"models": ["auto", "cheap"]},
    "sk-cheap": {"models": ["cheap"]},
    "sk-star": {"models": ["*"]},
    "sk-auto-glob": {"models": ["auto", "che*"]},
    "sk-auto-broken": {"models": ["auto", "broken", "cheap"]},
    "sk-alias": {"models": ["smart", "auto", "cheap"], "aliases": {"smart": "auto"}},
    "sk-alias-dear": {"models": ["auto", "cheap"], "aliases": {"cheap": "dear"}},
    "sk-budget": {"models": [], "model_max_budget": {"cheap": {"budget_limit": 1e-9, "time_period": "1d"}}},
    "sk-broke": {
        "models": ["auto", "cheap"],
        "model_max_budget": {"cheap": {"budget_limit": 1e-9, "time_period": "1d"}},
    },
    "sk-limit": {"models": [], "metadata": {"model_rpm_limit": {"cheap": 1}}},
    "sk-limit-tokens": {"models": [], "metadata": {"model_tpm_limit": {"cheap": 40}}},
    "sk-limit-team": {"models": [], "team_id": "t2", "team_metadata": {"model_rpm_limit": {"cheap": 1}}},
    "sk-limit-org": {"models": [], "org_id": "o1", "organization_metadata": {"model_rpm_limit": {"cheap": 1}}},
    "sk-limit-only": {"models": ["auto", "cheap"], "metadata": {"model_rpm_limit": {"cheap": 1}}},
    "sk-team-cheap": {"models": ["all-team-models"], "team_id": "t1", "team_models": ["auto", "cheap"]},
    "sk-wild-a": {"models": ["auto", "openai/prov-a"]},
    "sk-wild-openai": {"models": ["auto", "openai/*"]},
    "sk-staff": {"models": ["auto", "staff"]},
    "sk-tiny": {"models": ["auto", "house/t*"]},
    "sk-team-names": {
        "models": ["auto", "small"],
        "team_id": "t3",
        "team_models": ["auto", "small"],
        "team_model_aliases": {"small": "house/large"},
    },
}


async def user_api_key_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    """The key's grants; an unknown key is refused."""
    key = api_key.removeprefix("Bearer ")
    if key not in KEYS:
        raise PermissionError("unknown key")
    return UserAPIKeyAuth(api_key=key, user_id=f"user-of-{key}", **KEYS[key])
