"""Builds wheel and sdist and checks what a user would install: equal bytes each time, complete, and working.

    python .ci/package.py [--no-tour]

Each is built twice, from copies in folders of different names, and a third wheel comes from the sdist; all must be
equal byte for byte. Then the wheel and the sdist are installed in a clean environment and the demo tour is played.
The results stay in dist/.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "ofox_middleware"
DATA = ("catalogue.json", "difficulty.json", "console.openapi.json")
WANTED = ("py.typed", "console_page/index.html", *(f"data/{name}" for name in DATA))
LEFT_OUT = (".git", ".venv*", "dist", "build", "__pycache__", ".*_cache", ".hypothesis", ".coverage*", ".fuzz")


def run(*command: str | Path, cwd: Path = ROOT, **env: str) -> str:
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def epoch() -> str:
    """The time that the archives bear: that of the last commit."""
    return run("git", "log", "-1", "--format=%ct").strip() if (ROOT / ".git").exists() else "1580601600"


def build(source: Path, kind: str, out: Path) -> Path:
    """One archive of ``source``: ``sdist`` or ``wheel``."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", out, cwd=source, SOURCE_DATE_EPOCH=epoch())
    return next(out.glob("*.tar.gz" if kind == "sdist" else "*.whl"))


def archives(room: Path) -> list[Path]:
    """The wheel and the sdist, once it is sure that building them again gives the same bytes."""
    built: dict[str, list[Path]] = {"wheel": [], "sdist": []}
    for name, mask in (("one", 0o022), ("another-folder", 0o077)):
        before = os.umask(mask)
        shutil.copytree(ROOT, room / name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for kind, paths in built.items():
            paths.append(build(room / name, kind, room / f"{name}-{kind}"))
        os.umask(before)
    with tarfile.open(built["sdist"][0]) as archive:
        archive.extractall(room / "unpacked", filter="data")
    built["wheel"].append(build(next((room / "unpacked").iterdir()), "wheel", room / "from-sdist"))
    for kind, paths in built.items():
        sums = {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
        if len(sums) > 1:
            sys.exit(f"building the {kind} again gave other bytes: {sums}")
        print(f"{paths[0].name}: {len(paths)} builds, sha256 {sums.pop()}")
    return [paths[0] for paths in built.values()]


def contents(wheel: Path) -> None:
    """Ends in an error when the wheel lacks a file that users need or holds one that they do not."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    missing = [name for name in WANTED if f"{PACKAGE}/{name}" not in names]
    sources = {str(path.relative_to(ROOT)) for path in (ROOT / PACKAGE).rglob("*.py")}
    missing += sorted(sources - names)
    strangers = [name for name in names if not name.startswith((f"{PACKAGE}/", f"{PACKAGE}-"))]
    if missing or strangers:
        sys.exit(f"the wheel lacks {missing} and should not hold {strangers}")
    print(f"{wheel.name}: {len(names)} files, py.typed among them")


def tour(archive: Path, folder: Path) -> None:
    """Installs ``archive`` in the clean environment ``folder`` and plays the tour there, away from the sources."""
    pip = [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
    install = ["install", "--no-deps", "--no-build-isolation", "--no-index", "--force-reinstall", archive]
    run(*pip, *install, cwd=folder)
    where = run(folder / "bin" / "python", "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)", cwd=folder)
    if not Path(where.strip()).is_relative_to(folder):
        sys.exit(f"not the installed package but {where}")
    print(run(folder / "bin" / "ofox", "demo", "--tour", cwd=folder, LITELLM_LOCAL_MODEL_COST_MAP="True"))
    print(f"{archive.name}: installed in a clean environment, the tour ended well")


def main(arguments: list[str]) -> None:
    """Builds, compares, looks inside, installs and tours."""
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        built = archives(room)
        contents(built[0])
        dist = ROOT / "dist"
        dist.mkdir(exist_ok=True)
        built = [Path(shutil.copy(path, dist)) for path in built]
        if "--no-tour" in arguments:
            return
        clean = room / "clean"
        run(ROOT / ".ci" / "environment.sh", clean, ROOT / "constraints-demo.txt", sys.executable)
        for archive in built:
            tour(archive, clean)


if __name__ == "__main__":
    main(sys.argv[1:])
