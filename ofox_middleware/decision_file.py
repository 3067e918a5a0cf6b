"""The SQLite file that decisions are kept in: where it is, its tables, and who may read it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from ofox_middleware.errors import SettingsError

IN_MEMORY: Final = ":memory:"
SCHEMA_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS decisions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at REAL NOT NULL,
    decision TEXT NOT NULL,
    outcome TEXT,
    feedback REAL,
    ask TEXT
);
CREATE TABLE IF NOT EXISTS ledger (
    day TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    spent_usd REAL NOT NULL,
    strongest_usd REAL NOT NULL,
    cheapest_usd REAL NOT NULL,
    PRIMARY KEY (day, model)
);
"""


def default_path() -> Path:
    """Where ``ofox serve`` keeps its decisions: ``ofox/decisions.sqlite3`` in the user's state directory."""
    state = os.environ.get("XDG_STATE_HOME")
    base = Path(state) if state else Path.home() / ".local" / "state"
    return base / "ofox" / "decisions.sqlite3"


def open_file(path: str) -> sqlite3.Connection:
    """The database at ``path``, made if need be.

    Raises:
        SettingsError: the file cannot be used, or is not such a database.
    """
    try:
        if path != IN_MEMORY:
            _make(Path(path))
        # Used by one thread at a time: the store's lock sees to that.
        db = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            _check_version(db, path)
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        except BaseException:
            db.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(f"{path}: cannot be used as the decision store: {error}.") from None
    return db


def _check_version(db: sqlite3.Connection, path: str) -> None:
    found: int = db.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, SCHEMA_VERSION):
        raise SettingsError(f"{path}: was written by another version of ofox (schema {found}); name another file.")


def _make(path: Path) -> None:
    """An empty file that only its owner reads: which models are asked for is nobody else's business."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
