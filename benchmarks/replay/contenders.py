"""Who is compared: each turns a transcript into one model per turn, ``None`` where it refuses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.replay.transcripts import Transcript
from ofox_middleware.cards import ModelFacts
from ofox_middleware.errors import NoCandidate
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.types import Profile

Picks = list[str | None]
Contender = Callable[[Transcript], Picks]


def pool(names: Sequence[str]) -> tuple[ModelFacts, ...]:
    """The facts of a pool of models that the catalogue knows."""
    return SmartRouter(Settings(models=list(names))).pool


def mean_ability(facts: ModelFacts) -> float:
    return sum(facts.ability) / len(facts.ability)


def price(facts: ModelFacts) -> float:
    """USD of a request with four times as much input as output, which orders models by what they cost."""
    return 4 * (facts.input_usd or 0.0) + (facts.output_usd or 0.0)


def always(name: str) -> Contender:
    return lambda script: [name] * len(script.turns)


def ours(names: Sequence[str], preference: str, **options: Any) -> Contender:
    """Our router on a clock that follows the script. A new router for each script: they share nothing."""

    def picks(script: Transcript) -> Picks:
        now = [0.0]
        router = SmartRouter(
            Settings(models=list(names), preference=preference, profiles={"frugal": Profile(cost=1)}, **options),
            clock=lambda: now[0],
            seed=1,
        )
        made: Picks = []
        for turn in script.turns:
            now[0] = turn.at
            session = f"{script.name} {turn.conversation}"
            try:
                made.append(router.decide(turn.body, script.path, session=session).model)
            except NoCandidate:
                made.append(None)
        return made

    return picks


def litellm_complexity(names: Sequence[str], *, lowest: str) -> Contender:
    """LiteLLM's ``complexity_router``, heuristic classifier, with session affinity, context-window escalation and
    modality routing switched on.

    Its four tiers are filled from the pool by price, beginning with the cheapest model or with that in the middle; the
    strongest is on top.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    facts = sorted(pool(names), key=price)
    strongest = max(facts, key=mean_ability)
    rest = [item for item in facts if item is not strongest]
    if lowest == "middle":
        rest = rest[len(rest) // 2 :]
    tiers = {
        "SIMPLE": rest[0].name,
        "MEDIUM": rest[min(1, len(rest) - 1)].name,
        "COMPLEX": rest[-1].name,
        "REASONING": strongest.name,
    }
    entry = {
        "model": "auto_router/complexity_router",
        "complexity_router_default_model": tiers["MEDIUM"],
        "complexity_router_config": {
            "tiers": tiers,
            "session_affinity": True,
            "enable_context_window_escalation": True,
            "modality_routing": True,
            "modality_pin_override": True,
        },
    }
    models = [{"model_name": item.name, "litellm_params": {"model": item.name, "api_key": "none"}} for item in facts]

    def picks(script: Transcript) -> Picks:
        router = litellm.Router(model_list=[*models, {"model_name": "auto", "litellm_params": entry}])

        async def all_turns() -> Picks:
            made: Picks = []
            for turn in script.turns:
                metadata = {"session_id": f"{script.name} {turn.conversation}", "user_api_key_hash": "caller"}
                kwargs = {**turn.body, "metadata": metadata}
                try:
                    answer = await router.async_pre_routing_hook(
                        model="auto", request_kwargs=kwargs, messages=turn.body["messages"]
                    )
                except litellm.BadRequestError:
                    made.append(None)
                    continue
                made.append(None if answer is None else answer.model)
            return made

        return asyncio.run(all_turns())

    return picks
