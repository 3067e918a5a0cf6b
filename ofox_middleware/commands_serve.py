"""The commands of ``ofox`` that serve: ``demo`` and ``serve``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, Final

from ofox_middleware.errors import InvalidRequest, OfoxError, SettingsError

DEFAULT_PORT: Final = 4100


def demo(options: argparse.Namespace) -> int:
    """Serve simulated providers, or take the scripted tour of them; fails with ``tour_failed`` where that is wrong."""
    from ofox_middleware import server

    default = 0 if options.tour else DEFAULT_PORT
    listener = server.listen("127.0.0.1", default if options.port is None else options.port)
    if not options.json:
        _say("Starting LiteLLM with simulated providers ...")
    from ofox_middleware.demo import Demo

    shown = Demo(seed=options.seed, pace=options.pace)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    if options.tour:
        return _tour(shown.app, listener, url, as_json=options.json)
    _greet(url, options.json, list(shown.simulation.models), console=True)
    _say_unless(
        options.json,
        f"""
Break something while it runs, in the console or with:
  curl {url}/demo/providers/north -d '{{"state": "down"}}'        # up, down, slow, limited""",
    )
    return server.serve(shown.app, listener, stopping=shown.console.stop)


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
            raise OfoxError(f"the tour found something wrong: {error}", code="tour_failed") from None
        finally:
            tour.close()
    return 0


def serve(options: argparse.Namespace) -> int:
    """Serve the operator's models; says first what callers need to know, and what is likely to go wrong."""
    from ofox_middleware import server
    from ofox_middleware.explain import router_of, settings_of

    key = os.environ.get("OFOX_SERVE_KEY") or None
    local = server.is_loopback(options.host)
    if not local and key is None and not options.open:
        raise InvalidRequest(
            f"listening on {options.host} would lend your API keys to whoever reaches it. Set OFOX_SERVE_KEY to what "
            "callers must present as their API key, or say --open.",
            code="usage",
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

    with server.listen(options.host, options.port) as listener:
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
            return server.serve(site.app, listener, stopping=site.stop)


def _say(text: str) -> None:
    print(text, flush=True)
