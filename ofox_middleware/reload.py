"""Taking on a changed configuration while requests run: on a file's change, a signal or a call, whole or not at all."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ofox_middleware.errors import OfoxError, SettingsError
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings

log: Final = logging.getLogger("ofox_middleware.reload")

POLL_S: Final = 2.0
"""How often the file is looked at, seconds: one ``stat``, which works on every file system and in containers."""
SETTLE_S: Final = 0.2
"""A file that has changed must stay the same for this long before it is read: some editors write it in place."""
AT_START_ONLY: Final = frozenset({
    "config", "watch_config", "seed", "redis_url", "decision_log", "console_path", "console_token",
})  # fmt: skip
"""Settings that are read when things are built; a change of them waits for a restart."""


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What came of one reload.

    Attributes:
        at: when, seconds since the epoch.
        ok: whether the configuration that is now written is the one in force.
        changed: names of the settings that took on another value, never the values.
        needs_restart: names of changed settings that only a restart takes on.
        error: why the new configuration was refused; ``""`` when it was not.
    """

    at: float
    ok: bool
    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "at": round(self.at, 3),
            "ok": self.ok,
            "changed": list(self.changed),
            "needs_restart": list(self.needs_restart),
            "error": self.error,
        }


class Reloader:
    """Keeps a router's settings in step with where they are written.

    What is wrong is refused as a whole, and the settings in force stay. Health, conversations and requests under way
    are kept in any case. Give a reloader to :func:`~ofox_middleware.console.console` for a button and an API, or
    :meth:`start` it.

    Args:
        router: whose settings are replaced.
        read: reads the settings anew; raises ``SettingsError`` when they are wrong.
        path: the file whose change asks for a reload; ``None`` watches none.
        clock: seconds since the epoch.

    Attributes:
        last: what came of the last reload, ``None`` before the first.
    """

    def __init__(
        self,
        router: SmartRouter,
        read: Callable[[], Settings],
        path: Path | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.last: ReloadResult | None = None
        self._router = router
        self._read = read
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._seen = self._mark()

    def reload(self) -> ReloadResult:
        """Read the settings and take them on, or keep the old ones. Never raises for a wrong configuration."""
        with self._lock:
            self._seen = self._mark()
            before = self._router.settings
            try:
                if self._path is not None and self._seen is not None and self._seen[1] == 0:
                    # No settings at all are valid at a start; in the middle of the work, somebody is about to write.
                    raise SettingsError(f"{self._path}: is empty.")
                after = self._read()
                self._router.reload(after)
            except OfoxError as error:
                self.last = ReloadResult(self._clock(), ok=False, error=error.message)
                log.warning("the configuration was not reloaded: %s", error.message)
                return self.last
            changed = [name for name in type(after).model_fields if getattr(before, name) != getattr(after, name)]
            self.last = ReloadResult(
                self._clock(),
                ok=True,
                changed=tuple(name for name in changed if name not in AT_START_ONLY),
                needs_restart=tuple(name for name in changed if name in AT_START_ONLY),
            )
            log.info("the configuration was reloaded; changed: %s", ", ".join(changed) or "nothing")
            return self.last

    def reload_if_changed(self) -> ReloadResult | None:
        """Reload when the file is another one than was read last; ``None`` when it is the same."""
        return None if self._mark() == self._seen else self.reload()

    def start(self, poll_s: float = POLL_S) -> None:
        """Watch the file from a thread until :meth:`stop`. Starting twice is starting once, in each process."""
        # Threads do not outlive a fork, so a door calls this with every request it routes: a look when all is well.
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._stopping or (self._thread is not None and self._thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._watch, args=(poll_s,), name="ofox-reload", daemon=True)
            self._thread.start()

    @property
    def watches(self) -> bool:
        """Whether there is a file whose change is taken on."""
        return self._path is not None

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._asked.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
            self._thread = None

    def on_signal(self) -> None:
        """Reload on SIGHUP, where the system has it. For the main thread, beside :meth:`start`."""
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None:
            # A handler interrupts whatever runs, so it only rings; the thread does the work.
            signal.signal(hangup, lambda *_: self._asked.set())

    def _watch(self, poll_s: float) -> None:
        while not self._stopping:
            asked = self._asked.wait(poll_s)
            self._asked.clear()
            if self._stopping:
                return
            try:
                if asked:
                    self.reload()
                elif self._mark() != self._seen and self._settled():
                    self.reload_if_changed()
            except Exception:
                log.exception("the configuration was not reloaded")

    def _settled(self) -> bool:
        """Whether nobody is writing the file."""
        before = self._mark()
        self._asked.wait(SETTLE_S)
        return self._mark() == before

    def _mark(self) -> tuple[int, ...] | None:
        """What tells one version of the file from the next; ``None`` without a file.

        Editors and Kubernetes replace files, so the inode of what the name leads to belongs to it.
        """
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)  # noqa: PTH116 - follows links, as mounted configuration needs
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)


def reloader_of(router: SmartRouter, read: Callable[[], Settings]) -> Reloader | None:
    """For doors: what keeps ``router`` in step with the file that its settings came from, ``None`` without a file."""
    settings = router.settings
    if settings.config is None:
        return None
    return Reloader(router, read, settings.config if settings.watch_config else None)
