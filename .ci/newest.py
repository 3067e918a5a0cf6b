"""Writes constraints-newest.txt: the newest LiteLLM that pyproject.toml allows, with what the tests of its door need.

    python .ci/newest.py

A release of LiteLLM may pin companions of its own that no index has; a resolver then goes back to an older release
without a word. It is the newest code that must be tested, so such a companion is taken as it is to be had, and the one
that is only a name is left out; the file says so. Needs uv, which the ``release`` extra brings.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = "constraints-newest.txt"
HEADER = "# Made by `make newest`. Install with: pip install --require-hashes --no-deps -r {name}\n"
# Whatever LiteLLM pins of these, take what there is; leave out what nobody can have.
COMPANIONS = "litellm-proxy ; python_version < '3'\nlitellm-proxy-extras\nlitellm-enterprise\n"
REMARK = "# This LiteLLM pins companions that the index lacks: others stand in for them.\n"


def resolve(*options: str, given: str = "") -> str:
    """What uv resolves, with hashes. Raises ``CalledProcessError``."""
    command = ["uv", "pip", "compile", "--universal", "--python-version", "3.10", "--no-header", "--no-annotate"]
    command += ["--quiet", *options]
    return subprocess.run(command, cwd=ROOT, input=given, text=True, capture_output=True, check=True).stdout


def main() -> None:
    """Writes the file."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    allowed = re.search(r'"(litellm>=[^"]+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    if allowed is None:
        sys.exit("pyproject.toml names no range of litellm")
    release = resolve("--no-deps", "-", given=allowed[1]).strip()
    tests = ("pyproject.toml", "--extra", "test", "--extra", "build", "--generate-hashes", "--constraints", "-")
    try:
        remark, pins = "", resolve(*tests, given=release)
    except subprocess.CalledProcessError:
        overrides = ROOT / ".ci" / "companions.txt"
        overrides.write_text(COMPANIONS, "utf-8")
        try:
            remark, pins = REMARK, resolve(*tests, "--overrides", str(overrides), given=release)
        finally:
            overrides.unlink()
    (ROOT / NAME).write_text(HEADER.format(name=NAME) + remark + pins, "utf-8")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.stderr)
