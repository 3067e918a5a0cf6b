"""``ofox serve`` and ``ofox demo``, as far as they get without a server."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from ofox_middleware import cli, server
from ofox_middleware.tour import TourFailed
from tests.cli_tools import forget_environment, ofox, write_config


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(monkeypatch)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def test_serve_does_not_lend_keys_to_the_network(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """Listening beyond loopback without a key is refused with what to do."""
    ran = ofox(capsys, "serve", "--config", config, "--host", "0.0.0.0")
    assert ran.code == 2 and "OFOX_SERVE_KEY" in ran.err and "--open" in ran.err


def test_serve_without_models_says_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    """No pool and no keys: the message names both ways out."""
    ran = ofox(capsys, "serve", "--port", "0")
    assert ran.code == 1 and "OFOX_MODELS" in ran.err and "OPENAI_API_KEY" in ran.err


def test_a_port_in_use_is_a_clear_message(capsys: pytest.CaptureFixture[str]) -> None:
    """A second server on a port says so and names ``--port``."""
    with server.listen("127.0.0.1", 0) as taken:
        ran = ofox(capsys, "demo", "--port", taken.getsockname()[1])
    assert ran.code == 1 and "cannot listen" in ran.err and "--port" in ran.err


def test_an_address_that_is_not_ours_is_a_clear_message(capsys: pytest.CaptureFixture[str], config: Path) -> None:
    """An address of nobody's says so."""
    ran = ofox(capsys, "serve", "--config", config, "--host", "no.such.host.invalid", "--open")
    assert ran.code == 1 and "cannot listen" in ran.err


@pytest.mark.parametrize("as_json", [False, True])
def test_demo_says_how_to_use_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    """The starting lines name the address, a curl line, the OpenAI client and how to break a provider."""
    monkeypatch.setattr("ofox_middleware.server.serve", lambda app, listener, stopping: listener.close() or 0)
    ran = ofox(capsys, "demo", "--port", "0", *(["--json"] if as_json else []))
    assert ran.code == 0
    if as_json:
        assert ran.json["base_url"] == f"{ran.json['url']}/v1" and "north/titan" in ran.json["models"]
        return
    for word in ("http://127.0.0.1:", "curl", "OpenAI(base_url=", "/demo/providers/north"):
        assert word in ran.out


def test_serve_says_how_to_use_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, config: Path
) -> None:
    """The starting lines name the address; on every interface, that of this machine. A short key is warned of."""
    monkeypatch.setattr("ofox_middleware.server.serve", lambda app, listener, stopping: listener.close() or 0)
    monkeypatch.setenv("OFOX_SERVE_KEY", "sesame")
    ran = ofox(capsys, "serve", "--config", config, "--host", "0.0.0.0", "--port", "0", "--decisions", ":memory:")
    assert ran.code == 0 and "console is off" in ran.out and "2 models on http://127.0.0.1:" in ran.out
    assert "fewer than 16 characters and can be guessed" in ran.err and "sesame" not in ran.out + ran.err
    monkeypatch.setenv("OFOX_SERVE_KEY", "sesame-open-the-door")
    ran = ofox(capsys, "serve", "--config", config, "--port", "0", "--decisions", ":memory:")
    assert ran.code == 0 and "can be guessed" not in ran.err


def test_ctrl_c_stops_a_server() -> None:
    """A server that is interrupted finishes cleanly and returns 130."""
    listener = server.listen("127.0.0.1", 0)
    port = listener.getsockname()[1]

    def interrupt() -> None:
        httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=20)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert server.serve(Starlette(), listener) == 130
    thread.join()


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("192.168.1.2", False), ("example.com", False)],
)  # fmt: skip
def test_loopback_is_told_from_the_network(host: str, local: bool) -> None:
    """Only addresses that nobody else can reach count as local."""
    assert server.is_loopback(host) is local


def test_a_failed_tour_is_1(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that does not hold ends the tour with its message and exit code 1."""
    import contextlib

    from ofox_middleware import tour

    class Sad:
        def __init__(self, url: str) -> None: ...

        def rows(self) -> Any:
            raise TourFailed("the image went to a blind model")

        def close(self) -> None: ...

    monkeypatch.setattr(tour, "Tour", Sad)
    monkeypatch.setattr("ofox_middleware.server.background", lambda app, listener: contextlib.closing(listener))
    monkeypatch.setattr("ofox_middleware.demo.Demo", lambda **_: SimpleNamespace(app=None))
    assert cli.main(["demo", "--tour", "--port", "0", "--json"]) == 1
    assert "blind model" in json.loads(capsys.readouterr().out)["error"]["message"]
