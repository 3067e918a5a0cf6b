"""The receiving side of the ASGI door: a body is collected once and replayed, then the real ``receive`` goes on.

A ``receive`` that repeats ``http.request`` makes a streaming app spin for ever, and one that never delegates hides the
client's disconnect; so each attempt gets the body exactly once and after it what the server says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive


@dataclass(frozen=True, slots=True)
class Upload:
    """What has arrived of a request body.

    Attributes:
        body: the bytes so far. One copy, not the messages: a body in frames of a byte must not cost a hundred times
            its size.
        more: the server has more of it.
        left: the message that said that the client left, ``None`` while it is there.
    """

    body: bytes
    more: bool = False
    left: Message | None = None

    @property
    def whole(self) -> bool:
        """Whether this is all of the body."""
        return not self.more and self.left is None


async def collect(receive: Receive, limit: int) -> Upload:
    """Receives until the body is whole, longer than ``limit`` bytes, or the client has left."""
    message = await receive()
    if message["type"] != "http.request":
        return Upload(b"", left=message)
    body = message.get("body", b"")
    if not message.get("more_body", False):
        return Upload(bytes(body))
    buffer = bytearray(body)
    while len(buffer) <= limit:
        message = await receive()
        if message["type"] != "http.request":
            return Upload(bytes(buffer), more=True, left=message)
        buffer += message.get("body", b"")
        if not message.get("more_body", False):
            return Upload(bytes(buffer))
    return Upload(bytes(buffer), more=True)


def replay(upload: Upload, receive: Receive) -> Receive:
    """A ``receive`` that gives what ``upload`` holds, then what the server says."""
    ahead: list[Message] = []
    if upload.left is not None:
        ahead.append(upload.left)
    if upload.body or upload.left is None:
        ahead.append({"type": "http.request", "body": upload.body, "more_body": upload.more})

    async def replayed() -> Message:
        return ahead.pop() if ahead else await receive()

    return replayed


class Client:
    """The caller's side of one routed request, shared by its attempts.

    Attributes:
        gone: the message that said that the client left, ``None`` while it is there.
    """

    __slots__ = ("_body", "_listening", "_on_gone", "_pending", "_receive", "gone")

    def __init__(self, receive: Receive) -> None:
        self.gone: Message | None = None
        self._receive = receive
        self._body: bytes | None = None
        self._pending: asyncio.Future[Message] | None = None
        self._listening = 0
        self._on_gone: Callable[[], None] | None = None

    def replay(self, body: bytes) -> Receive:
        """The ``receive`` of the next attempt: ``body`` once, then what the server says."""
        self._body = body
        return self._next

    async def _next(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self.gone is not None:
            return self.gone
        self._listening += 1
        try:
            message = await (self._receive() if self._pending is None else asyncio.shield(self._pending))
        finally:
            self._listening -= 1
        self._pending = None
        self._note(message)
        return message

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Calls ``on_gone`` once the client leaves, unless the app is listening itself and so can see to it.

        What is heard meanwhile is kept for the app's ``receive``.
        """
        self._on_gone = on_gone
        self._listen()

    def watch_no_more(self) -> None:
        """Undoes :meth:`watch`."""
        self._on_gone = None

    async def left(self) -> bool:
        """Whether the client is known to have left."""
        self._listen()
        await asyncio.sleep(0)
        if self._pending is not None and self._pending.done():
            self._heard(self._pending)
        return self.gone is not None

    async def close(self) -> None:
        """Stops listening."""
        if self._pending is not None and not self._pending.done():
            self._pending.cancel()
            await asyncio.wait([self._pending])

    def _listen(self) -> None:
        if self._pending is None and not self._listening and self.gone is None:
            self._pending = asyncio.ensure_future(self._receive())
            self._pending.add_done_callback(self._heard)

    def _heard(self, pending: asyncio.Future[Message]) -> None:
        if pending.cancelled() or pending.exception() is not None:
            return
        self._note(pending.result())
        if self.gone is not None and self._on_gone is not None and not self._listening:
            self._on_gone()

    def _note(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self.gone = message
