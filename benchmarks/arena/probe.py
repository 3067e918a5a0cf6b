"""A callback that the arena's proxy loads to show ``GET /_arena``; it changes nothing."""

from __future__ import annotations

import gc
from typing import Any

from fastapi import Request
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy.proxy_server import app

from ofox_middleware import plugin_state


class Probe(CustomLogger):
    """Has no hooks."""


@app.get("/_arena")
def view(request: Request) -> dict[str, Any]:
    if "final" in request.query_params:
        gc.collect()
    router = plugin_state.current()
    if router is None:
        return {"in_flight": 0, "health": {}}
    return {"in_flight": router.health.in_flight(), "health": router.health.snapshot()}


probe = Probe()
