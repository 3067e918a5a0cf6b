"""Coverage-guided fuzzing of what reads strangers' bytes, for a bounded time.

    python -m tests.fuzz [--seconds 600] [TARGET ...]

The time is shared by the targets, each of which runs in a process of its own. What was found to reach new code is kept
in .fuzz/TARGET and taken up by the next run. An input that breaks a promise is saved in tests/fuzz/findings, where the
ordinary tests play it from then on; the run goes on with the next target and ends with exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz import seeds

NAMES = ("body_bytes", "body_text", "signals", "decision", "stream_start", "heads")
HERE = Path(__file__).parent
CORPUS = Path(".fuzz")
FINDINGS = HERE / "findings"
LONGEST_INPUT = 4096
SLOWEST_S = 10
MOST_MB = 2048


def fuzz(target: str, seconds: int) -> bool:
    """Fuzzes one target; true when nothing was found."""
    corpus, findings = CORPUS / target, FINDINGS / target
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    for seed in seeds.of(target):
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    words = CORPUS / "words.dict"
    words.write_text("".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"\n' for word in seeds.WORDS))
    options = {
        "max_total_time": seconds,
        "max_len": LONGEST_INPUT,
        "timeout": SLOWEST_S,
        "rss_limit_mb": MOST_MB,
        "artifact_prefix": f"{findings}/",
        "dict": words,
        "print_final_stats": 1,
        "verbosity": 0,
    }
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.engine",
        target,
        *(f"-{name}={value}" for name, value in options.items()),
    ]
    begun = time.monotonic()
    done = subprocess.run([*command, corpus], capture_output=True, text=True, check=False)
    stats = dict(line[6:].split(":") for line in done.stderr.splitlines() if line.startswith("stat::"))
    runs = stats.get("number_of_executed_units", "?").strip()
    kept = len(list(corpus.iterdir()))
    verdict = "clean" if done.returncode == 0 else f"FOUND something, exit code {done.returncode}"
    print(f"{target:14} {time.monotonic() - begun:6.0f} s {runs:>10} inputs {kept:6} kept  {verdict}")
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], sep="\n")
    elif not any(findings.iterdir()):
        findings.rmdir()
    sys.stdout.flush()
    return done.returncode == 0


def main() -> int:
    """Fuzzes each target in turn."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    options = parser.parse_args()
    targets = options.targets or NAMES
    if unknown := set(targets) - set(NAMES):
        parser.error(f"no target is called {', '.join(sorted(unknown))}")
    clean = [fuzz(target, max(1, options.seconds // len(targets))) for target in targets]
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
