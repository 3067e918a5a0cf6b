"""Shows the plugin's state of a proxy process to the tests, and what LiteLLM's own log of each request holds."""

import gc
import sys
from collections import deque

from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy import proxy_server
from litellm.proxy.common_utils.proxy_rate_limit_error import ProxyRateLimitError
from litellm.proxy.proxy_server import app
from litellm.types.router import Deployment

from ofox_middleware import litellm_plugin, litellm_stream, plugin_state
from ofox_middleware.ledger import Ledger
from ofox_middleware.litellm_routed import Routed
from ofox_middleware.router import SmartRouter
from tests.litellm.tally import Tally

LOGGED: deque = deque(maxlen=50)
TALLY = Tally()
TALLY.install()


LIMITED: set = set()


class Probe(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict, cache, data, call_type):
        if data.get("model") in LIMITED:
            raise ProxyRateLimitError(detail="a limit of the operator's own is reached")
        return data

    async def async_log_success_event(self, kwargs, response_obj, start_time, end_time):
        payload = kwargs.get("standard_logging_object") or {}
        LOGGED.append({key: payload.get(key) for key in (
            "model_group", "status", "call_type", "response_cost", "prompt_tokens", "completion_tokens")}
                      | {"noted": (payload.get("metadata") or {}).get("spend_logs_metadata"),
                         "call_id": kwargs.get("litellm_call_id")})  # fmt: skip


@app.get("/_probe")
def view():
    gc.collect()
    router = plugin_state.current()
    if router is None:
        return {"in_flight": 0, "health": {}, "stats": {}, "logged": list(LOGGED)}
    return {"in_flight": router.health.in_flight(), "health": router.health.snapshot(), "stats": dict(router.stats),
            "logged": list(LOGGED)}  # fmt: skip


probe = Probe()


@app.get("/_tally")
def tally():
    return {name: TALLY.of(name) for name, _ in list(TALLY.counts)}


BROKEN: list = []
HIDDEN: dict = {}
GENERAL: dict = {}


@app.post("/_break")
def break_part(part: str = "decide"):
    """Puts a bug into one part of the plugin, until `/_reset`."""

    def bug(*args, **kwargs):
        raise RuntimeError("a bug")

    if part == "decide":
        plugin_state.current().decide = None
        return
    holder, name = {
        "request": (litellm_plugin, "share_health"), "answer": (litellm_plugin, "stamp"),
        "stream": (litellm_stream, "stamped_chunk"), "frames": (litellm_stream.FrameStamper, "feed"),
        "headers": (Routed, "headers"), "attempt": (litellm_plugin.OfoxLogger, "_begin"),
        "report": (Routed, "ended"), "ledger": (Ledger, "succeed"),
    }[part]  # fmt: skip
    BROKEN.append((holder, name, getattr(holder, name)))
    setattr(holder, name, bug)


@app.post("/_without")
def hide(package: str):
    """Makes a package one that is not installed, until `/_reset`."""
    HIDDEN[package] = sys.modules.get(package)
    sys.modules[package] = None


@app.post("/_models")
def put_model(deployment: dict):
    """What /model/new and /model/update do, without a database."""
    proxy_server.llm_router.upsert_deployment(Deployment(**deployment))


@app.post("/_general")
def put_general(settings: dict):
    """More of `general_settings`, until `/_reset`."""
    GENERAL.update(settings)
    proxy_server.general_settings.update(settings)


@app.delete("/_models/{model_id}")
def delete_model(model_id: str):
    proxy_server.llm_router.delete_deployment(id=model_id)


@app.post("/_limit")
def limit(model: str):
    """Has a limiter that runs after the plugin refuse a model, until `/_reset`."""
    LIMITED.add(model)


@app.post("/_reset")
def reset():
    """Forgets health and counters, so that one test's failures do not steer the next one's picks; mends bugs."""
    while BROKEN:
        setattr(*BROKEN.pop())
    LIMITED.clear()
    while HIDDEN:
        name, package = HIDDEN.popitem()
        del sys.modules[name]
        sys.modules.update({} if package is None else {name: package})
    while GENERAL:
        proxy_server.general_settings.pop(GENERAL.popitem()[0], None)
    old = plugin_state.current()
    if old is not None:
        plugin_state.use(SmartRouter(old.settings))
    LOGGED.clear()
    TALLY.counts.clear()
