"""A simulated provider on loopback: speaks OpenAI's and Anthropic's HTTP, records what reached it, fails on demand."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

WORDS = ("The ", "answer ", "is ", "forty", "-two", ".")

SILENT_S: Final = 60.0
"""How long a provider that hangs or stalls does so (seconds): a test that waits for it must end, too."""


@dataclass
class Behaviour:
    """How one backend model answers: a status, a delay, or a stream that breaks."""

    status: int = 200
    message: str = "simulated failure"
    retry_after: str | None = None
    delay_s: float = 0.0
    hang: bool = False
    page: str = ""
    """A 200 with this in place of an answer: a page, or JSON that breaks off."""
    stall: bool = False
    """Streams: silence after a first chunk without content."""
    stall_after: int | None = None
    """Streams: silence after this many content chunks."""
    break_after: int | None = None
    """Streams: an error frame after this many content chunks."""
    chunk_delay_s: float = 0.0
    rejects: bytes = b""
    """Only requests that hold this get the status."""
    times: int | None = None
    """Applies to this many calls only, then the model is well again."""
    every: int = 1
    """Applies to one call in this many."""
    calls: int = 0


@dataclass
class Seen:
    """One request as it reached the provider."""

    path: str
    body: dict[str, Any]
    raw: bytes
    headers: dict[str, str]


@dataclass
class Upstream:
    """The provider's state, shared with the tests."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    finished: int = 0
    aborted: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    """Whole answers by backend model."""
    failed: Counter[str] = field(default_factory=Counter)
    """Answers that were an error, or broke, by backend model."""
    marked: bytes = b""
    """What a request must hold for its answer to be counted there."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def behave(self, model: str, **options: Any) -> None:
        """Makes the backend ``model`` answer in this way until :meth:`reset`."""
        self.behaviours[model] = Behaviour(**options)

    def reset(self) -> None:
        self.seen.clear()
        self.behaviours.clear()
        self.answered.clear()
        self.failed.clear()
        self.marked = b""

    def models(self) -> list[str]:
        """Backend models in the order in which they were called."""
        return [seen.body.get("model", "") for seen in self.seen]

    def behaviour(self, model: str) -> Behaviour:
        found = self.behaviours.get(model)
        if found is None:
            return Behaviour()
        found.calls += 1
        if found.calls % found.every:
            return Behaviour(delay_s=found.delay_s, chunk_delay_s=found.chunk_delay_s)
        if found.times is not None:
            if found.times == 0:
                return Behaviour()
            found.times -= 1
        return found

    async def record(self, request: Request) -> tuple[dict[str, Any], Behaviour, Callable[[Counter[str]], None]]:
        """The request, how to answer it, and what notes the end of the answer."""
        raw = await request.body()
        body = json.loads(raw or b"{}")
        name = str(body.get("model", ""))
        self.seen.append(Seen(request.url.path, body, raw, dict(request.headers)))
        weight = 1 if self.marked in raw else 0
        how = self.behaviour(name)
        if how.rejects not in raw:
            how = Behaviour()
        return body, how, lambda tally: tally.update({name: weight})

    async def answer(self, request: Request) -> Response:
        body, how, note = await self.record(request)
        if how.hang:
            await asyncio.sleep(SILENT_S)
        if how.delay_s:
            await asyncio.sleep(how.delay_s)
        path = request.url.path
        if how.page:
            note(self.failed)
            return Response(how.page, media_type="text/html" if how.page.startswith("<") else "application/json")
        if how.status != 200:
            note(self.failed)
            return _failure(how, anthropic=path.endswith("/messages"))
        kind = next(name for name in ("chat/completions", "completions", "responses", "messages", "embeddings")
                    if path.endswith(name))  # fmt: skip
        if body.get("stream"):
            frames = self.counted(note, how, _frames(kind, body, how))
            return StreamingResponse(frames, media_type="text/event-stream")
        self.finished += 1
        note(self.answered)
        return JSONResponse(_whole(kind, body))

    async def counted(
        self, note: Callable[[Counter[str]], None], how: Behaviour, frames: AsyncIterator[str]
    ) -> AsyncIterator[str]:
        done = False
        try:
            async for frame in frames:
                yield frame
            done = True
        finally:
            if done:
                self.finished += 1
                note(self.answered if how.break_after is None else self.failed)
            else:
                self.aborted += 1


def _failure(how: Behaviour, *, anthropic: bool) -> Response:
    error = {"message": how.message, "type": "api_error", "param": None, "code": None}
    content: dict[str, Any] = {"type": "error", "error": error} if anthropic else {"error": error}
    headers = {"retry-after": how.retry_after} if how.retry_after else None
    return JSONResponse(content, status_code=how.status, headers=headers)


def _model(body: dict[str, Any]) -> str:
    return f"{body.get('model')}-2026-01-01"


def _whole(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    text, model = "".join(WORDS), _model(body)
    usage = {"prompt_tokens": 11, "completion_tokens": 20, "total_tokens": 31}
    if kind == "chat/completions":
        message = {"role": "assistant", "content": text}
        return {"id": f"chatcmpl-{uuid.uuid4()}", "object": "chat.completion", "created": 1, "model": model,
                "usage": usage, "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}  # fmt: skip
    if kind == "completions":
        return {"id": f"cmpl-{uuid.uuid4()}", "object": "text_completion", "created": 1, "model": model, "usage": usage,
                "choices": [{"index": 0, "finish_reason": "stop", "text": text, "logprobs": None}]}  # fmt: skip
    if kind == "embeddings":
        return {"object": "list", "model": model, "usage": {"prompt_tokens": 3, "total_tokens": 3},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]}  # fmt: skip
    if kind == "messages":
        return {"id": f"msg_{uuid.uuid4()}", "type": "message", "role": "assistant", "model": model,
                "stop_reason": "end_turn", "stop_sequence": None, "content": [{"type": "text", "text": text}],
                "usage": {"input_tokens": 11, "output_tokens": 20}}  # fmt: skip
    return _response(f"resp_{uuid.uuid4()}", model, text)


def _response(name: str, model: str, text: str, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    output = [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}]
    usage = {"input_tokens": 11, "output_tokens": 20, "total_tokens": 31,
             "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}  # fmt: skip
    return {"id": name, "object": "response", "created_at": 1, "model": model, "status": status,
            "output": output if text else [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": usage if text else None, "error": None, "incomplete_details": None, "instructions": None,
            "metadata": {}, "temperature": 1.0, "top_p": 1.0}  # fmt: skip


async def _frames(kind: str, body: dict[str, Any], how: Behaviour) -> AsyncIterator[str]:
    maker = {"chat/completions": _chat_frames, "completions": _text_frames, "messages": _message_frames}
    frames = maker.get(kind, _response_frames)(body)
    contents = 0
    if how.stall:
        yield _opening(kind, body)
        await asyncio.sleep(SILENT_S)
    for content, frame in frames:
        if content:
            if contents == how.stall_after:
                await asyncio.sleep(SILENT_S)
            if how.break_after is not None and contents >= how.break_after:
                error = {"message": how.message, "type": "server_error", "code": 500}
                if kind == "responses":
                    failed = _response(_model(body), "", "failed") | {"error": error | {"code": "server_error"}}
                    yield _event({"type": "response.failed", "response": failed, "sequence_number": contents})
                else:
                    yield _data({"error": error})
                return
            contents += 1
            await asyncio.sleep(how.chunk_delay_s)
        yield frame


def _opening(kind: str, body: dict[str, Any]) -> str:
    """What a stream sends before the model has said anything."""
    base = {"id": "chatcmpl-1", "created": 1, "model": _model(body)}
    if kind == "chat/completions":
        choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        return _data({**base, "object": "chat.completion.chunk", "choices": [choice]})
    if kind == "completions":
        return _data(
            {**base, "object": "text_completion", "choices": [{"index": 0, "text": "", "finish_reason": None}]}
        )
    return next((_message_frames if kind == "messages" else _response_frames)(body))[1]


def _data(payload: dict[str, Any]) -> str:
    return f"data: {json.dumps(payload)}\n\n"


def _event(payload: dict[str, Any]) -> str:
    return f"event: {payload['type']}\ndata: {json.dumps(payload)}\n\n"


def _chat_frames(body: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    base = {"id": f"chatcmpl-{uuid.uuid4()}", "object": "chat.completion.chunk", "created": 1, "model": _model(body)}
    for word in WORDS:
        choice = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
        yield True, _data({**base, "choices": [choice]})
    yield False, _data({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 11, "completion_tokens": 20, "total_tokens": 31}
        yield False, _data({**base, "choices": [], "usage": usage})
    yield False, "data: [DONE]\n\n"


def _text_frames(body: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    base = {"id": f"cmpl-{uuid.uuid4()}", "object": "text_completion", "created": 1, "model": _model(body)}
    for index, word in enumerate(WORDS):
        reason = "stop" if index == len(WORDS) - 1 else None
        yield True, _data({**base, "choices": [{"index": 0, "text": word, "finish_reason": reason}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 11, "completion_tokens": 20, "total_tokens": 31}
        yield False, _data({**base, "choices": [], "usage": usage})
    yield False, "data: [DONE]\n\n"


def _message_frames(body: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    message = {"id": f"msg_{uuid.uuid4()}", "type": "message", "role": "assistant", "model": _model(body),
               "content": [], "stop_reason": None, "stop_sequence": None,
               "usage": {"input_tokens": 11, "output_tokens": 1}}  # fmt: skip
    yield False, _event({"type": "message_start", "message": message})
    yield False, _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    for word in WORDS:
        yield True, _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}})
    yield False, _event({"type": "content_block_stop", "index": 0})
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield False, _event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 20}})
    yield False, _event({"type": "message_stop"})


def _response_frames(body: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    name, model, text = f"resp_{uuid.uuid4()}", _model(body), "".join(WORDS)
    number = iter(range(1000))
    yield False, _event({"type": "response.created", "sequence_number": next(number),
                         "response": _response(name, model, "", "in_progress")})  # fmt: skip
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    yield False, _event({"type": "response.output_item.added", "sequence_number": next(number), "output_index": 0,
                         "item": item})  # fmt: skip
    for word in WORDS:
        yield True, _event({"type": "response.output_text.delta", "sequence_number": next(number), "item_id": "msg_1",
                            "output_index": 0, "content_index": 0, "delta": word})  # fmt: skip
    yield False, _event({"type": "response.completed", "sequence_number": next(number),
                         "response": _response(name, model, text)})  # fmt: skip


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_upstream() -> Iterator[Upstream]:
    """Serves an :class:`Upstream` from a thread."""
    upstream = Upstream(port=free_port())
    app = Starlette(routes=[Route("/{path:path}", upstream.answer, methods=["POST"])])
    config = uvicorn.Config(app, host="127.0.0.1", port=upstream.port, log_level="error", lifespan="off",
                            timeout_keep_alive=300,  # else it may hang up just when LiteLLM uses the connection again
                            timeout_graceful_shutdown=1)  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield upstream
    finally:
        server.should_exit = True
        thread.join(10)
