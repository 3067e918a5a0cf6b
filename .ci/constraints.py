"""Writes constraints.txt: the versions that the project's environments resolve to, for every Python it supports.

    python .ci/constraints.py python3.10 python3.11 python3.12 python3.13

Each interpreter resolves the project with its own pip in an environment of its own; where they differ, a marker says
which version is meant. Run it to take up newer releases; the tests then run with what it wrote.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def resolve(python: str, room: Path) -> tuple[str, dict[str, str]]:
    """The Python's ``3.x`` and the version of each distribution that it would install."""
    subprocess.run([python, "-m", "venv", room], check=True)
    pip = [str(room / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip"], check=True)
    report = room / "report.json"
    subprocess.run([*pip, "--dry-run", "--report", str(report), f"{ROOT}[test,lint,bench]"], check=True)
    found = json.loads(report.read_text("utf-8"))
    version = ".".join(found["environment"]["python_version"].split(".")[:2])
    names = {item["metadata"]["name"].lower(): item["metadata"]["version"] for item in found["install"]}
    names.pop("ofox-middleware")
    return version, names


def main(pythons: list[str]) -> None:
    """Writes the file for ``pythons``, commands of interpreters."""
    pinned: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    resolved = []
    for number, python in enumerate(pythons):
        with tempfile.TemporaryDirectory() as folder:
            resolved.append(resolve(python, Path(folder) / f"room{number}"))
    for version, names in resolved:
        for name, pin in names.items():
            pinned[name][pin].append(version)
    lines = ["# Made by .ci/constraints.py; the versions that CI tests with."]
    for name in sorted(pinned):
        for pin, versions in pinned[name].items():
            everywhere = len(versions) == len(resolved)
            marker = " or ".join(f'python_version == "{version}"' for version in versions)
            lines.append(f"{name}=={pin}" + ("" if everywhere else f" ; {marker}"))
    (ROOT / "constraints.txt").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or [sys.executable])
