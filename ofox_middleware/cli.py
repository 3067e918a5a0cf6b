"""The ``ofox`` command: its grammar and its exit codes. Each subcommand imports what it needs when it runs, so that
it starts as fast as it can.

Exit codes: 0 done; 1 the answer is no (a wrong configuration, no candidate, nothing tuned, a failed tour); 2 wrong
usage, such as a file that is not there; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ofox_middleware import __version__, commands, commands_serve
from ofox_middleware.commands_serve import DEFAULT_PORT
from ofox_middleware.completion import SHELLS
from ofox_middleware.errors import OfoxError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one ``ofox`` command and return its exit code."""
    options = parser().parse_args(argv)
    as_json = getattr(options, "json", False)
    try:
        code: int = options.run(options)
    except OfoxError as error:
        return _complain(error.message, error.code, as_json, 2 if error.code == "usage" else 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _complain(message: str, code: str, as_json: bool, exit_code: int) -> int:
    if as_json:
        print(json.dumps({"error": {"message": message, "code": code}}))
    else:
        print(f"ofox: {message}", file=sys.stderr)
    return exit_code


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="ofox", description='model: "auto" that people trust: the best model for each request, and why.'
    )
    top.add_argument("--version", action="version", version=f"ofox-middleware {__version__}")
    verbs = top.add_subparsers(required=True, metavar="COMMAND")

    demo = _command(verbs, "demo", commands_serve.demo, "serve simulated providers: no API key, no network")
    demo.add_argument("--tour", action="store_true", help="send the scripted requests, show one row each, and exit")
    demo.add_argument("--port", type=_port, help=f"port on 127.0.0.1, 0 for a free one (default {DEFAULT_PORT})")
    demo.add_argument("--seed", type=int, default=7, help="makes answers and times repeatable (default 7)")
    demo.add_argument("--pace", type=_pace, default=1.0, help="multiplies simulated times; 0 answers at once")

    serve = _command(verbs, "serve", commands_serve.serve, "an OpenAI-compatible gateway over real providers")
    serve.add_argument("--config", type=Path, metavar="FILE", help="YAML settings (default: OFOX_CONFIG and OFOX_*)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=_port, default=DEFAULT_PORT, help=f"0 for a free one (default {DEFAULT_PORT})")
    serve.add_argument("--open", action="store_true", help="listen beyond this machine without asking for a key")
    serve.add_argument("--no-console", action="store_true", help="do not serve the console at /ofox/")
    serve.add_argument(
        "--decisions",
        metavar="FILE",
        help="SQLite file for decisions, :memory: for none (default: in the state directory)",
    )

    explain = _command(verbs, "explain", commands.explain, "which model a request would go to, and why; calls no model")
    explain.add_argument("prompt", nargs="?", help="a prompt; - reads it from standard input")
    explain.add_argument("--file", type=Path, help="a request body (JSON) or many (JSONL)")
    explain.add_argument("--preference", help="balanced, quality, speed, cost, or a profile of the configuration")
    explain.add_argument("--models", help="candidates, comma-separated names or * globs")
    explain.add_argument("--max-cost", type=float, metavar="USD", help="leave out models expected to cost more")
    explain.add_argument("--config", type=Path, metavar="FILE", help="YAML settings (default: OFOX_CONFIG and OFOX_*)")

    check = _command(verbs, "check", commands.check, "validate a configuration and say what it means")
    check.add_argument("file", type=Path, metavar="FILE", help="YAML settings")

    init = _command(verbs, "init", commands.init, "write a commented configuration for the keys that are set")
    init.add_argument("file", type=Path, nargs="?", default=Path("ofox.yaml"), help="- prints it (default ofox.yaml)")
    init.add_argument("--litellm", type=Path, metavar="FILE", help="take the models of a LiteLLM proxy's YAML")
    init.add_argument("--force", action="store_true", help="overwrite the file")

    bench = _command(
        verbs, "bench", commands.bench, "how quick routing is here, or what it makes of requests of your own"
    )
    bench.add_argument(
        "what",
        nargs="?",
        default="speed",
        metavar="FILE",
        help="requests (JSONL); `speed`, the default, times decisions",
    )
    bench.add_argument("--models", help="candidates, comma-separated names or * globs")
    bench.add_argument("--config", type=Path, metavar="FILE", help="YAML settings (default: OFOX_CONFIG and OFOX_*)")
    bench.add_argument("--seconds", type=_seconds, default=0.5, help="how long each kind is timed (default 0.5)")
    bench.add_argument("--seed", type=int, default=0, help="makes prompts and ties repeatable (default 0)")

    tune = _command(verbs, "tune", commands.tune, "fit difficulty and abilities to outcomes of your own")
    tune.add_argument(
        "outcomes",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="JSONL of request (body or text), model, score 0..1; or a decision log with feedback (default: serve's)",
    )
    tune.add_argument("--out", type=Path, required=True, help="the file to write, for the setting difficulty_weights")
    tune.add_argument("--min-requests", type=int, default=100, help="refuse with fewer (default 100)")
    tune.add_argument("--seed", type=int, default=0, help="makes split and fit repeatable (default 0)")

    decisions = _command(verbs, "decisions", commands.decisions, "what `ofox serve` decided, and what it saved")
    decisions.add_argument("id", nargs="?", help="the x-ofox-decision-id of one, which is shown whole")
    decisions.add_argument("--file", type=Path, help="the store (default: in the state directory)")
    decisions.add_argument("--limit", type=int, default=20, help="how many of the latest (default 20)")
    decisions.add_argument("--export", action="store_true", help="all of them as JSON lines, oldest first")

    completion = _command(verbs, "completion", commands.complete, "shell completion: eval its output")
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(parser=parser)
    return top


def _command(
    verbs: Any, name: str, run: Callable[[argparse.Namespace], int], help_text: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = verbs.add_parser(name, help=help_text, description=help_text)
    command.add_argument("--json", action="store_true", help="print JSON for programs")
    command.set_defaults(run=run)
    return command


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 60:
        raise argparse.ArgumentTypeError("must be a number of seconds, at most 60")
    return seconds


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = -1.0
    if not 0 <= pace <= 100:
        raise argparse.ArgumentTypeError("must be a number from 0 to 100")
    return pace
