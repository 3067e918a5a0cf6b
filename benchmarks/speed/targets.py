"""What the figures should be, and whether they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Results = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """One line: what is promised, what was measured, and the limit.

    Attributes:
        least: the figure must be at least the limit, instead of at most.
    """

    name: str
    limit: float
    measure: Callable[[Results], float | None]
    unit: str = ""
    least: bool = False

    def line(self, results: Results) -> dict[str, Any]:
        try:
            figure = self.measure(results)
        except (KeyError, StopIteration):
            figure = None
        met = None if figure is None else figure >= self.limit if self.least else figure <= self.limit
        return {
            "name": self.name,
            "figure": figure,
            "limit": f"{'>=' if self.least else '<='} {self.limit:g}{self.unit}",
            "met": met,
        }


def _row(results: Results, part: str, name: str) -> dict[str, Any]:
    return next(row for row in results[part] if row["name"] == name)


def _field(part: str, name: str, key: str) -> Callable[[Results], float | None]:
    return lambda results: _row(results, part, name)[key]


def _hook(tokens: str, size: int) -> Callable[[Results], float | None]:
    return _field("decide", f"decide(), {size} models, {tokens} tokens", "ratio")


def _decides(tokens: str, other: str) -> Callable[[Results], float | None]:
    def measure(results: Results) -> float:
        mine, theirs = [_row(results, "decide", f"decide(), 8 models, {size} tokens") for size in (tokens, other)]
        ratio: float = mine["median_us"] / theirs["median_us"]
        return ratio

    return measure


def _proxy(name: str) -> Callable[[Results], float | None]:
    return lambda results: results["proxy"]["ratios"][name]


def _without_decide(results: Results) -> float | None:
    whole = _row(results, "door", "OfoxMiddleware, auto, 1 MB")
    decide = _row(results, "door", "  of which decide(), 1 MB")
    ratio: float = whole["ratio"] - decide["ratio"]
    return ratio


def _memory(results: Results) -> float | None:
    found: float | None = results["memory"]["growth_mb_per_million"]
    return found


def _served(speed: str, kind: str) -> Callable[[Results], float | None]:
    return _field("served", f"  with OfoxMiddleware, auto, {speed}, {kind}", "ratio")


HOOK, OVER_HTTP = "decide() to LiteLLM's full hook", "requests/s, app with a provider over HTTP"
BY_ITSELF, PROXY, AUTO = "requests/s, app that answers by itself", "LiteLLM proxy, requests/s", "OfoxMiddleware, auto"

TARGETS = (
    *(Target(f"{HOOK}, 7 tokens, {size} models", 0.1, _hook("7", size)) for size in (2, 8, 100)),
    *(Target(f"{HOOK}, 37k tokens, {size} models", 0.001, _hook("37k", size)) for size in (2, 8, 100)),
    Target("decide(), 100k tokens to 7 tokens, 8 models", 5, _decides("100k", "7")),
    Target("decide(), 100k tokens to 1.5k tokens, 8 models", 1.05, _decides("100k", "1.5k")),
    Target("matched body of 1 MB to one raw scan of it", 2, _field("door", f"{AUTO}, 1 MB", "ratio")),
    Target("matched body of 1 MB without decide(), to one raw scan of it", 2, _without_decide),
    Target("unmatched, added", 3, _field("door", "OfoxMiddleware, other path", "added_us"), " us"),
    Target(
        "a chunk of a stream, added", 1, _field("door", "OfoxMiddleware, auto, a chunk of a stream", "added_us"), " us"
    ),
    Target(f"{OVER_HTTP} that takes 20 ms", 0.97, _served("takes 20 ms", "gateway"), least=True),
    Target(f"{OVER_HTTP} that answers at once", 0.9, _served("answers at once", "gateway"), least=True),
    Target(f"{BY_ITSELF} after 20 ms", 0.97, _served("takes 20 ms", "bare"), least=True),
    Target(f"{BY_ITSELF} at once", 0.9, _served("answers at once", "bare"), least=True),
    Target(f"{PROXY} to the model named", 0.97, _proxy("plugin, model named"), least=True),
    Target(f"{PROXY} to the model named, no plugin", 0.97, _proxy("no plugin, model named"), least=True),
    Target(f"{PROXY} to LiteLLM's auto router", 1.0, _proxy("LiteLLM's complexity_router, auto"), least=True),
    Target("memory, growth in the second half", 2, _memory, " MB per million decisions"),
)
"""The 5% in "100k to 1.5k tokens" is what two medians of the same thing may differ by."""


def check(results: Results) -> list[dict[str, Any]]:
    """A line for each target: ``met`` is ``None`` where it was not measured."""
    return [target.line(results) for target in TARGETS]
