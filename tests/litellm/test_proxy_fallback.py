"""Fallbacks through the ranking, in a real proxy process."""

from __future__ import annotations

import json

import pytest

from tests.litellm.conftest import chat, routing
from tests.litellm.proxy import Proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_failing_pick_is_replaced_by_the_next_best(
    proxy: Proxy, upstream: Upstream, status: int, stream: bool
) -> None:
    """The caller gets an answer from another model, which body and headers name."""
    upstream.behave("prov-cheap", status=status)
    answer = proxy.post("/v1/chat/completions", chat(stream=stream, **routing(preference="cost")))
    assert answer.status_code == 200
    assert upstream.models()[0] == "prov-cheap"
    served = upstream.models()[-1].removeprefix("prov-")
    assert served != "cheap"
    assert f'"model":"{served}"' in answer.text.replace('": "', '":"')
    assert '"cheap"' not in answer.text
    if not stream:
        assert answer.headers["x-ofox-model"] == served
        assert answer.headers["x-ofox-reason"] == "fallback"
        assert answer.headers["x-ofox-attempts"] == "2"


@pytest.mark.parametrize("page", ["<html>gateway</html>", '{"id": "x", "choi'])
def test_a_page_in_answer_to_a_streamed_request_is_replaced(proxy: Proxy, upstream: Upstream, page: str) -> None:
    """A 200 of which LiteLLM makes an empty stream goes to the next model, and with none left is an error."""
    upstream.behave("prov-cheap", page=page)
    answer = proxy.post("/v1/chat/completions", chat(stream=True, **routing(preference="cost")))
    assert answer.status_code == 200
    assert "forty" in answer.text
    assert len(upstream.seen) == 2
    alone = proxy.post("/v1/chat/completions", chat(stream=True, **routing(preference="cost", fallback=False)))
    assert "ended without an answer" in alone.text


def test_two_failing_models_leave_the_third(proxy: Proxy, upstream: Upstream) -> None:
    """The ranking is walked to its end."""
    upstream.behave("prov-cheap", status=500)
    upstream.behave("prov-mid", status=500)
    answer = proxy.post("/v1/chat/completions", chat(**routing(preference="cost")))
    assert answer.json()["model"] == "dear"
    assert answer.headers["x-ofox-attempts"] == "3"


def test_when_all_fail_the_error_carries_our_headers(proxy: Proxy, upstream: Upstream) -> None:
    """The last resort is tried, and the caller gets the provider's error with our headers."""
    for model in ("cheap", "mid", "dear"):
        upstream.behave(f"prov-{model}", status=500)
    answer = proxy.post("/v1/chat/completions", chat(**routing(preference="cost")))
    assert answer.status_code == 500
    assert len(upstream.seen) == 3
    assert answer.headers["x-ofox-attempts"] == "3"
    assert answer.headers["x-ofox-decision-id"]


def test_fallback_false_tries_one_model_only(proxy: Proxy, upstream: Upstream) -> None:
    """`fallback: false` gives the caller the pick's own error."""
    upstream.behave("prov-cheap", status=500)
    answer = proxy.post("/v1/chat/completions", chat(**routing(preference="cost", fallback=False)))
    assert answer.status_code == 500
    assert upstream.models() == ["prov-cheap"]


def test_the_callers_own_fallbacks_win(proxy: Proxy, upstream: Upstream) -> None:
    """A request that brings `fallbacks` keeps them."""
    upstream.behave("prov-cheap", status=500)
    answer = proxy.post("/v1/chat/completions", chat(fallbacks=["dear"], **routing(preference="cost")))
    assert upstream.models() == ["prov-cheap", "prov-dear"]
    assert answer.json()["model"] == "dear"


@pytest.mark.parametrize("stream", [False, True])
def test_a_400_is_the_callers_and_not_retried(proxy: Proxy, upstream: Upstream, stream: bool) -> None:
    """LiteLLM would try its fallbacks after any error; a fault of the request goes back at once, and nobody's health
    suffers."""
    upstream.behave("prov-cheap", status=400, message="bad field")
    answer = proxy.post("/v1/chat/completions", chat(stream=stream, **routing(preference="cost")))
    assert answer.status_code == 400
    assert upstream.models() == ["prov-cheap"]
    view = proxy.settled()
    assert view["health"].get("cheap", {}).get("availability", 1.0) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("stream", [False, True])
def test_a_400_that_tells_of_a_lack_goes_on_and_is_remembered(proxy: Proxy, upstream: Upstream, stream: bool) -> None:
    """The next model answers, and the next request of the kind goes to it without asking the first."""
    # A parameter of its own for each case: the proxy remembers across tests.
    param = {"logit_bias": {"1": 1}} if stream else {"seed": 3}
    message = f"Unsupported parameter: '{next(iter(param))}' is not supported with this model."
    upstream.behave("prov-cheap", status=400, message=message)
    for expected in (2, 1):
        upstream.seen.clear()
        ask = chat(stream=stream, **param, **routing(preference="cost", session_id=f"{stream}{expected}"))
        answer = proxy.post("/v1/chat/completions", ask)
        assert answer.status_code == 200, answer.text
        assert len(upstream.models()) == expected
        assert answer.headers["x-ofox-model"] != "cheap" or stream
    assert upstream.models() != ["prov-cheap"]
    assert proxy.settled()["in_flight"] == 0


def test_a_stream_that_breaks_after_content_is_not_switched(proxy: Proxy, upstream: Upstream) -> None:
    """Once the caller has text, the error is the caller's: no second model writes on."""
    upstream.behave("prov-cheap", break_after=2)
    answer = proxy.post("/v1/chat/completions", chat(stream=True, **routing(preference="cost")))
    assert upstream.models() == ["prov-cheap"]
    frames = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    # newer releases of LiteLLM end such a stream with [DONE]
    assert "error" in json.loads([frame for frame in frames if frame != "[DONE]"][-1])


def test_a_stream_that_breaks_before_content_falls_back(proxy: Proxy, upstream: Upstream) -> None:
    """A stream whose first event is an error is answered by the next model, and the chunks name it."""
    upstream.behave("prov-cheap", break_after=0)
    answer = proxy.post("/v1/chat/completions", chat(stream=True, **routing(preference="cost")))
    served = upstream.models()[-1].removeprefix("prov-")
    assert served != "cheap"
    assert f'"model":"{served}"' in answer.text.replace('": "', '":"')
    assert '"model":"cheap"' not in answer.text.replace('": "', '":"')
    assert proxy.settled()["in_flight"] == 0
