"""What can be told from the bytes of an answer."""

from __future__ import annotations

import pytest

from ofox_middleware import sniff


@pytest.mark.parametrize(
    ("value", "stream"),
    [
        (b"text/event-stream", True),
        (b"Text/Event-Stream; charset=utf-8", True),
        (b"application/json", False),
        (b"", False),
    ],
)
def test_event_streams(value: bytes, *, stream: bool) -> None:
    """Event streams are known by their content type in any case."""
    kind, _ = sniff.announced([(b"a", b"text/event-stream"), (b"Content-Type", value)])
    assert (kind == "stream") is stream


@pytest.mark.parametrize(
    ("chunk", "status"),
    [
        (b"", None),
        (b"data: {}\n\n", None),
        (b'data: {"error": {"status": 503}}\n\n', 503),
        (b'data: {"error": {"status_code": 429}}\n\n', 429),
        (b'data: {"error": {"code": "rate_limit_exceeded", "type": "rate_limit_error"}}\n\n', 429),
        (b'data: {"error": {"code": 200}}\n\n', 500),
        (b'data: {"error": {"code": true}}\n\n', 500),
        (b'data: {"error": {"type": ["x"]}}\n\n', 500),
        (b'data: {"error": true}\n\n', 500),
        (b'data: {"error": {}}\n\n', None),
        (b'data: {"type": "error", "code": "server_error"}\n\n', 500),
        (b'data: {"type":\ndata: "error"}\n\n', 500),
        (b"event: error\n\n", 500),
        (b"\n\nevent:error\ndata: {}\n\n", 500),
        (b'data: {"x": "error"}\n\n', None),
        (b'data: {"type": "message_start"}\n\nevent: error\ndata: {}\n\n', 500),
        (b'data: {"choices": []}\n\n: x\n\ndata: {"error": {"code": 502}}\n\n', 502),
        (b'data: {"choices": [{"delta": {"content": "error"}}]}\n\ndata: {"error": {"code": 502}}\n\n', None),
        (b"data: " + b"[" * 9000 + b"error\n\n", None),
        (b'data: {"a": "' + b"x" * 20_000 + b'", "error": 1}\n\n', None),
    ],
)  # fmt: skip
def test_first_errors(chunk: bytes, status: int | None) -> None:
    """The first event of a chunk is an error by its name, its type or a non-empty error member, of any protocol."""
    assert sniff.first_error(chunk) == status
    assert sniff.first_error(memoryview(chunk)) == status  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chunk", "nothing"),
    [
        (b"", True),
        (b": ping\n\n", True),
        (b"event: ping\n\n", True),
        (b'event: ping\r\ndata: {"type": "ping"}\r\n\r\n', True),
        (b'data: {"type": "message_start", "message": {}}\n\ndata: {"type": "content_block_start"}\n\n', True),
        (b'data: {"type": "response.created"}\n\ndata: {"type": "response.in_progress"}\n\n', True),
        (b'data: {"choices": []}\n\n', True),
        (b'data: {"choices": [{"delta": {"role": "assistant", "content": "", "tool_calls": null}}]}\n\n', True),
        (b'data: {"choices": [{"delta": {"role": "assistant", "content": "a"}}]}\n\n', False),
        (b'data: {"choices": [{"delta": {"reasoning_content": "a"}}]}\n\n', False),
        (b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n', False),
        (b'data: {"choices": [{"delta": {}}], "usage": {"completion_tokens": 1}}\n\n', False),
        (b'data: {"choices": [{"text": ""}]}\n\n', False),
        (b'data: {"choices": [{"text": "a", "delta": {}}]}\n\n', False),
        (b'data: {"choices": ["x"]}\n\n', False),
        (b'data: {"type": "content_block_delta"}\n\n', False),
        (b"data: [DONE]\n\n", True),
        (b"data: []\n\n", False),
        (b": " + b"x" * 20_000, False),
    ],
)
def test_what_says_nothing(chunk: bytes, *, nothing: bool) -> None:
    """Comments, pings, a bare role and announcements say nothing; what is not understood is taken to say something."""
    assert sniff.says_nothing(chunk) is nothing
    assert sniff.says_nothing(memoryview(chunk)) is nothing  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        ([], None),
        ([b'data: {"x": "error"}\n\n', b"data: [DONE]\n\n"], None),
        ([b'data: {"x": 1}\n\n', b'data: {"error": {"code": 503}}\n\n'], 503),
        ([b'data: {"error": {"code"', b": 503}}\n\ndata: [DONE]\n\n"], 503),
        ([b'data: {"error": {"code": 503}}\n\ndata: {"x": 1}\n\n'], None),
        ([b'{"x": "' + b"error" * 1000 + b'"}\n\n', b'event: error\ndata: {"type": "error"}\n\n'], 500),
    ],
)
def test_last_errors(chunks: list[bytes], status: int | None) -> None:
    """A stream's last event but for the end mark is an error, or the stream went well."""
    assert sniff.last_error(chunks) == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"error": {"code": 503}}', 503),
        (b'{"error": "x"}', 500),
        (b'{"type": "error", "error": {"type": "overloaded_error"}}', 529),
        (b'{"output": [], "error": {"code": "server_error"}}', 500),
        (b'{"error": null, "output": [1]}', None),
        (b'{"error": {"code": 503}, "choices": [1]}', None),
        (b'{"error": {"code": 503}', None),
        (b'["error"]', None),
        (b'{"x": 1}', None),
        (b"", None),
        (b'{"error": "' + b"x" * 20_000 + b'"}', None),
    ],
)
def test_errors_in_place_of_answers(body: bytes, status: int | None) -> None:
    """A JSON document is an error when it says so and holds nothing of an answer."""
    assert sniff.error_in(body) == status
    assert sniff.error_in(memoryview(body)) == status  # type: ignore[arg-type]


def test_json_by_content_type() -> None:
    """JSON is known by its content type in any case."""
    assert sniff.announced([(b"a", b"b"), (b"Content-Type", b"Application/JSON; charset=utf-8")]) == ("json", None)
    assert sniff.announced([(b"content-type", b"text/plain")]) == ("", None)


@pytest.mark.parametrize(
    ("chunks", "tokens"),
    [
        ([], None),
        ([b'{"usage":{"completion_tokens":5}}'], 5),
        (
            [b'{"usage": {"prompt_tokens": 1, "output_tokens" : 7, "output_tokens_details": {"reasoning_tokens": 3}}}'],
            7,
        ),
        ([b'{"usage":{"output_tokens":1}}', b'{"usage":{"output_tok', b'ens":9}}'], 9),
        ([b'{"text":"\\"completion_tokens\\":5"}'], None),
        ([b'{"completion_tokens":5}' + b" " * 5000], None),
        ([b'{"completion_tokens":-5}'], None),
        ([memoryview(b'{"completion_tokens":6}')], 6),
    ],
)
def test_output_tokens(chunks: list[bytes], tokens: int | None) -> None:
    """The last usage in the tail counts, and text of the answer is no usage."""
    assert sniff.output_tokens(chunks) == tokens


@pytest.mark.parametrize(
    ("value", "cost"),
    [
        (b"0.5", 0.5),
        (b"0", 0.0),
        (b"1e-05", 1e-05),
        (b"-1", None),
        (b"nan", None),
        (b"1e99", None),
        (b"x", None),
        (b"", None),
    ],
)
def test_costs(value: bytes, cost: float | None) -> None:
    """A cost is a plain positive number."""
    assert sniff.announced([(b"a", b"1"), (b"x-litellm-response-cost", value)]) == ("", cost)
    assert sniff.announced([]) == ("", None)
