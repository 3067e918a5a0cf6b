"""The receiving side of the ASGI door: a body is collected once and replayed, then the real ``receive`` goes on.

A ``receive`` that repeats ``http.request`` makes a streaming app spin for ever, and one that never delegates hides the
client's disconnect; so each attempt gets the body exactly once and after it what the server says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from ofox_middleware import headers

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope


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
    buffer = BytesIO()  # which hands out its memory without a last copy
    buffer.write(body)
    while buffer.tell() <= limit:
        message = await receive()
        if message["type"] != "http.request":
            return Upload(buffer.getvalue(), more=True, left=message)
        buffer.write(message.get("body", b""))
        if not message.get("more_body", False):
            return Upload(buffer.getvalue())
    return Upload(buffer.getvalue(), more=True)


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


def with_body(scope: Scope, length: int) -> Scope:
    """A copy of ``scope`` for a body of ``length`` bytes; the server's and outer middleware's own stays as it is."""
    return {**scope, "headers": headers.for_body(scope["headers"], length)}


def hand_back(scope: Scope, inner: Scope) -> None:
    """Lets outer middleware see what the app has noted in its scope, such as the route that it took."""
    scope.update({**inner, "headers": scope["headers"]})


class Line:
    """What one attempt hears of the caller: the body once, then what the server says."""

    __slots__ = ("_body", "_client", "listening", "on_gone")

    def __init__(self, client: Client, body: bytes | None = None) -> None:
        self.listening = 0
        self.on_gone: Callable[[], None] | None = None
        self._client = client
        self._body = body

    async def receive(self) -> Message:
        """The app's ``receive``."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        self.listening += 1
        try:
            return await self._client.hear()
        finally:
            self.listening -= 1

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Calls ``on_gone`` once the client leaves, unless the app is listening itself and so can see to it.

        What is heard meanwhile is kept for the app's ``receive``.
        """
        self.on_gone = on_gone
        self._client.watch(self)

    def watch_no_more(self) -> None:
        """Undoes :meth:`watch`."""
        self.on_gone = None


class Client:
    """The caller's side of one routed request, shared by its attempts.

    Attributes:
        gone: the message that said that the client left, ``None`` while it is there.
        shared: whether several attempts may listen at the same time. It takes a task, so it is for those that do.
    """

    __slots__ = ("_direct", "_pending", "_receive", "_watchers", "gone", "shared")

    def __init__(self, receive: Receive) -> None:
        self.gone: Message | None = None
        self.shared = False
        self._receive = receive
        self._pending: asyncio.Future[Message] | None = None
        self._direct = 0
        self._watchers: list[Line] = []

    async def hear(self) -> Message:
        """What the server says next. Servers take only one listener at a time, so attempts share one."""
        if self.gone is not None:
            return self.gone
        if self.shared:
            self._listen()
        pending = self._pending
        if pending is None:
            self._direct += 1
            try:
                message = await self._receive()
            finally:
                self._direct -= 1
        else:
            message = await asyncio.shield(pending)
            if self._pending is pending:
                self._pending = None
        self._note(message)
        return message

    def watch(self, line: Line) -> None:
        """Tells ``line`` when the client leaves."""
        if line not in self._watchers:
            self._watchers.append(line)
        self._listen()

    async def left(self) -> bool:
        """Whether the client is known to have left."""
        self._listen()
        await asyncio.sleep(0)
        if self._pending is not None and self._pending.done():
            self._heard(self._pending)
        return self.gone is not None

    async def close(self) -> None:
        """Stops listening."""
        self._watchers.clear()
        if self._pending is not None and not self._pending.done():
            self._pending.cancel()
            await asyncio.wait([self._pending])

    def _listen(self) -> None:
        if self._pending is None and not self._direct and self.gone is None:
            self._pending = asyncio.ensure_future(self._receive())
            self._pending.add_done_callback(self._heard)

    def _heard(self, pending: asyncio.Future[Message]) -> None:
        if pending.cancelled() or pending.exception() is not None:
            return
        self._note(pending.result())
        if self.gone is None:
            return
        for line in self._watchers:
            if line.on_gone is not None and not line.listening:
                line.on_gone()

    def _note(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self.gone = message
