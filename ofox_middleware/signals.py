"""A request's body -> what it asks and needs. Pure, never raises, and bounded: only cheap counts grow with the length.

Four shapes are read: Chat Completions, (text) Completions, OpenAI Responses and Anthropic Messages. A value of another
type than the protocol says is treated as absent: judging the request is the app's or the provider's part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ofox_middleware.harness import ASK_CHARS, human_text, is_housekeeping
from ofox_middleware.messages import Content, dump, read_items
from ofox_middleware.skim import HEAD, LONG, TAIL, skim
from ofox_middleware.tokens import MESSAGE_TOKENS, REPLY_TOKENS, estimate
from ofox_middleware.trajectory import Recent, read_opening, read_recent, read_system, system_text
from ofox_middleware.types import Need, Signals, Surface

MAX_OUTPUT_TOKENS = 2**31 - 1
"""Larger limits are read as this one, so that arithmetic on them stays exact."""

_MAX_ITEMS = 20_000
"""Messages that are read, the last ones; of longer conversations the estimate is scaled, for they fit no model."""
_MAX_TOOLS = 48
"""Tool definitions that are measured; of longer lists an even sample is, for all."""
_OUTPUT_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens", "max_tokens_to_sample")
_CACHE_CONTROL = "cache_control"
_MARKED_ITEMS = 4  # clients mark the end of the history, at most a few messages from its end
_OPENING_SEPARATOR = "\x1e"


def surface_of(path: str) -> Surface | None:
    """The request shape by the end of a URL path, whatever it is mounted under; ``None`` for any other path."""
    if path.endswith("/chat/completions"):
        return "chat"
    if path.endswith("/completions"):
        return "text"
    if path.endswith("/responses"):
        return "responses"
    if path.endswith("/messages") and "/threads/" not in path:  # those add a message to a thread of OpenAI's Assistants
        return "messages"
    return None


def read(body: Mapping[str, Any], surface: Surface) -> Signals:
    """What the request in ``body`` (decoded JSON) asks and needs."""
    params = frozenset(body)
    if surface == "text":
        return _read_text(body, params)
    items = body.get("input" if surface == "responses" else "messages")
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    elif not isinstance(items, list):
        items = []
    content = Content()
    latest = items[-_MAX_ITEMS:]
    if len(latest) <= LONG:
        read_items(latest, content)
    else:
        read_items(latest[:HEAD], content)
        skim(latest[HEAD:-TAIL], content)
        read_items(latest[-TAIL:], content)
    system = _read_system(body, surface, items, content)
    recent = read_recent(latest)
    needs = content.needs
    for name in params & _PARAM_NEEDS.keys():
        needs |= _PARAM_NEEDS[name](body[name])
    if items and surface != "responses" and isinstance(items[-1], dict) and items[-1].get("role") == "assistant":
        needs.add("prefill")
    limit = _output_limit(body, params)
    tokens = content.tokens + estimate(content.texts)
    if len(items) > _MAX_ITEMS:
        tokens = tokens * len(items) // _MAX_ITEMS
    return Signals(
        surface=surface,
        ask=recent.ask,
        context=recent.context,
        input_tokens=tokens + _definition_tokens(body, params) + REPLY_TOKENS,
        max_output_tokens=limit,
        needs=frozenset(needs),
        params=params,
        stream=body.get("stream") is True,
        human_turns=content.human_turns,
        tool_turns=content.tool_turns,
        in_tool_loop=recent.in_tool_loop,
        tool_errors=recent.tool_errors,
        repeated_calls=recent.repeated_calls,
        housekeeping=is_housekeeping(recent.ask, system, limit),
        thinking_signed=content.signed,
        cache_control=_asks_caching(body, params, items),
        opening=_opening(system, items, recent),
    )


def _read_text(body: Mapping[str, Any], params: frozenset[str]) -> Signals:
    """A text completion: ``prompt`` is a string, several strings, token ids, or several lists of token ids."""
    prompt = body.get("prompt")
    entries = prompt if isinstance(prompt, list) else []
    texts = [prompt] if isinstance(prompt, str) else [entry for entry in entries if isinstance(entry, str)]
    ids = list(map(type, entries)).count(int) + sum(len(entry) for entry in entries if isinstance(entry, list))
    ask = next(filter(None, map(human_text, reversed(texts[-_MAX_TOOLS:]))), "")
    suffix = body.get("suffix")
    if isinstance(suffix, str):
        texts.append(suffix)
    needs: set[Need] = set()
    for name in params & _TEXT_PARAM_NEEDS.keys():
        needs |= _TEXT_PARAM_NEEDS[name](body[name])
    limit = _output_limit(body, params)
    return Signals(
        surface="text",
        ask=ask,
        input_tokens=ids + estimate(texts),
        max_output_tokens=limit,
        needs=frozenset(needs),
        params=params,
        stream=body.get("stream") is True,
        human_turns=1 if ask or ids else 0,
        housekeeping=is_housekeeping(ask, "", limit),
        opening=f"{_OPENING_SEPARATOR}{ask}" if ask else "",
    )


def _read_system(body: Mapping[str, Any], surface: Surface, items: list[Any], content: Content) -> str:
    """Adds the system text that stands outside the messages; the head of all system text."""
    if surface == "chat":
        return read_system(items)
    outside = body.get("instructions" if surface == "responses" else "system")
    if isinstance(outside, (str, list)):
        read_items([{"role": "system", "content": outside}], content)
    head = system_text(outside)
    if surface == "messages":
        return head
    return "\n".join(filter(None, (head, read_system(items))))[:ASK_CHARS]


def _asks_caching(body: Mapping[str, Any], params: frozenset[str], items: list[Any]) -> bool:
    """Whether ``cache_control`` stands where clients put it: on top, in system text, tools or the last turns."""
    if _CACHE_CONTROL in params:
        return True
    places = [body.get("system"), body.get("tools")]
    places += [item.get("content") for item in (*items[:1], *items[-_MARKED_ITEMS:]) if isinstance(item, dict)]
    for place in places:
        if not isinstance(place, list):
            continue
        for part in place if len(place) <= _MAX_TOOLS else (*place[:2], *place[-2:]):
            if isinstance(part, dict) and _CACHE_CONTROL in part:
                return True
    return False


def _opening(system: str, items: list[Any], recent: Recent) -> str:
    first = read_opening(items, recent)
    return f"{system}{_OPENING_SEPARATOR}{first}" if system or first else ""


def _output_limit(body: Mapping[str, Any], params: frozenset[str]) -> int | None:
    for name in _OUTPUT_LIMITS:
        if name in params:
            limit = _whole_number(body[name])
            if limit > 0:
                return min(limit, MAX_OUTPUT_TOKENS)
    return None


def _whole_number(value: Any) -> int:
    """``value`` as an int, 0 when it is none (``true`` is not a number, ``64.0`` is)."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else 0


def _definition_tokens(body: Mapping[str, Any], params: frozenset[str]) -> int:
    """Tokens of what is put before the model as a schema: tools and the form of the answer, as their compact JSON."""
    tokens = 0
    for name in params & _TOOL_LISTS:
        tools = body[name]
        if isinstance(tools, list) and tools:
            sample = tools[:: -(-len(tools) // _MAX_TOOLS)]
            tokens += _schema_tokens(sample) * len(tools) // len(sample) + MESSAGE_TOKENS
    for name in params & _SCHEMA_HOLDERS:
        if isinstance(body[name], dict):
            tokens += _schema_tokens(body[name])
    return tokens


def _schema_tokens(held: list[Any] | dict[str, Any]) -> int:
    """Remembered by the text's hash, for an agent sends the same schemas with every request: with a dozen tools, 4 us
    for 81."""
    text = dump(held)
    key = hash(text)
    tokens = _schemas.get(key)
    if tokens is None:
        if len(_schemas) >= _REMEMBERED:
            _schemas.clear()
        tokens = _schemas[key] = estimate([text])
    return tokens


_REMEMBERED = 1024
_schemas: dict[int, int] = {}


_TOOL_LISTS = frozenset(("tools", "functions"))
_SCHEMA_HOLDERS = frozenset(("response_format", "output_format", "text", "output_config"))

_NOTHING: frozenset[Need] = frozenset()
_Reader = Callable[[Any], frozenset[Need]]


def _tools(tools: Any) -> frozenset[Need]:
    if not isinstance(tools, list) or not tools:
        return _NOTHING
    needs: set[Need] = {"tools"}
    for tool in tools:
        if not isinstance(tool, dict):
            continue
        kind = tool.get("type")
        if kind == "function" or kind is None:
            if "googleSearch" in tool or "google_search" in tool:
                needs.add("web_search")
        elif isinstance(kind, str):
            if kind.startswith("computer"):
                needs.add("computer_use")
            elif kind.startswith("web_search"):
                needs.add("web_search")
    return frozenset(needs)


def _tool_choice(choice: Any) -> frozenset[Need]:
    """Forced use of a tool: ``required``, ``any``, one named tool, or a required choice among allowed ones."""
    forced: frozenset[Need] = frozenset(("tool_choice",))
    if isinstance(choice, str):
        return forced if choice in ("required", "any") else _NOTHING
    if not isinstance(choice, dict) or not choice:
        return _NOTHING
    kind = choice.get("type")
    if kind in ("auto", "none"):
        return _NOTHING
    if kind == "allowed_tools":
        allowed = choice.get("allowed_tools")
        mode = allowed.get("mode") if isinstance(allowed, dict) else choice.get("mode")
        return forced if mode == "required" else _NOTHING
    return forced


def _format(value: Any) -> frozenset[Need]:
    """A schema for the answer, in ``response_format``, ``output_format``, ``text.format`` or ``output_config``."""
    if not isinstance(value, dict):
        return _NOTHING
    if isinstance(value.get("format"), dict):
        value = value["format"]
    return (
        frozenset(("json_schema",)) if value.get("type") == "json_schema" or value.get("response_schema") else _NOTHING
    )


def _effort(effort: Any) -> frozenset[Need]:
    if isinstance(effort, dict):
        return _reasoning(effort)
    return frozenset(("reasoning",)) if isinstance(effort, str) and effort not in ("", "none") else _NOTHING


def _reasoning(value: Any) -> frozenset[Need]:
    """Reasoning asked for in the object forms of OpenAI, OpenRouter and Anthropic (``thinking``)."""
    if not isinstance(value, dict):
        return _NOTHING
    if value.get("type") == "disabled" or value.get("enabled") is False or value.get("effort") == "none":
        return _NOTHING
    return frozenset(("reasoning",)) if any(held not in (None, False) for held in value.values()) else _NOTHING


def _output_config(value: Any) -> frozenset[Need]:
    effort = value.get("effort") if isinstance(value, dict) else None
    return _format(value) | _effort(effort)


def _modalities(value: Any) -> frozenset[Need]:
    return frozenset(("audio_output",)) if isinstance(value, list) and "audio" in value else _NOTHING


def _include(value: Any) -> frozenset[Need]:
    """Responses: extra output that is asked for by name."""
    wanted = isinstance(value, list) and "message.output_text.logprobs" in value
    return frozenset(("logprobs",)) if wanted else _NOTHING


def _text_logprobs(value: Any) -> frozenset[Need]:
    """Text completions give a number: how many alternatives, 0 meaning only the chosen token."""
    return frozenset(("logprobs",)) if type(value) is int and value >= 0 else _NOTHING


def _when_true(need: Need) -> _Reader:
    return lambda value: frozenset((need,)) if value is True else _NOTHING


def _when_above(need: Need, bound: int) -> _Reader:
    return lambda value: frozenset((need,)) if _whole_number(value) > bound else _NOTHING


_SHARED_NEEDS: dict[str, _Reader] = {
    "n": _when_above("n", 1),
    "best_of": _when_above("n", 1),
}
_PARAM_NEEDS: dict[str, _Reader] = {
    **_SHARED_NEEDS,
    "tools": _tools,
    "functions": _tools,
    "tool_choice": _tool_choice,
    "function_call": _tool_choice,
    "parallel_tool_calls": _when_true("parallel_tools"),
    "web_search_options": lambda value: frozenset(("web_search",)) if isinstance(value, dict) else _NOTHING,
    "response_format": _format,
    "output_format": _format,
    "text": _format,
    "output_config": _output_config,
    "reasoning_effort": _effort,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "modalities": _modalities,
    "include": _include,
    "logprobs": _when_true("logprobs"),
    "top_logprobs": _when_above("logprobs", 0),
}
_TEXT_PARAM_NEEDS: dict[str, _Reader] = {
    **_SHARED_NEEDS,
    "logprobs": _text_logprobs,
}
