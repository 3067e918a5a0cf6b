"""A real Redis on loopback that is killed in the middle of a run and started again."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

DOWN_SHARE, UP_SHARE = 0.4, 0.65
"""Redis is killed after this share of a run, and started again after that one."""

START_S = 20.0


class Redis:
    """A ``redis-server`` of the arena's own; keeps nothing on disk.

    Attributes:
        url: for its clients.
        outage: seconds of the run when it was killed and when it answered again; empty before that.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        self.outage: tuple[float, ...] = ()
        self._port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    def start(self) -> None:
        """Starts it and waits until it answers. Raises ``RuntimeError`` when there is none, or it does not."""
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("no redis-server on this machine (Debian's package is called redis-server)")
        command = [program, "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 0.2) as talk:
                talk.sendall(b"PING\r\n")
                if talk.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.02)
        raise RuntimeError("redis-server does not answer")

    def kill(self) -> None:
        """Ends it without a goodbye."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def failing(self, began: float, seconds: float) -> Iterator[None]:
        """Kills it and starts it again during a run that began at ``began`` (monotonic) and lasts ``seconds``."""
        thread = threading.Thread(target=self._fail, args=(began, seconds))
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def _fail(self, began: float, seconds: float) -> None:
        if self._stopped.wait(max(0.0, began + DOWN_SHARE * seconds - time.monotonic())):
            return
        self.kill()
        down = time.monotonic() - began
        if self._stopped.wait(max(0.0, began + UP_SHARE * seconds - time.monotonic())):
            self.outage = (down,)
            return
        self.start()
        self.outage = (down, time.monotonic() - began)
