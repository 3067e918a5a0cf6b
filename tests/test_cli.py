"""The ``ofox`` command: its usage and its exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ofox_middleware import __version__, cli
from tests.cli_tools import forget_environment, write_config


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_environment(monkeypatch)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` prints the version and exits 0."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [[], ["dance"], ["demo", "--port", "x"], ["demo", "--port", "70000"], ["demo", "--pace", "-1"],
             ["demo", "--pace", "x"]],
)  # fmt: skip
def test_wrong_usage_is_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the command line cannot mean exits 2 with the usage."""
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    assert "usage: ofox" in capsys.readouterr().err


def test_interrupting_is_130(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    """Ctrl-C ends without a traceback, with the usual exit code."""

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ofox_middleware.explain.settings_of", interrupted)
    assert cli.main(["check", str(config)]) == 130


def test_a_reader_that_has_enough_is_no_error(config: Path) -> None:
    """``ofox check | head -0`` ends quietly."""
    command = f"{sys.executable} -m ofox_middleware check {config} --json | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert not done.stderr
