"""Environment variables that stand in for values, so that no file needs to hold a key. A leaf."""

from __future__ import annotations


def variable_of(value: object) -> str | None:
    """The environment variable that a parameter of a card stands for, written as in LiteLLM: ``os.environ/NAME``."""
    return value.removeprefix("os.environ/") if isinstance(value, str) and value.startswith("os.environ/") else None
