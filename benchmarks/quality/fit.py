"""The fits: item response with a prior and known signs for the difficulty, multinomial logistic for the kind of
task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.quality import labels
from benchmarks.quality.data import Row
from benchmarks.quality.metrics import Floats
from ofox_middleware.difficulty import load_lexicon
from ofox_middleware.features import FEATURES, Reading, Words, everyday, read
from ofox_middleware.heads import KEYWORD_MEASURES, TEXT_DOMAINS, excess, lowered
from ofox_middleware.plain_text import ABOUT_ROUTING

PRIOR = {
    "length": 8.0, "numbers": 0.8, "many numbers": 0.8, "symbols": 0.5, "latex": 1.5, "code marks": 0.5, "brief": -0.4,
    "write": -0.5, "code": 3.0, "build": 2.0, "design": 2.0, "proof": 4.0, "maths": 2.5, "science": 0.5, "expert": 0.5,
    "constraint": 0.5, "logic": 1.0, "brief fact": -5.0, "brief greeting": -6.0,
}  # fmt: skip
"""Difficulty weights set by hand before any fit; the fit is drawn toward them."""

NOT_NEGATIVE = (
    "length", "length>16", "length>48", "length>128", "length>400", "length>1000", "word length", "long words",
    "numbers",
    "many numbers", "rare share", "rare count", "symbols", "latex", "code block", "sentences", "clauses", "code",
    "build",
    "design", "proof", "maths", "science", "expert", "constraint", "logic",
)  # fmt: skip
NOT_POSITIVE = ("brief", "brief fact", "brief greeting", "repetition")
"""Signs that are known beforehand: a longer or more technical request is not easier, a greeting not harder."""

NOT_ALONE = ("greeting", "fact")
"""Measures that count only where the text is brief: a long problem that asks "how many" is no question of fact."""

KIND_PRIOR = (0.7, 1.0, 0.0, 0.5, -0.4, -0.3, 0.3)


@dataclass(frozen=True)
class Recipe:
    """What a fit is made of; the defaults are what ships. Words always speak for the kind of task; ``words`` and
    ``kinds`` say whether words and the kind of task speak for the difficulty too. ``gate``: whether trivial asks are
    judged apart; there own prompts, the hardest tier and prompts that some model failed on weigh as much as is said."""

    words: bool = False
    pairs: bool = False
    kinds: bool = False
    prior: float = 1.0
    length: float = PRIOR["length"]
    signs: bool = True
    offsets: bool = True
    ridge: float = 3000.0
    word_ridge: float = 3.0
    tier_weight: float = 1.0
    outcome_weight: float = 0.0
    min_prompts: int = 3
    kind_ridge: tuple[float, float] = (1.0, 0.3)
    gate: bool = True
    gate_ridge: tuple[float, float] = (5.0, 1.0)
    gate_own: float = 6.0
    gate_hard: float = 8.0
    gate_failed: float = 1.0


@dataclass(frozen=True)
class Corpus:
    """Rows with what was measured in them once."""

    rows: Sequence[Row]
    readings: Sequence[Reading]
    common: str
    values: Floats = field(init=False)
    tier: NDArray[np.int64] = field(init=False)
    kind: NDArray[np.int64] = field(init=False)
    task: NDArray[np.str_] = field(init=False)
    source: NDArray[np.str_] = field(init=False)
    failed: NDArray[np.bool_] = field(init=False)
    """Whether some model is known to have answered less than well."""

    def __post_init__(self) -> None:
        kinds = [labels.kind(row) for row in self.rows]
        for name, value in (
            ("values", np.array([reading.values for reading in self.readings])),
            ("tier", np.array([labels.tier(row) for row in self.rows])),
            ("kind", np.array([TEXT_DOMAINS.index(name) if name else -1 for name in kinds])),
            ("task", np.array([labels.task(row) for row in self.rows])),
            ("source", np.array([row.source for row in self.rows])),
            ("failed", np.array([min(row.outcomes.values(), default=1.0) < 1.0 for row in self.rows])),
        ):
            object.__setattr__(self, name, value)


def corpus(rows: Sequence[Row], common: str | None = None) -> Corpus:
    """Reads every row. The everyday words are counted over the rows of public sets unless given."""
    lexicon = load_lexicon()
    if common is None:
        seen: Counter[str] = Counter()
        for row in rows:
            if row.source != "own":
                seen.update(everyday(row.prompt))
        common = " ".join(sorted(word for word, count in seen.items() if count >= 6))
    known = Words(lexicon, common.split())
    return Corpus(rows, [read(row.prompt, known) for row in rows], common)


@dataclass(frozen=True)
class Fitted:
    """Weights before they are rounded: one column for the difficulty, one per text domain; ``trivial`` and
    ``trivial_words`` for the log-odds of being trivial, the constant last, empty without a gate."""

    features: Floats
    words: Floats
    bias: Floats
    kinds: Floats
    vocabulary: Mapping[str, int]
    abilities: Mapping[tuple[str, str], float]
    trivial: Floats
    trivial_words: Floats

    def columns(self, data: Corpus) -> Floats:
        words = matrix(data.readings, self.vocabulary)
        linear = data.values @ self.features + words @ self.words + self.bias
        keywords = data.values @ (self.features[:, 0] * np.array(KEYWORD_MEASURES))
        over = [excess(value, whole - value) for value, whole in zip(keywords, linear[:, 0], strict=True)]
        linear[:, 0] += softmax(linear[:, 1:]) @ self.kinds - np.array(over)
        if len(self.trivial):
            odds = data.values @ self.trivial[:-1] + words @ self.trivial_words + self.trivial[-1]
            linear[:, 0] -= [lowered(*pair) for pair in zip(linear[:, 0], odds, strict=True)]
        return np.asarray(linear)


def vocabulary(readings: Sequence[Reading], recipe: Recipe) -> dict[str, int]:
    seen: Counter[str] = Counter()
    for reading in readings:
        seen.update(reading.words)
        if recipe.pairs:
            seen.update(reading.pairs)
    kept = (word for word, count in seen.items() if count >= recipe.min_prompts)
    return {word: at for at, word in enumerate(sorted(w for w in kept if not ABOUT_ROUTING & set(w.split())))}


def matrix(readings: Sequence[Reading], words: Mapping[str, int]) -> sp.csr_matrix:
    """One row per text: its known words, each worth one over the root of how many words it has."""
    ends, places, values = [0], [], []
    pairs = any(" " in word for word in words)
    for reading in readings:
        damp = 1.0 / np.sqrt(max(1, len(reading.words)))
        found = [words[word] for word in (*reading.words, *(reading.pairs if pairs else ())) if word in words]
        places.extend(found)
        values.extend([damp] * len(found))
        ends.append(len(places))
    return sp.csr_matrix((values, places, ends), shape=(len(readings), len(words)))


def softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def fit(data: Corpus, at: NDArray[np.int64], recipe: Recipe, *, difficulty_alone: bool = False) -> Fitted:
    """Fits both heads on the rows ``at``; the kinds, which take most of the time, are left out for
    ``difficulty_alone`` where nothing of it comes from them."""
    readings = [data.readings[i] for i in at]
    words = vocabulary(readings, recipe)
    values, sparse = data.values[at], matrix(readings, words)
    if difficulty_alone and not recipe.kinds:
        width = len(TEXT_DOMAINS)
        kind_features, kind_words = np.zeros((values.shape[1], width)), np.zeros((len(words), width))
        kind_bias = np.zeros(width)
    else:
        kind_features, kind_words, kind_bias = _fit_kinds(values, sparse, data.kind[at], data.task[at], recipe)
    shares = softmax(values @ kind_features + sparse @ kind_words + kind_bias)
    given = sparse if recipe.words else sp.csr_matrix((len(at), 0))
    w, w_words, kinds, bias, abilities = _fit_difficulty(data, at, values, given, shares, recipe)
    if not recipe.words:
        w_words = np.zeros(len(words))
    trivial, trivial_words = _fit_trivial(data, at, values, sparse, recipe)
    return Fitted(
        np.column_stack([w, kind_features]), np.column_stack([w_words, kind_words]),
        np.concatenate([[bias], kind_bias]), kinds, words, abilities, trivial, trivial_words,
    )  # fmt: skip


def _fit_kinds(
    values: Floats, sparse: sp.csr_matrix, kind: NDArray[np.int64], task: NDArray[np.str_], recipe: Recipe
) -> tuple[Floats, Floats, Floats]:
    """Multinomial logistic regression; no task counts for more than 150 rows."""
    known = kind >= 0
    x = sp.hstack([sp.csr_matrix(values[known]), sparse[known]]).tocsr()
    rows, width, k = x.shape[0], x.shape[1], len(TEXT_DOMAINS)
    target = np.eye(k)[kind[known]]
    _, group, count = np.unique(task[known], return_inverse=True, return_counts=True)
    weight = (np.minimum(count, 150) / count)[group]
    ridge = np.full((width, 1), recipe.kind_ridge[1])
    ridge[: values.shape[1]] = recipe.kind_ridge[0]

    def loss(flat: Floats) -> tuple[float, Floats]:
        w, b = flat[: width * k].reshape(width, k), flat[width * k :]
        p = softmax(x @ w + b)
        value = -(weight * np.log(p[np.arange(rows), kind[known]] + 1e-12)).sum() + 0.5 * (ridge * w * w).sum()
        slope = (p - target) * weight[:, None]
        return float(value), np.concatenate([(x.T @ slope + ridge * w).ravel(), slope.sum(axis=0)])

    flat = minimize(loss, np.zeros(width * k + k), jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
    w = flat[: width * k].reshape(width, k)
    return w[: values.shape[1]], w[values.shape[1] :], flat[width * k :]


def _fit_trivial(
    data: Corpus, at: NDArray[np.int64], values: Floats, sparse: sp.csr_matrix, recipe: Recipe
) -> tuple[Floats, Floats]:
    """Logistic regression of the lowest tier against the others, and against prompts that some model failed on."""
    if not recipe.gate:
        return np.zeros(0), np.zeros(sparse.shape[1])
    tier = data.tier[at]
    known = (tier >= 0) | data.failed[at]
    x = sp.hstack([sp.csr_matrix(values[known]), sparse[known]]).tocsr()
    tier = tier[known]
    target = (tier == 0).astype(float)
    weight = np.where(tier < 0, recipe.gate_failed, 1.0)
    weight *= np.where(data.source[at][known] == "own", recipe.gate_own, 1.0) * np.where(tier == 3, recipe.gate_hard, 1)
    ridge = np.full(x.shape[1], recipe.gate_ridge[1])
    ridge[: values.shape[1]] = recipe.gate_ridge[0] * (values[known].std(axis=0) + 0.05) ** 2

    def loss(flat: Floats) -> tuple[float, Floats]:
        w = flat[:-1]
        odds = x @ w + flat[-1]
        value = (weight * (np.logaddexp(0.0, odds) - target * odds)).sum() + 0.5 * (ridge * w * w).sum()
        slope = weight * (_logistic(odds) - target)
        return float(value), np.concatenate([x.T @ slope + ridge * w, [slope.sum()]])

    flat = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 250}).x
    return np.concatenate([flat[: values.shape[1]], flat[-1:]]), flat[values.shape[1] : -1]


def _blocks(data: Corpus, at: NDArray[np.int64]) -> list[tuple[str, NDArray[np.int64], Floats, NDArray[np.bool_]]]:
    """Per source: positions within ``at``, scores (rows x models) and which of them are known."""
    blocks = []
    for source, models in labels.FITTED_MODELS.items():
        place = np.flatnonzero(data.source[at] == source)
        if not len(place):
            continue
        rows = [data.rows[i] for i in at[place]]
        score = np.array([
            [np.nan if (row.domain, name) in labels.UNSOUND else row.outcomes.get(name, np.nan) for name in models]
            for row in rows
        ])  # fmt: skip
        known = ~np.isnan(score)
        blocks.append((source, place, np.nan_to_num(score), known))
    return blocks


def _logistic(z: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(z, -30, 30))))


def _fit_difficulty(  # noqa: PLR0917
    data: Corpus, at: NDArray[np.int64], values: Floats, sparse: sp.csr_matrix, shares: Floats, recipe: Recipe
) -> tuple[Floats, Floats, Floats, float, dict[tuple[str, str], float]]:
    """Item response: outcomes see ability - difficulty - what the task adds; tiers see fixed thresholds."""
    x = np.hstack([values, shares]) if recipe.kinds else values
    rows, p, q = len(at), x.shape[1], sparse.shape[1]
    blocks = _blocks(data, at)
    names = [(source, model) for source, *_ in blocks for model in labels.FITTED_MODELS[source]]
    tiers = np.flatnonzero(data.tier[at] >= 0)
    above = (data.tier[at][tiers][:, None] > np.arange(3)[None]).astype(float)
    cuts = np.array(labels.THRESHOLDS)
    tasks, task = np.unique(data.task[at], return_inverse=True)
    n, m = len(names), len(tasks) if recipe.offsets else 0
    prior = recipe.prior * np.array(
        [{**PRIOR, "length": recipe.length}.get(name, 0.0) for name in FEATURES]
        + list(KIND_PRIOR if recipe.kinds else ())
    )
    ridge = recipe.ridge * (x.var(axis=0) + 0.01)

    def loss(flat: Floats) -> tuple[float, Floats]:
        w, words, bias = flat[:p], flat[p : p + q], flat[p + q]
        ability, offset = flat[p + q + 1 : p + q + 1 + n], flat[p + q + 1 + n :]
        b = x @ w + sparse @ words + bias
        seen = b + offset[task] if m else b
        total, slope, outcome_slope, ability_slope, first = 0.0, np.zeros(rows), np.zeros(rows), np.zeros(n), 0
        for _, place, score, known in blocks:
            many = score.shape[1]
            own = slice(first, first + many)
            first += many
            chance = _logistic(ability[own][None, :] - seen[place][:, None])
            weight = recipe.outcome_weight / many
            total -= (
                weight * (known * (score * np.log(chance + 1e-12) + (1 - score) * np.log(1 - chance + 1e-12))).sum()
            )
            error = weight * known * (chance - score)
            ability_slope[own] += error.sum(axis=0)
            outcome_slope[place] -= error.sum(axis=1)
        chance = _logistic(b[tiers][:, None] - cuts[None])
        hits = above * np.log(chance + 1e-12) + (1 - above) * np.log(1 - chance + 1e-12)
        total -= recipe.tier_weight * hits.sum()
        slope[tiers] += recipe.tier_weight * (chance - above).sum(axis=1)
        slope += outcome_slope
        away = w - prior
        total += (
            0.5 * (ridge * away * away).sum() + 0.5 * recipe.word_ridge * (words @ words) + 0.01 * (ability @ ability)
        )
        parts = [x.T @ slope + ridge * away, sparse.T @ slope + recipe.word_ridge * words, [slope.sum()]]
        parts.append(ability_slope + 0.02 * ability)
        if m:
            total += 0.15 * (offset @ offset)
            parts.append(np.bincount(task, outcome_slope, minlength=m) + 0.3 * offset)
        return float(total), np.concatenate(parts)

    low, high = np.full(p, -np.inf), np.full(p, np.inf)
    if recipe.signs:
        low[[FEATURES.index(name) for name in NOT_NEGATIVE]] = 0.0
        high[[FEATURES.index(name) for name in NOT_POSITIVE]] = 0.0
        alone = [FEATURES.index(name) for name in NOT_ALONE]
        low[alone] = high[alone] = 0.0
    start = np.concatenate([np.clip(prior, low, high), np.zeros(q), [-3.0], np.zeros(n + m)])
    bounds = [*zip(low, high, strict=True), *[(-12.0, 12.0)] * q, *[(None, None)] * (1 + n + m)]
    flat = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 250}).x
    w, kinds = flat[: len(FEATURES)], flat[len(FEATURES) : p] if recipe.kinds else np.zeros(len(TEXT_DOMAINS))
    abilities = dict(zip(names, flat[p + q + 1 : p + q + 1 + n], strict=True))
    return w, flat[p : p + q], kinds, float(flat[p + q]), abilities
