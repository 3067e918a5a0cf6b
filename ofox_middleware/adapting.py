"""Parameters that a model rejects and that can go, or be said otherwise, without changing what was asked. Pure.

For the ASGI door, where nobody else translates, and beside LiteLLM's ``drop_params`` for what LiteLLM does not know of.
What the caller gets must stay what it
asked for: sampling may fall back to a model's default and labels may go, but tools, schemas, stop sequences, the number
of answers and log probabilities never do. From the makers' API references; what the table does not know is learned
from the 400 that it causes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ofox_middleware.cards import ModelFacts
from ofox_middleware.lacks import PARTS
from ofox_middleware.types import Surface

SAMPLING: Final = frozenset({
    "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty",
})  # fmt: skip
LABELS: Final = frozenset({
    "store", "user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "prediction", "verbosity", "seed",
})  # fmt: skip
DROPPABLE: Final = SAMPLING | LABELS
"""Hints and book-keeping: without them the answer is of the same kind."""

EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Reasoning efforts from least to most, as far as any maker knows them."""

_EFFORT_IN: Final = {
    "reasoning_effort": "reasoning_effort",
    "reasoning": "reasoning",
    "output_config": "output_config.effort",
}
"""Where an effort stands, and the name that a lack of it goes by. ``reasoning`` is the Responses API's and
OpenRouter's, ``output_config`` Anthropic's."""

_DROPPABLE_PARTS: Final = PARTS.difference(_EFFORT_IN.values())
"""What is as droppable within other members: the summary of a thought, and a hint at the answer's length."""

THOUGHT: Final = frozenset({"reasoning_effort", "reasoning", "thinking", "output_config", "output_config.effort"})
"""What only asks for more thought. A model that has none of it answers in the same form, but perhaps less well, so it
comes after the models that have."""

_OBJECTS: Final = frozenset({"reasoning", "text", "thinking", "output_config"})
_LIMITS: Final = ("max_tokens", "max_completion_tokens")
NAMES: Final = DROPPABLE | _OBJECTS | {*_LIMITS, *_EFFORT_IN}
"""What the table looks at."""

_OPENAI_THINKER: Final = re.compile(r"(?:^|/)(?:o[134](?:-|$)|gpt-(?:[5-9]|[1-9][0-9]))")
_OPENAI_CHAT: Final = re.compile(r"gpt-[0-9.]+-chat")
_CLAUDE: Final = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[.-](\d{1,2})(?!\d))?")
_GROK: Final = re.compile(r"(?:^|/)grok-(?:[4-9]|[1-9][0-9])")
_WITHOUT_LABELS: Final = frozenset({"mistral", "groq", "cerebras"})


@dataclass(frozen=True, slots=True)
class Edits:
    """What to change in the members of an object: of a request, or of one within it.

    Attributes:
        drop: names to take out.
        rename: old name to new name, the value staying as it is.
        replace: name to new value.
        within: name of an object to what to change in that.
    """

    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    replace: Mapping[str, Any] = field(default_factory=dict)
    within: Mapping[str, Edits] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.drop or self.rename or self.replace or self.within)

    def apply(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """``given`` with these changes; itself and what is within it stay as they are."""
        made = {self.rename.get(name, name): value for name, value in given.items() if name not in self.drop}
        made.update((name, value) for name, value in self.replace.items() if name in made)
        for name, edits in self.within.items():
            if isinstance(made.get(name), Mapping):
                made[name] = edits.apply(made[name])
        return made


NO_EDITS: Final = Edits()


def is_adaptable(key: str) -> bool:
    """Whether what a model was seen to lack (a :attr:`Lack.key`) is something that :func:`adapt` can do without."""
    name, _, value = key.partition("=")
    return (
        name in DROPPABLE
        or name in _DROPPABLE_PARTS
        or name in _LIMITS
        or (name in _EFFORT_IN.values() and value in EFFORTS)
    )


def is_thought(key: str) -> bool:
    """Whether it is something that :func:`adapt` takes out, but that another model should rather be asked for."""
    return key in THOUGHT


def adapt(
    facts: ModelFacts, given: Mapping[str, Any], lacks: Collection[str] = (), *, surface: Surface = "chat"
) -> Edits:
    """What to change for the model of ``facts`` in a request with the top-level members ``given``.

    Args:
        facts: of the model.
        given: members by name; only those of :data:`NAMES` are looked at.
        lacks: keys of what the model was seen to refuse.
        surface: the request's shape. The other three have only one name for the output limit.
    """
    named = given.keys() & NAMES
    if not named:
        return NO_EDITS
    refused = set(lacks) | (THOUGHT if "reasoning" in lacks else set())
    drop = {name for name in _rejected(facts, given) | ((DROPPABLE | THOUGHT) & refused) if name in named}
    rename = _renamed(facts, given, lacks) if surface == "chat" else {}
    replace = {}
    effort = given.get("reasoning_effort")
    if isinstance(effort, str) and "reasoning_effort" not in drop:
        nearest = _effort(facts, effort, lacks)
        if nearest != effort:
            replace["reasoning_effort"] = nearest
    within = {}
    for name in _OBJECTS & named:
        held = given[name]
        if not isinstance(held, Mapping):
            continue
        if "format" in held:
            drop.discard(name)
        edits = _inner(facts, name, held, refused)
        if held.keys() <= edits.drop:
            drop.add(name)
        elif edits and name not in drop:
            within[name] = edits
    return Edits(frozenset(drop), rename, replace, within) if drop or rename or replace or within else NO_EDITS


def _inner(facts: ModelFacts, name: str, held: Mapping[str, Any], lacks: Collection[str]) -> Edits:
    """What to change within the object ``name``."""
    drop = {part for part in held if f"{name}.{part}" in _DROPPABLE_PARTS and f"{name}.{part}" in lacks}
    if name == "text" and "verbosity" in lacks:
        drop |= {"verbosity"} & held.keys()
    replace: dict[str, Any] = {}
    effort = held.get("effort")
    if name in _EFFORT_IN and "effort" in held:
        if name in lacks or _EFFORT_IN[name] in lacks:
            drop.add("effort")
        elif isinstance(effort, str) and (nearest := _effort(facts, effort, lacks)) != effort:
            replace["effort"] = nearest
    if name == "thinking" and held.get("type") == "enabled" and _claude_version(facts.model) >= (4, 7):
        # Budgets are gone from there on; how much is thought follows from the effort.
        replace["type"] = "adaptive"
        drop |= {"budget_tokens"} & held.keys()
    return Edits(frozenset(drop), replace=replace) if drop or replace else NO_EDITS


def _rejected(facts: ModelFacts, given: Mapping[str, Any]) -> set[str]:
    """Droppable parameters that the model's maker says it rejects."""
    model = facts.model
    if _is_openai_thinker(model):
        return {*SAMPLING, "prediction"}
    version = _claude_version(model)
    if version > (0, 0):
        if version >= (4, 7):
            return {"temperature", "top_p", "top_k"}
        thinking = given.get("thinking")
        if isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive"):
            return {"temperature", "top_p", "top_k"}
        return {"top_p"} if version >= (4, 1) and "temperature" in given else set()
    if _GROK.search(model):
        return {"presence_penalty", "frequency_penalty"}
    if facts.provider in _WITHOUT_LABELS:
        return {*LABELS} - ({"user", "service_tier", "seed"} if facts.provider == "groq" else {"seed"})
    return set()


def _renamed(facts: ModelFacts, given: Mapping[str, Any], lacks: Collection[str]) -> dict[str, str]:
    """The output limit under the name that the model takes. Never when the request has both."""
    named = [name for name in _LIMITS if name in given]
    if len(named) != 1:
        return {}
    older, newer = _LIMITS
    wanted = named[0]
    if newer in lacks or facts.provider == "mistral":
        wanted = older
    elif older in lacks or _is_openai_thinker(facts.model):
        wanted = newer
    return {} if wanted == named[0] else {named[0]: wanted}


def _effort(facts: ModelFacts, effort: str, lacks: Collection[str]) -> str:
    """The nearest effort that the model is not known to refuse: rather more thought than less."""
    refused = {value for value in EFFORTS if any(f"{name}={value}" in lacks for name in _EFFORT_IN.values())}
    if _is_openai_thinker(facts.model):
        refused |= {"minimal", "max"} - ({"minimal"} if re.search(r"gpt-5(?![.\d])", facts.model) else set())
    if effort not in refused or effort not in EFFORTS:
        return effort
    at = EFFORTS.index(effort)
    return next((value for value in (*EFFORTS[at:], *reversed(EFFORTS[:at])) if value not in refused), effort)


def _claude_version(model: str) -> tuple[int, int]:
    """``(0, 0)`` for a model that is no Claude."""
    claude = _CLAUDE.search(model)
    return (0, 0) if claude is None else (int(claude[1]), int(claude[2] or 0))


def _is_openai_thinker(model: str) -> bool:
    return _OPENAI_THINKER.search(model) is not None and _OPENAI_CHAT.search(model) is None
