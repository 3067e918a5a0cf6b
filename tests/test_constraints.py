"""What CI installs is pinned whole, by version and hash, and agrees with what the package asks for."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted(path.name for path in ROOT.glob("constraints*.txt"))
PIN = re.compile(r"^([a-zA-Z0-9._-]+)==(\S+)(?: ; [^\\]+)?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE)
COMPROMISED = {"1.82.7", "1.82.8", "1.107.0"}


def pins(name: str) -> dict[str, set[str]]:
    """The versions of each package in a file."""
    found: dict[str, set[str]] = {}
    for match in PIN.finditer((ROOT / name).read_text("utf-8")):
        found.setdefault(match[1].lower().replace("_", "-"), set()).add(match[2])
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_a_hashed_pin(name: str) -> None:
    """No package without a version and a hash, no index, no link, no file."""
    text = (ROOT / name).read_text("utf-8")
    rest = "".join(line for line in PIN.sub("", text).splitlines(keepends=True) if not line.startswith("#"))
    assert rest == ""
    assert "://" not in text
    assert pins(name)


@pytest.mark.parametrize("name", FILES)
def test_no_compromised_release_is_pinned(name: str) -> None:
    """The releases of LiteLLM that were compromised on the index are in no file."""
    assert not pins(name).get("litellm", set()) & COMPROMISED


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib")
def test_everything_that_is_asked_for_is_pinned() -> None:
    """Each dependency of the package is in both files at one version; each of an extra is in the tests' file."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        read = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
        return {match[0].lower().replace("_", "-") for match in read if match} - {project["name"]}

    all_pins, demo = pins("constraints.txt"), pins("constraints-demo.txt")
    assert names(project["dependencies"]) <= demo.keys()
    assert {name: all_pins.get(name) for name in demo} == demo
    for extra, requirements in project["optional-dependencies"].items():
        assert names(requirements) <= all_pins.keys(), extra
