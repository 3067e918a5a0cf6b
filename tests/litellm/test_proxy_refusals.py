"""Endpoints that do not chat: `auto` gets a clear 400 there, never a silent pass, and no provider is asked."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.litellm.conftest import chat
from tests.litellm.proxy import MASTER_KEY, Proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]}
BATCH = {"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
MESSAGES = [{"role": "user", "content": "Say hi."}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "auto", "input": "x"}),
        ("/engines/auto/embeddings", {"input": "x"}),
        ("/v1/images/generations", {"model": "auto", "prompt": "x"}),
        ("/v1/moderations", {"model": "auto", "input": "x"}),
        ("/v1/rerank", {"model": "auto", "query": "x", "documents": ["a"]}),
        ("/v1/audio/speech", {"model": "auto", "input": "x", "voice": "alloy"}),
        ("/v1/videos", {"model": "auto", "prompt": "x"}),
        ("/v1/ocr", {"model": "auto", "document": {"type": "document_url", "document_url": "http://127.0.0.1/x"}}),
        ("/v1/responses/compact", {"model": "auto", "input": "x"}),
        ("/v1/realtime/client_secrets", {"session": {"type": "realtime", "model": "auto"}}),
        ("/v1beta/models/auto:generateContent", GEMINI),
        ("/v1beta/models/auto:streamGenerateContent", GEMINI),
        ("/openai/v1/chat/completions", {"model": "auto", "messages": MESSAGES}),
    ],
)
def test_other_endpoints_refuse_auto(proxy: Proxy, upstream: Upstream, path: str, body: dict[str, Any]) -> None:
    """The message says where `auto` works; passing through to a provider is no way around it."""
    answer = proxy.post(path, body)
    assert answer.status_code == 400
    assert "chooses among chat models" in answer.json()["error"]["message"]
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("/v1/audio/transcriptions", {"file": ("a.wav", b"RIFF0000WAVE", "audio/wav")}),
        ("/v1/images/edits", {"image": ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")}),
    ],
)
def test_uploads_refuse_auto(proxy: Proxy, upstream: Upstream, path: str, file: dict[str, Any]) -> None:
    """Endpoints that take a form."""
    answer = httpx.post(
        f"{proxy.base_url}{path}",
        headers={"authorization": f"Bearer {MASTER_KEY}"},
        data={"model": "auto", "prompt": "x"},
        files=file,
        timeout=30,
    )
    assert answer.status_code == 400, answer.text
    assert "chooses among chat models" in answer.json()["error"]["message"]
    assert upstream.seen == []


@pytest.mark.parametrize("without", ["nothing", "prisma"])
@pytest.mark.parametrize("path", ["/v1/batches", "/v1/batches?model=auto", "/openai/v1/batches"])
def test_batches_refuse_auto(proxy: Proxy, upstream: Upstream, path: str, without: str) -> None:
    """In the body and in the query; also where the package is absent that LiteLLM's own handler of errors needs, which
    only installations with a database have."""
    httpx.post(f"{proxy.base_url}/_without", params={"package": without}, timeout=30)
    answer = proxy.post(path, BATCH if "model=" in path else {"model": "auto", **BATCH})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "unsupported_endpoint"
    assert "chooses among chat models" in answer.json()["error"]["message"]
    assert upstream.seen == []


def test_other_errors_of_litellms_stay_its_own(proxy: Proxy) -> None:
    """What we answer in LiteLLM's place is our refusals alone."""
    httpx.post(f"{proxy.base_url}/_without", params={"package": "prisma"}, timeout=30)
    assert proxy.post("/v1/batches", {"model": "auto", **BATCH}).status_code == 400
    assert proxy.post("/v1/batches", {"model": "nobody", **BATCH, "input_file_id": None}).status_code == 500


@pytest.mark.parametrize("model", ["auto,cheap", "cheap,auto", "cheap, auto"])
def test_auto_cannot_stand_in_a_list_of_models(proxy: Proxy, upstream: Upstream, model: str) -> None:
    """LiteLLM would answer from all of them, and with an error in place of what `auto` stands for."""
    answer = proxy.post("/v1/chat/completions", chat(model=model))
    assert answer.status_code == 400
    assert "several" in answer.json()["error"]["message"]
    assert upstream.seen == []


def test_a_list_of_named_models_is_left_to_litellm(proxy: Proxy, upstream: Upstream) -> None:
    """Without `auto` in it, LiteLLM answers it as it does without us."""
    assert proxy.post("/v1/chat/completions", chat(model="cheap,mid")).status_code == 200
    assert {"prov-cheap", "prov-mid"} <= set(upstream.models())


TURN = {"type": "response.create", "model": "auto", "input": "Say hi.", "response": {"model": "auto"}}


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/v1/realtime?model=auto", None),
        ("/v1/realtime/translations?model=auto", None),
        ("/v1/live/sessions", {"type": "session.create", "session": {"model": "auto"}}),
        ("/v1/responses", TURN),
        ("/v1/responses?model=auto", TURN),
    ],
)
def test_a_socket_refuses_auto(proxy: Proxy, upstream: Upstream, path: str, first: dict[str, Any] | None) -> None:
    """It is closed without a word from a provider, or was never there in this release."""
    url = f"{proxy.base_url.replace('http', 'ws', 1)}{path}"
    said: list[Any] = []
    try:
        with connect(url, additional_headers={"authorization": f"Bearer {MASTER_KEY}"}, open_timeout=20) as socket:
            if first is not None:
                socket.send(json.dumps(first))
            said.extend(iter(lambda: socket.recv(timeout=20), None))
    except (WebSocketException, TimeoutError):
        pass
    assert not any(word in str(message) for message in said for word in ("session.created", "response.created"))
    assert upstream.seen == []
    if path.startswith("/v1/responses"):
        assert any("chooses among chat models" in str(message) for message in said)


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/responses/input_tokens", "/utils/token_counter"])
def test_tokens_of_auto_are_counted_without_a_provider(proxy: Proxy, upstream: Upstream, path: str) -> None:
    """LiteLLM estimates them itself; clients ask this before they ask for an answer."""
    answer = proxy.post(path, {"model": "auto", "messages": MESSAGES, "input": "Say hi."})
    assert answer.status_code == 200
    assert upstream.seen == []


@pytest.mark.parametrize("message", ["hi", {"role": "user", "content": 5}])
def test_a_conversation_without_a_shape_is_refused_before_any_model(
    proxy: Proxy, upstream: Upstream, message: object
) -> None:
    """LiteLLM itself would try three models with it, and answer 500."""
    answer = proxy.post("/v1/chat/completions", {"model": "auto", "messages": [message]})
    assert answer.status_code == 400
    assert "messages[0]" in answer.json()["error"]["message"]
    assert upstream.seen == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", "soon"), ("stream_timeout", [1]), ("response_format", 5), ("extra_headers", "x"), ("extra_body", "x")],
)
def test_what_litellm_trips_over_is_refused_before_any_model(
    proxy: Proxy, upstream: Upstream, name: str, value: object
) -> None:
    """LiteLLM answers such a field with a 500 before it asks anybody; that must not count against the models."""
    answer = proxy.post("/v1/chat/completions", {"model": "auto", "messages": MESSAGES, name: value})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name
    usual = {"timeout": "30", "response_format": {"type": "text"}, "extra_headers": {"x-of": "mine"}, "client": "x"}
    assert proxy.post("/v1/chat/completions", {"model": "auto", "messages": MESSAGES, **usual}).status_code == 200
