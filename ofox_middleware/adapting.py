"""Parameters that a model rejects and that can go, or be said otherwise, without changing what was asked. Pure.

For the ASGI door, where nobody else translates; LiteLLM has ``drop_params``. What the caller gets must stay what it
asked for: sampling may fall back to a model's default and labels may go, but tools, schemas, stop sequences, the number
of answers and log probabilities never do. From the makers' API references; what the table does not know is learned
from the 400 that it causes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ofox_middleware.types import ModelFacts, Surface

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

_LIMITS: Final = ("max_tokens", "max_completion_tokens")
NAMES: Final = DROPPABLE | {*_LIMITS, "reasoning_effort", "thinking"}
"""What the table looks at."""

_OPENAI_THINKER: Final = re.compile(r"(?:^|/)(?:o[134](?:-|$)|gpt-(?:[5-9]|[1-9][0-9]))")
_OPENAI_CHAT: Final = re.compile(r"gpt-[0-9.]+-chat")
_CLAUDE: Final = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[.-](\d{1,2})(?!\d))?")
_GROK: Final = re.compile(r"(?:^|/)grok-(?:[4-9]|[1-9][0-9])")
_WITHOUT_LABELS: Final = frozenset({"mistral", "groq", "cerebras"})


@dataclass(frozen=True, slots=True)
class Edits:
    """What to change in a request's top-level members.

    Attributes:
        drop: names to take out.
        rename: old name to new name, the value staying as it is.
        replace: name to new value.
    """

    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    replace: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.drop or self.rename or self.replace)


NO_EDITS: Final = Edits()


def is_adaptable(key: str) -> bool:
    """Whether what a model was seen to lack (a :attr:`Lack.key`) is something that :func:`adapt` can do without."""
    name, _, value = key.partition("=")
    return name in DROPPABLE or name in _LIMITS or (name == "reasoning_effort" and value in EFFORTS)


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
    drop = {name for name in _rejected(facts, given) | (DROPPABLE & set(lacks)) if name in named}
    rename = _renamed(facts, given, lacks) if surface == "chat" else {}
    replace = {}
    effort = given.get("reasoning_effort")
    if isinstance(effort, str):
        nearest = _effort(facts, effort, lacks)
        if nearest != effort:
            replace["reasoning_effort"] = nearest
    return Edits(frozenset(drop), rename, replace) if drop or rename or replace else NO_EDITS


def _rejected(facts: ModelFacts, given: Mapping[str, Any]) -> set[str]:
    """Droppable parameters that the model's maker says it rejects."""
    model = facts.model
    if _is_openai_thinker(model):
        return {*SAMPLING, "prediction"}
    claude = _CLAUDE.search(model)
    if claude is not None:
        version = (int(claude[1]), int(claude[2] or 0))
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
    refused = {value for value in EFFORTS if f"reasoning_effort={value}" in lacks}
    if _is_openai_thinker(facts.model):
        refused |= {"minimal", "max"} - ({"minimal"} if re.search(r"gpt-5(?![.\d])", facts.model) else set())
    if effort not in refused or effort not in EFFORTS:
        return effort
    at = EFFORTS.index(effort)
    return next((value for value in (*EFFORTS[at:], *reversed(EFFORTS[:at])) if value not in refused), effort)


def _is_openai_thinker(model: str) -> bool:
    return _OPENAI_THINKER.search(model) is not None and _OPENAI_CHAT.search(model) is None
