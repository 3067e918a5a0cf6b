"""Every need that a request can have: it is read from the body, and a model that lacks it is left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.types import Need

CHAT, TEXT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
SAY: dict[str, Any] = {"role": "user", "content": "Say it."}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FLAT_TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CLAUDE_TOOL = {"name": "f", "input_schema": {"type": "object"}}
SCHEMA = {"name": "s", "schema": {"type": "object"}}
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def chat(**fields: Any) -> dict[str, Any]:
    return {"messages": [SAY], **fields}


def asks(**fields: Any) -> dict[str, Any]:
    return {"input": "Say it.", **fields}


FLAG: dict[Need, str] = {
    "image": "supports_vision", "audio": "supports_audio_input", "file": "supports_pdf_input",
    "video": "supports_video_input", "audio_output": "supports_audio_output", "tools": "supports_function_calling",
    "tool_choice": "supports_tool_choice", "parallel_tools": "supports_parallel_function_calling",
    "computer_use": "supports_computer_use", "web_search": "supports_web_search",
    "json_schema": "supports_response_schema", "reasoning": "supports_reasoning", "logprobs": "supports_logprobs",
    "n": "supports_n", "prefill": "supports_assistant_prefill",
}  # fmt: skip
"""What an operator's card calls the ability to meet each need."""

CASES: list[tuple[Need, str, dict[str, Any]]] = [
    ("image", CHAT, {"messages": [user({"type": "image_url", "image_url": {"url": PNG}}), SAY]}),
    ("image", CHAT, {"messages": [SAY, {"role": "tool", "tool_call_id": "a", "content": [
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]}),
    ("image", RESPONSES, {"input": [user({"type": "input_image", "image_url": PNG})]}),
    ("image", MESSAGES, {"messages": [user({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}})]}),
    ("image", MESSAGES, {"messages": [user({"type": "tool_result", "content": [{"type": "image", "source": {}}]})]}),
    ("audio", CHAT, {"messages": [user({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}})]}),
    ("video", CHAT, {"messages": [user({"type": "video_url", "video_url": {"url": "https://x/y.mp4"}})]}),
    ("file", CHAT, {"messages": [user({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA"}})]}),
    ("file", RESPONSES, {"input": [user({"type": "input_file", "file_id": "file-1"})]}),
    ("file", MESSAGES, {"messages": [user({"type": "document", "source": PDF})]}),
    ("audio_output", CHAT, chat(modalities=["text", "audio"], audio={"voice": "v", "format": "wav"})),
    ("tools", CHAT, chat(tools=[TOOL])),
    ("tools", CHAT, chat(functions=[{"name": "f"}])),
    ("tools", CHAT, {"messages": [SAY, {"role": "assistant", "content": None, "tool_calls": [
        {"id": "a", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "a"}]}),
    ("tools", RESPONSES, {"input": [{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}]}),
    ("tools", MESSAGES, {"messages": [SAY, {"role": "assistant", "content": [
        {"type": "tool_use", "id": "a", "name": "f", "input": {}}]}, user({"type": "tool_result"})]}),
    ("tools", RESPONSES, asks(tools=[FLAT_TOOL])),
    ("tools", MESSAGES, chat(tools=[CLAUDE_TOOL])),
    ("tool_choice", CHAT, chat(tools=[TOOL], tool_choice="required")),
    ("tool_choice", CHAT, chat(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}})),
    ("tool_choice", RESPONSES, asks(tools=[FLAT_TOOL], tool_choice={"type": "function", "name": "f"})),
    ("tool_choice", MESSAGES, chat(tools=[CLAUDE_TOOL], tool_choice={"type": "any"})),
    ("parallel_tools", CHAT, chat(tools=[TOOL], parallel_tool_calls=True)),
    ("parallel_tools", RESPONSES, asks(tools=[FLAT_TOOL], parallel_tool_calls=True)),
    ("computer_use", RESPONSES, asks(tools=[{"type": "computer_use_preview"}])),
    ("computer_use", MESSAGES, chat(tools=[{"type": "computer_20250124", "name": "computer"}])),
    ("web_search", CHAT, chat(web_search_options={})),
    ("web_search", RESPONSES, asks(tools=[{"type": "web_search"}])),
    ("web_search", MESSAGES, chat(tools=[{"type": "web_search_20250305", "name": "web_search"}])),
    ("json_schema", CHAT, chat(response_format={"type": "json_schema", "json_schema": SCHEMA})),
    ("json_schema", RESPONSES, asks(text={"format": {"type": "json_schema", **SCHEMA}})),
    ("json_schema", MESSAGES, chat(output_config={"format": {"type": "json_schema", "schema": {}}})),
    ("reasoning", CHAT, chat(reasoning_effort="high")),
    ("reasoning", RESPONSES, asks(reasoning={"effort": "low"})),
    ("reasoning", MESSAGES, chat(thinking={"type": "enabled", "budget_tokens": 1024})),
    ("logprobs", CHAT, chat(logprobs=True, top_logprobs=3)),
    ("logprobs", TEXT, {"prompt": "Say it.", "logprobs": 2}),
    ("logprobs", RESPONSES, asks(include=["message.output_text.logprobs"])),
    ("n", CHAT, chat(n=2)),
    ("n", TEXT, {"prompt": "Say it.", "n": 2}),
    ("prefill", CHAT, {"messages": [SAY, {"role": "assistant", "content": "It is"}]}),
    ("prefill", MESSAGES, {"messages": [SAY, {"role": "assistant", "content": "{"}]}),
]  # fmt: skip

ABLE = dict.fromkeys(FLAG.values(), True)


def router(*cards: ModelCard) -> SmartRouter:
    return SmartRouter(Settings(models=list(cards), preference="quality", share_within=0), seed=1)


def card(name: str, ability: float, **facts: Any) -> ModelCard:
    known = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "max_input_tokens": 100_000, **ABLE}
    return ModelCard(name=name, ability=ability, **{**known, **facts})


def test_every_need_has_a_case() -> None:
    """No need is forgotten in the table, and an operator can state each."""
    assert {need for need, _, _ in CASES} == set(get_args(Need)) == set(FLAG)


@pytest.mark.parametrize(("need", "path", "body"), CASES)
def test_a_model_that_lacks_it_is_left_out(need: Need, path: str, body: dict[str, Any]) -> None:
    """The better model cannot, so the other one serves; when none can, the answer says so; unknown is no verdict."""
    lacking, able = card("a/lacks", 0.9, **{FLAG[need]: False}), card("b/able", 0.5)
    decision = router(lacking, able).decide(body, path)
    assert decision.model == "b/able"
    assert decision.candidate("a/lacks").reason == f"no_{need}"
    assert need in decision.needs
    unknown = replace(lacking, **{FLAG[need]: None})
    only = router(unknown).decide(body, path)
    assert only.model == "a/lacks"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat(tool_choice="auto", n=1, logprobs=False, response_format={"type": "text"})),
        (CHAT, chat(reasoning_effort="none", parallel_tool_calls=False, tools=[], modalities=["text"])),
        (CHAT, {"messages": [SAY, {"role": "assistant", "content": "Done."}, SAY]}),
        (RESPONSES, asks(reasoning={"effort": None}, text={"format": {"type": "text"}}, include=[])),
        (MESSAGES, chat(thinking={"type": "disabled"}, tool_choice={"type": "none"})),
        (TEXT, {"prompt": "Say it.", "n": 1, "best_of": 1}),
    ],
)
def test_what_asks_for_nothing_needs_nothing(path: str, body: dict[str, Any]) -> None:
    """Defaults that are written out leave every model in."""
    bare = card("a/bare", 0.9, **dict.fromkeys(FLAG.values(), False))
    assert router(bare, card("b/able", 0.5)).decide(body, path).model == "a/bare"


@pytest.mark.parametrize(
    ("words", "limit", "fits"),
    [(6_000, None, True), (8_000, None, True), (9_500, None, False), (6_000, 3_000, True), (6_000, 4_000, False)],
)
def test_the_prompt_with_a_margin_and_the_answer_must_fit(words: int, limit: int | None, fits: bool) -> None:
    """A tenth of the window stays free for errors of the estimate, and the answer's limit counts in full."""
    small, large = card("a/small", 0.9, max_input_tokens=10_000), card("b/large", 0.5)
    ask = {"messages": [{"role": "user", "content": "word " * words}]}
    if limit is not None:
        ask["max_tokens"] = limit  # type: ignore[assignment]
    decision = router(small, large).decide(ask)
    assert (decision.model == "a/small") == fits
    assert fits or decision.candidate("a/small").reason == "context_window"


def test_an_image_in_the_first_turn_still_counts_in_the_last() -> None:
    """A conversation that showed a picture cannot go on at a model that cannot see."""
    blind, able = card("a/blind", 0.9, supports_vision=False), card("b/able", 0.5)
    messages: list[Any] = [user({"type": "image_url", "image_url": {"url": PNG}}, {"type": "text", "text": "What?"})]
    for turn in range(30):
        messages += [{"role": "assistant", "content": f"Answer {turn}."}, {"role": "user", "content": "And then?"}]
    assert router(blind, able).decide({"messages": messages}).model == "b/able"
