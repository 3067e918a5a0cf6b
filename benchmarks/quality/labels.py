"""What the training sets are taken to mean: kinds of task, tiers, and which outcomes are worth fitting."""

from __future__ import annotations

from benchmarks.quality.data import Row

TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")

THRESHOLDS = (-2.5, -0.5, 1.5)
"""Difficulty logits between one tier and the next. They anchor the scale: 0 is a middling-hard request."""

PAIRS = {
    "ulab": (
        ("llama-3.1-8b-instruct", "llama-3.1-nemotron-51b-instruct"),
        ("qwen2.5-7b-instruct", "llama-3.1-nemotron-51b-instruct"),
        ("mistral-7b-instruct-v0.3", "llama-3.1-nemotron-51b-instruct"),
        ("mistral-7b-instruct-v0.3", "gemma-2-9b-it"),
    ),
    "routerbench_zs": (
        ("mistralai/mixtral-8x7b-chat", "gpt-4-1106-preview"),
        ("gpt-3.5-turbo-1106", "gpt-4-1106-preview"),
        ("mistralai/mistral-7b-chat", "gpt-4-1106-preview"),
    ),
    "bfcl_2024_08": (
        ("claude-3-haiku-20240307", "claude-3-5-sonnet-20240620"),
        ("open-mixtral-8x7b", "gpt-4-1106-preview"),
        ("gpt-3.5-turbo-0125", "gpt-4-turbo-2024-04-09"),
    ),
}
"""Weak and strong model of each pair that validation averages over, by source."""

FITTED_MODELS = {
    "ulab": (
        "gemma-2-9b-it", "llama-3.1-8b-instruct", "mistral-7b-instruct-v0.3", "qwen2.5-7b-instruct",
        "llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1",
    ),
    "routerbench_zs": (
        "mistralai/mixtral-8x7b-chat", "gpt-3.5-turbo-1106", "mistralai/mistral-7b-chat", "claude-instant-v1",
        "zero-one-ai/Yi-34B-Chat", "gpt-4-1106-preview",
    ),
    "bfcl_2024_08": (
        "claude-3-haiku-20240307", "open-mixtral-8x7b", "gpt-3.5-turbo-0125", "gemini-1.0-pro", "mistral-small-2402",
        "claude-3-5-sonnet-20240620", "gpt-4-1106-preview", "gpt-4-turbo-2024-04-09", "gpt-4-0125-preview",
        "claude-3-opus-20240229",
    ),
}  # fmt: skip
"""Models whose outcomes are fitted. Left out: those that mostly failed for their format (a mean near 0 where models of
their class reach half), whose zeros say nothing of the prompt."""

UNSOUND = {("mmlu", "qwen2.5-7b-instruct")}
"""(task, model) left out for the same reason."""

_TASK_KIND = {
    "gsm8k": "math", "math": "math", "mbpp": "code", "human_eval": "code", "trivia_qa": "knowledge",
    "natural_qa": "knowledge", "mmlu": "knowledge", "gpqa": "knowledge", "arc_challenge": "knowledge",
    "openbook_qa": "knowledge", "commonsense_qa": "reasoning", "winograde": "reasoning", "commongen": "writing_chat",
    "agentverse-logicgrid": "reasoning",
}  # fmt: skip
_SYNTH_KIND = {
    "factual-qa": "knowledge", "system-design": "code", "explanation": "knowledge", "simple-code": "code",
    "formal-proof": "math", "comparison": "knowledge", "code-review": "code", "math-derivation": "math",
    "algorithm-proof": "math", "debugging": "code", "complex-code": "code", "summary": "writing_chat",
    "greeting": "writing_chat", "definition": "knowledge", "testing": "code", "brainstorming": "writing_chat",
    "translation": "multilingual", "game-theory": "reasoning", "formal-logic": "reasoning", "ml-pipeline": "code",
    "rewrite": "writing_chat", "architecture": "code", "infrastructure": "code", "security-analysis": "code",
    "extraction": "writing_chat", "classification": "writing_chat", "logic-puzzle": "reasoning",
    "agentic-task": "tools_agentic", "creative": "writing_chat", "migration": "code", "documentation": "writing_chat",
    "structured-output": "writing_chat", "data-analysis": "reasoning", "performance": "code",
    "math-word-problem": "math",
}  # fmt: skip


def kind(row: Row) -> str:
    """The domain a row's text speaks for, ``""`` when it speaks for none.

    Prompts of the tool sets do not: that a request is about tools follows from the tools it brings.
    """
    if row.source == "own":
        return row.domain
    if row.source == "uncommonroute_synth":
        return _SYNTH_KIND.get(row.domain, "")
    return _TASK_KIND.get(row.domain, "")


def task(row: Row) -> str:
    """Rows of one task share what the task itself adds to the difficulty."""
    return f"{row.source}/{row.domain}" if row.outcomes else row.source


def tier(row: Row) -> int:
    """0..3, or -1 where nobody wrote a tier."""
    return TIERS.index(row.tier) if row.tier else -1
