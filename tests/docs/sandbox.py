"""A place where the documentation's commands can run: the files that they name, a decision log, and a demo."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from ofox_middleware import Settings, SmartRouter
from ofox_middleware.decision import Outcome
from ofox_middleware.decision_store import DecisionStore
from tests.docs.markdown import ROOT

BIN = Path(sys.executable).parent
HARD, EASY = "Prove that there are infinitely many primes of the form 4k+3.", "What is the capital of France?"
OFOX = """\
models:
  - openai/gpt-4o-mini
  - {name: house/own, ability: 0.6, input_cost_per_token: 1.0e-7, output_cost_per_token: 2.0e-7, max_input_tokens: 9000}
"""
LITELLM = """\
model_list:
  - {model_name: small, litellm_params: {model: openai/gpt-4o-mini}}
  - {model_name: large, litellm_params: {model: openai/gpt-4o}}
"""


class Sandbox:
    """A directory with the files that commands and snippets name, and one ``ofox demo`` for all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {"ofox.yaml": OFOX, "litellm.yaml": LITELLM}
        self.files["requests.jsonl"] = "".join(f"{json.dumps(_chat(text))}\n" for text in (EASY, HARD))
        self.files["outcomes.jsonl"] = "".join(f"{json.dumps(row)}\n" for row in _outcomes())
        for name in ("examples", "docs", "Makefile", "pyproject.toml", "benchmarks", "ofox_middleware"):
            (folder / name).symlink_to(ROOT / name)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("OFOX_", "LITELLM_"))},
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "XDG_STATE_HOME": str(folder / "state"),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "NO_PROXY": "127.0.0.1",
            "OPENAI_API_KEY": "sk-nobody",
            "PYTHONPATH": str(ROOT),
        }
        self.decision_id = self._decisions()
        self._demo: subprocess.Popen[str] | None = None
        self._url = ""

    def write(self) -> None:
        """Puts the files in place, also after a command has changed them."""
        for name, text in self.files.items():
            (self.folder / name).write_text(text, "utf-8")

    def _decisions(self) -> str:
        """A decision log as ``ofox serve`` leaves it, and one as ``decision_log`` names it."""
        router = SmartRouter(Settings(models=["openai/gpt-4o-mini"]))
        with DecisionStore(self.folder / "state" / "ofox" / "decisions.sqlite3") as store:
            router.subscribe(store)
            decision = router.decide(_chat(EASY))
            router.report(Outcome(decision, decision.model, True, 200, (decision.model,), 0.2, 0.9, 12, None))
        shutil.copy(self.folder / "state" / "ofox" / "decisions.sqlite3", self.folder / "decisions.sqlite3")
        return decision.id

    # Commands ------------------------------------------------------------------------------------------------------

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Runs ``command`` in a shell, as a reader would."""
        self.write()
        if command.startswith("ofox init"):
            (self.folder / "ofox.yaml").unlink()
        command = re.sub(r"\bDECISION_ID\b", self.decided, command) if "DECISION_ID" in command else command
        command = re.sub(r"\bID\b", self.decision_id, command)
        command = command.replace("http://127.0.0.1:4100", self.url) if ":4100" in command else command
        # Failing like `curl` without -f would hide what a server says.
        command = re.sub(r"^curl ", "curl --fail-with-body ", command)
        return subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", command],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def serve(self, command: str) -> dict[str, Any]:
        """Starts a server by ``command``, on a free port; what it says of itself. It is interrupted again."""
        process = self._start(command)
        try:
            return self._greeting(process)
        finally:
            _interrupt(process)

    def snippets(self, snippets: dict[str, str]) -> dict[str, str]:
        """What went wrong with each of ``snippets``."""
        self.write()
        script = ROOT / "tests" / "docs" / "snippets.py"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(script), f"{self.url}/v1"], input=json.dumps(snippets),
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    # The demo ------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the demo is; it starts with the first that asks."""
        if self._demo is None:
            self._demo = self._start("ofox demo --pace 0.1")
            self._url = str(self._greeting(self._demo)["url"])
        return self._url

    @property
    def decided(self) -> str:
        """The id of a decision of the demo."""
        answer = httpx.post(f"{self.url}/v1/chat/completions", json=_chat(EASY), trust_env=False, timeout=60)
        return str(answer.headers["x-ofox-decision-id"])

    def close(self) -> None:
        """Ends the demo."""
        if self._demo is not None:
            _interrupt(self._demo)

    def _start(self, command: str) -> subprocess.Popen[str]:
        self.write()
        program = shutil.which(command.split(maxsplit=1)[0], path=self.environment["PATH"])
        assert program is not None, command
        return subprocess.Popen(
            [program, *command.split()[1:], "--port", "0", "--json"], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip

    @staticmethod
    def _greeting(process: subprocess.Popen[str]) -> dict[str, Any]:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"it ended with {process.wait(20)}"
        return dict(json.loads(line))


def _interrupt(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in {0, 130}
    if process.stdout is not None:
        process.stdout.close()


def _chat(text: str) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}]}


def _outcomes() -> list[dict[str, Any]]:
    """Labelled requests: long ones that both models answer, sums that only the large one does, whatever the shipped
    difficulty says of them."""
    rows = []
    for number in range(160):
        easy = number % 2 == 0
        text = f"Prove theorem {number}: " + "for every manifold " * 20 if easy else f"What is {number} plus {number}?"
        for model, score in (("openai/gpt-4o", 1.0), ("openai/gpt-4o-mini", float(easy))):
            rows.append({"request": text, "model": model, "score": score})
    return rows
