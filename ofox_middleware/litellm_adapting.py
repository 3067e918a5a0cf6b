"""Parameters that models refuse, in LiteLLM's calls.

LiteLLM itself leaves out what it knows a model not to take (its ``drop_params``). What it does not know of is learned
from the 400 that it causes, as at the ASGI door, and left out or said otherwise from then on
(:mod:`ofox_middleware.adapting`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ofox_middleware.adapting import NAMES, adapt
from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Decision
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.types import Need

_NOT_TO_DROP: Final[frozenset[Need]] = frozenset({
    "tools", "tool_choice", "parallel_tools", "json_schema", "logprobs", "n", "audio_output", "web_search",
    "computer_use",
})  # fmt: skip

_ANYBODY: Final = ModelFacts(name="", model="", provider="")
"""What makers are known to reject is for LiteLLM to drop: it knows which deployment serves a group, we do not."""


def allow_dropping(given: dict[str, Any], decision: Decision, settings: Settings) -> None:
    """Has LiteLLM leave out what a model does not take, where that cannot be tools, schemas or further answers."""
    if settings.adapt_params and not decision.needs & _NOT_TO_DROP:
        given.setdefault("drop_params", True)


def adapted(
    brain: SmartRouter, decision: Decision, names: Sequence[str], given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """What to change in a call's arguments for each of ``names``, as far as its refusals are known.

    The same arguments for each, ``None`` for what is to be left out, since LiteLLM carries those of one hop into the
    next. Empty when no model of them refuses anything.
    """
    if not (brain.settings.adapt_params and brain.lacks):
        return {}
    named = {name: given[name] for name in NAMES & given.keys() if given[name] is not None}
    made = {}
    for name in names:
        made[name] = adapt(_ANYBODY, named, brain.lacks.keys_of(name), surface=decision.surface).apply(named)
    touched = {param for each in made.values() for param in {**named, **each} if each.get(param) != named.get(param)}
    return {name: {param: made[name].get(param) for param in sorted(touched)} for name in names} if touched else {}


def put(given: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Makes ``changes`` in ``given``; ``None`` takes an argument out."""
    for param, value in changes.items():
        if value is None:
            given.pop(param, None)
        else:
            given[param] = value
