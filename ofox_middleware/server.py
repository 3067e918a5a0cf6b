"""Serving an app on a socket: bind first, so that a port in use is a clear message and port 0 has a number to show."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from ofox_middleware.errors import OfoxError


class CannotListen(OfoxError):
    """The address cannot be listened on."""

    code = "cannot_listen"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host``; ``port`` 0 takes a free one.

    Raises:
        CannotListen: the address is in use, or not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(2048)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise CannotListen(
            f"cannot listen on {host}:{port} ({error.strerror or error}); choose another with --port, "
            "0 finds a free one."
        ) from None
    return listener


class _Server(uvicorn.Server):
    """A server that says when it is about to stop, for it then waits for the requests under way."""

    def __init__(self, app: ASGIApp, stopping: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=5, server_header=False
        )
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)


def _nothing() -> None:
    """What most apps do before they stop."""


def serve(app: ASGIApp, listener: socket.socket, *, stopping: Callable[[], None] = _nothing) -> int:
    """Serve until a signal asks to stop; returns the exit code. ``stopping`` is called when it does."""
    try:
        _Server(app, stopping).run(sockets=[listener])
    except KeyboardInterrupt:
        return 130
    return 0


@contextlib.contextmanager
def background(app: ASGIApp, listener: socket.socket, *, stopping: Callable[[], None] = _nothing) -> Iterator[None]:
    """Serve from a thread while the block runs. ``stopping`` is called at its end."""
    server = _Server(app, stopping)
    # Signals belong to the main thread, which is doing something else here.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="ofox-server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)
