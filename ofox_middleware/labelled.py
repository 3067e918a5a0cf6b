"""Labelled requests from where an operator has them: a JSONL file, or the decision log with the feedback in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.errors import InvalidRequest

_SQLITE = b"SQLite format 3\0"


def labelled(path: Path) -> list[dict[str, Any]]:
    """Mappings of ``request``, ``model`` and ``score`` 0..1, for :func:`ofox_middleware.tune.tune`.

    Args:
        path: lines of JSON with these three; or a decision log, as the database or as ``ofox decisions --export``
            writes it. Of a log those decisions count that have feedback; the model is the one that answered.

    Raises:
        InvalidRequest: the file cannot be read, a line is no such object, or a log has feedback but no asks, since
            these are kept only with ``log_prompts``.
    """
    try:
        with path.open("rb") as file:
            database = file.read(len(_SQLITE)) == _SQLITE
    except OSError as error:
        raise InvalidRequest(f"{path}: cannot be read: {error.strerror or error}.", code="usage") from None
    if database:
        with DecisionStore(path) as store:
            entries = [json.loads(line) for line in store.export()]
    else:
        entries = list(_lines(path))
    logged = [entry for entry in entries if "feedback" in entry and "score" not in entry]
    if not logged:
        if database:
            raise InvalidRequest(f"{path}: holds no decision yet.", code="no_decisions")
        return entries
    rows = [entry for entry in entries if "score" in entry]
    judged = [entry for entry in logged if entry["feedback"] is not None]
    if judged and not any("ask" in entry for entry in judged):
        raise InvalidRequest(
            f"{path}: {len(judged)} decisions have feedback, but none its ask: set log_prompts, and ask for feedback "
            "again.",
            code="no_asks",
        )
    return rows + [_row(entry) for entry in judged if "ask" in entry]


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    outcome = entry.get("outcome") or {}
    return {"request": entry["ask"], "model": outcome.get("model") or entry.get("model"), "score": entry["feedback"]}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise InvalidRequest(f"{path}: cannot be read: {error.strerror or error}.", code="usage") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path}: is not UTF-8 text.") from None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise InvalidRequest(f"{path}:{number}: is not JSON.") from None
        if not isinstance(row, dict):
            raise InvalidRequest(f"{path}:{number}: is not a JSON object with request, model and score.")
        yield row
