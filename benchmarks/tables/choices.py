"""What a person decided for the shipped tables, each with its reason. Everything else is computed."""

from __future__ import annotations

HOW = (
    "Abilities: our own fit (one factor and eight domains, standard normal over the models) to published scores up to "
    "2026-10; sources in NOTICE. g, se and n are the overall ability, its standard error and the number of series; "
    "offsets are domain minus g. gap is g of the best variant minus g of the non-reasoning one. ceiling is the highest "
    "ability per domain among models with 20 series or more. Speeds: Artificial Analysis, medians rounded to two "
    "digits, as (share of reasoning effort, seconds to the first answer token, tokens per second); advertised rows are "
    "what the host says. Shortlist: per provider, among models released since 2025-08 with a list price of at most 20 "
    "USD per million tokens (three parts input, one part output), the Pareto frontier of mean ability at the effort "
    "that the API applies by default against price; of it, the points that add most to the area under the frontier "
    "over log price, one after the other, up to the provider's limit; the last place goes to the ablest model with 20 "
    "series or more, so that no provider stands on thin rows alone. The OpenRouter rows are written by hand, as "
    "that provider is not in the tables."
)

ALIASES = {
    "glm-4p7": "glm-4-7",
    "glm-4-5-air-fp8": "glm-4-5-air",
    "nemotron-3-nano-30b-a3b": "nvidia-nemotron-3-nano-30b-a3b",
    "nemotron-3-super-120b-a12b": "nvidia-nemotron-3-super-120b-a12b",
    "nemotron-3-ultra-550b-a55b": "nvidia-nemotron-3-ultra-550b-a55b",
    "qwen2-5-72b-instruct": "qwen2-5-72b",
    "mixtral-8x7b-instruct": "mixtral-8x7b-instruct-v0-1",
    "mistral-medium-2604": "mistral-medium-3-5",
    "ministral-3-3b-2512": "ministral-3-3b",
    "ministral-3-8b-2512": "ministral-3-8b",
    "ministral-3-14b-2512": "ministral-3-14b",
    "llama-3-2-90b": "llama-3-2-90b-vision",
    "llama-2-70b-chat-hf": "llama-2-70b-chat",
}
"""Bases that the sources' automatic matching split in two: the one with fewer scores goes into the other."""

DROPPED = {
    "qwen",  # `qwen-turbo` with its tail cut off: a moving alias
    "qwen-plus",  # another: nobody knows which snapshot the scores are of
}

_LATE = "2026-09-15"
RELEASED = {
    "claude-fable-5-1": _LATE,
    "claude-haiku-5-5": _LATE,
    "claude-opus-5-5": "2026-09-22",
    "claude-sonnet-5-5": "2026-09-28",
    "deepseek-v4-flash-vision-exp": "2026-07-31",
    "gemini-3-8-flash": "2026-09-02",
    "gemini-4-argon": _LATE,
    "glm-5-3-flash": "2026-08-18",
    "gpt-5-2-chat": "2025-12-11",
    "gpt-5-3-chat": "2026-02-05",
    "gpt-5-1-codex-max": "2025-11-19",
    "gpt-6-astra": "2026-09-03",
    "gpt-6-luna": "2026-09-22",
    "gpt-6-sol": "2026-09-22",
    "gpt-6-1-sol": "2026-09-29",
    "grok-4-7": _LATE,
    "mimo-v2-6-pro": _LATE,
    "muse-spark-1-3": _LATE,
}
"""Release dates that the sources leave open: from the dated snapshots in LiteLLM's map and the makers' release notes.
Those that are only known to be late 2026 get the middle of September; a month moves the estimate by .07."""

_MEDIUM_BY_DEFAULT = [
    "o1", "o1-mini", "o3", "o3-mini", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5-codex",
    "gpt-5-1-codex", "gpt-5-1-codex-mini", "gpt-5-1-codex-max", "gpt-5-2-codex", "gpt-5-3-codex", "gpt-5-5",
    "gpt-5-6-sol", "gpt-5-6-terra", "gpt-5-6-luna", "gpt-6-astra", "gpt-6-sol", "gpt-6-luna", "gpt-6-1-sol",
    "claude-opus-5-5", "claude-haiku-5-5", "gemini-3-5-flash", "gpt-oss-120b", "gpt-oss-20b",
]  # fmt: skip
_NONE_BY_DEFAULT = [
    "gpt-5-1", "gpt-5-2", "gpt-5-4", "gpt-5-4-mini", "gpt-5-4-nano", "claude-3-7-sonnet", "claude-sonnet-4",
    "claude-opus-4", "claude-opus-4-1", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5",
    "claude-opus-4-6", "claude-sonnet-4-6", "claude-opus-4-7", "claude-opus-4-8", "gemini-2-5-flash-lite",
]  # fmt: skip
_MINIMAL_BY_DEFAULT = ["gemini-3-1-flash-lite", "gemini-3-5-flash-lite"]
EFFORTS = {
    **dict.fromkeys(_MEDIUM_BY_DEFAULT, "medium"),
    **dict.fromkeys(_NONE_BY_DEFAULT, "none"),
    **dict.fromkeys(_MINIMAL_BY_DEFAULT, "minimal"),
}
"""What an API does when a request names no effort, where that is not its full effort. Makers' documentation: OpenAI
(medium before 5.1 and again from 5.5; none for 5.1, 5.2 and 5.4, also in LiteLLM's map), Anthropic (up to Opus 4.8
thinking is off unless asked for; later models think, Opus 5.5 and Haiku 5.5 at medium), Google (flash-lite off or
minimal, 3.5 Flash medium, others dynamic)."""

FAMILIES = {
    "gpt": "OpenAI",
    "chatgpt": "OpenAI",
    "o1": "OpenAI",
    "o3": "OpenAI",
    "o4": "OpenAI",
    "claude": "Anthropic",
    "gemini": "Google",
    "gemma": "Google",
    "mistral": "Mistral",
    "mixtral": "Mistral",
    "ministral": "Mistral",
    "magistral": "Mistral",
    "devstral": "Mistral",
    "codestral": "Mistral",
    "pixtral": "Mistral",
    "open-mistral": "Mistral",
    "llama": "Meta",
    "meta-llama": "Meta",
    "codellama": "Meta",
    "muse": "Meta",
    "deepseek": "DeepSeek",
    "qwen": "Alibaba",
    "qwq": "Alibaba",
    "grok": "SpaceXAI",
    "glm": "Z AI",
    "kimi": "Kimi",
    "minimax": "MiniMax",
    "nova": "Amazon",
    "command": "Cohere",
    "c4ai": "Cohere",
    "nemotron": "NVIDIA",
    "nvidia": "NVIDIA",
    "phi": "Microsoft",
    "mimo": "Xiaomi",
    "granite": "IBM",
    "jamba": "AI21 Labs",
    "sonar": "Perplexity",
}
"""First part of a model's canonical name -> maker, as the sources call it."""
