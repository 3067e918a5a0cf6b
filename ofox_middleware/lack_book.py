"""What each model was seen to refuse, for a while: bounded in number and time."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ofox_middleware.adapting import is_adaptable
from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Decision
from ofox_middleware.lacks import CONTEXT_WINDOW, OUTPUT_LIMIT, Lack, is_known
from ofox_middleware.types import Clock, Signals

MOST_HELD_S: Final = 6 * 3600.0
"""What is seen again when it was to be forgotten is kept twice as long, at most this long (seconds)."""

MAX_LACKS: Final = 1024
"""Over all models; the one seen longest ago goes first."""

BELIEVED_FROM: Final = 0.25
"""Share of a known window from which on a prompt may be too long for it: estimates of some scripts are that far off.
Below it the error speaks of something else, or quotes a prompt that wants a model to look too small."""

MOST_TOLD: Final = 256
"""Lacks that one worker tells the others of, the latest."""

_PREFIX: Final = "refused_"
_told: Final = msgspec.json.Decoder(dict[str, dict[str, tuple[float, int]]])


@dataclass(frozen=True, slots=True)
class Held:
    """One lack of one model.

    Attributes:
        until: when it is forgotten, by the book's clock.
        held_s: how long it is kept in all.
        size: for the two limits, the fewest tokens (by our estimate) that were refused; 0 for the others.
    """

    until: float
    held_s: float
    size: int = 0


class LackBook:
    """Lacks by model and key.

    Args:
        clock: monotonic seconds.
        ttl_s: how long a lack is kept when it is first seen; 0 keeps none.
    """

    def __init__(self, *, clock: Clock, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self._clock = clock
        self._held: OrderedDict[tuple[str, str], Held] = OrderedDict()
        self._models: dict[str, set[str]] = {}
        # LiteLLM's sync calls report in threads.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def note(self, facts: ModelFacts, lack: Lack, decision: Decision) -> bool:
        """The model of ``facts`` refused the request of ``decision`` for ``lack``; whether that can be so."""
        size = 0
        if lack.name == CONTEXT_WINDOW:
            size = decision.input_tokens + (decision.max_output_tokens or 0)
            if size < BELIEVED_FROM * (facts.max_input_tokens or 0):
                return False
            size = min(size, lack.limit or size)
        elif lack.name == OUTPUT_LIMIT:
            if decision.max_output_tokens is None:
                return False
            size = min(decision.max_output_tokens, (lack.limit or decision.max_output_tokens) + 1)
        elif not {lack.name, lack.name.partition(".")[0]} & {*decision.needs, *decision.params, *facts.params}:
            return False
        if self.ttl_s:
            self._keep(facts.name, lack.key, size)
        return True

    def _keep(self, model: str, key: str, size: int) -> None:
        now = self._clock()
        with self._lock:
            known = self._held.pop((model, key), None)
            held_s = self.ttl_s if known is None else min(MOST_HELD_S, 2 * known.held_s)
            if known is not None and now < known.until:
                held_s = known.held_s  # seen by requests that were under way already
                size = min(size, known.size)
            self._put(model, key, Held(now + held_s, held_s, size))

    def _put(self, model: str, key: str, held: Held) -> None:
        self._held[model, key] = held
        self._models.setdefault(model, set()).add(key)
        while len(self._held) > MAX_LACKS:
            (oldest, its_key), _ = self._held.popitem(last=False)
            self._models[oldest].discard(its_key)
            if not self._models[oldest]:
                del self._models[oldest]

    def keys_of(self, model: str) -> frozenset[str]:
        """What ``model`` is known to lack now."""
        now = self._clock()
        keys = tuple(self._models.get(model, ()))
        return frozenset(key for key in keys if (held := self._held.get((model, key))) and now < held.until)

    def reasons(
        self, names: Iterable[str], read: Signals, body: Mapping[str, Any], *, adapts: bool = False
    ) -> dict[str, str]:
        """Why models of ``names`` would refuse this request again: ``refused_`` and what they lack, by name.

        ``adapts``: what can be done without is taken out of the request, and so is no reason.
        """
        if not self._held:
            return {}
        now = self._clock()
        found: dict[str, str] = {}
        for name in names:
            for key in tuple(self._models.get(name, ())):
                held = self._held.get((name, key))
                if held is None or now >= held.until or (adapts and is_adaptable(key)):
                    continue
                if _concerns(key, held, read, body):
                    found[name] = _PREFIX + key.partition("=")[0]
                    break
        return found

    def fits(self, facts: ModelFacts, lack: Lack, refused: ModelFacts, decision: Decision) -> bool:
        """Whether the model of ``facts`` may take what that of ``refused`` refused for ``lack``."""
        held = self._held.get((facts.name, lack.key))
        if lack.name == CONTEXT_WINDOW:
            if facts.max_input_tokens is None:
                return True
            if lack.counted is not None:
                return facts.max_input_tokens >= lack.counted + (decision.max_output_tokens or 0)
            # Our estimate was too low, so only a window that is larger than the one that was too small is worth a try.
            return facts.max_input_tokens > (lack.limit or refused.max_input_tokens or decision.input_tokens)
        if lack.name == OUTPUT_LIMIT:
            return facts.max_output_tokens is None or facts.max_output_tokens >= (decision.max_output_tokens or 0)
        return held is None or self._clock() >= held.until

    def summary(self) -> dict[str, dict[str, tuple[float, int]]]:
        """What was seen last, for other workers: by model and key the seconds left and the size."""
        now = self._clock()
        told: dict[str, dict[str, tuple[float, int]]] = {}
        with self._lock:
            for model, key in list(reversed(self._held))[:MOST_TOLD]:
                held = self._held[model, key]
                if now < held.until:
                    told.setdefault(model, {})[key] = (held.until - now, held.size)
        return told

    def merge(self, told: bytes, *, age_s: float) -> None:
        """Takes over what another worker knows. What is odd is left out, and nothing is kept longer than is told."""
        now = self._clock()
        entries = ((model, key, *held) for model, lacks in _told.decode(told).items() for key, held in lacks.items())
        for model, key, told_s, size in itertools.islice(entries, MOST_TOLD):
            left_s = told_s - age_s
            known = self._held.get((model, key))
            if not (self.ttl_s and is_known(key) and 0 < left_s <= MOST_HELD_S and 0 <= size < 2**31):
                continue
            if known is None or known.until < now:
                with self._lock:
                    self._put(model, key, Held(now + left_s, min(left_s, self.ttl_s), size))


def _concerns(key: str, held: Held, read: Signals, body: Mapping[str, Any]) -> bool:
    """Whether a request has what is refused."""
    if key == CONTEXT_WINDOW:
        return read.input_tokens + (read.max_output_tokens or 0) >= held.size
    if key == OUTPUT_LIMIT:
        return read.max_output_tokens is not None and read.max_output_tokens >= held.size
    name, _, value = key.partition("=")
    name, _, part = name.partition(".")
    if not value and not part:
        return name in read.needs or name in read.params
    given = body.get(name)
    inner = given.get(part or "effort") if isinstance(given, Mapping) else None
    return value in (given, inner) if value else inner is not None
