"""Whether an operator has asked for retries, or LiteLLM makes them because nobody said otherwise.

LiteLLM retries a model twice by default, which is of little use to a request for which another model waits. A number
that the operator wrote down is another matter: that one is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

import litellm
import openai

_SETTING: Final = "num_retries"


def asked_for(router: Any, deployment: Mapping[str, Any]) -> bool:
    """Whether retries of ``deployment``, an entry of the ``model_list`` of ``router``, are the operator's word.

    That is ``num_retries`` of the deployment, in ``router_settings`` (in the proxy's file or its database), in
    ``litellm_settings`` or ``litellm``, or any number that is not LiteLLM's own. A ``litellm.Router`` does not keep
    whether it was given the very number that it would have taken itself; that counts as not given.
    """
    if (deployment.get("litellm_params") or {}).get(_SETTING) is not None:
        return True
    if litellm.num_retries is not None or getattr(router, _SETTING, None) != openai.DEFAULT_MAX_RETRIES:
        return True
    return _SETTING in _proxy_settings(router)


def _proxy_settings(router: Any) -> Mapping[str, Any]:
    """``router_settings`` of the proxy whose router this is; empty where there is none, or where they moved."""
    server = sys.modules.get("litellm.proxy.proxy_server")
    if server is None or getattr(server, "llm_router", None) is not router:
        return {}
    stated = getattr(getattr(server, "proxy_config", None), "router_settings", None)
    return stated if isinstance(stated, Mapping) else {}
