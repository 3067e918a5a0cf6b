"""Writes the files that pin every package of the project's environments, each with the hashes of all its files.

    python .ci/constraints.py [--upgrade]

One file serves every Python and system that the project supports: where they differ, a marker says which version is
meant. Versions stay as they are until ``--upgrade`` is asked for or pyproject.toml wants another. Needs uv, which the
``release`` extra brings.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Made by `make constraints`. Install with: pip install --require-hashes --no-deps -r {name}\n"
EXTRAS = ("test", "lint", "bench", "fuzz", "build", "release")
# What each file resolves, as arguments of uv. The later files take their versions from the first.
FILES = {
    "constraints.txt": ("pyproject.toml", *(part for extra in EXTRAS for part in ("--extra", extra))),
    "constraints-demo.txt": ("pyproject.toml", "--extra", "build"),
    "constraints-uv.txt": ("-",),
}


def compile_file(name: str, wanted: tuple[str, ...], upgrade: bool, *, alike: str | None) -> None:
    """Resolves what is ``wanted`` into the file ``name``, at the versions of the file ``alike`` if given."""
    options = ["--universal", "--python-version", "3.10", "--generate-hashes", "--no-header", "--no-annotate"]
    options += ["--quiet", *(["--upgrade"] if upgrade else []), *(["--constraints", alike] if alike else [])]
    path = ROOT / name
    command = ["uv", "pip", "compile", *options, "--output-file", name, *wanted]
    subprocess.run(command, cwd=ROOT, input="uv\n", text=True, check=True)
    path.write_text(HEADER.format(name=name) + path.read_text("utf-8"), "utf-8")


def main(arguments: list[str]) -> None:
    """Writes every file."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    first = next(iter(FILES))
    for name, wanted in FILES.items():
        compile_file(name, wanted, "--upgrade" in arguments, alike=None if name == first else first)


if __name__ == "__main__":
    main(sys.argv[1:])
