"""The replayed conversations: what must hold for ours, and that the suite itself can tell."""

from __future__ import annotations

import pytest

from benchmarks.replay.__main__ import POOLS, run
from benchmarks.replay.caching import TTL_S, Caches
from benchmarks.replay.contenders import pool
from benchmarks.replay.judge import Read, judge, read
from benchmarks.replay.report import CHEAPEST, OURS, broken, markdown, total
from benchmarks.replay.transcripts import Transcript, transcripts

Scripts = dict[Transcript, list[Read]]


@pytest.fixture(scope="module")
def scripts() -> Scripts:
    """All conversations, read once."""
    return {script: read(script) for script in transcripts()}


@pytest.mark.parametrize("name", sorted(POOLS))
def test_no_conversation_is_broken(scripts: Scripts, name: str) -> None:
    """No model that cannot serve, no switch in a tool loop, few between, and cheaper than routing every turn anew."""
    found = run(POOLS[name], scripts, litellm=False)
    assert broken(found, list(scripts)) == []
    page = markdown({name: found}, list(scripts), POOLS)
    assert all(title in page for title in (*OURS, CHEAPEST))


def test_the_suite_tells_what_breaks_a_conversation(scripts: Scripts) -> None:
    """A router that takes turns between two models breaks the rules, and so does one that takes a model too small."""
    facts = pool(POOLS["house"])
    names = [item.name for item in facts]
    small, large = names[0], names[-1]
    for script, turns in scripts.items():
        torn = judge(turns, [(large, names[-2])[at % 2] for at in range(len(turns))], facts)
        loops = any(item.turn.in_loop for item in turns)
        assert (torn.torn > 0) == loops
        batch = len({item.turn.conversation for item in turns}) == len(turns)
        assert (torn.switches > script.switches) != batch
        assert judge(turns, [None] * len(turns), facts).infeasible == len(turns)
    unfit = {script.name: judge(turns, [small] * len(turns), facts).infeasible for script, turns in scripts.items()}
    assert {name for name, count in unfit.items() if count} == {
        "image first, then text", "history that outgrows windows",
    }  # fmt: skip
    assert total([judge(turns, [large] * len(turns), facts) for turns in scripts.values()]).infeasible == 0


def test_caches_follow_the_providers_rules() -> None:
    """A prefix is read at its own price while it is warm, from a length on; Anthropic's only where it is asked for."""
    facts = {item.provider: item for item in pool(POOLS["house"])}
    prefix = [(1, 900), (2, 2000)]
    caches = Caches()

    def charge(provider: str, at: float, *, asked: bool = False, marks: list[tuple[int, int]] = prefix) -> int:
        bill = caches.charge(facts[provider], marks, at=at, output_tokens=0, asked=asked)
        assert bill.input_tokens == marks[-1][1]
        return bill.cached_tokens

    assert charge("openai", 0.0) == 0
    assert charge("openai", 10.0, marks=[*prefix, (3, 2500)]) == 2000
    assert charge("openai", 10.0 + TTL_S, marks=[*prefix, (4, 2600)]) == 2000
    assert charge("openai", 11.0 + 2 * TTL_S) == 0
    assert [charge("anthropic", at) for at in (0.0, 1.0)] == [0, 0]
    assert [charge("anthropic", at, asked=True) for at in (0.0, 1.0)] == [0, 2000]
    claude = facts["anthropic"]
    first = Caches().charge(claude, prefix, at=0.0, output_tokens=100, asked=True)
    assert claude.input_usd is not None
    assert claude.output_usd is not None
    assert first.usd == pytest.approx(
        2000 * 1.25 * claude.input_usd + (100 + claude.thinking_tokens) * claude.output_usd
    )
