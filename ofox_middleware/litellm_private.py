"""Names of LiteLLM that are no public API and that the proxy's door stands on, each looked up so that it may be gone.

A release that moves one of them must not stop a proxy from starting. What decides on access fails closed
(:class:`Moved`); what only makes an answer nicer is left out. Tests pin that the supported releases have all of them.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any, Final

from ofox_middleware.errors import OfoxError

log: Final = logging.getLogger("ofox_middleware")

AUTH: Final = "litellm.proxy.auth.auth_checks"
NAMES: Final = {
    # access: without these `auto` is refused
    "is_model_authorized_for_token": "litellm.proxy.auth.fallback_model_access",
    "get_user_object": AUTH,
    "can_user_call_model": AUTH,
    "get_team_object": AUTH,
    "get_org_object": AUTH,
    "can_org_access_model": AUTH,
    "UserNotFoundError": AUTH,
    "OrganizationNotFoundError": AUTH,
    # access of agents' keys: without these `auto` is refused to agents
    "managed_agent_policy": "litellm.proxy.agent_endpoints.auth.managed_authorization",
    "can_object_call_model": AUTH,
    "_check_agent_access_group_model_access": AUTH,
    "_check_agent_caller_model_access": AUTH,
    # comfort
    "ProxyRateLimitError": "litellm.proxy.common_utils.proxy_rate_limit_error",
    "ResponsesIDSecurity": "litellm.proxy.hooks.responses_id_security",
    "ResponsesAPIRequestUtils": "litellm.responses.utils",
    "ModifyResponseException": "litellm.exceptions",
    "check_and_merge_model_level_guardrails": "litellm.proxy.utils",
    "get_deployments_for_tag": "litellm.router_strategy.tag_based_routing",
    "RETURN_RAW_MODEL_NAME_METADATA_KEY": "litellm.constants",
    # the tokens of streams
    "stream_usage_tracking_updates": "litellm.proxy.common_request_processing",
    "model_deployments_support_stream_options": "litellm.proxy.common_request_processing",
}


class Moved(OfoxError):
    """The installed LiteLLM lacks what tells which models a key may use, so that no model can be picked for anyone."""

    status = 501
    code = "unsupported_litellm"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The installed LiteLLM has no `{name}`, by which ofox-middleware learns what a key may use. `auto` is off "
            "until ofox-middleware supports this release; models asked for by name are not affected.",
            param="model",
        )


def optional(name: str) -> Any:
    """The object called ``name`` (one of :data:`NAMES`), ``None`` where the installed LiteLLM has it no longer."""
    try:
        module = sys.modules.get(NAMES[name]) or importlib.import_module(NAMES[name])
    except ImportError:
        return None
    # Some went by a private name before LiteLLM used them in several places.
    return getattr(module, name, None) or getattr(module, f"_{name}", None)


def needed(name: str) -> Any:
    """Like :func:`optional`. Raises :class:`Moved` where there is none."""
    found = optional(name)
    if found is None:
        log.error("ofox: the installed LiteLLM has no %s.%s; `auto` is refused", NAMES[name], name)
        raise Moved(name)
    return found
