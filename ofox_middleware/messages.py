"""Reads every message of a request once: its texts, its media, how many turns, what it needs. Pure.

One reader serves Chat Completions, Responses and Anthropic Messages: their content parts and items have distinct type
names, and gateways mix them. Whatever has another type than the protocols say is treated as absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ofox_middleware.harness import SUSPECT_FIRST, human_text, is_tool_result, plainly_human
from ofox_middleware.tokens import MESSAGE_TOKENS, media_tokens
from ofox_middleware.types import Need

MEDIA_PARTS: dict[str, tuple[Need, str]] = {
    "image_url": ("image", "image_url"),
    "input_image": ("image", "image_url"),
    "image": ("image", "source"),
    "computer_screenshot": ("image", "image_url"),
    "input_audio": ("audio", "input_audio"),
    "audio_url": ("audio", "audio_url"),
    "audio": ("audio", "source"),
    "video_url": ("video", "video_url"),
    "input_video": ("video", "video_url"),
    "video": ("video", "source"),
    "file": ("file", "file"),
    "input_file": ("file", ""),
    "document": ("file", "source"),
    "container_upload": ("file", ""),
}
"""Part types that are not text: what they need of a model and the field that holds them (``""``: the part itself)."""

RESULT_PARTS = frozenset((
    "tool_result", "mcp_tool_result", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result",
    "bash_code_execution_tool_result", "text_editor_code_execution_tool_result",
))  # fmt: skip
CALL_PARTS = frozenset(("tool_use", "server_tool_use", "mcp_tool_use"))
CALL_ITEMS = frozenset((
    "function_call", "custom_tool_call", "local_shell_call", "shell_call", "apply_patch_call", "computer_call",
    "mcp_call", "web_search_call", "file_search_call", "code_interpreter_call", "tool_search_call",
))  # fmt: skip
_TOOL_CALLS = frozenset(("function_call", "custom_tool_call"))
RESULT_ITEMS = frozenset((
    "function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output",
    "apply_patch_call_output", "computer_call_output", "tool_search_output",
))  # fmt: skip

_MAX_DOUBTS = 256
"""How many user messages that look like a client's are read closely for the count of human turns."""
_MAX_PARTS = 50_000
"""Parts of all messages that are read; no conversation that a model can take has more."""
_MAX_DEPTH = 3
_GEMINI_SIGNATURE = "__thought__"  # how LiteLLM carries Gemini's thought signatures inside tool call ids
_MIME_NEEDS: dict[str, Need] = {"image": "image", "audio": "audio", "video": "video", "application": "file"}


@dataclass(slots=True)
class Content:
    """What all messages of a request hold together.

    Attributes:
        texts: everything that is text to the model, tool calls and tool results included.
        tokens: of media and of what wraps messages; the texts are not counted in it.
        needs: what the content asks of a model.
        human_turns: messages that a human wrote.
        tool_turns: tool results.
        signed: whether there is reasoning that its provider signed or encrypted.
        doubts, parts_left: what may still be spent on close looks and on parts.
    """

    texts: list[str] = field(default_factory=list)
    tokens: int = 0
    needs: set[Need] = field(default_factory=set)
    human_turns: int = 0
    tool_turns: int = 0
    signed: bool = False
    doubts: int = field(default=_MAX_DOUBTS, compare=False)
    parts_left: int = field(default=_MAX_PARTS, compare=False)


def read_items(items: list[Any], content: Content) -> None:
    """Adds the messages (or the items of a Responses ``input``) to ``content``. Linear and light: no text is copied."""
    add = content.texts.append
    human = 0
    for item in items:
        if not isinstance(item, dict):
            continue
        held = item.get("content")
        role = item.get("role")
        if role == "user":
            if isinstance(held, str):
                add(held)
                if held and (held[0] not in SUSPECT_FIRST or plainly_human(held) or _look_closely(held, content)[0]):
                    human += 1
            elif isinstance(held, list) and read_parts(held, content):
                human += 1
            continue
        if isinstance(held, str):
            add(held)
        elif isinstance(held, list):
            read_parts(held, content)
        if role == "assistant":
            if len(item) > 2:
                _read_assistant(item, content)
        elif role in ("tool", "function"):
            content.tool_turns += 1
        elif role is None:
            _read_item(item, content)
    content.human_turns += human
    content.tokens += MESSAGE_TOKENS * len(items)


def read_parts(parts: list[Any], content: Content, depth: int = 0) -> bool:
    """Adds the parts of one message; whether a human wrote some of them, if it is a user's message."""
    if len(parts) > content.parts_left:
        parts = parts[: content.parts_left]
    content.parts_left -= len(parts)
    human = media = results = by_text = False
    for part in parts:
        if isinstance(part, dict):
            kind = part.get("type")
            if kind == "tool_result":  # by far the most frequent in an agent's request
                results = True
                content.tool_turns += 1
                _read_output(part.get("content"), content, depth)
                continue
            text = part.get("text")
        elif isinstance(part, str):
            kind, text = None, part
        else:
            continue
        if isinstance(text, str):
            content.texts.append(text)
            if depth == 0 and not human and not by_text:
                human = plainly_human(text)
                if not human:
                    human, by_text = _look_closely(text, content)
        elif not isinstance(kind, str):
            continue
        elif kind in _PART_READERS:
            _PART_READERS[kind](part, content)
        elif kind in MEDIA_PARTS:
            media = True
            read_media(part, kind, content, depth)
        elif kind in RESULT_PARTS:
            results = True
            content.tool_turns += 1
            _read_output(part.get("content"), content, depth)
        elif kind == "search_result":
            _read_output(part.get("content"), content, depth)
    return human or (media and not results and not by_text)


def dump(value: Any) -> str:
    """``value`` as compact JSON text, ``""`` when it cannot be written."""
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        pass  # such as a lone surrogate, which the standard library escapes
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ""


def call_arguments(call: dict[str, Any]) -> str:
    """The arguments of a tool call in whichever field its protocol keeps them, as JSON text."""
    for name in ("arguments", "input", "action", "operation", "code", "queries"):
        value = call.get(name)
        if value is not None:
            return dump(value)
    return ""


def _look_closely(text: str, content: Content) -> tuple[bool, bool]:
    """Of a user's text that begins like a client's: whether it holds a human's words, and whether it is tool output."""
    if content.doubts <= 0 or not text or text.isspace():
        return False, False
    content.doubts -= 1
    output = is_tool_result(text)
    content.tool_turns += output
    return bool(human_text(text)), output


def _read_assistant(item: dict[str, Any], content: Content) -> None:
    calls = item.get("tool_calls")
    if isinstance(calls, list):
        for call in calls:
            if isinstance(call, dict):
                _read_call(call, content)
    call = item.get("function_call")
    if isinstance(call, dict):
        _read_call({"function": call}, content)
    reasoning = item.get("reasoning_content")
    if isinstance(reasoning, str):
        content.texts.append(reasoning)
    blocks = item.get("thinking_blocks")
    if isinstance(blocks, list):
        content.signed = content.signed or bool(blocks)
    own = item.get("provider_specific_fields")
    if isinstance(own, dict) and own.get("thought_signatures"):
        content.signed = True


def _read_call(call: dict[str, Any], content: Content) -> None:
    held = call.get("function") or call.get("custom")
    if isinstance(held, dict):
        name = held.get("name")
        if isinstance(name, str):
            content.texts.append(name)
        content.texts.append(call_arguments(held))
        content.tokens += MESSAGE_TOKENS
        content.needs.add("tools")  # also where none are offered any more: a model without them rejects the history
    identity = call.get("id")
    if (isinstance(identity, str) and _GEMINI_SIGNATURE in identity) or call.get("extra_content"):
        content.signed = True


def _read_item(item: dict[str, Any], content: Content) -> None:
    """An item of a Responses ``input`` that is no message."""
    kind = item.get("type")
    if not isinstance(kind, str):
        return
    if kind in RESULT_ITEMS:
        content.tool_turns += 1
        _read_output(item.get("output"), content, 0)
    elif kind in CALL_ITEMS:
        name = item.get("name")
        if isinstance(name, str):
            content.texts.append(name)
        content.texts.append(call_arguments(item))
        if kind in _TOOL_CALLS:
            content.needs.add("tools")
        output = item.get("output")
        if isinstance(output, str):
            content.texts.append(output)
    elif kind in ("reasoning", "compaction"):
        summary = item.get("summary")
        if isinstance(summary, list):
            read_parts(summary, content, _MAX_DEPTH)
        content.signed = content.signed or bool(item.get("encrypted_content"))
    else:
        read_parts([item], content)


def _read_output(output: Any, content: Content, depth: int) -> None:
    """What a tool gave back: text, parts (a screenshot is an image), or one part."""
    if isinstance(output, str):
        content.texts.append(output)
    elif isinstance(output, list) and depth < _MAX_DEPTH:
        read_parts(output, content, depth + 1)
    elif isinstance(output, dict) and depth < _MAX_DEPTH:
        read_parts([output], content, depth + 1)


def read_media(part: dict[str, Any], kind: str, content: Content, depth: int = 0) -> None:
    """Adds a part of :data:`MEDIA_PARTS`: what it needs and about how many tokens it is."""
    need, holder = MEDIA_PARTS[kind]
    held = part.get(holder, part)
    if isinstance(held, str):
        held = {"url": held}
    elif not isinstance(held, dict):
        held = part
    source = held.get("type")
    if source == "text" and isinstance(held.get("data"), str):  # an Anthropic document given as plain text
        content.texts.append(held["data"])
        content.needs.add(need)
        return
    if source == "content":
        _read_output(held.get("content"), content, depth)
        content.needs.add(need)
        return
    data = next((held[name] for name in ("url", "data", "file_data") if isinstance(held.get(name), str)), "")
    need = _need_of(held, data, need)
    content.needs.add(need)
    inline = held.get("url") is not data or data.startswith("data:")
    content.tokens += media_tokens(need, held.get("detail", part.get("detail")), len(data) if inline else 0)


def _need_of(held: dict[str, Any], data: str, need: Need) -> Need:
    """The need by MIME type when one is stated: clients send PDF as ``image_url`` and video as ``file``."""
    mime = held.get("media_type") or held.get("format")
    if data.startswith("data:"):
        mime = data[5:40]
    if not isinstance(mime, str) or "/" not in mime:
        return need
    return _MIME_NEEDS.get(mime.partition("/")[0], need)


def _read_tool_use(part: dict[str, Any], content: Content) -> None:
    name = part.get("name")
    if isinstance(name, str):
        content.texts.append(name)
    content.texts.append(dump(part.get("input")))
    content.tokens += MESSAGE_TOKENS
    content.needs.add("tools")


def _read_thinking(part: dict[str, Any], content: Content) -> None:
    thinking = part.get("thinking")
    if isinstance(thinking, str):
        content.texts.append(thinking)
    content.signed = content.signed or part.get("type") == "redacted_thinking" or bool(part.get("signature"))


def _read_refusal(part: dict[str, Any], content: Content) -> None:
    refusal = part.get("refusal")
    if isinstance(refusal, str):
        content.texts.append(refusal)


_PART_READERS: dict[str, Callable[[dict[str, Any], Content], None]] = {
    **dict.fromkeys(CALL_PARTS, _read_tool_use),
    "thinking": _read_thinking,
    "redacted_thinking": _read_thinking,
    "refusal": _read_refusal,
}
