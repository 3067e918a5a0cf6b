"""A bug of ours in a real proxy: the request is answered all the same, never with a 500, and the bug is counted."""

from __future__ import annotations

import httpx
import pytest

from tests.litellm.conftest import chat, routing
from tests.litellm.proxy import Proxy
from tests.litellm.upstream import WORDS, Upstream

pytestmark = pytest.mark.proxy
TEXT = "".join(WORDS)
MESSAGES = {"model": "auto", "max_tokens": 50, "messages": [{"role": "user", "content": "Say hi."}]}


@pytest.mark.parametrize(
    ("part", "stat"),
    [
        ("decide", "litellm_decision_error"),
        ("request", "litellm_request_error"),
        ("answer", "litellm_answer_error"),
        ("headers", "litellm_headers_error"),
        ("attempt", "litellm_attempt_error"),
        ("report", "litellm_answer_error"),
        ("ledger", "litellm_attempt_error"),
    ],
)
def test_a_bug_in_a_part_costs_no_request(proxy: Proxy, upstream: Upstream, part: str, stat: str) -> None:
    """Plain, streamed and with the model named."""
    httpx.post(f"{proxy.base_url}/_break", params={"part": part}, timeout=30)
    for body in (chat(), chat(stream=True), chat(model="cheap")):
        answer = proxy.post("/v1/chat/completions", body)
        assert answer.status_code == 200, answer.text
        assert WORDS[-2] in answer.text
        assert "error" not in answer.text
    assert proxy.probe()["stats"][stat] >= 1


@pytest.mark.parametrize("part", ["stream", "frames"])
def test_a_bug_in_a_stream_lets_its_pieces_pass_as_they_are(proxy: Proxy, upstream: Upstream, part: str) -> None:
    """Nothing is lost and nothing comes twice; only the name is LiteLLM's."""
    httpx.post(f"{proxy.base_url}/_break", params={"part": part}, timeout=30)
    path, body = ("/v1/chat/completions", chat()) if part == "stream" else ("/v1/messages", MESSAGES)
    answer = proxy.post(path, {**body, "stream": True, **routing(preference="cost")})
    assert answer.status_code == 200
    for word in ("The ", "answer ", "forty", "-two"):
        assert answer.text.count(f'"{word}"') == 1, word
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert view["stats"]["litellm_stream_error"] == 1
