"""The ``ofox`` command. Subcommands import what they need themselves, so that each starts as fast as it can.

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

from ofox_middleware import __version__
from ofox_middleware.errors import OfoxError, SettingsError

DEFAULT_PORT = 4100


class UsageError(Exception):
    """The command cannot start as it was typed; the message says what to do instead."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one ``ofox`` command and return its exit code."""
    options = parser().parse_args(argv)
    as_json = getattr(options, "json", False)
    try:
        code: int = options.run(options)
    except UsageError as error:
        return _complain(str(error), "usage", as_json, 2)
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
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    demo = _command(commands, "demo", _demo, "serve simulated providers: no API key, no network")
    demo.add_argument("--tour", action="store_true", help="send the scripted requests, show one row each, and exit")
    demo.add_argument("--port", type=_port, help=f"port on 127.0.0.1, 0 for a free one (default {DEFAULT_PORT})")
    demo.add_argument("--seed", type=int, default=7, help="makes answers and times repeatable (default 7)")
    demo.add_argument("--pace", type=_pace, default=1.0, help="multiplies simulated times; 0 answers at once")

    serve = _command(commands, "serve", _serve, "an OpenAI-compatible gateway over real providers")
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

    explain = _command(commands, "explain", _explain, "which model a request would go to, and why; calls no model")
    explain.add_argument("prompt", nargs="?", help="a prompt; - reads it from standard input")
    explain.add_argument("--file", type=Path, help="a request body (JSON) or many (JSONL)")
    explain.add_argument("--preference", help="balanced, quality, speed, cost, or a profile of the configuration")
    explain.add_argument("--models", help="candidates, comma-separated names or * globs")
    explain.add_argument("--max-cost", type=float, metavar="USD", help="leave out models expected to cost more")
    explain.add_argument("--config", type=Path, metavar="FILE", help="YAML settings (default: OFOX_CONFIG and OFOX_*)")

    check = _command(commands, "check", _check, "validate a configuration and say what it means")
    check.add_argument("file", type=Path, metavar="FILE", help="YAML settings")

    init = _command(commands, "init", _command_of("init"), "write a commented configuration for the keys that are set")
    init.add_argument("file", type=Path, nargs="?", default=Path("ofox.yaml"), help="- prints it (default ofox.yaml)")
    init.add_argument("--litellm", type=Path, metavar="FILE", help="take the models of a LiteLLM proxy's YAML")
    init.add_argument("--force", action="store_true", help="overwrite the file")

    bench = _command(
        commands, "bench", _command_of("bench"), "how quick routing is here, or what it makes of requests of your own"
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

    tune = _command(commands, "tune", _command_of("tune"), "fit difficulty and abilities to outcomes of your own")
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

    decisions = _command(
        commands, "decisions", _command_of("decisions"), "what `ofox serve` decided, and what it saved"
    )
    decisions.add_argument("id", nargs="?", help="the x-ofox-decision-id of one, which is shown whole")
    decisions.add_argument("--file", type=Path, help="the store (default: in the state directory)")
    decisions.add_argument("--limit", type=int, default=20, help="how many of the latest (default 20)")
    decisions.add_argument("--export", action="store_true", help="all of them as JSON lines, oldest first")

    completion = _command(commands, "completion", _command_of("complete"), "shell completion: eval its output")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    completion.set_defaults(parser=parser)
    return top


def _command_of(name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        from ofox_middleware import commands

        code: int = getattr(commands, name)(options)
        return code

    return run


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help_text: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text)
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


def _say(text: str) -> None:
    print(text, flush=True)


# demo and serve --------------------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    from ofox_middleware.server import listen, serve

    default = 0 if options.tour else DEFAULT_PORT
    listener = listen("127.0.0.1", default if options.port is None else options.port)
    if not options.json:
        _say("Starting LiteLLM with simulated providers ...")
    from ofox_middleware.demo import Demo

    demo = Demo(seed=options.seed, pace=options.pace)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if options.tour:
        return _tour(demo.app, listener, url, as_json=options.json)
    _greet(url, options.json, list(demo.simulation.models), console=True)
    _say_unless(
        options.json,
        f"""
Break something while it runs, in the console or with:
  curl {url}/demo/providers/north -d '{{"state": "down"}}'        # up, down, slow, limited""",
    )
    return serve(demo.app, listener, stopping=demo.console.stop)


def _say_unless(as_json: bool, text: str) -> None:
    if not as_json:
        _say(text)


def _greet(url: str, as_json: bool, models: list[str], *, console: bool) -> None:
    page = f"{url}/ofox/" if console else None
    if as_json:
        _say(json.dumps({"url": url, "base_url": f"{url}/v1", "console": page, "models": models}))
        return
    seen = f"\nWatch it decide:  {page}\n" if console else ""
    _say(
        f"""Ofox serves {len(models)} models on {url}  (Ctrl-C stops it)
{seen}
  curl {url}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{"model": "auto", "messages": [{{"role": "user", "content": "What is the capital of France?"}}]}}'

  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="not-needed")
  client.chat.completions.create(model="auto", messages=[...])"""
    )


def _tour(app: Any, listener: Any, url: str, *, as_json: bool) -> int:
    from ofox_middleware.render import tour_table
    from ofox_middleware.server import background
    from ofox_middleware.tour import Tour, TourFailed

    with background(app, listener):
        tour = Tour(url)
        try:
            if as_json:
                for row in tour.rows():
                    _say(json.dumps(row.to_dict()))
            else:
                tour_table(tour.rows(), tour.savings)
        except TourFailed as error:
            return _complain(f"the tour found something wrong: {error}", "tour_failed", as_json, 1)
        finally:
            tour.close()
    return 0


def _serve(options: argparse.Namespace) -> int:
    from ofox_middleware.explain import router_of, settings_of
    from ofox_middleware.server import is_loopback, listen, serve

    key = os.environ.get("OFOX_SERVE_KEY") or None
    local = is_loopback(options.host)
    if not local and key is None and not options.open:
        raise UsageError(
            f"listening on {options.host} would lend your API keys to whoever reaches it. Set OFOX_SERVE_KEY to what "
            "callers must present as their API key, or say --open."
        )
    router = router_of(settings_of(options.config))
    names = [facts.name for facts in router.pool]
    if not names:
        raise SettingsError(
            "there is no model to serve: name some under `models` in a file for --config, in OFOX_MODELS, or set the "
            "API key of a provider, such as OPENAI_API_KEY."
        )
    from ofox_middleware.check import missing_keys, strange_providers
    from ofox_middleware.console_access import SHORTEST_TOKEN

    with listen(options.host, options.port) as listener:
        _say_unless(options.json, "Starting LiteLLM ...")
        from ofox_middleware.gateway_access import INSTALL_PROXY, lacks_proxy_extra
        from ofox_middleware.site import Site

        if key is not None and len(key) < SHORTEST_TOKEN:
            print(
                f"ofox: OFOX_SERVE_KEY has fewer than {SHORTEST_TOKEN} characters and can be guessed; whoever does so "
                "uses your API keys. `openssl rand -hex 16` makes a good one.",
                file=sys.stderr,
                flush=True,
            )
        lacking = [*strange_providers(router), *missing_keys(router, os.environ)]
        for doubt in (*lacking, *([INSTALL_PROXY] if lacks_proxy_extra() else [])):
            print(f"ofox: {doubt}", file=sys.stderr, flush=True)

        wanted = not options.no_console
        site = Site(router, key=key, local=local, console=wanted, decisions=options.decisions, config=options.config)
        host = "127.0.0.1" if options.host in {"0.0.0.0", "::"} else options.host  # noqa: S104 - compared, not bound
        _greet(f"http://{host}:{listener.getsockname()[1]}", options.json, names, console=site.has_console)
        if wanted and key is not None:
            asks = "asks for OFOX_SERVE_KEY" if site.has_console else "is off: OFOX_SERVE_KEY is too short to guard it"
            _say_unless(options.json, f"\nThe console {asks}.")
        with site.running():
            return serve(site.app, listener, stopping=site.stop)


# explain ---------------------------------------------------------------------------------------------------------


def _explain(options: argparse.Namespace) -> int:
    from ofox_middleware.explain import explain, names, read_requests, router_for
    from ofox_middleware.progress import progress

    requests = read_requests(options.prompt, options.file)
    models = names(options.models)
    router, note = router_for(options.config, models)
    wishes = {"models": models, "preference": options.preference, "max_cost_usd": options.max_cost}
    with progress(requests, "deciding") as each:
        results = [explain(router, request, wishes) for request in each]
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


# check -----------------------------------------------------------------------------------------------------------


def _check(options: argparse.Namespace) -> int:
    from ofox_middleware.check import check
    from ofox_middleware.explain import router_of, settings_of

    if not options.file.exists():
        raise UsageError(f"{options.file} does not exist; `ofox init {options.file}` writes one.")
    report = check(router_of(settings_of(options.file)), os.environ)
    if options.json:
        print(json.dumps(report.to_dict(), indent=2))
        return 0
    from ofox_middleware.render import report as show

    show(report)
    return 0
