"""What a contender's picks come to: broken turns, switches, predicted quality, USD."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

import msgspec

from benchmarks.replay.caching import Caches
from benchmarks.replay.contenders import Picks, mean_ability
from benchmarks.replay.transcripts import Transcript, Turn, segments
from ofox_middleware import signals
from ofox_middleware.cards import ModelFacts
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.tokens import estimate
from ofox_middleware.types import Difficulty, Signals

INPUTS = frozenset(("image", "audio", "video", "file"))
"""Of these a model of which nobody says so has none: the pools' models without eyes are not stated to be blind."""


@dataclass(frozen=True)
class Verdict:
    """One contender on one script.

    Attributes:
        turns, conversations: how many.
        infeasible: turns given to a model that cannot take them, or refused though some model could.
        switches: changes of model within a conversation.
        torn: switches in the middle of a tool loop.
        strongest: turns on the pool's strongest model.
        quality: sum over the turns of the predicted probability of a good answer; 0 for an infeasible one.
        usd: of all turns, infeasible ones included at nothing.
        cached_tokens, input_tokens: of the prompts.
    """

    turns: int = 0
    infeasible: int = 0
    switches: int = 0
    torn: int = 0
    strongest: int = 0
    quality: float = 0.0
    usd: float = 0.0
    cached_tokens: int = 0
    input_tokens: int = 0

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Read:
    """A turn as everybody is judged by: what it needs, how hard it is, and its prompt as a cache sees it."""

    turn: Turn
    signals: Signals
    difficulty: Difficulty
    prefix: tuple[tuple[int, int], ...]
    sets_cache_control: bool


def read(script: Transcript) -> list[Read]:
    """All turns of a script."""
    model = DifficultyModel.load()
    surface = signals.surface_of(script.path) or "chat"
    made = []
    for turn in script.turns:
        seen = signals.read(turn.body, surface)
        mark, tokens, prefix, controlled = 0, 0, [], False
        for part in segments(turn):
            text = _json(part)
            controlled = controlled or '"cache_control"' in text
            mark = hash((mark, text.replace(',"cache_control":{"type":"ephemeral"}', "")))
            tokens += _tokens(text)
            prefix.append((mark, tokens))
        # The parts as JSON are a little longer than what the model reads; the request's own estimate is the measure.
        scale = seen.input_tokens / tokens
        scaled = tuple((mark, round(count * scale)) for mark, count in prefix)
        made.append(Read(turn, seen, model.classify(seen), scaled, controlled))
    return made


def _json(part: object) -> str:
    return msgspec.json.encode(part).decode()


@functools.cache
def _tokens(text: str) -> int:
    return estimate([text]) if "base64," not in text else 1200


def judge(turns: Sequence[Read], picks: Picks, pool: Sequence[ModelFacts]) -> Verdict:
    """The verdict on ``picks``, one for each turn."""
    by_name = {facts.name: facts for facts in pool}
    strongest = max(pool, key=mean_ability).name
    caches = Caches()
    before: dict[str, str] = {}
    total = Verdict()
    for item, name in zip(turns, picks, strict=True):
        turn = item.turn
        facts = by_name.get(name or "")
        if facts is None or not can(facts, item):
            total += Verdict(turns=1, infeasible=1)
            continue
        last = before.get(turn.conversation)
        switched = last is not None and last != name
        before[turn.conversation] = facts.name
        bill = caches.charge(
            facts, item.prefix, at=turn.at, output_tokens=turn.output_tokens, asked=item.sets_cache_control
        )
        total += Verdict(
            turns=1,
            switches=switched,
            torn=switched and turn.in_loop,
            strongest=facts.name == strongest,
            quality=predicted(facts, item.difficulty),
            usd=bill.usd,
            cached_tokens=bill.cached_tokens,
            input_tokens=bill.input_tokens,
        )
    return total


def can(facts: ModelFacts, item: Read) -> bool:
    """Whether the model can take the request: it fits, has every input kind, and lacks nothing else as far as known."""
    seen = item.signals
    if any(facts.supports.get(need, need not in INPUTS) is False for need in seen.needs):
        return False
    wanted = seen.input_tokens + (seen.max_output_tokens or 0)
    return facts.max_input_tokens is None or wanted <= facts.max_input_tokens


def predicted(facts: ModelFacts, difficulty: Difficulty) -> float:
    """The item-response model's probability that the model answers well: ours, so no neutral judge."""
    ability = sum(map(mul, difficulty.domains, facts.ability))
    return 1.0 / (1.0 + math.exp(difficulty.logit - ability))
