"""Reading a request: what must hold for every body, however odd."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ofox_middleware.harness import ASK_CHARS, human_text, is_tool_result, plainly_human
from ofox_middleware.signals import MAX_OUTPUT_TOKENS, read, surface_of
from ofox_middleware.tokens import SAMPLE_CHARS, estimate
from ofox_middleware.trajectory import CONTEXT_CHARS, MAX_STREAK
from ofox_middleware.types import Signals, Surface

relaxed = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SURFACES: tuple[Surface, ...] = ("chat", "text", "responses", "messages")
surfaces = st.sampled_from(SURFACES)

TAGS = ("system-reminder", "environment_details", "task", "user_query", "tool_result", "b", "permissions instructions")
WORDS = (
    *(f"<{name}>" for name in TAGS), *(f"</{name}>" for name in TAGS), "<file_content path='a'>", "</file_content>",
    "[read] Result:", "## My request for Codex:", "# AGENTS.md instructions for x", "Caveat: The messages below",
    "Error: x", "hello", "你好", "\n", " ", "<", ">", "\ud83d", "\0", "🙂", "Fix the bug.",
)  # fmt: skip

anything_text = st.one_of(
    st.text(st.characters(), max_size=40),  # lone surrogates included
    st.lists(st.sampled_from(WORDS), max_size=12).map("".join),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), anything_text)

NAMES = (
    "role", "content", "type", "text", "messages", "input", "prompt", "system", "instructions", "tools", "tool_choice",
    "image_url", "url", "source", "data", "file", "output", "arguments", "name", "function", "tool_calls", "is_error",
    "thinking", "signature", "summary", "encrypted_content", "reasoning", "reasoning_effort", "format", "detail",
    "response_format", "max_tokens", "n", "stream", "logprobs", "include", "modalities", "suffix", "media_type", "id",
    "thinking_blocks", "provider_specific_fields", "extra_content", "custom", "action", "status", "text_format",
)  # fmt: skip
VALUES = (
    "user", "assistant", "system", "developer", "tool", "function", "text", "input_text", "image_url", "input_image",
    "image", "input_audio", "file", "input_file", "document", "tool_use", "tool_result", "thinking", "base64",
    "redacted_thinking", "function_call", "function_call_output", "reasoning", "computer_call_output", "content",
    "computer_screenshot", "refusal", "search_result", "mcp_call", "json_schema", "required", "auto", "none", "audio",
)  # fmt: skip
keys = st.one_of(st.sampled_from(NAMES), st.text(max_size=5))
json_values = st.recursive(
    st.one_of(scalars, st.sampled_from(VALUES)),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=6)),
    max_leaves=40,
)
bodies = st.dictionaries(keys, json_values, max_size=8)

parts = st.builds(
    lambda kind, fields: {**fields, "type": kind},
    st.sampled_from(VALUES),
    st.dictionaries(keys, json_values, max_size=5),
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from((*VALUES[:6], None))},
    optional={
        "content": st.one_of(anything_text, st.none(), st.lists(st.one_of(parts, anything_text), max_size=5)),
        "tool_calls": st.lists(st.fixed_dictionaries({"function": json_values}), max_size=3),
        "type": st.sampled_from(VALUES),
        "output": json_values,
    },
)


def check(signals: Signals, surface: Surface, body: dict[str, Any]) -> None:
    assert signals.surface == surface
    assert len(signals.ask) <= ASK_CHARS
    assert len(signals.context) <= CONTEXT_CHARS
    assert len(signals.opening) <= 2 * ASK_CHARS + 1
    assert signals.input_tokens >= 0
    assert signals.max_output_tokens is None or 0 < signals.max_output_tokens <= MAX_OUTPUT_TOKENS
    assert signals.params == set(body)
    assert 0 <= signals.tool_errors <= MAX_STREAK
    assert 0 <= signals.repeated_calls <= MAX_STREAK
    assert signals.human_turns >= 0
    assert signals.tool_turns >= 0
    assert isinstance(signals.needs, frozenset)
    hash(signals)


@relaxed
@given(bodies, surfaces)
def test_any_json_object_is_read(body: dict[str, Any], surface: Surface) -> None:
    """No JSON object raises, and what is read of it keeps its bounds."""
    check(read(body, surface), surface, body)


@relaxed
@given(st.lists(st.one_of(messages, json_values), max_size=10), surfaces)
def test_any_list_of_messages_is_read(items: list[Any], surface: Surface) -> None:
    """The same for bodies that look like the real thing."""
    body = {"messages": items, "input": items, "prompt": items, "system": items}
    check(read(body, surface), surface, body)


@relaxed
@given(bodies, surfaces)
def test_reading_twice_gives_the_same(body: dict[str, Any], surface: Surface) -> None:
    """Reading is pure: the same body gives equal signals and is left as it was."""
    before = repr(body)
    assert read(body, surface) == read(body, surface)
    assert repr(body) == before


@relaxed
@given(anything_text, st.integers(0, 3000), st.integers(0, 3000))
def test_no_text_grows_by_being_read(core: str, before: int, after: int) -> None:
    """A human's text is never longer than the message it came from, nor than the bound."""
    text = "a " * before + core + " z" * after
    found = human_text(text)
    assert len(found) <= min(ASK_CHARS, len(text))
    is_tool_result(text)
    plainly_human(text)


@relaxed
@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="<[#"), max_size=3000))
def test_text_without_a_clients_marks_is_kept(text: str) -> None:
    """Text without tags, brackets and headings is a human's, apart from white space around it and the cut."""
    if not plainly_human(text):
        return
    found = human_text(text)
    if len(text) <= ASK_CHARS:
        assert found == text.strip()
    else:
        assert found[:1000] == text[:ASK_CHARS].lstrip()[:1000]


@relaxed
@given(
    st.text(st.characters(exclude_characters="<>"), max_size=500),
    st.text(st.characters(exclude_characters="<>"), max_size=50),
)
def test_a_reminder_beside_an_ask_changes_nothing(reminder: str, words: str) -> None:
    """Whatever a reminder says, before or behind, the ask is the same."""
    ask = f"Please {words}".strip()
    block = f"<system-reminder>{reminder}</system-reminder>"
    assert human_text(f"{block}\n{ask}") == human_text(f"{ask}\n{block}") == ask


@relaxed
@given(st.lists(st.text(max_size=200), max_size=20))
def test_the_estimate_adds_up(texts: list[str]) -> None:
    """Read whole, several texts have about the tokens that each has alone."""
    if sum(map(len, texts)) <= SAMPLE_CHARS:
        alone = sum(estimate([text]) for text in texts)
        assert abs(estimate(texts) - alone) <= len(texts) + 0.1 * alone


@relaxed
@given(st.text(st.characters(), max_size=300), st.integers(1, 400))
def test_the_estimate_is_bounded(piece: str, times: int) -> None:
    """No text has less than no tokens or more than a few for each character."""
    text = piece * times
    assert 0 <= estimate([text]) <= 6 * len(text) + 1


@relaxed
@given(st.text(max_size=60))
def test_any_path_has_a_surface_or_none(path: str) -> None:
    """Paths are judged by their end alone."""
    assert surface_of(path) in (*SURFACES, None)
    assert surface_of(f"{path}/chat/completions") == "chat"


@relaxed
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), anything_text),
        lambda inner: st.lists(inner) | st.dictionaries(keys, inner),
    )
)
def test_decoded_json_is_read_like_the_original(value: Any) -> None:
    """A body that went through JSON text gives the same signals."""
    body = {"messages": [{"role": "user", "content": value}], "tools": value}
    assert read(json.loads(json.dumps(body)), "chat") == read(body, "chat")
