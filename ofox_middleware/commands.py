"""The commands of ``ofox`` that read and write files: ``init``, ``decisions``, ``tune``, ``bench``, ``completion``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from ofox_middleware.catalog import Catalog
from ofox_middleware.completion import completion
from ofox_middleware.decision_file import default_path
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.errors import InvalidRequest
from ofox_middleware.labelled import labelled
from ofox_middleware.progress import progress
from ofox_middleware.starter import starter


def init(options: argparse.Namespace) -> int:
    """Write a commented configuration; refuses to overwrite one without ``--force``."""
    text = starter(Catalog.load(), os.environ, options.litellm)
    path: Path = options.file
    if str(path) == "-":
        sys.stdout.write(text)
        return 0
    try:
        with path.open("w" if options.force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InvalidRequest(f"{path} exists; name another file, or say --force.", code="exists") from None
    except OSError as error:
        raise InvalidRequest(f"{path}: cannot be written: {error.strerror or error}.", code="cannot_write") from None
    if options.json:
        sys.stdout.write(json.dumps({"file": str(path)}) + "\n")
    else:
        sys.stdout.write(f"Wrote {path}. Next: ofox check {path}, then: ofox serve --config {path}\n")
    return 0


def decisions(options: argparse.Namespace) -> int:
    """One decision by its id, the latest ones, or all of them as JSON lines."""
    path: Path = options.file or default_path()
    if not path.exists():
        raise InvalidRequest(f"{path} does not exist: `ofox serve` has written nothing there yet.", code="no_decisions")
    with DecisionStore(path) as store:
        if options.export:
            sys.stdout.writelines(store.export())
            return 0
        if options.id is not None:
            entry = store.get(options.id)
            if entry is None:
                raise InvalidRequest(f"{options.id}: no such decision; the oldest are forgotten.", code="not_found")
            sys.stdout.write(json.dumps(entry.to_dict(), indent=2) + "\n")
            return 0
        entries = [entry.to_dict() for entry in store.recent(options.limit)]
        savings = store.savings().to_dict()
    if options.json:
        sys.stdout.write(json.dumps({"decisions": entries, "savings": savings}) + "\n")
        return 0
    from ofox_middleware.render import stored  # noqa: PLC0415 - rich is not needed for JSON

    stored(entries, savings)
    return 0


def complete(options: argparse.Namespace) -> int:
    """The completion script of a shell."""
    sys.stdout.write(completion(options.parser(), options.shell))
    return 0


def tune(options: argparse.Namespace) -> int:
    """Fits difficulty and abilities to outcomes of one's own; 1 when nothing was written."""
    from ofox_middleware import tune as tuning  # noqa: PLC0415

    path = options.outcomes or default_path()
    if options.outcomes is None and not path.exists():
        raise InvalidRequest(f"{path} does not exist: name a file of outcomes.", code="no_decisions")
    rows = labelled(path)
    try:
        with progress(rows, "reading", then="fitting") as each:
            report = tuning.tune(each, out=options.out, min_requests=options.min_requests, seed=options.seed)
    except OSError as error:
        raise InvalidRequest(f"{options.out}: cannot be written: {error.strerror or error}.", code="usage") from None
    except ValueError as error:
        raise InvalidRequest(f"{path}: {error}.") from None
    sys.stdout.write((json.dumps(report.to_dict()) if options.json else str(report)) + "\n")
    return 0 if report.written else 1


def bench(options: argparse.Namespace) -> int:
    """Times decisions, or adds up what routing makes of a file of requests; 1 when no model can serve any of them."""
    from ofox_middleware import bench as benches  # noqa: PLC0415
    from ofox_middleware.explain import names, read_requests, router_for  # noqa: PLC0415

    models = names(options.models)
    timing = options.what == "speed"
    requests = [] if timing else read_requests(None, Path(options.what))
    router, note = router_for(options.config, models, seed=options.seed, redis_url=None, console_path=None)
    speeds: list[benches.Speed] = []
    result = None
    if timing:
        with progress(list(benches.KINDS), "timing") as each:
            speeds = [benches.speed(router, kind, models=models, seconds=options.seconds) for kind in each]
        told: dict[str, Any] = {"speed": [row.to_dict() for row in speeds]}
    else:
        with progress(requests, "deciding") as each:
            result = benches.bench(router, each, models=models)
        told = result.to_dict()
    if options.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        from ofox_middleware import render  # noqa: PLC0415 - rich is not needed for JSON

        if note:
            print(f"ofox: {note}", file=sys.stderr, flush=True)  # noqa: T201
        if result is None:
            render.speeds(speeds)
        else:
            render.benched(result)
    return 0 if result is None or len(result.refused) < result.requests else 1
