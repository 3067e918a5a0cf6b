"""Verdicts -> tables, and the rules that ours must keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.replay.judge import Verdict
from benchmarks.replay.transcripts import Transcript

PREFERENCES = ("balanced", "quality", "cost", "frugal")
OURS = tuple(f"ofox, `{preference}`" for preference in PREFERENCES)
EQUAL_QUALITY = 0.01
"""Predicted qualities that are no farther apart than this count as equal: the prediction is no better than that."""
CHEAPEST = "always the cheapest"
PER_TURN = ", every turn by itself"
LITELLM = {
    "cheapest": "LiteLLM complexity router, tiers from the cheapest up",
    "middle": "LiteLLM complexity router, tiers from the middle up",
}
Results = Mapping[str, Sequence[Verdict]]


def total(verdicts: Sequence[Verdict]) -> Verdict:
    return sum(verdicts, Verdict())


def markdown(results: Mapping[str, Results], scripts: Sequence[Transcript], pools: Mapping[str, Sequence[str]]) -> str:
    """The page of results."""
    lines = [
        "# Replayed conversations",
        "",
        "`make bench-replay`. Every contender gets the same requests; a simulator prices prompt caches by the"
        " providers' rules (`benchmarks/replay/caching.py`). Quality is the mean probability of a good answer by our"
        " own item-response model: no neutral judge, and a turn that cannot be served counts 0. The share of turns on"
        " the pool's strongest model does not rest on it.",
        "",
        "`frugal` is a profile of this benchmark, `{cost: 1}` without a floor of quality. LiteLLM's router gets session"
        " affinity, context-window escalation and modality routing, and its four tiers filled from the pool in two"
        " ways: from the cheapest model up, and from the middle of the pool up.",
        "",
    ]
    for name, found in results.items():
        lines += [f"## Pool `{name}`", "", ", ".join(f"`{model}`" for model in pools[name]), "", *_table(found), ""]
    lines += ["## By conversation", ""]
    for name, found in results.items():
        lines += [f"Pool `{name}`: USD, mean quality, switches.", "", *_by_script(found, scripts), ""]
    return "\n".join(lines)


def _table(found: Results) -> list[str]:
    head = (
        "| | USD | predicted quality | turns on the strongest | switches | in a tool loop | cannot serve"
        " | prompt read from cache |"
    )
    rows = [head, "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for title, verdicts in found.items():
        whole = total(verdicts)
        rows.append(
            f"| {title} | {whole.usd:.3f} | {whole.quality / whole.turns:.4f} | {whole.strongest / whole.turns:.0%} "
            f"| {whole.switches} | {whole.torn} | {whole.infeasible} "
            f"| {whole.cached_tokens / max(1, whole.input_tokens):.0%} |"
        )
    return rows


def _by_script(found: Results, scripts: Sequence[Transcript]) -> list[str]:
    rows = ["| | " + " | ".join(script.name for script in scripts) + " |", "| --- " * (len(scripts) + 1) + "|"]
    for title, verdicts in found.items():
        cells = [f"{item.usd:.3f} · {item.quality / item.turns:.3f} · {item.switches}" for item in verdicts]
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    return rows


def broken(found: Results, scripts: Sequence[Transcript]) -> list[str]:
    """The rules that ours break: nothing infeasible, no switch in a tool loop, few between, sessions save money."""
    faults = []
    for title in OURS:
        for script, item in zip(scripts, found[title], strict=True):
            if item.infeasible:
                faults.append(f"{title}, {script.name}: {item.infeasible} turns on a model that cannot serve them")
            if item.torn:
                faults.append(f"{title}, {script.name}: {item.torn} switches in a tool loop")
            if item.switches > script.switches:
                faults.append(f"{title}, {script.name}: {item.switches} switches, {script.switches} are allowed")
    with_usd = sum(total(found[title]).usd for title in OURS)
    without_usd = sum(total(found[title + PER_TURN]).usd for title in OURS)
    if with_usd >= without_usd:
        faults.append(f"over all preferences {with_usd:.3f} USD with sessions, {without_usd:.3f} without")
    return faults


def beaten(found: Results) -> list[str]:
    """Contenders that none of ours beats over the conversations which they serve without a fault: turns that cannot be
    served cost nothing. Unlike the rules this depends on what the models of the day can do."""
    faults = []
    for title in [title + PER_TURN for title in OURS] + [title for title in LITELLM.values() if title in found]:
        served = [at for at, item in enumerate(found[title]) if not item.infeasible]
        own = [total([found[name][at] for at in served]) for name in OURS]
        theirs, least = (total([found[name][at] for at in served]) for name in (title, CHEAPEST))
        if not any(_beats(mine, theirs, least.usd) for mine in own):
            faults.append(f"none is cheaper than {title} at equal or better predicted quality")
    return faults


def _beats(mine: Verdict, theirs: Verdict, least_usd: float) -> bool:
    """Cheaper at no less quality. Whoever took the cheapest model throughout can only be drawn level with."""
    if mine.quality / mine.turns < theirs.quality / theirs.turns - EQUAL_QUALITY:
        return False
    return mine.usd < theirs.usd or mine.usd == theirs.usd == least_usd
