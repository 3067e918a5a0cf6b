"""Progress bars: where a person is looking, and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from ofox_middleware.progress import progress


class Terminal(io.StringIO):
    """Standard error as a person sees it."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar names the work, then what comes after it, and every piece is given once."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", seen := Terminal())
    with progress([1, 2, 3], "deciding", then="adding up") as each:
        assert list(each) == [1, 2, 3]
    assert "deciding" in seen.getvalue() or "adding up" in seen.getvalue()


@pytest.mark.parametrize("items", [[], [1], [1, 2, 3]])
def test_a_log_sees_nothing(monkeypatch: pytest.MonkeyPatch, items: list[int]) -> None:
    """Without a terminal, or with one piece of work, nothing is written and the items come as they are."""
    monkeypatch.setattr(sys, "stderr", seen := (io.StringIO() if len(items) > 1 else Terminal()))
    with progress(items, "deciding") as each:
        assert each is items
    assert seen.getvalue() == ""
