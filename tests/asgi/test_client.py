"""The caller's side: nothing of what the server says is swallowed, and a client that leaves is noticed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ofox_middleware import guard
from tests.asgi.harness import (
    ASK,
    BEST,
    CHAT,
    NEXT,
    Caller,
    Models,
    Outcomes,
    answer,
    call,
    hang,
    middleware,
    request,
    stream,
)

RAW = json.dumps(ASK).encode()
NAMED = b'{"model":"gpt-4o","tool_choice":"auto"}'


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listening for the client begins soon."""
    monkeypatch.setattr(guard, "WATCH_AFTER_S", 0.01)


@pytest.mark.parametrize("frames", [[], [RAW[:10]], [RAW[:10], RAW[10:]]])
def test_a_client_that_leaves_while_sending(frames: list[bytes]) -> None:
    """The app gets the frames that came and the disconnect after them, as from the server."""
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not seen or seen[-1]["type"] == "http.request":
            seen.append(await receive())
        seen.append(await receive())

    expected = {"type": "http.disconnect"}
    asyncio.run(call(middleware(app), caller=Caller(list(frames), leaves_in_upload=True)))
    assert b"".join(message.get("body", b"") for message in seen) == b"".join(frames)
    assert all(message["more_body"] for message in seen if message["type"] == "http.request")
    assert seen[-2:] == [expected, expected]


@pytest.mark.parametrize("body", [RAW, NAMED, b"not json"])
def test_the_body_is_replayed_once_and_then_the_server_speaks(body: bytes) -> None:
    """Whatever becomes of the body, the second receive waits for what the server says."""
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())
        asyncio.get_running_loop().call_later(0.05, caller.leave)
        seen.append(await receive())
        await answer(send, 200, {})

    caller = Caller([body])
    asyncio.run(call(middleware(app), body, caller=caller))
    assert [message["type"] for message in seen] == ["http.request", "http.disconnect"]
    assert seen[0]["more_body"] is False


def test_routing_does_not_need_the_app_to_receive() -> None:
    """An app that never reads its body is routed too, and can still fall back."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(dict(scope["headers"])[b"content-length"])
        await answer(send, 503 if len(calls) == 1 else 200, {})

    calls: list[bytes] = []
    seen = asyncio.run(call(middleware(app)))
    assert (seen.status, seen.headers["x-ofox-model"], len(calls)) == (200, NEXT, 2)


def test_a_client_that_leaves_before_the_answer_cancels() -> None:
    """An app that does not listen is cancelled, no other model is tried, and nothing counts against the model."""
    app = Models({BEST: hang})
    ofox = middleware(app)
    outcomes = Outcomes(ofox.router)
    caller = Caller([RAW])

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.05, caller.leave)
        await call(ofox, caller=caller)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert (app.asked, app.cancelled) == ([BEST], [BEST])
    assert [message.get("status") for message in caller.sent] == [499, None]
    shown = ofox.router.health.snapshot()[BEST]
    assert (shown["in_flight"], shown["failed"], shown["ok"]) == (0, 0, 0)
    assert (outcomes.outcomes[0].ok, outcomes.outcomes[0].status) == (False, None)


def test_a_server_that_raises_when_the_client_has_left() -> None:
    """That nobody can be answered is no error."""
    ofox = middleware(Models({BEST: hang}))
    caller = Caller([RAW], closed_pipe=True)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.05, caller.leave)
        await call(ofox, caller=caller)

    asyncio.run(main())
    assert caller.sent == []


def test_an_app_that_listens_sees_to_it_itself() -> None:
    """An app that awaits the disconnect is not cancelled: it hears of it and ends as it likes."""
    heard = []

    async def listens(scope: Any, receive: Any, send: Any) -> None:
        heard.append(await receive())
        await asyncio.sleep(0.02)
        heard.append(await receive())
        await answer(send, 200, {"saved": True})

    app = Models({BEST: listens})
    ofox = middleware(app)
    caller = Caller([RAW])

    async def main() -> Any:
        asyncio.get_running_loop().call_later(0.05, caller.leave)
        return await call(ofox, caller=caller)

    assert asyncio.run(main()).json == {"saved": True}
    assert [message["type"] for message in heard] == ["http.disconnect"] * 2
    assert app.cancelled == []


def test_an_app_that_begins_to_listen_late() -> None:
    """What was heard for the app while it did not listen is given to it when it does."""
    heard = []

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.03)  # by now we listen
        asyncio.get_running_loop().call_later(0.02, caller.leave)
        heard.append((await receive())["type"])
        raise ConnectionError

    app = Models({BEST: late})
    caller = Caller([RAW])

    with pytest.raises(ConnectionError):  # and no other model is tried
        asyncio.run(call(middleware(app), caller=caller))
    assert heard == ["http.disconnect"]
    assert app.asked == [BEST]
    assert caller.receives == 2


def test_no_fallback_for_a_client_that_has_left() -> None:
    """A failure after the client has left is the end, though nobody was listening yet."""

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        caller.leave()
        await answer(send, 503, {})

    async def raises(scope: Any, receive: Any, send: Any) -> None:
        caller.leave()
        raise ConnectionError

    app = Models({BEST: fails})
    caller = Caller([RAW])
    seen = asyncio.run(call(middleware(app), caller=caller))
    assert (seen.status, app.asked) == (503, [BEST])
    app = Models({BEST: raises})
    caller = Caller([RAW])
    with pytest.raises(ConnectionError):
        asyncio.run(call(middleware(app), caller=caller))
    assert app.asked == [BEST]


def test_the_second_attempt_hears_the_client_leave() -> None:
    """Listening goes on over attempts; the later one is cancelled too."""
    app = Models({BEST: 503, NEXT: hang})
    ofox = middleware(app)
    caller = Caller([RAW])

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.05, caller.leave)
        await call(ofox, caller=caller)

    asyncio.run(main())
    assert (app.asked, app.cancelled) == ([BEST, NEXT], [NEXT])


def test_a_client_that_leaves_during_a_stream() -> None:
    """After the first byte we do not interfere: the app's own listener hears of it."""
    stopped = []

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        listener = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        while not listener.done():
            await send({"type": "http.response.body", "body": b"data: x\n\n", "more_body": True})
            await asyncio.sleep(0.005)
        stopped.append(listener.result()["type"])

    ofox = middleware(Models({BEST: endless}))
    caller = Caller([RAW])

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.05, caller.leave)
        await call(ofox, caller=caller)

    asyncio.run(main())
    assert stopped == ["http.disconnect"]
    shown = ofox.router.health.snapshot()[BEST]
    assert (shown["in_flight"], shown["failed"]) == (0, 0)


def test_a_broken_pipe_during_a_stream_is_not_the_models_fault() -> None:
    """A send that raises OSError, as servers of ASGI 2.4 do, reaches the app and counts against nobody."""
    ofox = middleware(Models({BEST: stream(*[b"data: x\n\n"] * 20, pause_s=0.01)}))
    caller = Caller([RAW], closed_pipe=True)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.05, caller.leave)
        with pytest.raises(OSError, match="left"):
            await call(ofox, caller=caller)

    asyncio.run(main())
    shown = ofox.router.health.snapshot()[BEST]
    assert (shown["in_flight"], shown["failed"], shown["ok"]) == (0, 0, 0)


def test_a_receive_that_raises() -> None:
    """A server's receive that raises does so at the app's receive, and only there."""

    async def broken() -> dict[str, Any]:
        if frames:
            return frames.pop()
        raise RuntimeError("broken")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(0.03)
        with pytest.raises(RuntimeError):
            await receive()
        await answer(send, 200, {})

    async def main() -> None:
        for _ in range(2):
            frames.append({"type": "http.request", "body": RAW})
            caller = Caller([])
            await middleware(app)(request(RAW, path=CHAT), broken, caller.send)
            assert caller.sent[0]["status"] == 200

    frames: list[dict[str, Any]] = []
    asyncio.run(main())


def test_frames_after_the_body_reach_the_app() -> None:
    """A message that is no disconnect, from an odd server, is handed on once and ends the listening."""
    oddity = {"type": "http.request", "body": b"", "more_body": False}
    messages = [{"type": "http.request", "body": RAW}, oddity]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.03)
        seen.extend([await receive(), await receive(), await receive()])
        await answer(send, 200, {})

    seen: list[Any] = []
    caller = Caller([])

    async def main() -> None:
        await middleware(app)(request(RAW), receive, caller.send)

    asyncio.run(main())
    assert seen[1:] == [oddity, {"type": "http.disconnect"}]
