"""What is seen of an attempt's answer while it passes: whether it is an error, and its tokens. Sends nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ofox_middleware import sniff
from ofox_middleware.failures import retry_after_s

if TYPE_CHECKING:
    from starlette.types import Message


class Answer:
    """The messages of one answer, looked at in the order in which they are sent.

    Attributes:
        status: ``None`` before there is one.
        stream: it is one of server-sent events.
        hidden_error: the status that counts for an error inside of an answer that seems to be none.
        retry_after_s: seconds, where a failure names them.
        cost_usd: as LiteLLM reckons it; ``None`` when it does not say.
        tokens: as the answer reports them, or the chunks of a stream; ``None`` when not to be seen.
        chunks: the pieces that were passed on, of which ``tail`` are the last.
    """

    __slots__ = ("_json", "chunks", "cost_usd", "hidden_error", "retry_after_s", "status", "stream", "tail", "tokens")

    def __init__(self) -> None:
        self.status: int | None = None
        self.stream = self._json = False
        self.hidden_error: int | None = None
        self.retry_after_s: float | None = None
        self.cost_usd: float | None = None
        self.tokens: int | None = None
        self.chunks = 0
        self.tail: deque[Any] = deque(maxlen=3)

    def begin(self, start: Message) -> str:
        """Looks at ``http.response.start``.

        Returns:
            What the body is announced to be, in the words of :func:`~ofox_middleware.sniff.announced`.
        """
        self.status = status = start["status"]
        headers = start.get("headers", ())
        kind, self.cost_usd = sniff.announced(headers)
        self.stream, self._json = kind == "stream", kind == "json"
        if sniff.is_passing_failure(status):
            self.retry_after_s = retry_after_s(headers)
        if kind == "html" and status < 300:
            self.hidden_error = sniff.BAD_GATEWAY  # a gateway's page: no model answers with one
        return kind

    def says_nothing(self, body: bytes) -> bool:
        """Whether this piece of a stream says nothing yet of what the answer is."""
        return self.stream and sniff.says_nothing(body)

    def look(self, message: Message) -> None:
        """Looks for an error in the first piece of the body that says something."""
        body = message.get("body", b"")
        if self.stream:
            self.hidden_error = sniff.first_error(body)
            return
        whole = self._json and self.status == 200 and not self.chunks and not message.get("more_body", False)
        self.hidden_error = self.hidden_error or sniff.error_in(body, whole=whole)

    def ends_unsaid(self, pieces: Iterable[bytes]) -> None:
        """The stream has ended with these pieces, none of which said anything by itself."""
        if sniff.says_nothing(b"".join(pieces)):
            self.hidden_error = sniff.BAD_GATEWAY

    def end(self, last: Message, *, unsaid: bool) -> None:
        """The last message is here, and all of the body in ``tail``.

        Args:
            last: that message.
            unsaid: no piece of the answer has said anything.
        """
        if self.hidden_error is None:
            self._look_at_the_end(last, unsaid=unsaid)
        if self.failure is None:
            reported = sniff.output_tokens(self.tail)
            self.tokens = self.chunks if reported is None and self.stream else reported

    def _look_at_the_end(self, last: Message, *, unsaid: bool) -> None:
        if not self.stream:
            empty = not self.chunks and last["type"] == "http.response.body"
            self.hidden_error = sniff.BAD_GATEWAY if empty and self._json and self.status == 200 else None
            return
        if unsaid:
            self.ends_unsaid(self.tail)
        self.hidden_error = self.hidden_error or sniff.last_error(self.tail)

    @property
    def failure(self) -> int | None:
        """The status of a failure, ``None`` for an answer without one."""
        if self.hidden_error is not None:
            return self.hidden_error
        return self.status if self.status is not None and self.status >= 400 else None
