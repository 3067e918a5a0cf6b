"""The commands of ``ofox`` that answer and end; those that serve are in :mod:`~ofox_middleware.commands_serve`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from ofox_middleware.errors import InvalidRequest
from ofox_middleware.progress import progress


def explain(options: argparse.Namespace) -> int:
    """Which model each request would go to, and why; 1 when one of them has no candidate."""
    from ofox_middleware import explain as explaining
    from ofox_middleware.explain import names, read_requests, router_for

    requests = read_requests(options.prompt, options.file)
    models = names(options.models)
    router, note = router_for(options.config, models)
    wishes = {"models": models, "preference": options.preference, "max_cost_usd": options.max_cost}
    with progress(requests, "deciding") as each:
        results = [explaining.explain(router, request, wishes) for request in each]
    failed = any(result.error is not None for result in results)
    if options.json:
        for result in results:
            print(json.dumps(result.to_dict()))
    else:
        from ofox_middleware.check import strange_providers
        from ofox_middleware.render import explanation, explanations

        for doubt in (*([note] if note else []), *strange_providers(router)):
            print(f"ofox: {doubt}", file=sys.stderr)
        if len(results) == 1 and results[0].decision is not None:
            explanation(results[0].decision, router)
        elif len(results) == 1:
            print(f"ofox: {results[0].error}", file=sys.stderr)
        else:
            explanations(results)
    return 1 if failed else 0


def check(options: argparse.Namespace) -> int:
    """What a configuration means."""
    from ofox_middleware import check as checking
    from ofox_middleware.explain import router_of, settings_of

    if not options.file.exists():
        raise InvalidRequest(f"{options.file} does not exist; `ofox init {options.file}` writes one.", code="usage")
    report = checking.check(router_of(settings_of(options.file)), os.environ)
    if options.json:
        print(json.dumps(report.to_dict(), indent=2))
        return 0
    from ofox_middleware.render import report as show

    show(report)
    return 0


def init(options: argparse.Namespace) -> int:
    """Write a commented configuration; refuses to overwrite one without ``--force``."""
    from ofox_middleware.catalog import Catalog
    from ofox_middleware.starter import starter

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
    from ofox_middleware.decision_file import default_path
    from ofox_middleware.decision_store import DecisionStore

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
    from ofox_middleware.render import stored

    stored(entries, savings)
    return 0


def complete(options: argparse.Namespace) -> int:
    """The completion script of a shell."""
    from ofox_middleware.completion import completion

    sys.stdout.write(completion(options.parser(), options.shell))
    return 0


def tune(options: argparse.Namespace) -> int:
    """Fits difficulty and abilities to outcomes of one's own; 1 when nothing was written."""
    from ofox_middleware import tune as tuning
    from ofox_middleware.decision_file import default_path
    from ofox_middleware.labelled import labelled

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
    from ofox_middleware import bench as benches
    from ofox_middleware.bench_speed import KINDS, Speed, speed
    from ofox_middleware.explain import names, read_requests, router_for

    models = names(options.models)
    timing = options.what == "speed"
    requests = [] if timing else read_requests(None, Path(options.what))
    router, note = router_for(options.config, models, seed=options.seed, redis_url=None, console_path=None)
    speeds: list[Speed] = []
    result = None
    if timing:
        with progress(list(KINDS), "timing") as each:
            speeds = [speed(router, kind, models=models, seconds=options.seconds) for kind in each]
        told: dict[str, Any] = {"speed": [row.to_dict() for row in speeds]}
    else:
        with progress(requests, "deciding") as each:
            result = benches.bench(router, each, models=models)
        told = result.to_dict()
    if options.json:
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        from ofox_middleware import render

        if note:
            print(f"ofox: {note}", file=sys.stderr, flush=True)
        if result is None:
            render.speeds(speeds)
        else:
            render.benched(result)
    return 0 if result is None or len(result.refused) < result.requests else 1
