"""The list of attacks names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", (HERE / "README.md").read_text("utf-8"))


def test_the_list_is_read() -> None:
    """Every row of the list names at least one test."""
    rows = [line for line in (HERE / "README.md").read_text("utf-8").splitlines() if line.startswith("| ")]
    attacks = [row for row in rows if not row.startswith(("| attack", "| ---"))]
    assert len(attacks) > 70
    assert [row for row in attacks if "::" not in row] == []


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED}))
def test_the_named_tests_exist(path: str) -> None:
    """Each named test is a function of the named file."""
    tree = ast.parse((HERE.parent / path).read_text("utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert {name for where, name in NAMED if where == path} <= there
