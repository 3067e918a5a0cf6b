"""Walks a conversation back from its end: the last human ask, and how an agent's work is going since. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ofox_middleware.harness import ASK_CHARS, human_reply, human_text, is_tool_result, window
from ofox_middleware.messages import CALL_ITEMS, CALL_PARTS, MEDIA_PARTS, RESULT_ITEMS, RESULT_PARTS, call_arguments

CONTEXT_CHARS = 500
"""How much of what a human said before the last ask is kept."""
MAX_STREAK = 32
"""Failing results and repeated calls are counted up to here."""

_CONTEXT_ITEMS = 400  # how far behind the ask the previous one is looked for
_MAX_WALK = 1000  # how far back the ask is looked for
_MAX_PARTS = 64  # parts of one message that are read, half from its start and half from its end
_OPENING_ITEMS = 64

_ERROR_CHARS = 300
_ERROR = re.compile(
    r"(?:\[[^\[\]\n]{1,200}\] Result:|OBSERVATION:)?\s{0,20}(?:"
    r"<(?:tool_use_error|error)>"
    r"|\[error\]"
    r"|(?:[a-z_.]{0,60}(?:error|exception)|fatal|panic)\s?:"
    r"|traceback \(most recent call last\)"
    r"|an error occurred"
    r"|(?:the )?tool (?:execution|call) failed"
    r"|command (?:failed|timed out)"
    r"|(?:chunk id:[^\n]{0,60}\n)?(?:wall time:[^\n]{0,60}\n)?(?:process )?exit(?:ed with)? code:? [1-9]"
    r'|\{\s{0,8}"(?:error|errors|is_?error)"\s?:(?!\s?(?:null|false|""|\[\]|\{\}|0\b))'
    r'|\{\s{0,8}"(?:success|ok)"\s?:\s?false'
    r"|<returncode>[1-9-]"
    r")",
    re.IGNORECASE,
)
"""How the output of a failing tool begins in common agents."""
_EXIT_CODE = re.compile(r'"exit_code"\s?:\s?[1-9]')
_EXIT_CODE_CHARS = 200  # Codex states it at the end of its JSON output

Call = tuple[str, str]


class Recent(msgspec.Struct):
    """The end of a conversation; its fields are those of :class:`~ofox_middleware.types.Signals`.

    ``asked_in`` is the message that holds the ask.
    """

    ask: str = ""
    asked_in: Any = None
    context: str = ""
    in_tool_loop: bool = False
    tool_errors: int = 0
    repeated_calls: int = 0


def read_recent(items: list[Any]) -> Recent:
    """Reads ``items`` from the end, no further than to the ask before the last one.

    Of a task that has taken longer than :data:`_MAX_WALK` messages the ask is the first one of the conversation.
    """
    walk = _Walk()
    for item in reversed(items[-_MAX_WALK:]):
        if not isinstance(item, dict):
            continue
        if item.get("role") == "user":
            if walk.user(item):
                break
        elif walk.working:
            walk.other(item)
        if walk.recent.ask:
            walk.patience -= 1
            if walk.patience <= 0:
                break
    if not walk.recent.ask and len(items) > _MAX_WALK:
        for item in items[:_OPENING_ITEMS]:
            if isinstance(item, dict) and item.get("role") == "user" and walk.user(item):
                break
    return walk.recent


class _Walk:
    """The state of one walk. ``working``: results and calls still count, no human's message having been met."""

    __slots__ = ("_call", "_errors_end", "_repeats_end", "_settled", "patience", "recent", "working")

    def __init__(self) -> None:
        self.recent = Recent()
        self.working = True
        self.patience = _CONTEXT_ITEMS
        self._settled = False
        self._errors_end = False
        self._repeats_end = False
        self._call: Call | None = None

    def user(self, item: dict[str, Any]) -> bool:
        """Takes a user message; whether the walk is over."""
        content = item.get("content")
        if self._errors_end and isinstance(content, list) and _only_results(content):
            return False
        results, text, human = _read_user(content)
        if results:
            self._take_results(results)
        if not human:
            return False
        self._settled = self._errors_end = True
        self.working = False
        if not text:
            return False
        if self.recent.ask:
            self.recent.context = text[-CONTEXT_CHARS:]
            return True
        self.recent.ask = text
        self.recent.asked_in = item
        return False

    def other(self, item: dict[str, Any]) -> None:
        """Takes a message or item that is no user's, while the agent's work is being looked at."""
        role = item.get("role")
        if role in ("tool", "function"):
            failed = item.get("is_error") is True or item.get("status") == "error"
            self._take_results([failed or _failed(item.get("content"))])
            return
        kind = item.get("type")
        if role is None and isinstance(kind, str) and kind in RESULT_ITEMS:
            self._take_results([_failed(item.get("output"))])
            return
        if role == "assistant" or (role is None and isinstance(kind, str) and kind in CALL_ITEMS):
            self._settled = True
            self._take_calls(_calls(item))
            self.working = not (self._errors_end and self._repeats_end)

    def _take_results(self, failures: list[bool]) -> None:
        if not self._settled:
            self._settled = True
            self.recent.in_tool_loop = True
        for failed in reversed(failures):
            if self._errors_end or not failed or self.recent.tool_errors >= MAX_STREAK:
                self._errors_end = True
                return
            self.recent.tool_errors += 1

    def _take_calls(self, calls: list[Call]) -> None:
        for call in reversed(calls):
            if self._repeats_end:
                return
            if self._call is None:
                self._call = call
            if call != self._call or self.recent.repeated_calls >= MAX_STREAK:
                self._repeats_end = True
                return
            self.recent.repeated_calls += 1


def read_opening(items: list[Any], recent: Recent) -> str:
    """The first human message's text, bounded; ``""`` when none of the first messages is a human's."""
    for item in items[:_OPENING_ITEMS]:
        if not isinstance(item, dict) or item.get("role") != "user":
            continue
        if item is recent.asked_in:
            return recent.ask
        _, text, _ = _read_user(item.get("content"))
        if text:
            return text
    return ""


def read_system(items: list[Any]) -> str:
    """The system and developer text at the start of ``items``, its first :data:`ASK_CHARS` characters."""
    texts: list[str] = []
    for item in items[:_OPENING_ITEMS]:
        if not isinstance(item, dict) or item.get("role") not in ("system", "developer"):
            break
        texts.append(system_text(item.get("content")))
    return "\n".join(texts)[:ASK_CHARS]


def system_text(content: Any) -> str:
    """The first :data:`ASK_CHARS` characters of a system text given as a string or as parts."""
    if isinstance(content, str):
        return content[:ASK_CHARS]
    if not isinstance(content, list):
        return ""
    texts = [
        part["text"][:ASK_CHARS]
        for part in content[:_MAX_PARTS]
        if isinstance(part, dict)
        and isinstance(part.get("text"), str)
        # Claude Code's first block changes with every request
        and not part["text"].startswith("x-anthropic-billing-header")
    ]
    return "\n".join(texts)[:ASK_CHARS]


def _read_user(content: Any) -> tuple[list[bool], str, bool]:
    """Of a user message: for each tool result whether it failed, the human's text, and whether a human had a part."""
    if isinstance(content, str):
        text = human_text(content)
        return [_failed(content)] if is_tool_result(content) else [], text, bool(text)
    if not isinstance(content, list):
        return [], "", False
    if len(content) == 1 and isinstance(content[0], dict) and isinstance(content[0].get("text"), str):
        return _read_user(content[0]["text"])
    return _read_user_parts(content)


def _read_user_parts(parts: list[Any]) -> tuple[list[bool], str, bool]:
    if len(parts) > _MAX_PARTS:
        parts = parts[: _MAX_PARTS // 2] + parts[-_MAX_PARTS // 2 :]
    results: list[bool] = []
    texts: list[str] = []
    media = by_text = False
    for part in parts:
        text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            if is_tool_result(text):
                by_text = True
                results.append(_failed(text))
            texts.append(human_reply(text) if by_text else text)
            continue
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            continue
        if kind in RESULT_PARTS:
            results.append(part.get("is_error") is True or _failed(part.get("content")))
        elif kind in MEDIA_PARTS:
            media = True
    text = window("\n".join(filter(None, map(human_text, texts))))
    return results, text, bool(text) or (media and not results)


def _only_results(parts: list[Any]) -> bool:
    for part in parts:  # noqa: SIM110 - all() costs twice as much here, once for every turn of a long tool loop
        if not isinstance(part, dict) or part.get("type") != "tool_result":
            return False
    return True


def _failed(output: Any) -> bool:
    """Whether a tool's output begins like that of a failing tool."""
    if isinstance(output, list):
        output = next(
            (part["text"] for part in output if isinstance(part, dict) and isinstance(part.get("text"), str)), None
        )
    if not isinstance(output, str):
        return False
    if _ERROR.match(output[:_ERROR_CHARS]):
        return True
    return output.startswith('{"output"') and _EXIT_CODE.search(output[-_EXIT_CODE_CHARS:]) is not None


def _calls(item: dict[str, Any]) -> list[Call]:
    """The tool calls of an assistant message or a Responses item: names and arguments."""
    if item.get("role") is None:
        return [(_name(item), call_arguments(item))]
    found: list[Call] = []
    calls = item.get("tool_calls")
    if isinstance(calls, list):
        for call in calls:
            held = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
            if isinstance(held, dict):
                found.append((_name(held), call_arguments(held)))
    legacy = item.get("function_call")
    if isinstance(legacy, dict):
        found.append((_name(legacy), call_arguments(legacy)))
    content = item.get("content")
    if isinstance(content, list):
        found += [
            (_name(part), call_arguments(part))
            for part in content
            if isinstance(part, dict) and isinstance(kind := part.get("type"), str) and kind in CALL_PARTS
        ]
    return found


def _name(call: dict[str, Any]) -> str:
    name = call.get("name") or call.get("type")
    return name if isinstance(name, str) else ""
