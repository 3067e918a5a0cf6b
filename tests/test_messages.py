"""What the messages of a request hold together: texts, media, turns, needs; in the shapes of every protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ofox_middleware.messages import Content, call_arguments, dump, read_items, read_parts
from ofox_middleware.tokens import DEFAULT_FILE_TOKENS, DEFAULT_IMAGE_TOKENS, MESSAGE_TOKENS

PNG = "data:image/png;base64," + "iVBORw0KGgo" * 1000


def content_of(*items: Any) -> Content:
    content = Content()
    read_items(list(items), content)
    return content


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def test_strings_and_parts_give_the_same_texts() -> None:
    """Content as a string and as one text part is the same to the reader, in every protocol's name for a text part."""
    expected = content_of({"role": "user", "content": "hello there"})
    for kind in ("text", "input_text", "output_text"):
        assert content_of(user({"type": kind, "text": "hello there"})) == expected


def test_every_role_is_text_to_the_model() -> None:
    """System, developer, assistant, tool and function messages are counted like the user's."""
    roles = ("system", "developer", "user", "assistant", "tool", "function")
    content = content_of(*({"role": role, "content": f"by {role}"} for role in roles))
    assert content.texts == [f"by {role}" for role in roles]
    assert content.tokens == MESSAGE_TOKENS * len(roles)
    assert content.human_turns == 1
    assert content.tool_turns == 2


def test_parts_without_a_type_are_read_by_their_text() -> None:
    """Clients that leave out the type of a text part, or send bare strings as parts, are understood."""
    content = content_of(user({"text": "untyped"}, "bare"))
    assert content.texts == ["untyped", "bare"]
    assert content.human_turns == 1


# Media


@pytest.mark.parametrize(
    ("part", "need"),
    [
        ({"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}, "image"),
        ({"type": "image_url", "image_url": "https://x.test/a.png"}, "image"),
        ({"type": "input_image", "image_url": PNG, "detail": "auto"}, "image"),
        ({"type": "input_image", "file_id": "file-1"}, "image"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}, "image"),
        ({"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}, "image"),
        ({"type": "image"}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "UklGR", "format": "wav"}}, "audio"),
        ({"type": "audio_url", "audio_url": {"url": "https://x.test/a.mp3"}}, "audio"),
        ({"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}}, "video"),
        ({"type": "file", "file": {"file_id": "file-1"}}, "file"),
        ({"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"}}, "file"),
        ({"type": "file", "file": {"file_id": "gs://b/a.mp4", "format": "video/mp4"}}, "video"),
        ({"type": "file", "file": {"file_data": "data:audio/wav;base64,UklG"}}, "audio"),
        ({"type": "image_url", "image_url": {"url": "data:application/pdf;base64,JVBE"}}, "file"),
        ({"type": "input_file", "file_id": "file-1"}, "file"),
        ({"type": "input_file", "file_data": "data:application/pdf;base64,JVBE"}, "file"),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}, "file"),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "once"}}, "file"),
        ({"type": "container_upload", "file_id": "file-1"}, "file"),
    ],
)
def test_media_parts_are_needs(part: dict[str, Any], need: str) -> None:
    """Each protocol's image, audio, video and file parts ask for that input, by MIME type where one is stated."""
    content = content_of(user(part, text("what is this?")))
    assert content.needs == {need}
    assert content.human_turns == 1


def test_media_data_is_no_text() -> None:
    """Base64 is counted as an image and never as text, whatever its length."""
    content = content_of(user(text("look"), {"type": "image_url", "image_url": {"url": PNG}}))
    assert content.texts == ["look"]
    assert content.tokens == MESSAGE_TOKENS + DEFAULT_IMAGE_TOKENS


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
        {"type": "input_image", "image_url": PNG, "detail": "low"},
    ],
)
def test_the_detail_of_an_image_is_read_in_both_places(part: dict[str, Any]) -> None:
    """Chat keeps the detail beside the link, Responses beside the type."""
    assert content_of(user(part)).tokens == MESSAGE_TOKENS + 85


def test_files_count_by_their_data() -> None:
    """An inline PDF counts by its size, one given by id or link by the default."""
    inline = content_of(user({"type": "input_file", "file_data": "data:application/pdf;base64," + "A" * 200_000}))
    assert inline.tokens > DEFAULT_FILE_TOKENS
    linked = content_of(user({"type": "document", "source": {"type": "url", "url": "https://x.test/" + "a" * 2000}}))
    assert linked.tokens == MESSAGE_TOKENS + DEFAULT_FILE_TOKENS


def test_documents_of_text_are_text() -> None:
    """A document given as plain text or as blocks is read as text and still needs file input."""
    plain = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "once upon a time"}}
    blocks = {"type": "document", "source": {"type": "content", "content": [text("a time")]}}
    whole = {"type": "document", "source": {"type": "content", "content": "long ago"}}
    content = content_of(user(plain, blocks, whole))
    assert content.texts == ["once upon a time", "a time", "long ago"]
    assert content.needs == {"file"}


def test_an_image_in_the_first_turn_is_a_need_of_the_whole_request() -> None:
    """History counts: what was sent once is sent again with every turn."""
    content = content_of(
        user({"type": "image_url", "image_url": {"url": PNG}}, text("what is this?")),
        {"role": "assistant", "content": "a cat"},
        {"role": "user", "content": "thanks"},
    )
    assert content.needs == {"image"}
    assert content.human_turns == 2


def test_a_screenshot_in_a_tool_result_is_an_image() -> None:
    """Images inside tool results count, in Anthropic's and in OpenAI's computer use."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
    anthropic = content_of(user({"type": "tool_result", "tool_use_id": "a", "content": [text("done"), image]}))
    shot = {"type": "computer_screenshot", "image_url": PNG}
    openai = content_of({"type": "computer_call_output", "call_id": "a", "output": shot})
    for content in (anthropic, openai):
        assert content.needs == {"image"}
        assert content.tool_turns == 1
        assert content.human_turns == 0


def test_media_alone_is_a_humans_turn_but_not_beside_a_tool_result() -> None:
    """A picture without words was sent by a human; one beside a tool's result belongs to it."""
    image = {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}
    assert content_of(user(image)).human_turns == 1
    assert content_of(user({"type": "tool_result", "content": "ok"}, image)).human_turns == 0
    assert content_of(user(text("[browser_action] Result:\nok"), image)).human_turns == 0


# Human turns


def test_a_clients_messages_are_no_human_turns() -> None:
    """Reminders, environments, summaries and tool results in the user role are not counted as a human's."""
    content = content_of(
        {"role": "user", "content": "<environment_context>\n<cwd>/repo</cwd>\n</environment_context>"},
        user(text("<system-reminder>x</system-reminder>"), text("fix the bug")),
        user(
            {"type": "tool_result", "tool_use_id": "a", "content": "ok"}, text("<system-reminder>y</system-reminder>")
        ),
        {"role": "user", "content": "This session is being continued from a previous conversation that ran out"},
        {"role": "user", "content": "The bug is still there"},
        {"role": "user", "content": ""},
        {"role": "user", "content": "  \n"},
    )
    assert content.human_turns == 2
    assert content.tool_turns == 1


def test_tool_output_as_text_is_a_tool_turn() -> None:
    """Cline's results in the user role count as tool turns, and the parts behind their heading as no human's."""
    content = content_of(
        {"role": "user", "content": "<task>\nfix it\n</task>"},
        user(
            text("[read_file for 'a.py'] Result:"),
            text("import os"),
            text("<environment_details>x</environment_details>"),
        ),
    )
    assert content.human_turns == 1
    assert content.tool_turns == 1


def test_a_human_beside_a_tool_result_is_a_turn() -> None:
    """Words that a human put beside a tool result are a turn of his."""
    content = content_of(user({"type": "tool_result", "content": "ok"}, text("use tabs instead")))
    assert content.human_turns == 1
    assert content.tool_turns == 1


def test_the_close_look_at_suspicious_messages_is_limited() -> None:
    """After some hundred messages that begin like a client's, the rest is taken to be one's."""
    content = content_of(*({"role": "user", "content": "<task>go</task>"} for _ in range(1000)))
    assert 200 <= content.human_turns < 1000


# Tool calls


def test_chat_tool_calls_are_text() -> None:
    """Names and arguments of tool calls count, in the current and in the legacy form."""
    content = content_of(
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "search", "arguments": '{"q":"x"}'}},
            {"id": "2", "type": "custom", "custom": {"name": "shell", "input": "ls -la"}},
        ]},
        {"role": "assistant", "content": "", "function_call": {"name": "old", "arguments": "{}"}},
    )  # fmt: skip
    assert [piece for piece in content.texts if piece] == ["search", '{"q":"x"}', "shell", "ls -la", "old", "{}"]
    assert content.tokens == 2 * MESSAGE_TOKENS + 3 * MESSAGE_TOKENS


def test_anthropic_tool_calls_are_text() -> None:
    """Tool use, server tools and their results count with their JSON."""
    content = content_of(
        {"role": "assistant", "content": [
            text("let me see"),
            {"type": "tool_use", "id": "1", "name": "read", "input": {"path": "a.py"}},
            {"type": "server_tool_use", "id": "2", "name": "web_search", "input": {"query": "x"}},
            {"type": "web_search_tool_result", "content": [{"type": "web_search_result", "encrypted_content": "zz"}]},
        ]},
        user({"type": "tool_result", "tool_use_id": "1", "content": "import os"}),
    )  # fmt: skip
    assert content.texts == ["let me see", "read", '{"path":"a.py"}', "web_search", '{"query":"x"}', "import os"]
    assert content.tool_turns == 2


def test_responses_items_are_text() -> None:
    """Calls, outputs and reasoning summaries of a Responses input count; encrypted parts and pictures do not."""
    content = content_of(
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "thinking"}],
            "encrypted_content": "gAAA" * 99,
        },
        {"type": "function_call", "call_id": "1", "name": "read", "arguments": '{"path":"a"}'},
        {"type": "function_call_output", "call_id": "1", "output": "import os"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "part"}]},
        {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"]}},
        {"type": "mcp_call", "name": "m", "arguments": "{}", "output": "mcp out"},
        {"type": "image_generation_call", "result": "iVBO" * 999},
        {"type": "item_reference", "id": "x"},
        {"type": "input_text", "text": "loose"},
    )
    assert content.texts == [
        "hi", "thinking", "read", '{"path":"a"}', "import os", "part",
        '{"type":"exec","command":["ls"]}', "m", "{}", "mcp out", "loose",
    ]  # fmt: skip
    assert content.tool_turns == 2
    assert content.human_turns == 1


def test_search_results_and_refusals_are_text() -> None:
    """Anthropic's search result blocks and OpenAI's refusals count as text."""
    content = content_of(
        user({"type": "search_result", "source": "x", "content": [text("found")]}),
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot"}]},
    )
    assert content.texts == ["found", "I cannot"]


# Signed reasoning


@pytest.mark.parametrize(
    "item",
    [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "EqQ"}]},
        {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "Emw"}]},
        {"role": "assistant", "content": "x", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        {"type": "compaction", "encrypted_content": "gAAA"},
        {"role": "assistant", "content": "x", "provider_specific_fields": {"thought_signatures": ["A"]}},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1__thought__Eq", "function": {"name": "f"}}],
        },
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "extra_content": {"google": {}}}]},
    ],
)
def test_signed_reasoning_is_noticed(item: dict[str, Any]) -> None:
    """Anthropic's, OpenAI's and Gemini's signed or encrypted reasoning is seen wherever its clients carry it."""
    assert content_of(item).signed


@pytest.mark.parametrize(
    "item",
    [
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]},
        {"role": "assistant", "content": "x", "reasoning_content": "hm", "thinking_blocks": []},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]},
        {"role": "assistant", "content": "x", "provider_specific_fields": {}},
    ],
)
def test_open_reasoning_is_not_signed(item: dict[str, Any]) -> None:
    """Reasoning in the open binds a conversation to nobody."""
    assert not content_of(item).signed


def test_open_reasoning_is_text() -> None:
    """Thinking blocks and ``reasoning_content`` are sent to the model and count."""
    content = content_of(
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "first"}]},
        {"role": "assistant", "content": "so", "reasoning_content": "second"},
    )
    assert content.texts == ["first", "so", "second"]


# JSON text


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, True, "é"]}, [], "x", 7, None])
def test_dump_is_compact_json(value: Any) -> None:
    """Anything that came as JSON goes back to JSON; a string stays itself."""
    written = dump(value)
    assert written == value if isinstance(value, str) else json.loads(written) == value


def test_dump_survives_what_cannot_be_written() -> None:
    """Lone surrogates are escaped; endless nesting and foreign objects give nothing."""
    assert "\\ud83d" in dump({"a": "\ud83d"})
    assert dump({"a": object()}) == ""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert dump(deep) == ""


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({"arguments": '{"a":1}'}, '{"a":1}'),
        ({"arguments": {"a": 1}}, '{"a":1}'),
        ({"input": "ls"}, "ls"),
        ({"arguments": None, "action": {"x": 1}}, '{"x":1}'),
        ({}, ""),
    ],
)
def test_arguments_are_found_in_every_protocols_field(call: dict[str, Any], expected: str) -> None:
    """Arguments are compared and counted as JSON text."""
    assert call_arguments(call) == expected


# Odd input

ODD: list[Any] = [None, True, 0, 1.5, "", "x", [], {}, [[]], [{}], {"type": []}, {"type": "text", "text": 7}]


@pytest.mark.parametrize("role", ["user", "assistant", "tool", "system", None, 7, ["user"], {}])
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_values_of_other_types_are_absent(role: Any, odd: Any) -> None:
    """No value in the place of a message, its content or a part of it raises."""
    read_items([odd], Content())
    read_items([{"role": role, "content": odd}], Content())
    read_items([{"role": role, "content": [odd, [odd]]}], Content())
    for key in ("tool_calls", "function_call", "thinking_blocks", "provider_specific_fields", "reasoning_content"):
        read_items([{"role": "assistant", "content": None, key: odd}], Content())
        read_items([{"role": "assistant", "content": None, key: [odd]}], Content())


@pytest.mark.parametrize(
    "kind",
    [
        "image_url", "image", "input_audio", "file", "input_file", "document", "tool_result", "tool_use", "thinking",
        "redacted_thinking", "refusal", "search_result", "function_call", "function_call_output", "reasoning",
        "mcp_call",
        "computer_call_output", "compaction", "input_text",
    ],
)  # fmt: skip
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_odd_fields_of_known_parts_are_absent(kind: str, odd: Any) -> None:
    """Every field of every known part and item may have any type."""
    fields = (
        "text", "content", "source", "image_url", "file", "input_audio", "input", "name", "arguments", "output",
        "summary", "thinking", "signature", "refusal", "encrypted_content", "detail", "",
    )  # fmt: skip
    part = {"type": kind, **dict.fromkeys(fields, odd)}
    read_items([part], Content())
    read_items([{"role": "user", "content": [part]}], Content())
    for field in fields:
        read_parts([{"type": kind, field: odd}], Content())
        read_parts([{"type": kind, "source": {field: odd, "type": "text", "data": odd, "url": odd}}], Content())


def test_parts_are_read_up_to_a_bound() -> None:
    """Hundreds of thousands of parts, in one message or in many, are not read to the end."""
    one = content_of(user(*["x"] * 200_000))
    many = content_of(*[user(*["x"] * 20_000)] * 10)
    assert len(one.texts) == len(many.texts) == 50_000
    assert many.tokens == 10 * MESSAGE_TOKENS


def test_results_nested_without_end_are_read_to_a_depth() -> None:
    """Tool results inside tool results are followed a few levels only."""
    part: dict[str, Any] = text("core")
    for _ in range(5000):
        part = {"type": "tool_result", "content": [part]}
    content = content_of(user(part))
    assert content.texts == []
    assert content.tool_turns < 10
