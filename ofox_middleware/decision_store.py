"""Decisions, outcomes and feedback in a bounded SQLite database, written from a thread. See :class:`DecisionStore`."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.decision_file import IN_MEMORY, open_file
from ofox_middleware.redaction import redact
from ofox_middleware.router import SmartRouter
from ofox_middleware.savings import Savings, price

log: Final = logging.getLogger("ofox_middleware.decision_store")

BATCH_S: Final = 0.2
"""How long the writer gathers events before it writes them in one transaction; seconds."""
IDLE_S: Final = 30.0
"""A writer without events ends after this, and the next event starts another; seconds."""
LONGEST_ASK: Final = 2_000
"""Characters kept of an ask, when asks are kept at all."""

_ENTER: Final = """
INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, model) DO UPDATE SET
    requests = requests + excluded.requests, unpriced = unpriced + excluded.unpriced,
    spent_usd = spent_usd + excluded.spent_usd, strongest_usd = strongest_usd + excluded.strongest_usd,
    cheapest_usd = cheapest_usd + excluded.cheapest_usd
"""
_COLUMNS: Final = "at, decision, outcome, feedback, ask"


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One routed request as it was written down.

    Attributes:
        at: when it was decided, seconds since the epoch.
        decision: ``Decision.to_dict()``.
        outcome: how it ended; ``None`` while it runs.
        feedback: how good the answer was, 0..1; ``None`` when nobody has said.
        ask: the human ask, redacted; ``None`` unless prompts are logged.
    """

    at: float
    decision: dict[str, Any]
    outcome: dict[str, Any] | None
    feedback: float | None
    ask: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        entry = {"at": round(self.at, 3), **self.decision, "outcome": self.outcome, "feedback": self.feedback}
        return entry if self.ask is None else {**entry, "ask": self.ask}


def store_of(router: SmartRouter) -> DecisionStore | None:
    """For doors: the store that ``Settings.decision_log`` asks for, subscribed once to a router that doors share.

    Raises:
        SettingsError: the file cannot be used.
    """
    path = router.settings.decision_log
    if path is None:
        return None
    for observer in router.observers:
        if isinstance(observer, DecisionStore) and observer.path == str(path):
            return observer
    store = DecisionStore(path)
    router.subscribe(store)
    return store


class DecisionStore:
    """An observer of :class:`~ofox_middleware.router.SmartRouter` that writes down what was decided and how it ended.

    Subscribe it with ``router.subscribe(store)``. The request path only appends to a queue; a thread of the store
    turns events into rows. Reads write the queue out first, so they see every event before them. When the disk cannot
    keep up or fails, events are dropped and counted, and requests go on.

    No prompt text is kept unless ``Settings.log_prompts`` is on; then the last human ask is, without what looks like
    a credential. The savings cover every request ever entered, also those whose rows were dropped: they are kept as
    sums per day and model, and ledgers of several files add up.

    Args:
        path: the database; ``:memory:`` keeps it in this process. Its directory is made, readable by its owner only.
        max_rows: decisions kept; the oldest go first.
        max_pending: events that may wait for the writer.
        clock: seconds since the epoch.

    Attributes:
        stats: counts of ``written``, ``dropped`` and ``failed`` events.

    Raises:
        SettingsError: the file cannot be opened, or is not such a database.
        ValueError: ``max_rows`` or ``max_pending`` is under 1.
    """

    def __init__(
        self,
        path: Path | str = IN_MEMORY,
        *,
        max_rows: int = 10_000,
        max_pending: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if min(max_rows, max_pending) < 1:
            raise ValueError("max_rows and max_pending must be at least 1")
        self.path = str(path)
        self.stats: Counter[str] = Counter()
        self._max_rows = max_rows
        self._max_pending = max_pending
        self._clock = clock
        self._pending: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._writer: threading.Thread | None = None
        self._db = open_file(self.path)
        self._process = os.getpid()
        # Also for a store that nobody closes: at its end, or at the interpreter's.
        self._close_db = weakref.finalize(self, self._db.close)
        # Not at the interpreter's exit: the writer may be at work then, and the system closes the file anyway.
        self._close_db.atexit = False

    def __enter__(self) -> DecisionStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write out what waits and close the database. Calling it again does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake.set()
        if self._writer is not None:
            self._writer.join(timeout=10)
        with self._lock:
            self._write_pending()
            self._close_db()

    # Observer --------------------------------------------------------------------------------------------------------

    def decided(self, decision: Decision) -> None:
        """Remember ``decision``."""
        at = self._clock()
        self._later(lambda: self._insert(at, decision))

    def asked(self, decision: Decision, ask: str) -> None:
        """Keep the ask of ``decision``; the router says it only when prompts are logged."""
        self._later(lambda: self._update("ask", _presentable(ask), decision.id))

    def ended(self, outcome: Outcome) -> None:
        """Note how a request ended and enter it in the ledger. One request counts once, however often it is told."""
        at = self._clock()
        self._later(lambda: self._end(at, outcome))

    # Reads and feedback ----------------------------------------------------------------------------------------------

    def feedback(self, decision_id: str, score: float) -> bool:
        """Note how good an answer was, 0..1. Returns whether the decision is known.

        Raises:
            ValueError: ``score`` lies outside 0..1.
        """
        if not 0 <= score <= 1:
            raise ValueError("score must be from 0 to 1")
        with self._reading() as db:
            cursor = db.execute("UPDATE decisions SET feedback = ? WHERE id = ?", (score, decision_id))
            return cursor.rowcount > 0

    def get(self, decision_id: str) -> StoredEntry | None:
        """The entry of one decision, ``None`` when it is unknown or forgotten."""
        with self._reading() as db:
            row = db.execute(f"SELECT {_COLUMNS} FROM decisions WHERE id = ?", (decision_id,)).fetchone()  # noqa: S608
        return None if row is None else _entry(row)

    def recent(self, limit: int = 50) -> list[StoredEntry]:
        """The last ``limit`` entries, newest first."""
        with self._reading() as db:
            query = f"SELECT {_COLUMNS} FROM decisions ORDER BY seq DESC LIMIT ?"  # noqa: S608 - constant columns
            rows = db.execute(query, (max(limit, 0),)).fetchall()
        return [_entry(row) for row in rows]

    def savings(self) -> Savings:
        """The ledger over all days."""
        total = Savings()
        with self._reading() as db:
            rows = db.execute(
                "SELECT model, SUM(requests), SUM(unpriced), SUM(spent_usd), SUM(strongest_usd), SUM(cheapest_usd) "
                "FROM ledger GROUP BY model"
            ).fetchall()
        for model, requests, unpriced, spent, strongest, cheapest in rows:
            total.requests += requests
            total.unpriced += unpriced
            total.spent_usd += spent
            total.strongest_usd += strongest
            total.cheapest_usd += cheapest
            if requests:
                total.by_model[model] = (requests, spent)
        return total

    def export(self, page: int = 500) -> Iterator[str]:
        """Every kept entry as a line of JSON, oldest first. Reads ``page`` rows at a time, so writing goes on."""
        last = 0
        while True:
            with self._reading() as db:
                query = f"SELECT seq, {_COLUMNS} FROM decisions WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
                rows = db.execute(query, (last, page)).fetchall()
            for row in rows:
                yield json.dumps(_entry(row[1:]).to_dict()) + "\n"
            if len(rows) < page:
                return
            last = rows[-1][0]

    def __len__(self) -> int:
        with self._reading() as db:
            count: int = db.execute("SELECT COUNT(*) FROM decisions").fetchone()[0]
        return count

    # The writer ------------------------------------------------------------------------------------------------------

    def _later(self, write: Callable[[], object]) -> None:
        if self._closing.is_set() or len(self._pending) >= self._max_pending:
            self.stats["dropped"] += 1
            return
        self._pending.append(write)
        if self._writer is None:
            self._start()
        self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._writer is None:
                # Not before the first event: servers fork after they have built their app, and threads do not survive.
                self._writer = threading.Thread(target=self._write_on, name="ofox-decisions", daemon=True)
                self._writer.start()

    def _write_on(self) -> None:
        while not self._closing.is_set():
            if not self._wake.wait(IDLE_S) and self._may_rest():
                return
            self._closing.wait(BATCH_S)
            self._wake.clear()
            with self._lock:
                self._write_pending()

    def _may_rest(self) -> bool:
        """Whether the thread may end, so that it does not keep a forgotten store alive."""
        with self._lock:
            # In this order: an event that comes after the look at the queue finds no writer, and starts one.
            self._writer, resting = None, self._writer
            if self._pending:
                self._writer = resting
            return self._writer is None

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._write_pending()
            with self._db:
                yield self._db

    def _write_pending(self) -> None:
        """Turns what waits into rows, in one transaction. The lock must be held."""
        self._follow_fork()
        writes = [self._pending.popleft() for _ in range(len(self._pending))]
        if not writes:
            return
        try:
            with self._db:
                for write in writes:
                    write()
                self._forget_oldest()
        except Exception:
            self.stats["failed"] += len(writes)
            log.exception("%d events could not be written to %s", len(writes), self.path)
            return
        self.stats["written"] += len(writes)

    def _follow_fork(self) -> None:
        """A connection must not be used by another process than opened it, and servers fork when the app is built."""
        if self._process != os.getpid() and self.path != IN_MEMORY:
            # The old connection is the other process's: neither used nor closed here.
            self._close_db.detach()
            self._inherited = self._db
            self._db = open_file(self.path)
            self._close_db = weakref.finalize(self, self._db.close)
            self._close_db.atexit = False
        self._process = os.getpid()

    def _insert(self, at: float, decision: Decision) -> None:
        row = (decision.id, at, json.dumps(decision.to_dict()))
        self._db.execute("INSERT OR IGNORE INTO decisions (id, at, decision) VALUES (?, ?, ?)", row)

    def _update(self, column: str, value: str, decision_id: str) -> int:
        query = f"UPDATE decisions SET {column} = ? WHERE id = ? AND {column} IS NULL"  # noqa: S608 - ours, not input
        return self._db.execute(query, (value, decision_id)).rowcount

    def _end(self, at: float, outcome: Outcome) -> None:
        first_time = self._update("outcome", json.dumps(outcome.to_dict()), outcome.decision.id) > 0
        known = first_time or self._knows(outcome.decision.id)
        if not outcome.ok or (known and not first_time):
            return
        priced = price(outcome)
        counts = (0, 1) if priced is None else (1, 0)
        sums = (0.0, 0.0, 0.0) if priced is None else (priced.spent_usd, priced.strongest_usd, priced.cheapest_usd)
        day = time.strftime("%Y-%m-%d", time.gmtime(at))
        self._db.execute(_ENTER, (day, outcome.model, *counts, *sums))

    def _knows(self, decision_id: str) -> bool:
        return self._db.execute("SELECT 1 FROM decisions WHERE id = ?", (decision_id,)).fetchone() is not None

    def _forget_oldest(self) -> None:
        self._db.execute(
            "DELETE FROM decisions WHERE seq <= (SELECT seq FROM decisions ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (self._max_rows,),
        )


def _presentable(ask: str) -> str:
    """A bounded part of ``ask`` that may be written down."""
    # Redacted before it is cut, for a half key does not look like one.
    text = redact(ask[: 2 * LONGEST_ASK])[:LONGEST_ASK]
    return text.encode("utf-8", "replace").decode()


def _entry(row: tuple[Any, ...]) -> StoredEntry:
    at, decision, outcome, feedback, ask = row
    return StoredEntry(at, json.loads(decision), None if outcome is None else json.loads(outcome), feedback, ask)
