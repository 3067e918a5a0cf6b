"""SmartRouter: one request in, one :class:`Decision` out. Synchronous, no await, no I/O."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ofox_middleware import scoring, shape, signals
from ofox_middleware.cards import ModelFacts
from ofox_middleware.catalog import Catalog
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.errors import NoCandidate
from ofox_middleware.health import HealthBook
from ofox_middleware.judging import Judge
from ofox_middleware.lack_book import LackBook
from ofox_middleware.lacks import Lack, lack_in
from ofox_middleware.observers import Observer, Observers
from ofox_middleware.pools import Pools
from ofox_middleware.rules import Rules
from ofox_middleware.sessions import SessionBook, session_key
from ofox_middleware.settings import RoutingConfig, Settings
from ofox_middleware.staying import further, margin_of, pinned_to, prefers_anew, stays
from ofox_middleware.types import Classifier, Clock, Reason, Signals


class SmartRouter:
    """Picks a model for each request from its difficulty and from how each candidate is doing.

    Args:
        settings: defaults to what the environment says.
        health: the state of each model; share one book between doors that serve the same models.
        clock: monotonic seconds.
        seed: makes the random sharing between equals repeatable; ``settings.seed`` when ``None``.
        catalog: facts of known models.
        classifier: judges difficulty in place of the built-in model.

    Attributes:
        stats: counts of events by name, such as ``decided`` or ``classifier_error``.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        health: HealthBook | None = None,
        clock: Clock = time.monotonic,
        seed: int | None = None,
        catalog: Catalog | None = None,
        classifier: Classifier | None = None,
    ) -> None:
        settings = Settings() if settings is None else settings
        self.health = HealthBook(clock=clock) if health is None else health
        self.catalog = Catalog.load() if catalog is None else catalog
        self.sessions = SessionBook(clock=clock, ttl_s=settings.session_ttl_s, max_sessions=settings.max_sessions)
        self.lacks = LackBook(clock=clock, ttl_s=settings.refusal_ttl_s)
        self.stats: Counter[str] = Counter()
        self._clock = clock
        self._judge = Judge(classifier, clock=clock, stats=self.stats)
        self._rules = Rules.of(settings)
        seed = settings.seed if seed is None else seed
        # Workers that are forked from one process must not draw the same numbers: the module's own generator is seeded
        # anew in each of them.
        self._draw = random.random if seed is None else random.Random(seed).random
        self._observers = Observers(self.stats)
        self._pools = Pools(self.catalog)

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._rules.settings

    @property
    def pool(self) -> tuple[ModelFacts, ...]:
        """The operator's pool with all facts. Raises ``SettingsError`` when a name in it cannot be used."""
        return self._pool_of(self._rules)

    def _pool_of(self, rules: Rules) -> tuple[ModelFacts, ...]:
        if rules.pool is None:
            rules.pool = rules.with_abilities(self._pools.operators(rules.settings))
        return rules.pool

    @property
    def memories(self) -> dict[str, LackBook | SessionBook]:
        """What workers share beside health: refusals and conversations."""
        return {"lacks": self.lacks, "sessions": self.sessions}

    def is_auto(self, model: object) -> bool:
        """Whether ``model`` asks for routing; compared exactly, as decoded from JSON."""
        return isinstance(model, str) and model in self.settings.auto_models

    def facts(self, name: str) -> ModelFacts | None:
        """What is known of a model of the operator's pool, ``None`` for any other name."""
        return next((facts for facts in self.pool if facts.name == name), None)

    def subscribe(self, observer: Observer) -> None:
        """Tells ``observer`` of every decision and outcome from now on."""
        self._observers.subscribed.append(observer)

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Who is told, in the order in which they subscribed."""
        return tuple(self._observers.subscribed)

    def report(self, outcome: Outcome) -> None:
        """For doors: how a routed request ended. Call it once per request."""
        self.stats["ended"] += 1
        self._observers.ended(outcome)

    def refused(self, decision: Decision, model: str, error: str | bytes) -> Lack | None:
        """For doors: ``model`` answered the request of ``decision`` with a 4xx that says ``error``.

        Returns:
            What the model lacks for such requests, which is remembered; ``None`` when the error is another.
        """
        lack = lack_in(error)
        if lack is None or not self.lacks.note(decision.targets[model], lack, decision):
            return None
        self.stats["lack"] += 1
        return lack

    def reload(self, settings: Settings) -> None:
        """Takes on new settings at once or, when they are wrong, not at all. Health and conversations are kept.

        Raises:
            SettingsError: the new settings cannot be used; the old ones stay in force.
        """
        rules = Rules.of(settings)
        self._pool_of(rules)
        self._rules = rules
        self.sessions.ttl_s, self.sessions.max_sessions = settings.session_ttl_s, settings.max_sessions
        self.lacks.ttl_s = settings.refusal_ttl_s

    def decide(
        self,
        body: Mapping[str, Any],
        path: str = "/v1/chat/completions",
        *,
        caller: str = "",
        session: str | None = None,
        pool: Sequence[ModelFacts] | None = None,
        adapts: bool = False,
        dry_run: bool = False,
    ) -> Decision:
        """The best model for ``body`` now, with its fallbacks and the reasons.

        Args:
            body: the request's JSON as a dict; its ``model_routing_config`` is honoured, its ``model`` ignored.
            path: the request's path, which tells the body's shape.
            caller: an opaque name of who asks; conversations of different callers are kept apart.
            session: the conversation's id as a header or LiteLLM knows it; the config's ``session_id`` wins.
            pool: replaces the operator's pool; a door passes the models that the caller's key may use.
            adapts: the door takes parameters out of the request that a model refuses and that can be done without.
            dry_run: leaves no trace: no pin, no count, no observer.

        Raises:
            InvalidRoutingConfig: the config is wrong.
            InvalidRequest: the conversation has no shape that the protocol knows.
            NoCandidate: no model can serve this request.
            NoPool: there is nothing to choose from.
        """
        rules = self._rules  # read once: a reload in another thread must not show in the middle of a decision
        settings = rules.settings
        config = RoutingConfig.read(body.get("model_routing_config"))
        preference = config.preference or settings.preference
        profile = rules.profile(preference)
        surface = signals.surface_of(path) or "chat"
        shape.check(body, surface)
        read = signals.read(body, surface)
        difficulty, stuck = self._judge.difficulty(read, rules.builtin, settings.classifier_timeout_s)
        if pool is None:
            pool = self._pool_of(rules) or self._pools.callers(config.models)
        elif rules.tuned:
            pool = rules.with_abilities(pool)
        named, left_out = rules.candidates(config, pool)

        key = session_key(read.opening, caller, config.session_id or session)
        held = None if read.housekeeping else self.sessions.get(key)
        anew = held is not None and prefers_anew(held, config.preference, read)
        pin = None if stuck or anew else held
        fallback = settings.fallback if config.fallback is None else config.fallback
        terms = scoring.Terms(
            output_tokens=min(
                read.max_output_tokens or settings.expected_output_tokens, settings.expected_output_tokens
            ),
            context_margin=settings.context_margin,
            max_cost_usd=config.max_cost_usd,
            cached=None if held is None else held.warm(self._clock()),
            further=further(read, held) if settings.max_sessions else 0,
            marked=read.cache_control,
            refused=self._refused_by(named, read, body, adapts=adapts) if self.lacks else None,
            probes=fallback and pin is None and not read.in_tool_loop,
        )
        assessed = scoring.assess(named, self.health.views(named), read, difficulty, terms)
        feasible = scoring.feasible_of(assessed)
        if not feasible:
            raise NoCandidate([*(item.row() for item in assessed), *left_out])
        scoring.score(feasible, profile)
        equals = scoring.near_best(feasible, profile, settings.share_within)

        down = scoring.how_many_down(feasible)
        degraded = down > 0
        pinned = pinned_to(pin, feasible, degraded=degraded)
        reason: Reason = "session"
        if (
            pin is not None
            and pinned is not None
            and stays(pinned, equals[0], read, profile, margin_of(pin, settings.session_margin))
        ):
            pick = pinned
        else:
            # Only the best was found to be worth the move, not those that are nearly as good. A conversation whose
            # model is down is another matter: with it go many, and they must not all go to the same one.
            pick, reason = self._pick(equals if pinned is None else equals[:1], feasible)
        if stuck and reason in ("best", "tie"):
            reason = "escalated"
        ranking = [pick, *scoring.fallbacks(pick, feasible)]
        targets = {item.facts.name: item.facts for item in ranking}
        decision = Decision(
            id=f"{random.getrandbits(64):016x}",  # a name, not a secret: os.urandom takes 14 us
            model=pick.facts.name,
            ranking=tuple(targets),
            reason=reason,
            preference=preference,
            difficulty_detail=difficulty,
            candidates=(
                *[item.row() for item in ranking],
                *(
                    [item.row() for item in assessed if item.facts.name not in targets]
                    if len(ranking) < len(assessed)
                    else ()
                ),
                *left_out,
            ),
            targets=targets,
            fallback=fallback,
            surface=surface,
            stream=read.stream,
            input_tokens=read.input_tokens,
            output_tokens=terms.output_tokens,
            max_output_tokens=read.max_output_tokens,
            needs=read.needs,
            params=read.params,
            session=key,
            panic=2 * down >= len(feasible),
        )
        if not dry_run:
            pinned_by = preference if held is None or anew else held.preference
            self._remember(decision, read, degraded=degraded, preference=pinned_by)
        return decision

    def _refused_by(
        self, named: Sequence[ModelFacts], read: Signals, body: Mapping[str, Any], *, adapts: bool
    ) -> dict[str, str]:
        return self.lacks.reasons([facts.name for facts in named], read, body, adapts=adapts)

    def _pick(
        self, equals: Sequence[scoring.Assessed], feasible: Sequence[scoring.Assessed]
    ) -> tuple[scoring.Assessed, Reason]:
        pick = scoring.choose(equals, self._draw)
        if not pick.healthy:
            return pick, "last_resort"
        if pick.probe:
            return pick, "probe"
        if len(feasible) == 1:
            return pick, "only"
        return pick, "tie" if len(equals) > 1 else "best"

    def _remember(self, decision: Decision, read: Signals, *, degraded: bool, preference: str) -> None:
        self.stats["decided"] += 1
        if not read.housekeeping:
            self.sessions.pin(
                decision.session,
                decision.model,
                sent_tokens=decision.input_tokens,
                degraded=degraded,
                preference=preference,
            )
        self._observers.decided(decision)
        if self.settings.log_prompts:
            self._observers.asked(decision, read.ask)
