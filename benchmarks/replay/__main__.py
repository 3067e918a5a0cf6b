"""Replays conversations through our router, ours without sessions, and LiteLLM's complexity router.

    python -m benchmarks.replay [--without-litellm] [--pool house|shortlist] [--no-file]

Prints the tables and writes ``benchmarks/results/replay.md``. Exits with 1 when a rule is broken.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.replay.contenders import Contender, always, litellm_complexity, mean_ability, ours, pool, price
from benchmarks.replay.judge import Read, Verdict, judge, read
from benchmarks.replay.report import CHEAPEST, LITELLM, OURS, PER_TURN, PREFERENCES, beaten, broken, markdown
from benchmarks.replay.transcripts import Transcript, transcripts

RESULTS = Path(__file__).parents[1] / "results" / "replay.md"

POOLS = {
    # Five makers, four windows (131k, 262k, 500k, 1M), one without eyes.
    "house": (
        "groq/openai/gpt-oss-120b",
        "mistral/mistral-medium-3-5",
        "xai/grok-4.6",
        "openai/gpt-6-sol",
        "anthropic/claude-sonnet-5-5",
    ),
    # What the ASGI door takes when nobody names a pool and all keys are there.
    "shortlist": (
        "openai/gpt-6-luna", "openai/gpt-6-sol", "openai/gpt-5.6-sol", "anthropic/claude-haiku-5-5",
        "anthropic/claude-sonnet-5-5", "anthropic/claude-fable-5", "gemini/gemini-3.1-flash-lite",
        "gemini/gemini-3.7-flash", "gemini/gemini-4-argon", "xai/grok-4.20", "xai/grok-4.6",
        "deepseek/deepseek-v4-flash", "deepseek/deepseek-v4-pro", "mistral/mistral-medium-3-5",
        "groq/openai/gpt-oss-120b", "groq/qwen/qwen3.8-27b",
    ),
}  # fmt: skip


def contenders(names: tuple[str, ...], *, litellm: bool) -> dict[str, Contender]:
    """Everybody, by the name that the table shows."""
    facts = pool(names)
    found: dict[str, Contender] = {}
    for title, preference in zip(OURS, PREFERENCES, strict=True):
        found[title] = ours(names, preference)
        found[title + PER_TURN] = ours(names, preference, max_sessions=0)
    if litellm:
        found |= {title: litellm_complexity(names, lowest=lowest) for lowest, title in LITELLM.items()}
    found["always the strongest"] = always(max(facts, key=mean_ability).name)
    found[CHEAPEST] = always(min(facts, key=price).name)
    return found


def run(names: tuple[str, ...], scripts: dict[Transcript, list[Read]], *, litellm: bool) -> dict[str, list[Verdict]]:
    """Each contender's verdicts, script by script."""
    facts = pool(names)
    return {
        title: [judge(turns, contender(script), facts) for script, turns in scripts.items()]
        for title, contender in contenders(names, litellm=litellm).items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--without-litellm", action="store_true")
    parser.add_argument("--pool", choices=POOLS, action="append")
    parser.add_argument("--no-file", action="store_true")
    options = parser.parse_args()
    litellm = not options.without_litellm and find_spec("litellm") is not None
    scripts = {script: read(script) for script in transcripts()}
    results = {name: run(POOLS[name], scripts, litellm=litellm) for name in (options.pool or POOLS)}
    page = markdown(results, list(scripts), POOLS)
    print(page)
    if not options.no_file:
        RESULTS.write_text(page, encoding="utf-8")
    faults = [fault for found in results.values() for fault in (*broken(found, list(scripts)), *beaten(found))]
    for fault in faults:
        print(f"broken: {fault}", file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
