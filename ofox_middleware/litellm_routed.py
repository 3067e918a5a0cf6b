"""A routed request on its way through LiteLLM: what was decided, who is trying, and what the caller is told."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, SupportsIndex

from ofox_middleware import litellm_events as events
from ofox_middleware import litellm_spans as spans
from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.failures import is_failure
from ofox_middleware.health import HealthBook
from ofox_middleware.lacks import STATUSES, Lack
from ofox_middleware.ledger import Call
from ofox_middleware.router import SmartRouter

current_routed: ContextVar[Routed | None] = ContextVar("ofox_current_routed", default=None)
"""The request that an attached ``litellm.Router`` is working on. Its attempts have nothing else in common that a
provider would not see."""


class Routed:
    """One request that was routed.

    Attributes:
        decision: what was decided.
        hops: the pick and the fallbacks that LiteLLM was given, pool names.
        free: parameters that the hops' cards set because the caller did not.
        given_up: pool names of which not even a retry is wanted while another model waits.
        tried: pool names in the order in which they were tried; a retry of the same model counts once.
        calls: LiteLLM's calls for it while it is under way, one in a proxy, one for each attempt in the SDK.
        now: the hop that is being tried, where we know it ourselves.
        stamps: whether answers are stamped where LiteLLM receives them, because no later place sees them.
        fallbacks: the list that LiteLLM was given of the hops after the first; it is read again after each failure.
        patient: whether the caller left time-outs and fallbacks to us.
        own_timeout: whether the caller set a time-out of its own.
        spoken: whether the caller has got something that a model said, after which no other may answer.
        span: the OpenTelemetry span of LiteLLM's that the decision is noted in, ``None`` without one.
    """

    __slots__ = (
        "_failures", "_fault", "_first_byte", "_lacks", "_reported", "_started", "_withdrawn", "calls", "decision",
        "fallbacks", "free", "given_up", "hops", "now", "own_timeout", "patient", "span", "spoken", "stamps", "tried",
    )  # fmt: skip

    def __init__(
        self,
        decision: Decision,
        hops: tuple[str, ...],
        free: frozenset[str] = frozenset(),
        *,
        stamps: bool = False,
        patient: bool = False,
        own_timeout: bool = False,
        span: Any = None,
    ) -> None:
        self.decision = decision
        self.hops = hops
        self.free = free
        self.stamps = stamps
        self.fallbacks: list[Any] = []
        self._lacks: dict[str, Lack | None] = {}
        self._failures: dict[str, str] = {}
        self._fault: Exception | None = None
        self._withdrawn: frozenset[str] = frozenset()
        self.patient = patient
        self.own_timeout = own_timeout
        self.spoken = False
        self.span = span
        self.given_up: set[str] = set()
        self.calls: list[Call] = []
        self.now: str | None = None
        self.tried: list[str] = []
        self._started = time.monotonic()
        self._first_byte: float | None = None
        self._reported = False

    @staticmethod
    def of(data: Mapping[str, Any]) -> Routed | None:
        """The routed request that a proxy hook's ``data`` belongs to.

        LiteLLM takes its logging object out of ``data`` when a request fails, so the metadata holds the call as well.
        """
        call = events.call_of(data.get("litellm_logging_obj"))
        routed = None if call is None else call.routed
        if routed is None:
            for bucket in (data.get("metadata"), data.get("litellm_metadata")):
                if isinstance(bucket, dict):
                    found = bucket.get(events.KEY)
                    routed = found.routed if isinstance(found, Call) else routed
        return routed if isinstance(routed, Routed) else None

    @property
    def model(self) -> str:
        """Who answers: the model tried last, or the pick while none was tried."""
        return self.tried[-1] if self.tried else self.decision.model

    def target(self, attempt: events.Start) -> ModelFacts | None:
        """Which of the hops ``attempt`` is. Two hops may be one group with different parameters."""
        targets = self.decision.targets
        if self.now is not None:
            return targets[self.now]
        group, model = attempt.group, attempt.model
        first = None
        for name in self.hops:
            facts = targets[name]
            if facts.model not in (group, model):
                continue
            if not self.free or all(attempt.params.get(param) == facts.params.get(param) for param in self.free):
                return facts
            first = first or facts
        return first

    def trying(self, name: str) -> None:
        """An attempt on ``name`` starts."""
        if not self.tried or self.tried[-1] != name:
            self.tried.append(name)

    def refused(self, router: SmartRouter, name: str, error: object) -> Lack | None:
        """What the attempt on ``name``, ended by ``error``, says that the model lacks; such an end is no failure."""
        self._failures.setdefault(name, str(events.status_of(error) or "exception"))
        if name not in self._lacks:
            told = events.status_of(error) in STATUSES and name in self.decision.targets
            self._lacks[name] = router.refused(self.decision, name, str(error)) if told else None
        return self._lacks[name]

    def worth_trying(self, router: SmartRouter, name: str, error: object, waiting: Sequence[str]) -> list[str]:
        """Those of ``waiting`` that may do better than ``name``, which ended with ``error``: all after a failure, those
        that may not have its lack, none when the fault is the request's."""
        lack = self.refused(router, name, error)
        if lack is None:
            return list(waiting) if is_failure(events.status_of(error), str(error)) else []
        targets = self.decision.targets
        return [other for other in waiting if router.lacks.fits(targets[other], lack, targets[name], self.decision)]

    def narrow(self, router: SmartRouter, name: str, error: object) -> None:
        """Leaves in LiteLLM's list only what is worth trying after ``name``: LiteLLM goes on after any error."""
        if not self.fallbacks or name not in self.hops:
            return
        # Not those after it in the list: hops are taken in the order of their health.
        waiting = [other for other in self.hops[1:] if other != name and other not in self.tried]
        worth = set(self.worth_trying(router, name, error, waiting))
        if isinstance(error, Exception) and not worth.issuperset(waiting):
            self._fault, self._withdrawn = error, self._withdrawn.union(waiting).difference(worth)
        kept = [at for at, other in enumerate(self.hops[1:]) if other not in waiting or other in worth]
        self.fallbacks[:] = [self.fallbacks[at] for at in kept]
        self.hops = (self.hops[0], *(self.hops[at + 1] for at in kept))

    def instead_of(self, attempt: events.Start) -> Exception | None:
        """The error to give in place of ``attempt``, ``None`` when it may be made.

        A LiteLLM that copied our list when the request began goes to fallbacks that have been taken out of it since.
        """
        if self._fault is None or self.target(attempt) is not None:
            return None
        groups = {self.decision.targets[name].model for name in self._withdrawn}
        return None if groups.isdisjoint((attempt.group, attempt.model)) else self._fault

    def passed_over(self, attempt: events.Start, health: HealthBook) -> Exception | None:
        """The error to give in place of ``attempt`` while another model waits, ``None`` when it may be made.

        A model that has been given up is not asked again, and one that has tripped since the request began is not asked
        before one that has not: where LiteLLM copied our list, only this keeps to the order of health.
        """
        facts = self.target(attempt) if self.patient and self.now is None else None
        if facts is None or (facts.name == self.hops[0] and facts.name not in self.given_up):
            return None
        if facts.name not in self.given_up and (facts.name in self.tried or not health.tripped(facts.name)):
            return None
        gone = {*self.tried, *self.given_up, facts.name}
        if all(name in gone or health.tripped(name) for name in self.hops):
            return None
        self.given_up.add(facts.name)
        return events.passed_over(facts.name)

    def drop(self) -> None:
        """The caller lost interest: what is still open ends without a verdict. May run in a destructor."""
        for call in self.calls:
            if call.end is not None:
                call.end()

    def spent_s(self) -> float:
        """Seconds since the decision."""
        return time.monotonic() - self._started

    def first_byte(self) -> None:
        """The caller gets the first piece of a stream."""
        if self._first_byte is None:
            self._first_byte = time.monotonic()

    def headers(self) -> dict[str, str]:
        """Response headers; nothing in them comes from a prompt."""
        decision, model = self.decision, self.model
        values = {
            "x-ofox-model": model,
            "x-ofox-preference": decision.preference,
            "x-ofox-reason": decision.reason if model == decision.model else "fallback",
            "x-ofox-decision-id": decision.id,
            "x-ofox-attempts": str(len(self.tried) or 1),
        }
        if _is_header_safe("".join(values.values())):
            return values
        return {name: _header_safe(value) for name, value in values.items()}

    def ended(self, router: SmartRouter, *, ok: bool, status: int | None, response: Any = None) -> None:
        """Reports the outcome, once."""
        if self._reported:
            return
        self._reported = True
        # Each of them holds this one: a circle, which would be there until garbage is collected.
        self.calls.clear()
        model = self.model
        if self.span is not None:
            spans.ended(self.span, model, len(self.tried))
        hidden = getattr(response, "_hidden_params", None)
        cost = hidden.get("response_cost") if isinstance(hidden, Mapping) else None
        router.report(
            Outcome(
                decision=self.decision,
                model=model,
                ok=ok,
                status=status,
                attempts=tuple(self.tried),
                ttft_s=None if self._first_byte is None else self._first_byte - self._started,
                total_s=self.spent_s(),
                output_tokens=None if response is None else events.output_tokens(response),
                cost_usd=float(cost) if isinstance(cost, (int, float)) else None,
                failures=tuple(self._failures.get(name, "") for name in self.tried[:-1]),
            )
        )


def _is_header_safe(value: str) -> bool:
    """Whether a header may carry ``value``: printable ASCII, so that no name can break out of its line."""
    return value.isascii() and value.isprintable()


def _header_safe(value: str) -> str:
    return "".join(char if _is_header_safe(char) else "?" for char in value)


def sets_timeout(request: Mapping[str, Any]) -> bool:
    """Whether a request, or the arguments of a call, limits the time of an attempt."""
    get = request.get
    return not (get("timeout") is None and get("stream_timeout") is None and get("request_timeout") is None)


def hops(decision: Decision, max_attempts: int) -> tuple[str, ...]:
    """The pick and the fallbacks that may be tried."""
    return decision.ranking[: max_attempts if decision.fallback else 1]


def leaves_to_us(given: Mapping[str, Any]) -> bool:
    """Whether a request names neither time-outs nor fallbacks of its own. To be asked before ours are put in."""
    return given.get("fallbacks") is None and not sets_timeout(given)


def card_params(decision: Decision, names: tuple[str, ...], given: Mapping[str, Any]) -> frozenset[str]:
    """Parameters that the cards of ``names`` may set: those that the caller left open."""
    stated = {param for name in names for param in decision.targets[name].params}
    return frozenset(param for param in stated if given.get(param) is None)


class Hops(list[Any]):
    """Fallbacks as LiteLLM takes them: names, or groups with parameters.

    LiteLLM goes through them anew after each failure. Those whose breaker is closed by then come first, in the order
    of the ranking; a request that has waited for a model that hangs must not go on to one that has failed meanwhile.
    None is ever left out, and a copy that is no longer of this class is merely an ordinary list.
    """

    def __init__(
        self, entries: Sequence[Any] = (), facts: Sequence[ModelFacts] = (), health: HealthBook | None = None
    ) -> None:
        super().__init__(entries)
        # pydantic, by which newer releases of LiteLLM read a request, makes a list anew from its entries alone.
        self._names = {id(entry): each.name for entry, each in zip(entries, facts, strict=False)}
        self._health = health

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=self._has_tripped))

    def _has_tripped(self, entry: Any) -> bool:
        name = self._names.get(id(entry))
        return name is not None and self._health is not None and self._health.tripped(name)

    def __copy__(self) -> Hops:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Hops:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return list, (self[:],)


def fallback_entries(
    decision: Decision,
    names: tuple[str, ...],
    free: frozenset[str],
    health: HealthBook,
    changes: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Any]:
    """``names`` as LiteLLM's client-side fallbacks.

    LiteLLM carries one hop's parameters into the next, so each hop names every parameter that any card sets, with
    ``None`` where its own card has none; likewise those in ``changes``, by name.
    """
    targets = [decision.targets[name] for name in names]
    entries: list[Any] = [facts.model for facts in targets]
    if free or changes:
        entries = [
            {
                "model": facts.model,
                **{param: facts.params.get(param) for param in sorted(free)},
                **(changes or {}).get(facts.name, {}),
            }
            for facts in targets
        ]
    return Hops(entries, targets, health)
