"""One target under atheris, in this process: ``python -m tests.fuzz.engine TARGET [libFuzzer options] CORPUS``."""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Fuzzes until libFuzzer ends the process."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("fuzzing needs atheris, which has wheels for Linux on x86-64 and Python 3.11 to 3.13")
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["ofox_middleware", "json"]):
        targets = importlib.import_module("tests.fuzz.targets")
    atheris.Setup(sys.argv, targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
