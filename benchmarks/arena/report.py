"""Numbers -> a table in Markdown, JSON, and a plot over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.arena.measure import NEVER, ROOM_S, Measures, as_dict, median, quantile
from benchmarks.arena.processes import Run
from benchmarks.arena.scenario import Scenario

TITLES = {
    "ofox-asgi": "**ofox**, ASGI, over httpx",
    "ofox-litellm": "**ofox**, ASGI, over LiteLLM",
    "ofox-proxy": "**ofox** in the LiteLLM proxy",
    "ofox-speed": "**ofox**, ASGI, over httpx, `speed`, hedged",
    "ofox-workers": "**ofox**, ASGI, over httpx, 4 workers",
    "litellm-latency": "LiteLLM Router, `latency-based-routing`",
    "litellm-least-busy": "LiteLLM Router, `least-busy`",
    "litellm-shuffle": "LiteLLM Router, `simple-shuffle`",
}


def markdown(measures: Sequence[Measures], scenarios: Sequence[Scenario]) -> str:
    """The results as a page."""
    seeds = ", ".join(str(scenario.seed) for scenario in scenarios)
    first = scenarios[0]
    lines = [
        "# Arena",
        "",
        f"`python -m benchmarks.arena --seconds {first.seconds:g} --seed {seeds.replace(', ', ' ')}`: "
        f"{first.seconds:g} s each, {first.rate:g} requests/s, {len(first.models)} models, "
        f"{len(first.faults)} faults ({_kinds(first)}), one to five models at fault at a time. "
        "Which model gets which fault is dealt by the seed; at any time one model without a rate limit is healthy. "
        f"Every contender meets the same requests and faults, with the same time-out ({first.timeout_s:g} s) and up to "
        f"{first.tries} tries per request; `benchmarks/arena/scenario.yaml` is the script.",
        "",
        "| | success % | without broken streams % | failed | TTFT p50 / p95 / p99, s | total p50 / p95 / p99, s "
        "| wasted attempts per request | USD per 1000 answers |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {TITLES.get(item.contender, item.contender)} | {100 * item.success:.2f} "
        f"| {100 * item.recoverable_success:.2f} | {item.failed} of {item.answered + item.failed} "
        f"| {_quantiles(item.ttft_s)} | {_quantiles(item.total_s)} | {item.wasted:.3f} "
        f"| {1000 * item.cost_usd / max(1, item.answered):.3f} |"
        for item in measures
    ]
    lines += [
        "",
        "| | left a failing model after, s: median / worst | took it back after, s: median / worst "
        "| first answer of a recovered model, s: median / worst | took a slow one back after, s: median / worst "
        "| attempts at dead models % | after leaving them % "
        "| after the breaker opened % | answered twice: clients / providers | in-flight drift | CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {TITLES.get(item.contender, item.contender)} | {_spread(item.times('left_s'))} "
        f"| {_spread(item.times('back_s'))} | {_spread(item.times('first_ok_s'))} | {_spread(item.slow_back_s())} "
        f"| {_percent(item.dead('during'))} | {_percent(item.dead('after_left'))} "
        f"| {_percent(item.dead('after_open'))} | {item.twice} / {item.doubled} "
        f"| {'-' if item.drift is None else item.drift} | {item.cpu_s:.0f} |"
        for item in measures
    ]
    lines += [
        "",
        "Success counts requests that their client did not cancel. A stream that breaks after content has reached the "
        "client is a failure of every contender, for nobody may send another answer then; the second column leaves "
        "those out. TTFT is of answered streams, total of all answers. A failing model is left when for three seconds "
        "no more than 5% of the attempts go to it, and taken back when in three seconds it gets half of its former "
        "share; both only where it had 5% before. A never-left or not-taken-back model counts in `(n never)`. "
        "A slow one had a brown-out. "
        "Answered twice: clients that saw a mix of two answers or a second end; and requests of which a provider "
        "finished a second answer that no client saw, for it came just when the request had gone to another model.",
        "",
        *_returns(measures),
        *_redis(measures),
        "What failed: " + "; ".join(f"{item.contender}: {_reasons(item)}" for item in measures) + ".",
        "",
    ]
    return "\n".join(lines)


def _returns(measures: Sequence[Measures]) -> list[str]:
    """Which models were not taken back, and why; and which late because others were better."""
    lines = [
        f"Why a model that was dead was not taken back: its next fault, or the run's end, came within {ROOM_S:g} s; it "
        "answered again, but at least half of the requests went to models that were themselves at fault when its "
        "former share was measured; or else nothing excuses it. The worst time of those taken back is told apart in "
        "the same way. The model's first answer, above, does not depend on who else is well.",
        "",
        "| | " + " | ".join(NEVER) + " | worst time to take back, s | the same where others were preferred, s |",
        "| --- | " + "--- | " * (len(NEVER) + 2),
    ]
    for item in measures:
        never = item.never_back()
        worst = [max(item.back_s(outdone=outdone), default=None) for outdone in (False, True)]
        shown = [str(never[reason]) for reason in NEVER] + ["-" if each is None else f"{each:.1f}" for each in worst]
        lines.append(f"| {TITLES.get(item.contender, item.contender)} | {' | '.join(shown)} |")
    return [*lines, ""]


def _redis(measures: Sequence[Measures]) -> list[str]:
    lines = []
    for item in measures:
        if not item.redis_requests:
            continue
        known = sorted(value for value in item.spreads_s if value is not None)
        spread = f"{median(item.spreads_s):.1f} s, at most {known[-1]:.1f} s" if known else "not measured"
        shares = [_percent(there / of if of else None) for there, of in (item.dead_with_redis, item.dead_without_redis)]
        lines += [
            f"{TITLES.get(item.contender, item.contender)} share health through a Redis that is killed in the middle "
            f"of the run and started again: of {item.redis_requests} requests that began without it, "
            f"{item.redis_failed} failed (streams that broke after content not counted). While it was there, all "
            f"workers had left a dead model {spread} after the first one's breaker was seen open "
            f"({len(known)} of {len(item.spreads_s)} faults; breakers are looked at every quarter of a second). After "
            f"the first breaker had opened, dead models got {shares[0]}% of the attempts while there was a Redis, "
            f"{shares[1]}% while there was none and every worker had to probe by itself.",
            "",
        ]
    return lines


def _reasons(item: Measures) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in item.reasons.most_common()) or "nothing"


def _kinds(scenario: Scenario) -> str:
    return ", ".join(dict.fromkeys(fault.kind for fault in scenario.faults))


def _quantiles(values: list[float]) -> str:
    found = [quantile(values, share) for share in (0.5, 0.95, 0.99)]
    return " / ".join("-" if value is None else f"{value:.2f}" for value in found)


def _spread(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not values:
        return "-"
    never = len(values) - len(known)
    shown = f"{median(values):.1f} / {max(known):.1f}" if known else "-"
    return shown + (f" ({never} of {len(values)} never)" if never else "")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def write(
    folder: Path,
    measures: Sequence[Measures],
    runs: Sequence[Sequence[Run]],
    scenarios: Sequence[Scenario],
    *,
    name: str = "arena",
) -> None:
    """Writes ``arena.md``, ``arena.json`` and ``arena.png``, or what ``name`` says for ``arena``, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath(f"{name}.md").write_text(markdown(measures, scenarios), "utf-8")
    first = scenarios[0]
    shown: dict[str, Any] = {
        "seconds": first.seconds, "rate": first.rate, "seeds": [scenario.seed for scenario in scenarios],
        "contenders": [as_dict(item) for item in measures],
    }  # fmt: skip
    folder.joinpath(f"{name}.json").write_text(json.dumps(_rounded(shown), indent=1) + "\n", "utf-8")
    plot(folder / f"{name}.png", [group[0] for group in runs], first)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def plot(path: Path, runs: Sequence[Run], scenario: Scenario) -> None:
    """Where each contender's attempts went over time, with failures and slow first tokens; one seed."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    names = [model.name for model in scenario.models]
    colours = dict(zip(names, plt.colormaps["tab10"].colors, strict=False))
    figure, axes = plt.subplots(
        len(runs) + 1, 1, figsize=(12, 1.6 * len(runs) + 1.8), sharex=True, layout="constrained", squeeze=False
    )
    top = axes[0][0]
    for fault in scenario.faults:
        row = names.index(fault.model)
        top.barh(row, fault.end - fault.start, left=fault.start, color=colours[fault.model], alpha=0.8, height=0.8)
        top.text(fault.start + 0.2, row, fault.kind, fontsize=7, va="center")
    top.set_yticks(range(len(names)), names, fontsize=7)
    top.set_title(f"Faults (seed {scenario.seed}), then attempts per second by model, failed requests (red), "
                  "streams that waited over 2 s for content (black)", fontsize=9, loc="left")  # fmt: skip
    edges = np.arange(0.0, scenario.seconds + 1.0)
    for run, (panel,) in zip(runs, axes[1:], strict=True):
        counts = [
            np.histogram([item["at"] for item in run.attempts if item["model"] == name], edges)[0] for name in names
        ]
        panel.stackplot(edges[:-1], counts, colors=[colours[name] for name in names], step="post", alpha=0.75)
        most = max(1, int(np.sum(counts, axis=0).max()))
        failed = [item["at"] for item in run.requests if item["outcome"] not in {"ok", "cancelled"}]
        slow = [item["at"] for item in run.requests if item["outcome"] == "ok" and item.get("ttft_s", 0) > 2]
        panel.plot(failed, np.full(len(failed), most * 1.08), "|", color="red", markersize=7)
        panel.plot(slow, np.full(len(slow), most * 1.2), "|", color="black", markersize=5)
        panel.set_ylim(0, most * 1.3)
        panel.set_ylabel(run.contender.replace("litellm-", "litellm\n").replace("ofox-", "ofox\n"), fontsize=8)
        panel.tick_params(labelsize=7)
    axes[-1][0].set_xlim(0, scenario.seconds)
    axes[-1][0].set_xlabel("seconds", fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
