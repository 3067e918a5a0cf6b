"""What the tests of the command line share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ofox_middleware import cli

EASY = "What is the capital of France?"
CARDS = """
models:
  - name: house/large
    input_cost_per_token: 5.0e-6
    output_cost_per_token: 2.5e-5
    max_input_tokens: 200000
    ability: 0.95
    ttft_s: 0.8
    tokens_per_s: 60
    supports_vision: true
  - name: other/small
    input_cost_per_token: 1.0e-7
    output_cost_per_token: 4.0e-7
    max_input_tokens: 16000
    ability: 0.5
    ttft_s: 0.1
    tokens_per_s: 250
    supports_vision: false
profiles:
  frugal: {quality: 0.2, cost: 0.7, time: 0.1, floor: 0.5}
preference: frugal
"""


def forget_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings and no provider's key from outside."""
    for name in os.environ:
        if name.startswith("OFOX_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)


def write_config(folder: Path) -> Path:
    """A configuration with two models and a profile."""
    path = folder / "ofox.yaml"
    path.write_text(CARDS, "utf-8")
    return path


class Ran:
    """What a command printed and returned."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def ofox(capsys: pytest.CaptureFixture[str], *argv: object) -> Ran:
    """Run a command in this process."""
    code = cli.main([str(item) for item in argv])
    out, err = capsys.readouterr()
    return Ran(code, out, err)
