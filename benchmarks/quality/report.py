"""The tables and the plot of the comparison; every number comes from here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import contenders, labels, metrics
from benchmarks.quality.data import TEST, Row, test_rows, train_rows
from benchmarks.quality.metrics import Floats
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.types import Signals

ORDER = ("random", "prompt length", "LiteLLM v1", "LiteLLM v2", "length and v1 blend", "Ofox", "task label", "oracle")
PRICES = {"weak": 0.6, "strong": 15.0}
"""USD per million tokens, input and output mixed 3:1, of Mixtral-8x7B and gpt-4-1106; used where costs were not
measured."""


@dataclass(frozen=True)
class Contest:
    """One pair of models on one set: outcomes, costs and each contender's scores."""

    set: str
    weak: str
    strong: str
    rows: Sequence[Row]
    weak_score: Floats
    strong_score: Floats
    weak_cost: Floats
    strong_cost: Floats
    scores: dict[str, Floats]


def ours(model: DifficultyModel) -> contenders.Scorer:
    """The product's own path: the classifier on signals that hold nothing but the prompt."""
    return lambda prompt: model.classify(Signals(ask=prompt)).logit


def contest(  # noqa: PLR0917
    name: str,
    rows: Sequence[Row],
    weak: str,
    strong: str,
    scorers: dict[str, contenders.Scorer],
    cache: dict[str, Floats],
) -> Contest:
    rows = [row for row in rows if weak in row.outcomes and strong in row.outcomes]
    w = np.array([row.outcomes[weak] for row in rows])
    s = np.array([row.outcomes[strong] for row in rows])
    scores: dict[str, Floats] = {"random": np.zeros(len(rows))}
    for label, scorer in scorers.items():
        key = f"{name}/{label}/{len(rows)}"
        if key not in cache:
            cache[key] = contenders.scores(scorer, rows)
        scores[label] = cache[key]
    scores["length and v1 blend"] = contenders.blend(scores["prompt length"], scores["LiteLLM v1"])
    scores["task label"] = contenders.task_oracle(rows, w, s)
    scores["oracle"] = s - w
    size = np.array([len(row.prompt) / 4 + 200 for row in rows]) / 1e6
    wc = np.array([row.costs.get(weak, 0.0) for row in rows])
    sc = np.array([row.costs.get(strong, 0.0) for row in rows])
    if wc.sum() <= 0 or sc.sum() <= 0:
        wc, sc = size * PRICES["weak"], size * PRICES["strong"]
    return Contest(name, weak, strong, rows, w, s, wc, sc, scores)


def all_scorers(model: DifficultyModel) -> dict[str, contenders.Scorer]:
    return {
        "prompt length": contenders.length,
        "LiteLLM v1": contenders.litellm_v1(),
        "LiteLLM v2": contenders.litellm_v2(),
        "Ofox": ours(model),
    }


def test_contests(scorers: dict[str, contenders.Scorer]) -> list[Contest]:
    cache: dict[str, Floats] = {}
    found = []
    for name in TEST:
        rows = test_rows(name)
        models = sorted({model for row in rows for model in row.outcomes if not model.startswith("router:")})
        strong = next(model for model in models if "gpt-4" in model)
        weak = next(model for model in models if "mixtral" in model.lower())
        found.append(contest(name.removeprefix("routellm_"), rows, weak, strong, scorers, cache))
    return found


def train_contests(scorers: dict[str, contenders.Scorer]) -> list[Contest]:
    cache: dict[str, Floats] = {}
    rows = train_rows()
    found = []
    for source, pairs in labels.PAIRS.items():
        here = [row for row in rows if row.source == source]
        found += [contest(source, here, weak, strong, scorers, cache) for weak, strong in pairs]
    return found


def measures(of: Contest, name: str, rounds: int) -> dict[str, Any]:
    score = of.scores[name]
    run = metrics.curve(score, of.weak_score, of.strong_score, of.weak_cost, of.strong_cost)
    low, high = metrics.bootstrap(score, of.weak_score, of.strong_score, rounds=rounds)
    return {
        "apgr": metrics.apgr(score, of.weak_score, of.strong_score),
        "low": low, "high": high,
        "cpt50": metrics.cpt(run, 50), "cpt80": metrics.cpt(run, 80),
        "cost95": metrics.cost_at_quality(run, 0.95),
    }  # fmt: skip


def pair_table(contests: Sequence[Contest], rounds: int = 200) -> str:
    lines = [
        "| set, pair | contender | APGR [95%] | CPT(50) | CPT(80) | cost at 95% quality |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for of in contests:
        title = f"{of.set} ({len(of.rows):,}): {short(of.weak)} > {short(of.strong)}"
        for name in ORDER:
            m = measures(of, name, rounds)
            shown = f"**{name}**" if name == "Ofox" else name
            lines.append(
                f"| {title} | {shown} | {m['apgr']:.3f} [{m['low']:.2f}, {m['high']:.2f}] | {_percent(m['cpt50'])} | "
                f"{_percent(m['cpt80'])} | {_percent(m['cost95'])} |"
            )
            title = ""
    return "\n".join(lines)


def macro(contests: Sequence[Contest]) -> dict[str, float]:
    """Mean APGR by contender, each set counting once."""
    sets = sorted({of.set for of in contests})
    return {
        name: float(np.mean([
            np.mean([metrics.apgr(of.scores[name], of.weak_score, of.strong_score) for of in contests if of.set == one])
            for one in sets
        ]))
        for name in ORDER
    }  # fmt: skip


def microseconds(scorers: dict[str, contenders.Scorer], prompts: dict[int, str], repeats: int = 200) -> str:
    """Median time of one decision, by length of the prompt, no text twice; a second at most is spent on each."""
    lines = ["| contender | " + " | ".join(f"{size:,}" for size in prompts) + " |", "| --- |" + " --- |" * len(prompts)]
    for name, scorer in scorers.items():
        cells = []
        for prompt in prompts.values():
            scorer(prompt)
            times: list[float] = []
            while len(times) < repeats and sum(times) < 1.0:
                text = f"{prompt[:-3]}{len(times):03}"
                start = time.perf_counter()
                scorer(text)
                times.append(time.perf_counter() - start)
            cells.append(f"{1e6 * float(np.median(times)):,.0f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(contests: Sequence[Contest], path: Path) -> None:
    """Cost against quality as the threshold moves, one panel for each pair."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "ofox"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(contests), figsize=(5 * len(contests), 4.2), squeeze=False)
    for axis, of in zip(axes[0], contests, strict=True):
        for name in ORDER:
            run = metrics.curve(of.scores[name], of.weak_score, of.strong_score, of.weak_cost, of.strong_cost)
            n = len(of.rows)
            axis.plot(
                (run.weak_cost + run.extra_cost) / run.strong_cost, (run.weak_quality + run.gain) / n, label=name,
                linewidth=2.2 if name == "Ofox" else 1.1, linestyle=":" if name in ("oracle", "task label") else "-",
            )  # fmt: skip
        low, high = of.weak_score.mean(), of.strong_score.mean()
        axis.set_ylim(low - 0.02, high + 0.35 * (high - low))
        axis.set_title(f"{of.set}: {short(of.weak)} > {short(of.strong)}", fontsize=9)
        axis.set_xlabel("cost, share of always strong")
        axis.set_ylabel("quality")
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def short(model: str) -> str:
    """A model's name as tables show it."""
    return model.rsplit("/", maxsplit=1)[-1].replace("-Instruct-v0.1", "").replace("-preview", "")


def _percent(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{100 * value:.0f}%"
