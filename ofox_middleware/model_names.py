"""Model names: globs, the spellings one model goes by, and what a name says of date, effort and size. A leaf."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import Final

_MAX_PATTERN: Final = 512
"""No model name is longer; a client's pattern beyond it matches nothing, so that neither time nor the cache grows."""

VENDOR_PROVIDERS: Final = {
    "google": "gemini",
    "x-ai": "xai",
    "mistralai": "mistral",
    "moonshotai": "moonshot",
    "z-ai": "zai",
    "zai-org": "zai",
    "qwen": "dashscope",
    "alibaba": "dashscope",
    "minimaxai": "minimax",
    "deepseek-ai": "deepseek",
    "meta-llama": "meta_llama",
    "amazon": "amazon-nova",
}
"""Names of makers as gateways write them (``google/gemini-2.5-pro``), and LiteLLM's provider of the maker's own API."""

GATEWAYS: Final = frozenset({"openrouter", "litellm_proxy"})
"""Providers that hand a ``maker/model`` name on to the maker: the maker's facts are theirs."""

_FAMILIES: Final = {"bedrock_converse": "bedrock", "cohere_chat": "cohere", "amazon_nova": "amazon-nova"}

_ROUTES: Final = ("converse/", "converse_like/", "invoke/", "responses/", "chat/")
"""Parts that LiteLLM reads as a route between provider and model (``bedrock/converse/...``)."""

_ISO_DATE = re.compile(r"(?<!\d)(20[12]\d)-([01]\d)-([0-3]\d)(?!\d)")
_DAY = re.compile(r"(?<!\d)(20[12]\d)([01]\d)([0-3]\d)(?!\d)")
_SHORT_DAY = re.compile(r"(?<!\d)(2[3-9])([01]\d)([0-3]\d)(?!\d)")
_MONTH_YEAR = re.compile(r"(?<!\d)([01]\d)-(20[12]\d)(?!\d)")
_MISTRAL_MONTH = re.compile(r"(?:mistr|mixtr|ministr|codestr|devstr|magistr|pixtr|voxtr)al.*?-(2[3-9])([01]\d)(?!\d)")
DATE_SUFFIX = re.compile(r"[-@](?:20\d{6}|20\d\d-\d\d-\d\d)$")
_VERSION_DOT = re.compile(r"(?<=\d)\.(?=\d)")
_VERSION_DASH = re.compile(r"(?<=\d)-(?=\d{1,2}(?:-|$))")
_POINT = re.compile(r"(?<=\d)p(?=\d)")
_DOTTED_PREFIX = re.compile(r"^(?:[a-z][a-z0-9-]*\.)+(?=[a-z])(?!(?:v|r)\d)")
_HOST_PREFIX = re.compile(r"^(?:databricks|fw|anthropic|openai|google|xai|cohere|zai)-(?=[a-z])")
_REVISION = re.compile(r"-v?\d:\d$")
_SUFFIX = re.compile(
    r"-(?:20\d{6}|20\d\d-\d\d-\d\d|maas|default|fp8|versatile|free|nitro|floor|exacto|(?<=\db-)instant)$"
)
_MODE_SUFFIX = re.compile(r"-(?:non-reasoning|non-thinking|nothink|thinking|think)$")
_NON_REASONING = re.compile(r"(?:^|[-:/])(?:non-?reasoning|non-?thinking|nothink)(?:$|[-:@])", re.IGNORECASE)
_REASONING = re.compile(r"(?:^|[-:/])(?:reasoning|thinking|think)(?:$|[-:@])", re.IGNORECASE)
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)b(?![a-z0-9])")
_ACTIVE_SIZE = re.compile(r"(?<![a-z0-9])a\d+(?:\.\d+)?b(?![a-z0-9])|(?<![a-z0-9])\d+x\d+b")


def matches(pattern: str, name: str) -> bool:
    """Whether ``name`` fits ``pattern``, in which only ``*`` is special (any run of characters, also none).

    Case-sensitive. Linear in the length of ``name`` for each part between stars; there is no backtracking.
    """
    if "*" not in pattern:
        return pattern == name
    if len(pattern) > _MAX_PATTERN:
        return False
    return _glob(pattern, name)


def names_of(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name fits one of ``patterns``. For many names: those without a star are looked up, not gone through."""
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
    globs = [pattern for pattern in patterns if "*" in pattern]
    if not globs:
        return exact.__contains__
    return lambda name: name in exact or any(matches(pattern, name) for pattern in globs)


@lru_cache(maxsize=8192)
def _glob(pattern: str, name: str) -> bool:
    head, *middle, tail = pattern.split("*")
    start, end = len(head), len(name) - len(tail)
    if start > end or not name.startswith(head) or not name.endswith(tail):
        return False
    for piece in middle:
        at = name.find(piece, start, end)
        if at < 0:
            return False
        start = at + len(piece)
    return True


def provider_family(provider: str) -> str:
    """LiteLLM's ``litellm_provider`` as the prefix that people write: ``bedrock_converse`` -> ``bedrock``."""
    if provider.startswith("vertex_ai-"):
        return "vertex_ai"
    return _FAMILIES.get(provider, provider)


def keys_for(name: str) -> Iterator[tuple[str, str]]:
    """Keys of LiteLLM's model map that ``name`` may go by, surest first.

    Yields:
        (key, provider): the entry counts only when its provider family is ``provider``; ``""`` allows any.
    """
    yield name, ""
    prefix, slash, rest = name.partition("/")
    if not slash:
        for spelling in _spellings(name):
            yield spelling, ""
        return
    if prefix in GATEWAYS:
        yield from keys_for(rest)
        return
    provider = VENDOR_PROVIDERS.get(prefix, prefix)
    for route in _ROUTES:
        rest = rest.removeprefix(route)
    if rest.startswith("ft:"):
        yield ":".join(rest.split(":")[:2]), provider
    for spelling in (rest, *_spellings(rest)):
        yield f"{provider}/{spelling}", provider
        yield spelling, provider


def _spellings(name: str) -> list[str]:
    """``claude-sonnet-4.5`` and ``claude-sonnet-4-5`` are one model, and so is a dated snapshot of it."""
    stem, colon, variant = name.partition(":")
    bases = [name] if not colon or variant.isdigit() else [name, stem]
    undated = [DATE_SUFFIX.sub("", base) for base in bases]
    found: list[str] = []
    for base in (*bases, *undated):
        for spelling in (base, _VERSION_DOT.sub("-", base), _VERSION_DASH.sub(".", base)):
            if spelling != name and spelling not in found:
                found.append(spelling)
    return found


def canonical(name: str) -> str:
    """What is left of a name without host, region, punctuation, snapshot date and packaging: ``claude-sonnet-4-5``.

    Two names with one canonical form are the same weights. Sizes, ``instruct``, ``mini`` and the like stay: they
    tell models apart.
    """
    lowered = name.lower()
    tail = lowered.rsplit("/", 1)[-1]
    if "fireworks" in lowered:
        tail = _POINT.sub("-", tail)
    tail = _REVISION.sub("", _DOTTED_PREFIX.sub("", tail))
    tail = re.sub(r"[._@:\s]+", "-", tail)
    tail = _HOST_PREFIX.sub("", tail)
    while (shorter := _SUFFIX.sub("", tail)) != tail:
        tail = shorter
    return tail


def without_mode(canonical_name: str) -> str:
    """The canonical name without a mode at its end, such as ``-thinking``; ``-reasoning`` can be another model."""
    return _MODE_SUFFIX.sub("", canonical_name)


def named_effort(name: str) -> str | None:
    """``none`` or ``high`` when the name itself says that the model does not or does reason, else ``None``."""
    if _NON_REASONING.search(name):
        return "none"
    return "high" if _REASONING.search(name) else None


def embedded_date(name: str) -> str | None:
    """The ISO date that ``name`` carries, if any: ``-20250929``, ``-2025-09-29``, ``-09-2025``, Mistral's ``-2509``."""
    lowered = name.lower()
    for pattern, order in ((_ISO_DATE, "ymd"), (_DAY, "ymd"), (_MONTH_YEAR, "my"), (_SHORT_DAY, "ymd")):
        if (found := pattern.search(lowered)) and (iso := _iso(found.groups(), order)):
            return iso
    if found := _MISTRAL_MONTH.search(lowered):
        return _iso(found.groups(), "ym")
    return None


def _iso(groups: tuple[str, ...], order: str) -> str | None:
    parts = dict(zip(order, groups, strict=True))
    year = int(parts["y"]) if len(parts["y"]) == 4 else 2000 + int(parts["y"])
    try:
        return date(year, int(parts["m"]), int(parts.get("d", "1"))).isoformat()
    except ValueError:
        return None


def is_small(name: str) -> bool:
    """Whether the name gives a dense model of at most nine thousand million parameters (``-8b``; not ``-30b-a3b``)."""
    lowered = name.lower()
    if _ACTIVE_SIZE.search(lowered):
        return False
    sizes = [float(size) for size in _SIZE.findall(lowered.replace("_", "-"))]
    return bool(sizes) and max(sizes) <= 9
