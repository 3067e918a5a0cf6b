"""For every test of the ASGI door."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def without_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process may have imported LiteLLM, to which the door would attach."""
    monkeypatch.setitem(sys.modules, "litellm", None)
