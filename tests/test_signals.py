"""A request's body is read as one: surfaces, parameters, counts, estimates."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from ofox_middleware import signals
from ofox_middleware.signals import MAX_OUTPUT_TOKENS, read, surface_of
from ofox_middleware.tokens import MESSAGE_TOKENS, REPLY_TOKENS, estimate
from ofox_middleware.types import Signals, Surface

SURFACES: tuple[Surface, ...] = ("chat", "text", "responses", "messages")


def chat(*messages: dict[str, Any], **params: Any) -> Signals:
    return read({"model": "auto", "messages": list(messages), **params}, "chat")


def ask(text: str = "hello") -> dict[str, Any]:
    return {"role": "user", "content": text}


# Surfaces


@pytest.mark.parametrize(
    ("path", "surface"),
    [
        ("/v1/chat/completions", "chat"),
        ("/chat/completions", "chat"),
        ("/proxy/openai/deployments/x/chat/completions", "chat"),
        ("/v1/completions", "text"),
        ("/v1/responses", "responses"),
        ("/v1/messages", "messages"),
        ("/anthropic/v1/messages", "messages"),
        ("/v1/messages/count_tokens", None),
        ("/v1/threads/thread_1/messages", None),
        ("/v1/embeddings", None),
        ("/v1/responses/resp_1", None),
        ("/", None),
        ("", None),
    ],
)
def test_the_surface_follows_from_the_end_of_the_path(path: str, surface: str | None) -> None:
    """Mounts and prefixes work; every other path is none of ours."""
    assert surface_of(path) == surface


def test_the_same_conversation_reads_the_same_on_every_surface() -> None:
    """Chat, Responses and Messages differ in shape only: ask, counts, needs and estimate agree."""
    one = read(
        {"messages": [{"role": "system", "content": "Be brief."}, ask("Hi"), {"role": "assistant", "content": "Yes?"},
                      ask("Why is the sky blue?")], "max_tokens": 50, "stream": True},
        "chat",
    )  # fmt: skip
    two = read(
        {"instructions": "Be brief.", "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes?"}]},
            {"role": "user", "content": "Why is the sky blue?"}], "max_output_tokens": 50, "stream": True},
        "responses",
    )  # fmt: skip
    three = read(
        {"system": [{"type": "text", "text": "Be brief."}], "messages": [
            ask("Hi"), {"role": "assistant", "content": [{"type": "text", "text": "Yes?"}]},
            {"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]}],
         "max_tokens": 50, "stream": True},
        "messages",
    )  # fmt: skip
    assert (one.surface, two.surface, three.surface) == ("chat", "responses", "messages")
    for field in set(Signals.__slots__) - {"surface", "params"}:
        assert getattr(one, field) == getattr(two, field) == getattr(three, field), field
    assert one.ask == "Why is the sky blue?"
    assert one.context == "Hi"
    assert one.human_turns == 2
    assert one.max_output_tokens == 50
    assert one.stream
    assert one.needs == frozenset()


def test_a_responses_input_may_be_a_string() -> None:
    """A bare string is one human message."""
    read_one = read({"input": "Why is the sky blue?"}, "responses")
    assert read_one.ask == "Why is the sky blue?"
    assert read_one.human_turns == 1


@pytest.mark.parametrize(
    ("prompt", "expected", "turns"),
    [
        ("Once upon a time", "Once upon a time", 1),
        (["one", "two"], "two", 1),
        (["one", ""], "one", 1),
        ([], "", 0),
        (None, "", 0),
        (7, "", 0),
        ([1, 2, 3], "", 1),
        ([[1, 2], [3]], "", 1),
        ([None, {"a": 1}], "", 0),
    ],
)
def test_text_completions_take_every_form_of_prompt(prompt: Any, expected: str, turns: int) -> None:
    """A string, several, token ids or lists of them; the last string with words is the ask."""
    signals = read({"prompt": prompt}, "text")
    assert signals.ask == expected
    assert signals.human_turns == turns


def test_token_ids_are_counted_as_they_are() -> None:
    """A prompt of token ids needs no estimate."""
    assert read({"prompt": list(range(1000))}, "text").input_tokens == 1000
    assert read({"prompt": [[1, 2, 3], [4]]}, "text").input_tokens == 4
    assert read({"prompt": [True, None]}, "text").input_tokens == 0


def test_the_suffix_of_a_text_completion_counts() -> None:
    """Fill-in-the-middle sends the text behind the gap too."""
    plain = read({"prompt": "def f(x):"}, "text")
    filled = read({"prompt": "def f(x):", "suffix": "return x + 1 # the end"}, "text")
    assert filled.input_tokens > plain.input_tokens
    assert filled.ask == plain.ask


# Needs from parameters

FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("params", "needs"),
    [
        ({"tools": [FUNCTION]}, {"tools"}),
        ({"functions": [{"name": "f"}]}, {"tools"}),
        ({"tools": []}, set()),
        ({"tools": None}, set()),
        ({"tools": "f"}, set()),
        ({"tools": [None, 7]}, {"tools"}),
        ({"tools": [{"type": "computer_20250124", "name": "computer"}]}, {"tools", "computer_use"}),
        ({"tools": [{"type": "computer_use_preview"}]}, {"tools", "computer_use"}),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, {"tools", "web_search"}),
        ({"tools": [{"type": "web_search_preview"}]}, {"tools", "web_search"}),
        ({"tools": [{"googleSearch": {}}]}, {"tools", "web_search"}),
        ({"tools": [{"type": 7}]}, {"tools"}),
        ({"web_search_options": {}}, {"web_search"}),
        ({"web_search_options": None}, set()),
        ({"tool_choice": "required"}, {"tool_choice"}),
        ({"tool_choice": "any"}, {"tool_choice"}),
        ({"tool_choice": "auto"}, set()),
        ({"tool_choice": "none"}, set()),
        ({"tool_choice": {"type": "any"}}, {"tool_choice"}),
        ({"tool_choice": {"type": "tool", "name": "f"}}, {"tool_choice"}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"tool_choice"}),
        ({"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, set()),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, set()),
        ({"tool_choice": {"type": "allowed_tools", "mode": "required"}}, {"tool_choice"}),
        ({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required"}}}, {"tool_choice"}),
        ({"tool_choice": {}}, set()),
        ({"tool_choice": 7}, set()),
        ({"function_call": {"name": "f"}}, {"tool_choice"}),
        ({"function_call": "auto"}, set()),
        ({"parallel_tool_calls": True}, {"parallel_tools"}),
        ({"parallel_tool_calls": False}, set()),
        ({"parallel_tool_calls": 1}, set()),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"json_schema"}),
        ({"response_format": {"type": "json_object", "response_schema": {"a": 1}}}, {"json_schema"}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"response_format": {"type": "text"}}, set()),
        ({"response_format": "json_schema"}, set()),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, {"json_schema"}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, set()),
        ({"output_format": {"type": "json_schema", "schema": {}}}, {"json_schema"}),
        ({"output_config": {"format": {"type": "json_schema"}}}, {"json_schema"}),
        ({"output_config": {"effort": "high"}}, {"reasoning"}),
        ({"output_config": 7}, set()),
        ({"reasoning_effort": "low"}, {"reasoning"}),
        ({"reasoning_effort": "minimal"}, {"reasoning"}),
        ({"reasoning_effort": "none"}, set()),
        ({"reasoning_effort": ""}, set()),
        ({"reasoning_effort": None}, set()),
        ({"reasoning_effort": {"effort": "high", "summary": "auto"}}, {"reasoning"}),
        ({"reasoning": {"effort": "medium"}}, {"reasoning"}),
        ({"reasoning": {"effort": "none", "summary": "auto"}}, set()),
        ({"reasoning": {"effort": None}}, set()),
        ({"reasoning": {"enabled": False, "max_tokens": 5}}, set()),
        ({"reasoning": {"max_tokens": 2000}}, {"reasoning"}),
        ({"reasoning": {}}, set()),
        ({"reasoning": True}, set()),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, {"reasoning"}),
        ({"thinking": {"type": "adaptive"}}, {"reasoning"}),
        ({"thinking": {"type": "disabled"}}, set()),
        ({"logprobs": True}, {"logprobs"}),
        ({"logprobs": False}, set()),
        ({"top_logprobs": 3}, {"logprobs"}),
        ({"top_logprobs": 0}, set()),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs"}),
        ({"include": ["reasoning.encrypted_content", 7]}, set()),
        ({"include": 7}, set()),
        ({"n": 2}, {"n"}),
        ({"n": 2.0}, {"n"}),
        ({"n": 1}, set()),
        ({"n": True}, set()),
        ({"n": "3"}, set()),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy"}}, {"audio_output"}),
        ({"modalities": ["text"]}, set()),
        ({"modalities": "audio"}, set()),
        ({"temperature": 0.5, "seed": 1, "user": "u"}, set()),
    ],
)
def test_parameters_are_needs(params: dict[str, Any], needs: set[str]) -> None:
    """Each parameter asks for a feature when it is really used, and for nothing when it is off, empty or odd."""
    signals = chat(ask(), **params)
    assert signals.needs == needs
    assert signals.params == {"model", "messages", *params}


@pytest.mark.parametrize(
    ("params", "needs"),
    [
        ({"logprobs": 0}, {"logprobs"}),
        ({"logprobs": 5}, {"logprobs"}),
        ({"logprobs": None}, set()),
        ({"logprobs": True}, set()),
        ({"n": 3}, {"n"}),
        ({"best_of": 3}, {"n"}),
        ({"tools": [FUNCTION]}, set()),
    ],
)
def test_text_completions_have_parameters_of_their_own(params: dict[str, Any], needs: set[str]) -> None:
    """Log-probabilities are a number there, of which 0 asks for them too."""
    assert read({"prompt": "x", **params}, "text").needs == needs


def test_an_assistant_message_at_the_end_is_a_prefill() -> None:
    """Chat and Messages continue such a message; in Responses it is history like any other."""
    items = [ask(), {"role": "assistant", "content": "Sure, here"}]
    assert read({"messages": items}, "chat").needs == {"prefill"}
    assert read({"messages": items}, "messages").needs == {"prefill"}
    assert read({"input": items}, "responses").needs == frozenset()
    assert read({"messages": [*items, ask()]}, "chat").needs == frozenset()
    assert read({"messages": [*items, 7]}, "chat").needs == frozenset()


def test_needs_of_content_and_parameters_come_together() -> None:
    """An image in the history and tools in the parameters are both asked of the model."""
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}
    assert chat(image, ask(), tools=[FUNCTION]).needs == {"image", "tools"}


def test_signed_thinking_is_passed_on() -> None:
    """A conversation with signed reasoning is marked."""
    turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "Eq"}]}
    assert chat(ask(), turn, ask()).thinking_signed
    assert not chat(ask()).thinking_signed


# The limit of the answer


@pytest.mark.parametrize(
    ("params", "limit"),
    [
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 200}, 200),
        ({"max_completion_tokens": 200, "max_tokens": 100}, 200),
        ({"max_output_tokens": 300}, 300),
        ({"max_tokens_to_sample": 400}, 400),
        ({"max_tokens": 64.0}, 64),
        ({"max_completion_tokens": None, "max_tokens": 5}, 5),
        ({"max_tokens": 0}, None),
        ({"max_tokens": -1}, None),
        ({"max_tokens": True}, None),
        ({"max_tokens": "100"}, None),
        ({"max_tokens": 1.5}, None),
        ({"max_tokens": math.inf}, None),
        ({"max_tokens": math.nan}, None),
        ({"max_tokens": 10**5000}, MAX_OUTPUT_TOKENS),
        ({}, None),
    ],
)
def test_the_callers_limit_is_read_under_every_name(params: dict[str, Any], limit: int | None) -> None:
    """The newest name wins; what is no positive number is no limit."""
    assert chat(ask(), **params).max_output_tokens == limit
    assert read({"prompt": "x", **params}, "text").max_output_tokens == limit


# The estimate


def test_the_estimate_has_texts_frames_and_the_reply() -> None:
    """Each message costs its text and a frame, the answer its opening."""
    assert chat(ask("hello world")).input_tokens == estimate(["hello world"]) + MESSAGE_TOKENS + REPLY_TOKENS
    assert chat().input_tokens == REPLY_TOKENS


@pytest.mark.parametrize("surface", ["messages", "responses"])
def test_system_text_beside_the_messages_counts(surface: Surface) -> None:
    """System text outside the messages is part of the prompt, as a string or as blocks."""
    name = "system" if surface == "messages" else "instructions"
    bare = read({"messages": [ask()], "input": [ask()]}, surface).input_tokens
    for system in ("rules " * 500, [{"type": "text", "text": "rules " * 500}]):
        assert read({"messages": [ask()], "input": [ask()], name: system}, surface).input_tokens > bare + 400


def test_tool_definitions_count_as_their_json() -> None:
    """Tools are put before the model as a schema; the estimate has their compact JSON."""
    tools = [
        {"type": "function", "function": {"name": f"tool_{n}", "description": "Does one thing. " * 20}}
        for n in range(5)
    ]
    written = estimate([json.dumps(tools, separators=(",", ":"))])
    assert chat(ask(), tools=tools).input_tokens - chat(ask()).input_tokens == pytest.approx(written, rel=0.02)


def test_hundreds_of_tools_are_judged_by_a_sample() -> None:
    """The estimate of many tools grows with their number although only some are written out."""
    tool = {"type": "function", "function": {"name": "tool", "description": "Does one thing. " * 20}}
    few, many = (chat(ask(), tools=[tool] * count).input_tokens for count in (40, 400))
    assert many == pytest.approx(10 * few, rel=0.05)


def test_a_schema_for_the_answer_counts() -> None:
    """The form of the answer is part of the prompt."""
    schema = {"type": "json_schema", "json_schema": {"schema": {"properties": {f"field_{n}": {} for n in range(50)}}}}
    assert chat(ask(), response_format=schema).input_tokens > chat(ask()).input_tokens + 100


def test_base64_is_not_counted_as_text() -> None:
    """A megabyte of image data is an image."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 90_000}}
    assert chat({"role": "user", "content": [part]}).input_tokens < 2000


def test_endless_conversations_are_read_at_their_end() -> None:
    """Of a hundred thousand messages the last ones are read, and the estimate is scaled to all."""
    few, many = ([ask("some words to say")] * count for count in (10_000, 100_000))
    assert chat(*many).input_tokens == pytest.approx(10 * chat(*few).input_tokens, rel=0.05)
    assert chat(*many, ask("and now?")).ask == "and now?"


# Trajectory, opening, housekeeping


def test_an_agents_conversation_is_read_whole() -> None:
    """A coding agent's request in the middle of its work, as Claude Code sends it."""
    steps: list[dict[str, Any]] = []
    for path in ("a.py", "b.py", "b.py"):
        steps += [
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "look", "signature": "Eq"},
                {"type": "tool_use", "id": path, "name": "Read", "input": {"path": path}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": path, "content": "File not found", "is_error": path == "b.py"}]},
        ]  # fmt: skip
    first = {"role": "user", "content": [
        {"type": "text", "text": "<system-reminder>\nCLAUDE.md\n</system-reminder>"},
        {"type": "text", "text": "Why does login fail?"}]}  # fmt: skip
    body = {
        "model": "auto",
        "max_tokens": 32000,
        "stream": True,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cch=1;"},
            {"type": "text", "text": "You code."},
        ],
        "thinking": {"type": "adaptive"},
        "tools": [{"name": "Read", "input_schema": {"type": "object"}}],
        "messages": [first, *steps],
    }
    signals = read(body, "messages")
    assert signals.ask == "Why does login fail?"
    assert signals.needs == {"tools", "reasoning"}
    assert (signals.human_turns, signals.tool_turns) == (1, 3)
    assert signals.in_tool_loop
    assert signals.thinking_signed
    assert (signals.tool_errors, signals.repeated_calls) == (2, 2)
    assert not signals.housekeeping
    assert signals.opening == read({**body, "messages": [first]}, "messages").opening


def test_the_opening_identifies_a_conversation() -> None:
    """It has the system text and the first human message, and stays while the conversation grows."""
    system = {"role": "system", "content": "Be brief."}
    first = chat(system, ask("Plan a trip"))
    later = chat(system, ask("Plan a trip"), {"role": "assistant", "content": "To?"}, ask("Rome"))
    assert first.opening == later.opening
    assert first.opening != chat(system, ask("Plan a party")).opening
    assert first.opening != chat({"role": "system", "content": "Be kind."}, ask("Plan a trip")).opening
    assert chat(ask("ab"), ask("x")).opening != chat({"role": "system", "content": "a"}, ask("b")).opening
    assert chat({"role": "assistant", "content": "hi"}).opening == ""
    assert len(chat({"role": "system", "content": "s" * 9000}, ask("m" * 9000)).opening) <= 4001


def test_responses_open_with_instructions_and_developer_messages() -> None:
    """Codex keeps some of its system text in each place."""
    items = [{"role": "developer", "content": "sandbox on"}, ask("go")]
    assert read({"instructions": "You are Codex.", "input": items}, "responses").opening == (
        "You are Codex.\nsandbox on\x1ego"
    )
    assert read({"input": "go"}, "responses").opening == "\x1ego"
    assert read({"prompt": "go"}, "text").opening == "\x1ego"
    assert read({"prompt": ""}, "text").opening == ""


def test_housekeeping_is_marked_on_every_surface() -> None:
    """A title request is one by its ask or by its system text."""
    title = "Please write a 5-10 word title for the following conversation: x"
    assert chat(ask(title)).housekeeping
    assert read({"input": title}, "responses").housekeeping
    assert read({"prompt": title}, "text").housekeeping
    assert read({"system": "You are a title generator.", "messages": [ask("fix auth")]}, "messages").housekeeping
    assert read({"instructions": "You are a title generator.", "input": "fix auth"}, "responses").housekeeping
    assert read({"messages": [ask("quota")], "max_tokens": 1}, "messages").housekeeping
    assert not chat(ask("fix auth")).housekeeping


@pytest.mark.parametrize("value", [True, False, None, 1, "true"])
def test_a_stream_is_asked_for_by_true(value: Any) -> None:
    """Only ``true`` asks for a stream."""
    assert chat(ask(), stream=value).stream is (value is True)


# Odd input


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize(
    "odd", [None, 7, True, "x", [], {}, [None], [7], ["x"], [[]], [{"role": []}], {"a": 1}], ids=repr
)
def test_odd_bodies_read_as_empty(surface: Surface, odd: Any) -> None:
    """Whatever stands where messages, input, prompt or system text should, nothing is raised."""
    for name in ("messages", "input", "prompt", "system", "instructions", "suffix"):
        signals = read({name: odd}, surface)
        assert signals.surface == surface
        assert signals.params == {name}
    assert read({}, surface).ask == ""


def test_any_mapping_will_do() -> None:
    """The body may be any mapping, such as a read-only view."""
    body: Mapping[str, Any] = MappingProxyType({"messages": [ask("hi")]})
    assert read(body, "chat").ask == "hi"


def test_reading_changes_nothing() -> None:
    """The body is as it was."""
    body = {
        "messages": [ask("hi"), {"role": "assistant", "tool_calls": [{"function": {"arguments": {"a": [1]}}}]}],
        "tools": [FUNCTION],
    }
    before = json.dumps(body)
    read(body, "chat")
    assert json.dumps(body) == before


def test_deep_nesting_is_survived() -> None:
    """A tool input, a schema and content nested without end are read or left out."""
    deep: Any = {}
    for _ in range(50_000):
        deep = {"content": [deep], "type": "tool_result"}
    for body in (
        {"messages": [{"role": "user", "content": [deep]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "f", "input": deep}]}] * 2},
        {"messages": [ask()], "tools": [deep], "response_format": deep},
    ):
        assert read(body, "chat").input_tokens > 0


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"cache_control": {"type": "ephemeral"}}, True),
        ({"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]}, True),
        ({"tools": [{"name": "a"}, {"name": "b", "cache_control": {"type": "ephemeral"}}]}, True),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {}}]}]}, True),
        ({"messages": [{"role": "user", "content": "cache_control"}], "system": "cache_control"}, False),
        ({"system": [None, "x"], "tools": {"cache_control": 1}, "messages": [None]}, False),
    ],
)
def test_a_request_to_cache_its_prompt(body: dict[str, Any], asked: bool) -> None:
    """`cache_control` is found where clients put it."""
    full = {"messages": [{"role": "user", "content": "hi"}], **body}
    assert signals.read(full, "messages").cache_control is asked


def test_cache_control_is_looked_for_at_the_ends_only() -> None:
    """A mark in the middle of a long history costs nothing to miss, a search for it would."""
    plain = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    marked = {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}
    long = [plain] * 40
    assert signals.read({"messages": [*long, marked, plain]}, "chat").cache_control
    assert signals.read({"messages": [marked, *long]}, "chat").cache_control
    assert not signals.read({"messages": [*long, marked, *long]}, "chat").cache_control
