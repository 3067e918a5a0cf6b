"""``SmartRouter.decide()`` beside LiteLLM's ``complexity_router``: its two local classifiers alone, and the whole hook.

The hook is what LiteLLM runs for one request before it picks a deployment (``Router.async_pre_routing_hook``): reading
the conversation, classifying, picking the tier's model. ``decide()`` reads, classifies, checks feasibility, scores and
ranks every model of the pool, and pins the conversation. LiteLLM's router has a pool of four models.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed.rounds import Case, measure
from ofox_middleware import ModelCard, Settings, SmartRouter

LENGTHS = {7: "7", 1_500: "1.5k", 37_000: "37k", 100_000: "100k"}
POOLS = (2, 8, 100)
CHARS_PER_TOKEN = 4.5
"""Of the English text that prompts are made of, by ``o200k_base``."""

_CORPUS = Path(__file__).parents[1] / "tokens" / "corpus"


def prompt(tokens: int, number: int) -> str:
    """An English prompt of about ``tokens`` tokens; another one for each ``number``."""
    if tokens < 10:
        return f"What is the capital of region {number}?"
    return f"{number}. {_prose(tokens)}\nWhat follows from this for region {number}?"


_made: dict[int, str] = {}


def _prose(tokens: int) -> str:
    if tokens not in _made:
        text = (_CORPUS / "english.txt").read_text() + (_CORPUS / "technical.txt").read_text()
        sentences = [part.strip() for part in text.replace("\n", " ").replace("%%", " ").split(". ") if part.strip()]
        rng, chosen, chars = random.Random(tokens), [], 0
        while chars < tokens * CHARS_PER_TOKEN:
            chosen.append(rng.choice(sentences) + ".")
            chars += len(chosen[-1]) + 1
        _made[tokens] = " ".join(chosen)
    return _made[tokens]


def messages(tokens: int, number: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": prompt(tokens, number)}]


def pool(size: int) -> list[ModelCard]:
    """Models of several providers, prices and abilities, each with a window that holds any of the prompts."""
    return [
        ModelCard(
            name=f"provider-{number % 7}/model-{number}",
            ability=0.3 + 0.65 * number / size,
            input_cost_per_token=1e-7 * (1 + number),
            output_cost_per_token=4e-7 * (1 + number),
            max_input_tokens=10**7,
        )
        for number in range(size)
    ]


def _ours(size: int, tokens: int) -> Case:
    router = SmartRouter(Settings(models=pool(size), console_token=None))
    for facts in router.pool:  # every model has been used: a view of one that was not is kept ready
        router.health.record_success(facts.name, ttft_s=0.4, total_s=2.0, output_tokens=100)

    def make(number: int) -> dict[str, Any]:
        return {"model": "auto", "messages": messages(tokens, number)}

    label = LENGTHS[tokens]
    return Case(
        f"decide(), {size} models, {label} tokens",
        router.decide,
        make,
        peer=f"LiteLLM full hook, v1, {label} tokens",
        calls=20 if tokens < 10_000 else 10,
    )


def litellm_router(classifier: str) -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_LOG", "CRITICAL")
    from litellm import Router

    tiers = {"SIMPLE": "small", "MEDIUM": "middle", "COMPLEX": "large", "REASONING": "frontier"}
    models: list[dict[str, Any]] = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "none"}}
        for name in tiers.values()
    ]
    auto = {
        "model": "auto_router/complexity_router",
        "complexity_router_config": {"tiers": tiers, "classifier_type": classifier},
        "complexity_router_default_model": "middle",
    }
    return Router(model_list=[*models, {"model_name": "auto", "litellm_params": auto}])


def _theirs(tokens: int) -> list[Case]:
    label = LENGTHS[tokens]
    cases = []
    for version, kind in (("v1", "heuristic"), ("v2", "heuristic_v2")):
        router = litellm_router(kind)
        strategy = router.complexity_routers["auto"][0].strategy
        classify: Callable[[str], Any] = strategy.classify if version == "v1" else strategy._classify_with_heuristic_v2
        slow = tokens > 10_000

        async def hook(asked: list[dict[str, Any]], router: Any = router) -> None:
            answer = await router.async_pre_routing_hook(model="auto", request_kwargs={"metadata": {}}, messages=asked)
            assert answer.model in {"small", "middle", "large", "frontier"}

        calls, every = (1, 3 if tokens > 50_000 else 2) if slow else (4, 1)
        cases += [
            Case(
                f"LiteLLM classify, {version}, {label} tokens",
                classify,
                lambda number: prompt(tokens, number),
                calls=calls,
                every=every,
            ),
            Case(
                f"LiteLLM full hook, {version}, {label} tokens",
                hook,
                lambda number: messages(tokens, number),
                calls=calls,
                every=every,
            ),
        ]
    return cases


def run(rounds: int) -> list[dict[str, Any]]:
    """Times everything; the rows of the table."""
    cases = [case for tokens in LENGTHS for case in (*(_ours(size, tokens) for size in POOLS), *_theirs(tokens))]
    return measure(cases, rounds)
