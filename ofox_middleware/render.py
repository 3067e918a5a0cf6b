"""Tables of the command line. The only file that imports rich."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ofox_middleware.bench import Bench, Policy
from ofox_middleware.bench_speed import Speed
from ofox_middleware.check import ModelLine, Report
from ofox_middleware.decision import Candidate, Decision
from ofox_middleware.explain import Explained
from ofox_middleware.router import SmartRouter
from ofox_middleware.tour import Row
from ofox_middleware.types import DOMAINS

Item = TypeVar("Item")


def _console() -> Console:
    console = Console(highlight=False)
    # Rich takes 80 columns where there is no terminal; a log has no such limit.
    return console if console.is_terminal else Console(highlight=False, width=max(console.width, 200))


def _table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def usd(amount: float | None) -> str:
    """Money with as many digits as it needs."""
    if amount is None:
        return "?"
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.3g}" if amount >= 0.001 else f"${amount:.6f}"


def per_million(price: float | None) -> str:
    """A price per token as USD per million tokens."""
    return "?" if price is None else f"${price * 1e6:,.4g}"


def _seconds(time_s: float | None) -> str:
    return "?" if time_s is None else f"{time_s:.2f} s"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


@contextmanager
def going_through(items: Sequence[Item], what: str, then: str) -> Iterator[Iterable[Item]]:
    """``items``, with a bar on standard error; see :func:`~ofox_middleware.progress.progress`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=len(items))

        def each() -> Iterator[Item]:
            for item in items:
                yield item
                shown.advance(task)
            if then:
                shown.update(task, description=then, total=None)

        yield each()


# explain ---------------------------------------------------------------------------------------------------------


def explanation(decision: Decision, router: SmartRouter) -> None:
    """One decision: the pick, what makes the request hard, and every candidate."""
    console = _console()
    detail = decision.difficulty_detail
    pick = decision.candidate(decision.model)
    console.print(
        f"[bold]{escape(decision.model)}[/]  {decision.reason}, preference {escape(decision.preference)}: "
        f"expected quality {_share(pick.quality)}, {usd(pick.cost_usd)}, {_seconds(pick.time_s)}"
    )
    mix = sorted(zip(detail.domains, DOMAINS, strict=True), reverse=True)
    domains = ", ".join(f"{name} {share:.0%}" for share, name in mix[:3] if share >= 0.05)
    console.print(f"difficulty {detail.level:.2f} of 1 ({detail.source}); {domains}")
    if detail.evidence:
        told = ", ".join(f"{escape(name)} {weight:+.2f}" for name, weight in detail.evidence[:6])
        console.print(f"because of {told}")
    console.print(f"about {decision.input_tokens} tokens in, {decision.output_tokens} out\n")
    table = _table(
        "model", "status", "reason", "quality", "cost", "time", "score", "ability from",
        numbers=("quality", "cost", "time", "score"),
    )  # fmt: skip
    for row in decision.candidates:
        table.add_row(*_candidate(row, chosen=row.name == decision.model))
    console.print(table)


def _candidate(row: Candidate, *, chosen: bool) -> Sequence[str]:
    cells = (
        escape(row.name), row.status, escape(row.reason), _share(row.quality),
        "" if row.status == "skipped" and row.cost_usd is None else usd(row.cost_usd),
        "" if row.time_s is None else _seconds(row.time_s),
        "" if row.score is None else f"{row.score:.3f}", row.ability_source,
    )  # fmt: skip
    style = "bold green" if chosen else "dim" if row.status == "skipped" else ""
    return [f"[{style}]{cell}[/]" if style and cell else cell for cell in cells]


def explanations(results: Iterable[Explained]) -> None:
    """Many decisions, one row each."""
    table = _table(
        "request", "model", "why", "preference", "difficulty", "quality", "cost", "time",
        numbers=("difficulty", "quality", "cost", "time"),
    )  # fmt: skip
    for result in results:
        decision = result.decision
        if decision is None:
            table.add_row(escape(result.asked.label), "-", f"[red]{escape(str(result.error))}[/]")
            continue
        pick = decision.candidate(decision.model)
        table.add_row(
            escape(result.asked.label), escape(decision.model), decision.reason, escape(decision.preference),
            f"{decision.difficulty:.2f}", _share(pick.quality), usd(pick.cost_usd), _seconds(pick.time_s),
        )  # fmt: skip
    _console().print(table)


# bench -----------------------------------------------------------------------------------------------------------


def speeds(rows: Iterable[Speed]) -> None:
    """How long decisions take here, by kind of request; microseconds."""
    columns = ("bytes", "decide()", "its p99", "OfoxMiddleware adds", "timed")
    table = _table("request", *columns, numbers=columns)
    for row in rows:
        table.add_row(
            row.name, f"{row.size:,}", f"{row.decide_us:,.0f} µs", f"{row.decide_p99_us:,.0f} µs",
            f"{row.door_us:,.0f} µs", f"{row.calls:,}",
        )  # fmt: skip
    _console().print(table)


def benched(result: Bench) -> None:
    """What routing makes of a file of requests, beside not routing."""
    console = _console()
    strongest = result.baselines[0].cost_usd
    columns = ("requests", "cost", "of strongest", "quality", "time")
    table = _table("", *columns, "goes to", numbers=columns)
    for policy in (*result.preferences, *result.baselines):
        table.add_row(*_policy(policy, strongest), style="" if policy in result.preferences else "dim")
    console.print(table)
    level = result.to_dict()["difficulty"]
    spread = f"difficulty {level['p25']:.2f} / {level['p50']:.2f} / {level['p75']:.2f} (quartiles); " if level else ""
    console.print(f"\n{result.requests} requests; {spread}quality, cost and time are what the router expects.")
    for label, message in result.refused[:5]:
        console.print(f"[yellow]refused[/] {escape(label)}: {escape(message)}")
    if len(result.refused) > 5:
        console.print(f"[yellow]refused[/] {len(result.refused) - 5} more; --json lists them")


def _policy(policy: Policy, strongest_usd: float) -> Sequence[str]:
    row = policy.to_dict()
    shares = [f"{escape(name)} {count / policy.requests:.0%}" for name, count in policy.picks.most_common(4)]
    more = f", {len(policy.picks) - 4} more" if len(policy.picks) > 4 else ""
    alone = policy.name.startswith("always ") and len(policy.picks) == 1
    return (
        escape(policy.name), str(policy.requests), usd(policy.cost_usd) + ("+?" if policy.unpriced else ""),
        f"{policy.cost_usd / strongest_usd:.0%}" if strongest_usd else "", f"{row['mean_quality']:.2f}",
        _seconds(row["mean_time_s"]), "" if alone else ", ".join(shares) + more,
    )  # fmt: skip


# check -----------------------------------------------------------------------------------------------------------


def report(found: Report) -> None:
    """What a configuration means."""
    console = _console()
    table = _table(
        "model", "in/M", "out/M", "window", "ability", "ability from", "TTFT", "tokens/s", "speed from", "can",
        "cannot",
        numbers=("in/M", "out/M", "window", "ability", "TTFT", "tokens/s"),
    )  # fmt: skip
    for line in found.models:
        table.add_row(*_model(line))
    console.print(table)
    console.print()
    profiles = _table("preference", "quality", "cost", "time", "floor", "tie", numbers=("floor", "tie"))
    for name, profile in found.profiles.items():
        total = profile.quality + profile.cost + profile.time
        shares = [f"{weight / total:.0%}" for weight in (profile.quality, profile.cost, profile.time)]
        default = " (default)" if name == found.default else ""
        profiles.add_row(f"{escape(name)}{default}", *shares, f"{profile.floor:g}", f"{profile.tie:g}")
    console.print(profiles)
    console.print()
    for warning in found.warnings:
        console.print(f"[yellow]warning[/] {escape(warning)}")
    auto = ", ".join(found.auto_models)
    console.print(f"The configuration is valid: {len(found.models)} models behind {escape(auto)}.")


def _model(line: ModelLine) -> Sequence[str]:
    facts = line.facts
    alias = f" = {facts.model}" if facts.model != facts.name else ""
    params = f" with {', '.join(sorted(facts.params))}" if facts.params else ""
    window = "?" if facts.max_input_tokens is None else f"{facts.max_input_tokens:,}"
    can = sorted(need for need, able in facts.supports.items() if able)
    cannot = sorted(need for need, able in facts.supports.items() if not able)
    return (
        escape(f"{facts.name}{alias}{params}"), per_million(facts.input_usd), per_million(facts.output_usd), window,
        f"{line.ability:.2f}", facts.ability_source, _seconds(facts.ttft_s), f"{1 / facts.s_per_token:.0f}",
        facts.speed_source, " ".join(can), " ".join(cannot),
    )  # fmt: skip


# tour ------------------------------------------------------------------------------------------------------------


def tour_table(rows: Iterable[Row], savings: Callable[[], dict[str, Any]]) -> None:
    """The tour's rows as they come in, then what was spent."""
    console = _console()
    table = _table(
        "#", "asked", "preference", "model", "why", "cost", "time", "attempts", "note",
        numbers=("#", "cost", "time", "attempts"),
    )  # fmt: skip
    with Live(table, console=console, refresh_per_second=8):
        for number, row in enumerate(rows, 1):
            refused = not row.model
            table.add_row(
                str(number), row.asked, row.preference, "-" if refused else row.model, row.why,
                "" if row.cost_usd is None else usd(row.cost_usd), _seconds(row.time_s),
                str(row.attempts), row.note,
            )  # fmt: skip
    spent = savings()
    console.print(
        f"\n{spent['requests']} answers for {usd(spent['spent_usd'])} at the simulated prices; "
        f"always the strongest model: {usd(spent['strongest_usd'])}; always the cheapest: {usd(spent['cheapest_usd'])}."
    )
    console.print("Every step held what it promised.")


# decisions -------------------------------------------------------------------------------------------------------


def stored(entries: Sequence[dict[str, Any]], savings: dict[str, Any]) -> None:
    """Decisions from the store, newest first, and what all of them saved."""
    table = _table(
        "at", "id", "model", "why", "preference", "difficulty", "took", "attempts", "result",
        numbers=("difficulty", "took", "attempts"),
    )  # fmt: skip
    for entry in entries:
        outcome = entry["outcome"]
        at = datetime.fromtimestamp(entry["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        model = entry["model"] if outcome is None else outcome["model"]
        result = "" if outcome is None else "ok" if outcome["ok"] else f"failed {outcome['status'] or ''}"
        table.add_row(
            at, entry["id"], escape(model), entry["reason"], escape(entry["preference"]),
            f"{entry['difficulty']:.2f}", "" if outcome is None else _seconds(outcome["total_s"]),
            "" if outcome is None else str(len(outcome["attempts"])), result,
        )  # fmt: skip
    console = _console()
    console.print(table)
    always = (
        f"always the strongest model: {usd(savings['strongest_usd'])}; the cheapest: {usd(savings['cheapest_usd'])}"
    )
    console.print(f"\n{savings['requests']} answers for {usd(savings['spent_usd'])}; {always}.")
