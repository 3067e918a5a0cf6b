"""Writes dist/sbom.json, a CycloneDX inventory of what installing the package brings: ``python .ci/sbom.py PYTHON``.

PYTHON is the interpreter of an environment that has the package. What else is there, such as the tools that built it,
is left out: only what the package needs, and what that needs in turn, is listed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def inventory(python: str) -> dict[str, Any]:
    """All that is in the environment, with who needs whom."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "library", "--output-reproducible"]
    done = subprocess.run([tool, "environment", *options, "--of", "JSON", python], capture_output=True, check=True)
    return dict(json.loads(done.stdout))


def needed(found: dict[str, Any]) -> set[str]:
    """References of the package and of all that it needs, directly or not."""
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in found["dependencies"]}
    reached: set[str] = set()
    ahead = [found["metadata"]["component"]["bom-ref"]]
    while ahead:
        if (ref := ahead.pop()) not in reached:
            reached.add(ref)
            ahead += needs.get(ref, [])
    return reached


def main(python: str) -> None:
    """Writes the file and says how much is in it."""
    found = inventory(python)
    kept = needed(found)
    found["components"] = [part for part in found["components"] if part["bom-ref"] in kept]
    found["dependencies"] = [entry for entry in found["dependencies"] if entry["ref"] in kept]
    (ROOT / "dist").mkdir(exist_ok=True)
    (ROOT / "dist" / "sbom.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(f"dist/sbom.json: {len(found['components'])} packages")


if __name__ == "__main__":
    main(sys.argv[1])
