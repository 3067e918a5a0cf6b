"""What a model's error says that it cannot take: a prompt of this length, a parameter, a kind of input. Pure; a leaf.

Such an error is about the pair of model and request: another model may well serve the request, and this one will refuse
the next request of the kind too. The wordings are those of OpenAI, Anthropic, Google, Mistral, xAI, DeepSeek, Groq,
OpenRouter, vLLM, Ollama, llama.cpp and LiteLLM. One that is not recognised is a plain error of the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, get_args

import msgspec

from ofox_middleware.types import Need

CONTEXT_WINDOW: Final = "context_window"
OUTPUT_LIMIT: Final = "output_limit"

STATUSES: Final = frozenset({400, 404, 413, 422})
"""Under these a lack is told: 404 by OpenRouter ("no endpoints found that support ..."), 422 by Mistral."""

BODY_BYTES: Final = 16 * 1024
"""Of a longer error body only this much is read."""

_MESSAGE_CHARS: Final = 700
"""Providers state their case first; what is quoted from the request, and may say anything, comes after."""

PARAMETERS: Final = frozenset({
    "temperature", "top_p", "top_k", "min_p", "stop", "stop_sequences", "seed", "n", "best_of", "logprobs",
    "top_logprobs", "logit_bias", "presence_penalty", "frequency_penalty", "repetition_penalty", "max_tokens",
    "max_completion_tokens", "max_output_tokens", "response_format", "output_format", "output_config", "text", "tools",
    "functions", "tool_choice", "function_call", "parallel_tool_calls", "reasoning_effort", "reasoning", "thinking",
    "verbosity", "modalities", "audio", "prediction", "service_tier", "stream_options", "store", "metadata", "user",
    "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "web_search_options", "suffix", "echo",
    "truncation", "include", "background", "max_tool_calls", "context_management",
})  # fmt: skip
"""Request parameters that a model may refuse. A name outside of this list is the caller's mistake with any model."""

PARTS: Final = frozenset({
    "reasoning.summary", "reasoning.generate_summary", "text.verbosity", "output_config.effort",
})  # fmt: skip
"""Members of parameters that a model may refuse while it takes the rest. The effort of ``reasoning`` is none of them:
whoever refuses any effort does not reason."""

_NEEDS: Final[frozenset[str]] = frozenset(get_args(Need))

VALUES: Final = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
"""Values that a model may refuse of a parameter which it takes otherwise: reasoning efforts and verbosities."""


class Lack(NamedTuple):
    """What a model cannot take.

    Attributes:
        name: :data:`CONTEXT_WINDOW`, :data:`OUTPUT_LIMIT`, a parameter of :data:`PARAMETERS`, one of :data:`PARTS` or a
            need.
        value: the only value of the parameter that it does not take; ``""`` for any.
        limit: tokens that it does take, where it says so.
        counted: tokens that it counted in the request, where it says so.
    """

    name: str
    value: str = ""
    limit: int | None = None
    counted: int | None = None

    @property
    def key(self) -> str:
        """What it is remembered by."""
        return f"{self.name}={self.value}" if self.value else self.name


def lack_in(error: str | bytes) -> Lack | None:
    """What the text of an error, or the JSON body of one, says that the model lacks; ``None`` when it is another."""
    text, param = _said(error)
    text = text[:_MESSAGE_CHARS].replace("\\", "").lower()
    if not text:
        return None
    return _output_limit(text) or _context(text) or _parameter(text, param) or _feature(text)


def _said(error: str | bytes) -> tuple[str, str]:
    """The message of an error with its code, and the parameter that it names."""
    if isinstance(error, str):
        return error, ""
    head = bytes(error[:BODY_BYTES])
    try:
        fields = msgspec.json.decode(head)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return head.decode("utf-8", "replace"), ""
    held = _error_of(fields)
    if not isinstance(held, dict):
        return _text(held), ""
    message = next((_text(held[name]) for name in ("message", "detail", "msg", "error") if held.get(name)), "")
    codes = " ".join(held[name] for name in ("code", "type") if isinstance(held.get(name), str))
    param = held.get("param")
    return f"{codes} {message}", param if isinstance(param, str) else ""


def _error_of(fields: Any) -> Any:
    for _ in range(3):
        if isinstance(fields, list) and fields:
            fields = fields[0]
        elif isinstance(fields, dict) and isinstance(fields.get("error"), dict):
            fields = fields["error"]
        else:
            break
    return fields


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return msgspec.json.encode(value).decode() if value else ""
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return ""


_COUNT: Final = r"\s?`?([0-9][0-9,]{0,11})\b"

_OUTPUT: Final = re.compile(
    r"supports at most" + _COUNT + r" completion tokens"
    r"|max_tokens: [0-9]+ >" + _COUNT + r",? which is the maximum allowed number of output"
    r"|maxoutputtokens value of [0-9]+ but the supported range is from 1 \(inclusive\) to" + _COUNT
    + r"|`?max(?:_completion)?_tokens`? must be less than or equal to" + _COUNT
    + r"|valid range of max_tokens is \[1," + _COUNT
)  # fmt: skip


def _output_limit(text: str) -> Lack | None:
    found = _OUTPUT.search(text)
    return None if found is None else Lack(OUTPUT_LIMIT, limit=_number(next(filter(None, found.groups()), None)))


_CONTEXT: Final = re.compile(
    r"context_length_exceeded|contextwindowexceedederror|model_context_window_exceeded"
    r"|prompt is too long|input is too long for (?:the )?requested model|prompt exceeds max(?:imum)? length"
    r"|maximum (?:context|prompt|model|input) length (?:is|of)|longer than the (?:maximum )?model(?:'s context)? length"
    r"|exceeds? (?:the )?context (?:limit|window)|exceeds the available context size|input tokens exceed the configured"
    r"|token count (?:\([0-9]+\) )?exceeds the maximum number of tokens|token count is [0-9]+ but model only supports"
    r"|too large for model with [0-9]+ maximum context|exceeded model token limit|maximum context limit"
    r"|tokens \+ `?max_new_tokens`? must be|current length is [0-9]+ while limit is"
    r"|reduce the length of the (?:messages|prompt|input)|range of input length should be"
)
_LIMIT: Final = re.compile(
    r"(?:maximum (?:context|prompt|model|input) length (?:is|of)|tokens >|exceed context limit: [0-9]+ \+ [0-9]+ >"
    r"|maximum number of tokens allowed \(|configured limit of|available context size \(|only supports up to"
    r"|while limit is|too large for model with|model token limit:|must be <=|should be \[1,)" + _COUNT
)
_COUNTED: Final = re.compile(
    r"(?:resulted in|you requested(?: about)?|prompt is too long:|token count (?:is|\()|request \(|current length is"
    r"|prompt contains|request contains|requested:|\(length)" + _COUNT
)


def _context(text: str) -> Lack | None:
    if not _CONTEXT.search(text):
        return None
    limit, counted = _LIMIT.search(text), _COUNTED.search(text)
    return Lack(
        CONTEXT_WINDOW,
        limit=_number(limit[1]) if limit else None,
        counted=_number(counted[1]) if counted else None,
    )


_NAMED: Final = (
    re.compile(r"""function tools with (?P<name>reasoning_effort) are not supported"""),
    re.compile(r"""unsupported (?:parameter|value|argument)s?\s?:?\s?['"`]?(?P<name>[a-z_.]{1,40})"""),
    re.compile(r"""unknown parameter\s?:?\s?['"`]?(?P<name>[a-z_.]{1,40})"""),
    re.compile(r"""unrecognized request arguments?(?: supplied)?:\s?['"`]?(?P<name>[a-z_.]{1,40})"""),
    re.compile(r"""['"`](?P<name>[a-z_.]{1,40})['"`] (?:is|are) (?:not supported|deprecated|not available)"""),
    re.compile(r"""['"`]type['"`]:\s?['"`]extra_forbidden['"`],\s?['"`]loc['"`]:\s?[\[(]['"`]body['"`],\s?['"`](?P<name>[a-z_]{1,40})['"`][\])]"""),
    re.compile(r"""(?:^(?:\S{1,40} ){0,8}|["'])(?P<name>[a-z_]{1,40}(?:\.[a-z_]{1,40})?):"""
               r""" extra inputs are not permitted"""),
    re.compile(r"""does not support (?:the )?(?:parameters?:? )?[\[{('"`]{0,2}(?P<name>[a-z_]{1,40})['"`]"""),
    re.compile(r"""does not support (?:the )?(?:parameters?:? )?(?P<name>[a-z_]{1,40}) parameter"""),
    re.compile(r"""does not support parameters?:? (?P<name>[a-z_]{1,40})"""),
    re.compile(r"""argument not supported on this model: (?P<name>[a-z_]{1,40})"""),
    re.compile(r"""['"`]temperature['"`] and ['"`](?P<name>top_p)['"`] cannot both be"""),
    re.compile(r"""\b(?P<name>[a-z]{1,20}_[a-z_]{1,20}) (?:is|are) not supported (?:with|by|on) (?:this|the) model"""),
)  # fmt: skip
_CODES: Final = re.compile(r"\bunsupported_(?:parameter|value)\b|\bunknown_parameter\b")
_REFUSED_VALUE: Final = re.compile(
    r"""does not support ['"`]([a-z]{1,10})['"`]|unsupported value: ['"`]([a-z]{1,10})['"`] is not supported"""
)
_WITHOUT_SCORES: Final = {name.replace("_", ""): name for name in PARAMETERS if "_" in name}  # presencePenalty


def _parameter(text: str, param: str) -> Lack | None:
    named = [param] if param and _CODES.search(text) else []
    named += [found["name"] for found in (pattern.search(text) for pattern in _NAMED) if found]
    for name in (each.strip("'\"`.") for each in named):
        base = name.partition(".")[0].partition("[")[0]
        base = _WITHOUT_SCORES.get(base, base)
        if base not in PARAMETERS:
            continue
        if base in ("response_format", "output_format", "text") and "json_schema" in text:
            return Lack("json_schema")
        found = _REFUSED_VALUE.search(text)
        value = "" if found is None else found[1] or found[2]
        return Lack(name if name in PARTS else base, value if value in VALUES else "")
    return None


_ABSENT: Final = (
    re.compile(r"(?:do not|does(?: not|n't)) (?:support|accept) (?:the )?(?:use of )?(?P<what>[^.;\n]{1,60})"),
    re.compile(r"(?P<what>[^.:;\n]{1,60}?) (?:is|are) not (?:supported|enabled|available) (?:with|by|for|on) "
               r"(?:(?:this |the )(?:selected |requested |current )?(?:model|endpoint)\b|models/|[a-z0-9.]+[-/])"),
    re.compile(r"(?P<what>[a-z_]{1,20})(?: input)? is only supported by certain models"),
    re.compile(r"no endpoints found that (?:can )?support (?P<what>[^.;\n]{1,60})"),
    re.compile(r"unknown variant `(?P<what>image_url|input_audio|file)`"),
    re.compile(r"this (?P<what>response_format) type is unavailable"),
    re.compile(r"not allowed to request (?P<what>logprobs)"),
    re.compile(r"is not a (?P<what>multimodal) model"),
    re.compile(r"at most 0 (?P<what>image|audio|video)"),
    re.compile(r"currently only (?P<what>n) = 1 is supported"),
    re.compile(r"['\"](?P<what>auto['\"] tool choice requires) --enable-auto-tool-choice"),
)  # fmt: skip
_WORDS: Final[tuple[tuple[str, Need], ...]] = (
    (r"assistant (?:message )?prefill|prefill(?:ing)?(?: \w+){0,2}", "prefill"),
    (r"parallel (?:tool|function) (?:call|calls|calling|use)|parallel_tool_calls", "parallel_tools"),
    (r"auto['\"] tool choice requires", "tools"),
    (r"tool[ _]choice", "tool_choice"),
    (r"computer use", "computer_use"),
    (r"web search|live search|search tool", "web_search"),
    (r"tools?(?: (?:use|calls?|calling))?|functions?(?: calls?| calling)?", "tools"),
    (r"image_url|images?(?: (?:inputs?|content|modality))?|vision|multimodal(?: inputs?)?", "image"),
    (r"input_audio|audio(?: inputs?)?", "audio"),
    (r"videos?(?: inputs?)?", "video"),
    (r"pdfs?|documents?|files?(?: inputs?)?", "file"),
    (r"json[ _]schema|structured outputs?|response[ _]format|json mode", "json_schema"),
    (r"thinking|reasoning(?:[ _]effort)?|effort", "reasoning"),
    (r"logprobs?|log probabilities", "logprobs"),
    (r"multiple candidates|n", "n"),
)
_FEATURES: Final = tuple((re.compile(rf"\b(?:{words})\b"), need) for words, need in _WORDS)


def _feature(text: str) -> Lack | None:
    for what in _absent(text):
        for pattern, need in _FEATURES:
            if pattern.search(what):
                return Lack(need)
    return None


def _absent(text: str) -> Iterator[str]:
    for pattern in _ABSENT:
        found = pattern.search(text)
        if found:
            yield found["what"]


def _number(digits: str | None) -> int | None:
    return int(digits.replace(",", "")) if digits else None


def is_known(key: str) -> bool:
    """Whether ``key`` could be a :attr:`Lack.key`: other workers' words are checked with it."""
    name, _, value = key.partition("=")
    known = name in PARAMETERS or name in PARTS or name in _NEEDS or name in (CONTEXT_WINDOW, OUTPUT_LIMIT)
    return known and (not value or value in VALUES)
