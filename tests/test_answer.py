"""What is seen of an answer while it passes: errors that hide in a 200, and tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ofox_middleware.answer import Answer

JSON, SSE, HTML = b"application/json", b"text/event-stream", b"text/html"
WORD = b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'


def begun(kind: bytes, status: int = 200, **headers: str) -> Answer:
    answer = Answer()
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    answer.begin({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), *fields]})
    return answer


def ended(answer: Answer, *pieces: bytes, unsaid: bool = False) -> Answer:
    """``answer`` after ``pieces``, passed on as an exchange does it."""
    for piece in pieces:
        answer.chunks += 1
        answer.tail.append(piece)
    answer.end({"type": "http.response.body", "body": pieces[-1] if pieces else b""}, unsaid=unsaid)
    return answer


def whole(fields: Any) -> dict[str, Any]:
    return {"type": "http.response.body", "body": json.dumps(fields).encode()}


@pytest.mark.parametrize("status", [200, 204, 302])
def test_a_status_below_400_is_no_failure(status: int) -> None:
    """Whatever is no error by its status is none until its body says otherwise."""
    assert begun(JSON, status).failure is None


def test_a_failures_retry_after_is_kept() -> None:
    """A 429 says when to come back; a 400 that does so is about the request, and not asked."""
    assert begun(JSON, 429, retry_after="7").retry_after_s == 7.0
    assert begun(JSON, 400, retry_after="7").retry_after_s is None


def test_a_page_is_a_failure() -> None:
    """No model answers with a web page; one that says it is an error keeps its status."""
    assert begun(HTML).failure == 502
    assert begun(HTML, 404).failure == 404


def test_what_litellm_reckons_is_read() -> None:
    """The cost is LiteLLM's own, USD."""
    assert begun(JSON, x_litellm_response_cost="0.0125").cost_usd == 0.0125


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"error": {"message": "busy", "code": 503}}, 503),
        ({"choices": []}, None),
        ({"choices": [{}], "error": 1}, None),
    ],
)
def test_an_error_inside_a_200(fields: Any, status: int | None) -> None:
    """A document that is an error in place of an answer has that error's status."""
    answer = begun(JSON)
    answer.look(whole(fields))
    assert answer.failure == status


def test_a_document_that_breaks_off() -> None:
    """One that should be whole and is not counts as a gateway's failure; the first of many pieces may break off."""
    answer = begun(JSON)
    answer.look({"type": "http.response.body", "body": b'{"choices": [', "more_body": True})
    assert answer.failure is None
    answer.look({"type": "http.response.body", "body": b'{"choices": ['})
    assert answer.failure == 502


def test_an_empty_document_is_no_answer() -> None:
    """A 200 that announces JSON and holds nothing is a failure, a file that the server sends by itself is not."""
    assert ended(begun(JSON)).failure == 502
    answer = begun(JSON)
    answer.end({"type": "http.response.pathsend", "path": "/x"}, unsaid=True)
    assert answer.failure is None


def test_a_stream_without_a_word() -> None:
    """A stream that ends before it has said anything is a failure, however many pieces it had."""
    answer = begun(SSE)
    assert answer.says_nothing(ROLE) and not answer.says_nothing(WORD)
    assert ended(answer, ROLE, b"data: [DONE]\n\n", unsaid=True).failure == 502


def test_an_error_at_the_end_of_a_stream() -> None:
    """A stream that breaks with an error event has failed, and nobody counts its tokens."""
    last = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    answer = ended(begun(SSE), WORD, last)
    assert (answer.failure, answer.tokens) == (529, None)


def test_tokens_are_those_reported_or_the_pieces() -> None:
    """Usage counts where it is told; else a stream has a token to a piece, and a document none that can be seen."""
    usage = b'data: {"choices":[],"usage":{"completion_tokens":42}}\n\n'
    assert ended(begun(SSE), WORD, WORD, usage).tokens == 42
    assert ended(begun(SSE), WORD, WORD).tokens == 2
    assert ended(begun(JSON), b'{"choices": [{}]}').tokens is None
