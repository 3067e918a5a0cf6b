"""Which candidates can serve a request, and in what order to try them. Pure: no clock, no I/O, randomness passed in.

Every axis is compared as the logarithm of a ratio to the best candidate on it, never scaled over the pool, so that a
third model coming or going cannot turn two others round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from operator import attrgetter, mul
from typing import Final

import msgspec

from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Candidate, CandidateStatus
from ofox_middleware.types import DOMAINS, Difficulty, HealthView, Need, Profile, Signals

COST_GRAIN_USD: Final = 1e-6
"""Costs are compared in steps no finer than this: a ratio to a free model would be infinite."""

_LEAST: Final = 1e-9
"""Qualities and times are compared as no smaller than this."""

DIVERSITY: Final = 0.9
"""A fallback on another provider goes first when its score is at least this share of the better one's."""

# Groups of the ranking, tried in this order; within a group the score decides.
_KEPT, _BELOW_FLOOR, _FULL, _UNKNOWN, _UNHEALTHY, _REFUSED, _SKIPPED = range(7)


class Terms(msgspec.Struct, frozen=True):
    """What a request asks of every candidate, beside its difficulty.

    Attributes:
        output_tokens: expected length of the answer.
        context_margin: share of a window kept free for errors of the token estimate.
        max_cost_usd: dearer candidates are skipped; ``None`` is no limit.
        cached: prompt tokens that a model has read already, by name.
        further: how many more requests the conversation is expected to send after this one.
        marked: the request sets ``cache_control``, without which Anthropic caches nothing.
        refused: why a model is known to refuse this request, by name. It comes after all others, but stays: what a
            provider said some time ago is no reason to answer the caller in its place.
        probes: whether a half-open model may get this request as its probe.
    """

    output_tokens: int
    context_margin: float = 0.1
    max_cost_usd: float | None = None
    cached: Mapping[str, int] | None = None
    further: int = 0
    marked: bool = False
    refused: Mapping[str, str] | None = None
    probes: bool = True


class Assessed(msgspec.Struct, eq=False, gc=False):
    """One candidate while it is being judged.

    ``group`` orders the ranking; ``rate_usd`` is what it is compared by: the mean cost of this request and of those
    that the conversation is expected to send after it. The other fields are those of ``Candidate``.
    """

    facts: ModelFacts
    group: int
    reason: str = ""
    quality: float = 0.0
    cost_usd: float | None = None
    rate_usd: float | None = None
    time_s: float = 0.0
    score: float = -math.inf
    reopens_in_s: float = 0.0
    probe: bool = False

    def row(self) -> Candidate:
        """This candidate as the decision shows it."""
        facts = self.facts
        if self.group == _SKIPPED:
            return Candidate(facts.name, "skipped", self.reason, None, self.cost_usd, None, None, facts.ability_source)
        status: CandidateStatus = "kept" if self.group == _KEPT else "demoted"
        return Candidate(
            facts.name, status, self.reason, self.quality, self.cost_usd, self.time_s, self.score, facts.ability_source
        )

    @property
    def healthy(self) -> bool:
        """Whether it can serve the request and neither its breaker nor a refusal stands in the way."""
        return self.group < _UNHEALTHY


def expected_cost_usd(facts: ModelFacts, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float | None:
    """USD of one request; ``None`` without prices.

    Input x price + (answer + usual thinking) x price, cached input at its own price.
    """
    if facts.input_usd is None or facts.output_usd is None:
        return None
    written = output_tokens + facts.thinking_tokens
    if not cached_tokens:
        return input_tokens * facts.input_usd + written * facts.output_usd
    cached = min(cached_tokens, input_tokens)
    cached_usd = facts.input_usd if facts.cached_input_usd is None else facts.cached_input_usd
    return (input_tokens - cached) * facts.input_usd + cached * cached_usd + written * facts.output_usd


def caches(facts: ModelFacts, *, marked: bool) -> bool:
    """Whether a model's provider keeps what it has read of a prompt, at a price of its own."""
    return facts.cached_input_usd is not None and (marked or facts.provider != "anthropic")


def rate_usd(facts: ModelFacts, input_tokens: int, terms: Terms, now_usd: float | None) -> float | None:
    """Mean USD of a request that costs ``now_usd`` and of the ``terms.further`` ones after it.

    So a prompt cache that is lost by a move is weighed against what the rest of the conversation will save by it, and a
    model that caches nothing against one that does.
    """
    if not terms.further or now_usd is None:
        return now_usd
    cached = input_tokens if caches(facts, marked=terms.marked) else 0
    later_usd = expected_cost_usd(facts, input_tokens, terms.output_tokens, cached)
    return None if later_usd is None else (now_usd + terms.further * later_usd) / (1 + terms.further)


def lack(facts: ModelFacts, needs: Set[Need], room: float, answer: int | None) -> tuple[int, str]:
    """The group and the reason of a candidate that lacks something, ``(_KEPT, "")`` when it lacks nothing.

    A fact that nobody stated is unknown, not false: such a candidate is demoted, not skipped.

    Args:
        facts: of the candidate.
        needs: what the request asks of a model.
        room: tokens that prompt and answer may take.
        answer: the longest answer that the caller allows, ``None`` when it does not say.
    """
    unknown = ""
    for need in needs:
        able = facts.supports.get(need)
        if able is False:
            return _SKIPPED, f"no_{need}"
        if able is None and not unknown and need in _DECISIVE:
            unknown = f"unknown_{need}"
    window = facts.max_input_tokens
    if window is not None and room > window:
        return _SKIPPED, "context_window"
    if answer is not None and facts.max_output_tokens is not None and answer > facts.max_output_tokens:
        return _UNKNOWN, "output_limit"
    return (_UNKNOWN, unknown) if unknown else _NOTHING_LACKS


_NOTHING_LACKS: Final = (_KEPT, "")

# Asking a model for these when it lacks them is an error or a wrong answer; most models take the other parameters,
# and nobody states them, so that to doubt them would demote nearly every model.
_DECISIVE: Final[frozenset[Need]] = frozenset(
    {"image", "audio", "file", "video", "audio_output", "tools", "json_schema", "computer_use", "web_search"}
)


def assess(
    pool: Sequence[ModelFacts],
    views: Sequence[HealthView],
    signals: Signals,
    difficulty: Difficulty,
    terms: Terms,
) -> list[Assessed]:
    """Feasibility, quality, cost and time of every candidate. ``views`` runs beside ``pool``."""
    cached, refused, most_usd = terms.cached, terms.refused, terms.max_cost_usd
    needs, answer = signals.needs, signals.max_output_tokens
    input_tokens, output_tokens = signals.input_tokens, terms.output_tokens
    room = input_tokens / (1 - terms.context_margin) + (answer or 0)
    domains, logit = difficulty.domains, difficulty.logit
    assessed = []
    for facts, view in zip(pool, views, strict=True):
        group, reason = lack(facts, needs, room, answer)
        item = Assessed(facts, group, reason)
        assessed.append(item)
        if group == _SKIPPED:
            continue
        sent = cached.get(facts.name, 0) if cached else 0
        if sent and not caches(facts, marked=terms.marked):
            sent = 0
        item.cost_usd = cost_usd = expected_cost_usd(facts, input_tokens, output_tokens, sent)
        item.rate_usd = rate_usd(facts, input_tokens, terms, cost_usd) if terms.further else cost_usd
        if most_usd is not None:
            if cost_usd is None:
                item.group, item.reason = _UNKNOWN, "unknown_price"
            elif cost_usd > most_usd:
                item.group, item.reason = _SKIPPED, "over_max_cost"
                continue
        availability = view.availability
        if refused and facts.name in refused:
            item.group, item.reason = _REFUSED, refused[facts.name]
        elif view.state != "closed" or view.in_flight >= view.limit:
            _judge_health(item, view, probes=terms.probes)
            if item.probe:  # it is there to find out: what failed before must not keep it from being asked
                availability = 1.0
        ability = sum(map(mul, domains, facts.ability))
        item.quality = availability / (1.0 + math.exp(min(logit - ability, 700.0)))
        answer_s = view.ttft_s + output_tokens * view.s_per_token
        item.time_s = answer_s * view.load_factor / (availability if availability > 0.01 else 0.01)
    return assessed


def _judge_health(item: Assessed, view: HealthView, *, probes: bool) -> None:
    if view.state == "closed":
        # Load is part of the expected time, which `quality` and `cost` do not look at; a limit holds for them too.
        if item.group == _KEPT and view.in_flight >= view.limit:
            item.group, item.reason = _FULL, "at_limit"
        return
    if view.state == "half_open" and view.probe_free and probes:
        item.probe = True
        return
    item.group = _UNHEALTHY
    item.reason = "breaker_open" if view.state == "open" else "probing"
    item.reopens_in_s = view.reopens_in_s


def feasible_of(assessed: Sequence[Assessed]) -> list[Assessed]:
    """Those that can serve the request at all; the functions below take them alone."""
    return [item for item in assessed if item.group != _SKIPPED]


def how_many_down(feasible: Sequence[Assessed]) -> int:
    """Of how many the breaker stands in the way."""
    return [item.group for item in feasible].count(_UNHEALTHY)


def score(feasible: Sequence[Assessed], profile: Profile) -> None:
    """Sets the scores, and demotes the candidates under the profile's floor.

    Score = sum over the axes of weight x ln(ratio to the best healthy candidate), weights scaled to sum to 1: 0 is the
    best there can be. An unknown price counts as the dearest known one.
    """
    standard = [item for item in feasible if item.group == _KEPT] or feasible
    if not standard:
        return
    total = profile.quality + profile.cost + profile.time
    weight_quality, weight_cost, weight_time = profile.quality / total, profile.cost / total, profile.time / total
    dearest = max([item.rate_usd for item in feasible if item.rate_usd is not None], default=COST_GRAIN_USD)
    best_quality = max(_LEAST, *map(_quality, standard))
    best_time = max(_LEAST, min(map(_time_s, standard)))
    best_cost = max(COST_GRAIN_USD, min([dearest if item.rate_usd is None else item.rate_usd for item in standard]))
    least_quality = profile.floor * best_quality
    log = math.log
    for item in feasible:
        quality, cost, time_s = item.quality, item.rate_usd, item.time_s
        if cost is None:
            cost = dearest
        item.score = (
            weight_quality * log((quality if quality > _LEAST else _LEAST) / best_quality)
            - weight_cost * log((cost if cost > COST_GRAIN_USD else COST_GRAIN_USD) / best_cost)
            - weight_time * log((time_s if time_s > _LEAST else _LEAST) / best_time)
        )
        if quality < least_quality and item.group == _KEPT:
            item.group, item.reason = _BELOW_FLOOR, "below_floor"


def near_best(feasible: Sequence[Assessed], profile: Profile, share_within: float) -> list[Assessed]:
    """The candidates that share the traffic as equals, best first: never empty while one is feasible.

    Those whose score is within ``share_within`` of the best. A profile with a ``tie`` asks for the cheapest of the
    nearly best instead; then those share whose cost is within ``share_within`` of that.
    """
    if not feasible:
        return []
    group = min(map(_group, feasible))
    if group == _UNHEALTHY:
        # Nobody is healthy: the one whose breaker lets go first is the best hope.
        return sorted(feasible, key=lambda item: (item.reopens_in_s, -item.score))[:1]
    field = sorted([item for item in feasible if item.group == group], key=_score, reverse=True)
    best = field[0].score
    if not profile.tie:
        least = best + math.log1p(-share_within)
        return [item for item in field if item.score >= least]
    field = [item for item in field if item.score >= best + math.log1p(-profile.tie)]
    priced = sorted((item for item in field if item.rate_usd is not None), key=_known_cost)
    if not priced:
        return field
    most = max(_known_cost(priced[0]), COST_GRAIN_USD) * (1 + share_within)
    return [item for item in priced if _known_cost(item) <= most]


_score, _group, _quality, _time_s = map(attrgetter, ("score", "group", "quality", "time_s"))


def _known_cost(item: Assessed) -> float:
    return math.inf if item.rate_usd is None else item.rate_usd


def choose(equals: Sequence[Assessed], draw: Callable[[], float]) -> Assessed:
    """One of ``equals`` at random, ``draw`` giving 0..<1: it keeps many workers from herding onto one model."""
    return equals[0] if len(equals) == 1 else equals[int(draw() * len(equals))]


def fallbacks(pick: Assessed, feasible: Sequence[Assessed]) -> list[Assessed]:
    """The other candidates in the order to try them when ``pick`` fails.

    Healthy and known before doubtful, doubtful before unhealthy (soonest to reopen first); by score within a group,
    but another provider goes before one that failed already when their scores are close.
    """
    rest = [item for item in feasible if item is not pick]
    if len(rest) < 2:
        return rest
    rest.sort(key=lambda item: (item.group, item.reopens_in_s, -item.score))
    untried = {item.facts.provider for item in rest}
    untried.discard(pick.facts.provider)
    ordered: list[Assessed] = []
    while rest and untried:
        at = 0
        if rest[0].facts.provider not in untried:
            group, least = rest[0].group, rest[0].score + _DIVERSITY_LOG
            near = (item.group == group and item.score >= least and item.facts.provider in untried for item in rest)
            at = next((at for at, found in enumerate(near) if found), 0)
        ordered.append(rest.pop(at))
        untried.discard(ordered[-1].facts.provider)
    return ordered + rest


_DIVERSITY_LOG: Final = math.log(DIVERSITY)


def worth_staying(pinned: Assessed, best: Assessed, margin: float, *, tie: float) -> bool:
    """Whether a conversation stays where it is: no other model is better by more than ``margin``, as a share.

    What moving costs is in the rates already: the pinned model pays the cached price for what it has read. A model
    that has fallen under the profile's floor for this ask is not stayed with while another is above it. Under a profile
    with a ``tie``, whose score does not look at costs, ``best`` is the cheapest of the nearly best.
    """
    if pinned.group > best.group or math.exp(best.score - pinned.score) - 1 > margin:
        return False
    if not tie or best.rate_usd is None or pinned.rate_usd is None:
        return True
    return pinned.rate_usd <= best.rate_usd * (1 + margin)


def check_difficulty(difficulty: Difficulty) -> None:
    """Raises ``ValueError`` when a custom classifier's answer cannot be scored with."""
    if not (0 <= difficulty.level <= 1 and math.isfinite(difficulty.logit)):
        raise ValueError("level must be 0..1 and logit finite")
    if len(difficulty.domains) != len(DOMAINS) or not math.isclose(sum(difficulty.domains), 1, abs_tol=0.01):
        raise ValueError("domains must be shares of types.DOMAINS that sum to 1")
