"""Builds ``ofox_middleware/data/catalogue.json`` from the published tables. Same input, same bytes.

    python -m benchmarks.tables.build --source ../shared/data/abilities --as-of 2026-11-22

``--source`` defaults to ``$OFOX_BENCH_DATA/abilities``, and that to ``../shared/data/abilities``. ``--fits`` prints
the price-only and date-only lines that ``ofox_middleware/abilities.py`` quotes.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import msgspec

from benchmarks.tables.choices import ALIASES, DROPPED, EFFORTS, FAMILIES, HOW, RELEASED
from benchmarks.tables.shortlist import choose
from ofox_middleware.abilities import measured, years_from_middle
from ofox_middleware.model_names import embedded_date
from ofox_middleware.tables import SHIPPED, MakerSpeed, Row, Tables
from ofox_middleware.types import DOMAINS

AS_OF = "2026-11-22"
"""The day of the published tables that ship."""

WELL_SUPPORTED = 20
"""Series behind a model that may set the ceiling."""

PLAIN_TTFT_S = 3.0

VARIANT_SHARES = {
    "non-reasoning": 0.0,
    "minimal": 0.1,
    "low": 0.5,
    "medium": 0.8,
    "high": 0.95,
    "xhigh": 1.0,
    "max": 1.0,
}
MEASURED_KINDS = {"measured_p50", "measured_p50_10k_input"}

CsvRow = dict[str, str]


def default_source() -> Path:
    """Where the published tables are looked for."""
    return Path(os.environ.get("OFOX_BENCH_DATA", "../shared/data")) / "abilities"


def build(source: Path, as_of: str = AS_OF) -> Tables:
    """The tables made from the csv files in ``source``, which are of the day ``as_of``."""
    listed = {row["base"]: row for row in _read(source / "models.csv")}
    scores = {row["base"]: row for row in _read(source / "ability.csv")}
    plain = {row["base"]: row for row in _read(source / "ability_nonreasoning.csv")}
    keys = _keys(_read(source / "litellm_key_map.csv"))
    models = {
        base: _model(listed[base], scores.get(base), plain.get(base), keys.get(base, []))
        for base in sorted(listed)
        if base not in ALIASES and base not in DROPPED
    }
    speed_rows = _read(source / "speed.csv")
    of_key = {row["model"]: ALIASES.get(base, base) for base, row in listed.items()}
    speeds = _speeds(speed_rows, of_key)
    tables = Tables(
        as_of=as_of,
        how=HOW,
        ceiling=_ceiling(models.values()),
        models=models,
        keys={base: keys[base] for base in sorted(keys) if base in models},
        speeds={base: speeds[base] for base in sorted(speeds) if base in models},
        advertised=_advertised(speed_rows, of_key),
        makers=_maker_speeds(models, speeds),
        families=FAMILIES,
        shortlist=[],
    )
    return msgspec.structs.replace(tables, shortlist=choose(tables))


def _read(path: Path) -> list[CsvRow]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _keys(rows: list[CsvRow]) -> dict[str, list[str]]:
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        keys[ALIASES.get(row["base"], row["base"])].append(row["litellm_key"])
    return {base: sorted(listed) for base, listed in keys.items()}


def _model(listed: CsvRow, scores: CsvRow | None, plain: CsvRow | None, keys: list[str]) -> Row:
    base = listed["base"]
    prices = listed["input_usd_per_1m"], listed["output_usd_per_1m"]
    dates = sorted(day for key in keys if (day := embedded_date(key)))
    row = Row(
        key=listed["model"],
        maker=listed["creator"] or _maker(base),
        released=listed["release_date"] or RELEASED.get(base) or (dates[0] if dates else ""),
        usd=(float(prices[0]), float(prices[1])) if all(prices) else None,
        effort=EFFORTS.get(base, ""),
    )
    if scores is None:
        return row
    g = float(scores["g"])
    return msgspec.structs.replace(
        row,
        g=g,
        se=float(scores["g_se"]),
        n=int(scores["n_bench"]),
        offsets=tuple(round(float(scores[domain]) - g, 3) if scores[domain] else 0.0 for domain in DOMAINS),
        counts=tuple(int(scores[f"{domain}_n"] or 0) for domain in DOMAINS),
        gap=round(max(float(plain["g_best"]) - float(plain["g_nonreasoning"]), 0.0), 3) if plain else None,
    )


def _maker(base: str) -> str:
    return next((maker for family, maker in FAMILIES.items() if base.startswith(family)), "")


def _ceiling(models: Iterable[Row]) -> tuple[float, ...]:
    supported = [abilities for row in models if row.n >= WELL_SUPPORTED and (abilities := measured(row))]
    return tuple(round(max(column), 3) for column in zip(*supported, strict=True))


def _variant_share(variant: str, ttft_s: float) -> float:
    """Where a published variant lies between no reasoning and the best.

    An unnamed variant is how the model is used: it reasons when its answer takes longer than :data:`PLAIN_TTFT_S`.
    """
    if variant.startswith("non-reasoning"):
        return 0.0
    words = variant.replace(",", " ").split()
    named = next((share for name, share in VARIANT_SHARES.items() if name in words), None)
    if named is not None:
        return named
    return 0.95 if "reasoning" in words or ttft_s > PLAIN_TTFT_S else 0.0


def _rounded(value: float) -> float:
    """Two significant digits: these are priors, not measurements of anybody's endpoint."""
    return float(f"{value:.2g}")


def _speeds(rows: list[CsvRow], of_key: dict[str, str]) -> dict[str, list[tuple[float, float, float]]]:
    grouped: defaultdict[str, defaultdict[float, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["kind"] in MEASURED_KINDS and row["model"] in of_key:
            at = (float(row["ttfat_s"] or row["ttft_s"]), float(row["output_tokens_per_s"]))
            grouped[of_key[row["model"]]][_variant_share(row["variant"], at[0])].append(at)
    return {
        base: [
            (share, _rounded(statistics.median(t for t, _ in seen)), _rounded(statistics.median(s for _, s in seen)))
            for share, seen in sorted(by_share.items())
        ]
        for base, by_share in grouped.items()
    }


def _advertised(rows: list[CsvRow], of_key: dict[str, str]) -> dict[str, dict[str, float]]:
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row["kind"] == "advertised":
            key = row["model"]
            base = of_key.get(key) or key.rsplit("/", 1)[-1].replace("qwen-3", "qwen3").replace(".", "-")
            found[row["provider"]][base] = float(row["output_tokens_per_s"])
    return {host: {"": statistics.median(speeds.values()), **speeds} for host, speeds in sorted(found.items())}


def _maker_speeds(models: dict[str, Row], speeds: dict[str, list[tuple[float, float, float]]]) -> dict[str, MakerSpeed]:
    rows: defaultdict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for base, seen in speeds.items():
        if base in models:
            for maker in {models[base].maker, ""}:
                rows[maker].extend(seen)
    overall = _medians(rows[""], None)
    return {maker: _medians(rows[maker], overall) for maker in sorted(rows) if maker == "" or len(rows[maker]) >= 3}


def _medians(rows: list[tuple[float, float, float]], fallback: MakerSpeed | None) -> MakerSpeed:
    plain = [ttft for share, ttft, _ in rows if share < 0.3]
    thinking = [ttft for share, ttft, _ in rows if 0.3 <= share < 1.0]
    defaults = fallback or MakerSpeed(math.nan, math.nan, math.nan)
    return MakerSpeed(
        ttft_s=_rounded(statistics.median(plain or [defaults.ttft_s])),
        reasoning_ttft_s=_rounded(statistics.median(thinking or [defaults.reasoning_ttft_s])),
        tokens_per_s=_rounded(statistics.median(speed for _, _, speed in rows)),
    )


def fits(source: Path) -> dict[str, tuple[float, float]]:
    """Constant and slope of ``g`` on log10 price alone and on years from mid-2025 alone, by least squares."""
    prices, years, abilities = [], [], []
    listed = {row["base"]: row for row in _read(source / "models.csv")}
    for row in _read(source / "ability.csv"):
        blended = float(row["blended_3to1_usd_per_1m"] or 0)
        from_litellm = listed[row["base"]]["price_source"].startswith("litellm")
        at = years_from_middle(row["release_date"])
        if blended > 0 and at is not None and from_litellm and int(row["n_bench"]) >= 5:
            prices.append(math.log10(blended))
            years.append(at)
            abilities.append(float(row["g"]))
    found = {}
    for name, xs in (("price", prices), ("date", years)):
        slope, const = statistics.linear_regression(xs, abilities)
        found[name] = (round(const, 3), round(slope, 3))
    return found


def main(arguments: list[str] | None = None) -> int:
    """Writes the file; 2 when the published tables are absent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=default_source())
    parser.add_argument("--out", type=Path, default=SHIPPED)
    parser.add_argument("--as-of", default=AS_OF, metavar="DATE", help="the day that the tables are of")
    parser.add_argument("--fits", action="store_true")
    options = parser.parse_args(arguments)
    if not (options.source / "ability.csv").is_file():
        print(f"No published tables in {options.source}: set OFOX_BENCH_DATA or --source. Nothing was written.")
        return 2
    if options.fits:
        print(fits(options.source))
        return 0
    tables = build(options.source, options.as_of)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(encode(tables))
    print(f"{options.out}: {len(tables.models)} models, {sum(map(len, tables.keys.values()))} keys")
    for entry in tables.shortlist:
        print(f"  {entry.name}")
    return 0


def encode(tables: Tables) -> bytes:
    """Compact JSON with one model a line, so that a change of one model is a change of one line."""
    encoded = msgspec.json.encode
    parts = []
    for field in tables.__struct_fields__:
        value = getattr(tables, field)
        text = encoded(value)
        if isinstance(value, dict):
            rows = b",\n".join(encoded(key) + b":" + encoded(row) for key, row in value.items())
            text = b"{\n" + rows + b"\n}"
        parts.append(encoded(field) + b":" + text)
    return b"{\n" + b",\n".join(parts) + b"\n}\n"


if __name__ == "__main__":
    raise SystemExit(main())
