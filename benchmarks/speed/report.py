"""The results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def markdown(results: dict[str, Any]) -> str:
    """One page: the targets, then a table for each part that was measured."""
    machine = results["machine"]
    lines = [
        "# Speed",
        "",
        f"`make bench-speed` on {machine['cores']} shared cores, Python {machine['python']}, litellm "
        f"{machine['litellm']}; {machine['seconds']:.0f} s, load average {machine['load_before']:.1f} before and "
        f"{machine['load_after']:.1f} after. Contenders take turns; ratios are medians of the ratios within a round: "
        "compare those. No prompt is asked twice.",
        "",
        "## Targets",
        "",
        *_table(("", "measured", "target", ""), [_target(row) for row in results["targets"]]),
    ]
    if rows := results.get("decide"):
        lines += ["", "## A decision", "", "Microseconds; ratios are to LiteLLM's whole hook on the same prompts.", ""]
        lines += _timed(rows)
    if rows := results.get("door"):
        lines += ["", "## The ASGI door, in process", ""]
        lines += ["Microseconds for one call of the app; ratios are to the row named.", "", *_timed(rows, peers=True)]
    if rows := results.get("served"):
        lines += ["", "## Through uvicorn, under wrk", ""]
        lines += ["One worker. Processor time is the server's, per request (per chunk where chunks are counted).", ""]
        lines += _table(
            ("", "per s", "p50 ms", "p99 ms", "cpu us", "per s, ratio", "cpu us added"), [_served(row) for row in rows]
        )
    if rows := results.get("imports"):
        lines += ["", "## Import", ""]
        shown = [
            (f"`{row['name']}`", f"{row['seconds']:.2f}", f"{row['rss_mb']:.0f}", str(row["modules"])) for row in rows
        ]
        lines += _table(("", "s", "MB resident", "modules"), shown)
    if found := results.get("memory"):
        first, last = found["rss_mb"][0], found["rss_mb"][-1]
        middle = found["rss_mb"][len(found["rss_mb"]) // 2]
        lines += [
            "", "## Memory", "",
            f"{found['decisions']:,} decisions for {found['sessions']:,} conversations: {first[1]:.1f} MB resident "
            f"before, {middle[1]:.1f} MB half-way, {last[1]:.1f} MB after; "
            f"{found['growth_mb_per_million']:+.2f} MB per million decisions in the second half.",
        ]  # fmt: skip
    if text := (results.get("proxy") or {}).get("text"):
        lines += ["", text.replace("\n## ", "\n### ").replace("# Throughput", "## Throughput", 1).strip()]
    return "\n".join(lines) + "\n"


def _target(row: dict[str, Any]) -> tuple[str, ...]:
    verdict = {True: "met", False: "**not met**", None: "not measured"}[row["met"]]
    return row["name"], _number(row["figure"]), row["limit"], verdict


def _timed(rows: Sequence[dict[str, Any]], *, peers: bool = False) -> list[str]:
    shown = []
    for row in rows:
        cells = [row["name"], _number(row["median_us"]), _number(row["p99_us"]), _number(row["ratio"])]
        if peers:
            cells += [row["peer"], _number(row["added_us"])]
        shown.append(cells)
    return _table(("", "median", "p99", "ratio", *(("to", "added") if peers else ())), shown)


def _served(row: dict[str, Any]) -> tuple[str, ...]:
    errors = f", {row['errors']} errors" if row["errors"] else ""
    return (
        row["name"].strip() + errors,
        f"{row['per_s']:,.0f}",
        _number(row["p50_ms"]),
        _number(row["p99_ms"]),
        _number(row["cpu_us"]),
        _number(row["ratio"]),
        _number(row["cpu_added_us"]),
    )


def _number(value: float | None) -> str:
    """Three significant digits, at most."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    rule = ["---", *["---:"] * (len(head) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]
