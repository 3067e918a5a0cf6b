"""LiteLLM's real database for the tests: PostgreSQL on loopback, and Prisma's client for it out of packages alone.

LiteLLM reads its database through Prisma's Python client. The engine behind that client is a binary that Prisma's
command downloads from a host of its own, so the tests use the WebAssembly build of the same engine, which Prisma
publishes on npm (``database/engine.mjs``), and generate the client without the command.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.litellm.upstream import free_port

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NODE = ROOT / ".venv-node"
SOURCES = ("package.json", "package-lock.json", "engine.mjs", "dmmf.mjs", "prisma")
USER = "postgres"


class Absent(Exception):
    """Something that the database needs is not on this machine; the message says what."""


@dataclass
class Database:
    """A running PostgreSQL with LiteLLM's tables."""

    port: int
    bin: Path

    @property
    def url(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/litellm"

    def run(self, sql: str) -> list[list[str]]:
        """The rows that ``sql`` returns, as text."""
        command = [
            str(self.bin / "psql"),
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--field-separator=\t",
        ]
        command += ["--set=ON_ERROR_STOP=1", "--dbname", self.url]
        ran = subprocess.run(command, input=sql, text=True, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr[-2000:]
        return [line.split("\t") for line in ran.stdout.splitlines() if line]


def _server() -> Path:
    """The folder of PostgreSQL's programs. Raises ``Absent``."""
    found = shutil.which("postgres")
    folders = (
        [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    )
    if not folders:
        raise Absent("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return folders[0]


@contextmanager
def running_postgres() -> Iterator[Database]:
    """Starts PostgreSQL with an empty data folder and LiteLLM's own migrations. Raises ``Absent``."""
    programs = _server()
    folder = Path(tempfile.mkdtemp(prefix="ofox-postgres-"))
    # PostgreSQL refuses to run as root.
    rights: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if os.getuid() == 0 else {}
    if rights:
        shutil.chown(folder, USER, USER)
    try:
        init = [programs / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*init, "--locale=C"], cwd=folder, check=True, capture_output=True, **rights)
        database = Database(free_port(), programs)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": database.port,
            "unix_socket_directories": "",
            "fsync": "off",
        }
        server = [programs / "postgres", "-D", folder / "data"]
        server += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(server, cwd=folder, stdout=log, stderr=log, **rights)
        try:
            _wait(database, process, folder / "log")
            database.run(_migrations())
            yield database
        finally:
            process.send_signal(signal.SIGINT)  # at once, whoever is connected
            process.wait(30)
    finally:
        shutil.rmtree(folder)


def _wait(database: Database, process: subprocess.Popen[bytes], log: Path) -> None:
    create = [str(database.bin / "createdb"), "-h", "127.0.0.1", "-p", str(database.port), "-U", USER, "litellm"]
    for _ in range(150):
        if process.poll() is not None:
            break
        if subprocess.run(create, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()[-2000:]}")


def _extras() -> Path:
    found = find_spec("litellm_proxy_extras")
    if found is None or found.origin is None:
        raise Absent("litellm-proxy-extras, which has LiteLLM's migrations, is not installed")
    return Path(found.origin).parent


def _migrations() -> str:
    files = [*sorted((_extras() / "migrations").glob("*/migration.sql")), HERE / "database" / "withheld.sql"]
    return "SET client_min_messages = warning;\n" + "\n".join(file.read_text("utf-8") for file in files)


def client(folder: Path) -> dict[str, str]:
    """Generates Prisma's Python client into ``folder``; the variables by which a process uses it. Raises ``Absent``."""
    if find_spec("prisma") is None:
        raise Absent("Prisma's Python client is not installed (pip install prisma)")
    engine = _node_packages()
    schema = _extras() / "schema.prisma"
    described = subprocess.run(["node", NODE / "dmmf.mjs", schema], capture_output=True, check=True).stdout
    generate = [
        sys.executable,
        "-W",
        "ignore",
        str(HERE / "database" / "generate.py"),
        str(schema),
        str(folder / "prisma"),
    ]
    subprocess.run(generate, input=described, check=True)
    return {
        "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
        "PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}",
        "PRISMA_QUERY_ENGINE_BINARY": str(engine),
    }


def _node_packages() -> Path:
    """The engine's script, with what it needs from npm installed beside it. Raises ``Absent``."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Absent(f"{program}, which runs the database's engine, is not installed")
    NODE.mkdir(exist_ok=True)
    with (NODE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes, and each wants it
        _install()
    return NODE / "engine.mjs"


def _install() -> None:
    sources = {name: (HERE / "database" / name).read_text("utf-8") for name in SOURCES}
    done, wanted = NODE / "installed", "\n".join(sources.values())
    if done.exists() and done.read_text("utf-8") == wanted:
        return
    for name, text in sources.items():
        (NODE / name).write_text(text, "utf-8")
        (NODE / name).chmod(0o755)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    ran = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise Absent(f"npm could not install the database's engine: {ran.stderr.strip()[-300:]}")
    done.write_text(wanted, "utf-8")
