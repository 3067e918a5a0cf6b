"""The shipped tables: what they hold, how small they are, and that they can be made again."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from benchmarks.tables import build, choices, shortlist
from ofox_middleware.abilities import DATE_ONLY, PRICE_ONLY, measured
from ofox_middleware.tables import SHIPPED, Row, Tables, read_tables
from ofox_middleware.types import DOMAINS

needs_source = pytest.mark.skipif(
    not (build.default_source() / "ability.csv").is_file(), reason="the published tables are not here (OFOX_BENCH_DATA)"
)


@pytest.fixture(scope="module")
def shipped() -> Tables:
    """The tables in the wheel."""
    return read_tables()


def test_the_wheel_stays_small() -> None:
    """The whole catalogue is well under 300 KB."""
    assert SHIPPED.stat().st_size < 200_000


def test_the_tables_are_consistent(shipped: Tables) -> None:
    """Keys, speeds and makers refer to models that are there, and every per-domain value has its domain."""
    assert len(shipped.ceiling) == len(DOMAINS)
    assert set(shipped.keys) <= set(shipped.models)
    assert set(shipped.speeds) <= set(shipped.models)
    assert "" in shipped.makers
    for base, row in shipped.models.items():
        assert len(row.offsets) == len(row.counts)
        assert len(row.offsets) in {0, len(DOMAINS)}, base
        assert row.effort in {"", *build.VARIANT_SHARES, "none"}
        assert row.gap is None or 0 <= row.gap < 2


def test_no_key_serves_two_models(shipped: Tables) -> None:
    """A key of LiteLLM's map has one base."""
    keys = [key for listed in shipped.keys.values() for key in listed]
    assert len(keys) == len(set(keys)) > 1500


def test_speeds_are_plausible(shipped: Tables) -> None:
    """Ordered by effort, positive, rounded to two digits; the overall medians are finite."""
    for base, rows in shipped.speeds.items():
        shares = [share for share, _, _ in rows]
        assert shares == sorted(set(shares)), base
        for share, ttft_s, tokens_per_s in rows:
            assert 0 <= share <= 1
            assert ttft_s == build._rounded(ttft_s) > 0
            assert tokens_per_s == build._rounded(tokens_per_s) > 0
    for maker in shipped.makers.values():
        assert all(
            math.isfinite(value) and value > 0 for value in (maker.ttft_s, maker.reasoning_ttft_s, maker.tokens_per_s)
        )


def test_the_ceiling_is_set_by_well_supported_models(shipped: Tables) -> None:
    """In each domain some model with twenty series or more is at the ceiling, and none above it."""
    supported = [abilities for row in shipped.models.values() if row.n >= 20 and (abilities := measured(row))]
    for domain, top in enumerate(shipped.ceiling):
        assert max(abilities[domain] for abilities in supported) == pytest.approx(top, abs=0.001)


def test_the_makers_words_are_in_the_file(shipped: Tables) -> None:
    """The file itself says how it was made, and NOTICE names the sources."""
    assert "Pareto" in shipped.how
    notice = (Path(__file__).parents[1] / "NOTICE").read_text(encoding="utf-8")
    for source in ("artificialanalysis.ai", "LMArena", "LiveBench", "Epoch AI", "Berkeley", "Aider", "LiteLLM"):
        assert source in notice


def test_a_blended_price_is_three_to_one() -> None:
    """Three parts input to one part output, USD per million; a price of nothing is none."""
    assert Row(key="x", usd=(1.0, 5.0)).blended_usd == 2.0
    assert Row(key="x", usd=(0.0, 0.0)).blended_usd is None
    assert Row(key="x").blended_usd is None


def test_a_file_in_another_form_is_refused(tmp_path: Path) -> None:
    """A file that is not ours fails at once and says where."""
    path = tmp_path / "tables.json"
    path.write_text(json.dumps({"as_of": 3}))
    with pytest.raises(msgspec.ValidationError):
        read_tables(path)
    with pytest.raises(OSError, match="absent"):
        read_tables(tmp_path / "absent.json")


# -- making them


@needs_source
def test_the_same_source_makes_the_same_bytes() -> None:
    """What ships is what the command makes from the published tables."""
    assert build.encode(build.build(build.default_source())) == SHIPPED.read_bytes()


@needs_source
def test_the_quoted_lines_are_those_of_the_source() -> None:
    """The price-only and date-only lines in the code are the fits to the published rows."""
    assert build.fits(build.default_source()) == {"price": PRICE_ONLY, "date": DATE_ONLY}


HEADS = {
    "models.csv": "model,base,creator,release_date,input_usd_per_1m,output_usd_per_1m,price_source",
    "litellm_key_map.csv": "litellm_key,base,canonical_model",
    "ability_nonreasoning.csv": "model,base,g_nonreasoning,g_best,n_bench",
    "speed.csv": "model,provider,ttft_s,output_tokens_per_s,kind,variant,ttfat_s",
}
ROWS = {
    "models.csv": [
        "gpt-8,gpt-8,OpenAI,2026-02-03,2,8,litellm:gpt-8",
        "gpt-8-nano,gpt-8-nano,,,0.1,0.4,litellm:gpt-8-nano",
        "x/qwen,qwen,,,,,",
        "fireworks/glm-4p7,glm-4p7,Z AI,2025-12-22,1,1,litellm:x",
        "zai/glm-4.7,glm-4-7,Z AI,2025-12-22,1,1,litellm:x",
    ],
    "litellm_key_map.csv": [
        "gpt-8,gpt-8,gpt-8",
        "gpt-8-nano,gpt-8-nano,gpt-8-nano",
        "azure/gpt-8-nano-2026-05-06,gpt-8-nano,gpt-8-nano",
        "fireworks/glm-4p7,glm-4p7,x",
        "zai/glm-4.7,glm-4-7,x",
        "x/qwen,qwen,x",
    ],
    "ability_nonreasoning.csv": ["gpt-8,gpt-8,0.5,1.0,10"],
    "speed.csv": [
        "gpt-8,aa,9,100,measured_p50,high,21",
        "gpt-8,aa,0.81,104,measured_p50,non-reasoning,0.81",
        'gpt-8,aa,0.83,108,measured_p50,"non-reasoning, low effort",0.83',
        "gpt-8,gateway,,40,e2e_256tok_nonstream,,",
        "gpt-8-nano,aa,1.0,200,measured_p50,,1.0",
        "zai/glm-4.7,aa,1.0,77,measured_p50,,30",
        "unlisted,aa,1.0,77,measured_p50,,30",
        "groq/qwen3.8-27b,groq,,500,advertised,,",
    ],
}


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """A few invented rows in the published form."""
    domains = ",".join(f"{domain},{domain}_se,{domain}_n" for domain in DOMAINS)
    scores = "1.2,0.1,4," + ",".join([",,"] * (len(DOMAINS) - 1))
    (tmp_path / "ability.csv").write_text(
        f"model,base,release_date,blended_3to1_usd_per_1m,g,g_se,n_bench,{domains}\n"
        f"gpt-8,gpt-8,2026-02-03,3.5,1.0,0.03,50,{scores}\n"
        f"gpt-8-nano,gpt-8-nano,,0.175,0.4,0.03,30,{scores}\n"
        f"glm,glm-4-7,2025-12-22,1,0.7,0.03,30,{scores}\n"
    )
    for name, head in HEADS.items():
        (tmp_path / name).write_text("\n".join([head, *ROWS[name]]) + "\n")
    yield tmp_path


def test_rows_become_models(source: Path) -> None:
    """Scores as offsets from the overall ability, the gap, and a maker and a date where the source has none."""
    tables = build.build(source)
    model = tables.models["gpt-8"]
    assert (model.g, model.se, model.n, model.usd, model.gap) == (1.0, 0.03, 50, (2.0, 8.0), 0.5)
    assert (model.offsets[0], model.counts[0], model.counts[1]) == (0.2, 4, 0)
    nano = tables.models["gpt-8-nano"]
    assert (nano.maker, nano.released, nano.gap) == ("OpenAI", "2026-05-06", None)


def test_doubles_are_merged_and_moving_aliases_dropped(source: Path) -> None:
    """The keys of a double serve the model itself; a dropped base leaves nothing behind."""
    tables = build.build(source)
    assert "glm-4p7" not in tables.models
    assert tables.keys["glm-4-7"] == ["fireworks/glm-4p7", "zai/glm-4.7"]
    assert "qwen" not in tables.models
    assert "qwen" not in tables.keys


def test_speeds_are_medians_per_effort(source: Path) -> None:
    """Measured kinds only, by what the answer waited for; an unnamed variant reasons when it answers late."""
    tables = build.build(source)
    assert tables.speeds["gpt-8"] == [(0.0, 0.82, 110.0), (0.95, 21.0, 100.0)]
    assert tables.speeds["gpt-8-nano"] == [(0.0, 1.0, 200.0)]
    assert tables.speeds["glm-4-7"] == [(0.95, 30.0, 77.0)]
    assert tables.advertised == {"groq": {"": 500.0, "qwen3-8-27b": 500.0}}


def test_a_maker_needs_three_rows_for_a_median(source: Path) -> None:
    """With fewer the overall median serves; what a maker lacks it takes from the overall one."""
    makers = build.build(source).makers
    assert set(makers) == {"", "OpenAI"}
    assert makers["OpenAI"].reasoning_ttft_s == 21.0
    plain_only = build._medians([(0.0, 1.0, 50.0)], makers[""])
    assert plain_only.reasoning_ttft_s == makers[""].reasoning_ttft_s


def test_the_command_writes_the_file(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it wrote; twice the same input gives the same bytes."""
    out = tmp_path / "data" / "catalogue.json"
    assert build.main(["--source", str(source), "--out", str(out)]) == 0
    first = out.read_bytes()
    assert "3 models" in capsys.readouterr().out
    assert build.main(["--source", str(source), "--out", str(out)]) == 0
    assert out.read_bytes() == first
    assert set(read_tables(out).models) == {"gpt-8", "gpt-8-nano", "glm-4-7"}


def test_the_command_prints_the_fits(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--fits`` shows the lines and writes nothing."""
    assert build.main(["--source", str(source), "--fits"]) == 0
    assert "price" in capsys.readouterr().out


def test_without_the_published_tables_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the variable and the option, and leaves the shipped file alone."""
    before = SHIPPED.read_bytes()
    assert build.main(["--source", str(tmp_path)]) == 2
    assert "OFOX_BENCH_DATA" in capsys.readouterr().out
    assert SHIPPED.read_bytes() == before


def test_the_source_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``OFOX_BENCH_DATA`` points at the data, with a place beside the repository as default."""
    monkeypatch.setenv("OFOX_BENCH_DATA", "/data")
    assert build.default_source() == Path("/data/abilities")
    monkeypatch.delenv("OFOX_BENCH_DATA")
    assert build.default_source() == Path("../shared/data/abilities")


# -- the shortlist


def offer(price: float, ability: float, name: str = "", series: int = 50) -> shortlist.Offer:
    return shortlist.Offer(price, ability, name or f"{price}/{ability}", series)


def test_only_the_frontier_is_offered() -> None:
    """A model that a cheaper or equally dear one beats is not worth routing to."""
    offers = [offer(0, 1), offer(0.1, 0.9), offer(0.2, 1.2), offer(0.2, 1.3), offer(0.3, 1.3)]
    assert shortlist._frontier(sorted(offers)) == [offer(0, 1), offer(0.2, 1.3)]


def test_the_best_supported_model_always_has_a_place() -> None:
    """Thin rows may lead the frontier, but no provider stands on them alone."""
    offers = sorted([offer(0.0, 0.5, "cheap"), offer(0.3, 1.5, "thin", series=1), offer(0.5, 1.4, "sound")])
    assert [chosen.name for chosen in shortlist._best(offers, 1)] == ["sound"]
    assert [chosen.name for chosen in shortlist._best(offers, 3)] == ["cheap", "thin", "sound"]


def test_without_a_well_supported_model_the_frontier_serves() -> None:
    """A provider of newcomers still gets its places; one of nothing gets none."""
    offers = sorted([offer(0.0, 0.5, "a", series=1), offer(0.3, 1.5, "b", series=2)])
    assert [chosen.name for chosen in shortlist._best(offers, 3)] == ["a", "b"]
    assert shortlist._best([], 3) == []


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        ({}, True),
        ({"released": "2025-07-31"}, False),
        ({"usd": None}, False),
        ({"usd": (30.0, 30.0)}, False),
        ({"maker": "Somebody"}, False),
    ],
)
def test_only_current_affordable_models_are_listed(change: dict[str, object], taken: bool) -> None:
    """Released since the summer of 2025, priced, at most twenty dollars, of the provider's own making."""
    row = msgspec.structs.replace(Row(key="x", maker="OpenAI", released="2026-01-01", usd=(1.0, 1.0)), **change)
    assert shortlist._is_current("gpt-8", row, shortlist.PROVIDERS[0]) is taken


def test_variants_for_one_purpose_are_not_listed() -> None:
    """A coding tune of a listed model adds nothing to a choice by difficulty."""
    row = Row(key="x", maker="OpenAI", released="2026-01-01", usd=(1.0, 1.0))
    assert not shortlist._is_current("gpt-8-codex", row, shortlist.PROVIDERS[0])


def test_the_shortest_undated_name_is_requested() -> None:
    """Not a snapshot, not a region, and in the provider's own spelling."""
    bare, prefixed = shortlist.PROVIDERS[0], replace(shortlist.PROVIDERS[2], name="gemini")
    keys = ["gpt-8", "gpt-8-2026-02-03", "azure/gpt-8", "us.openai.gpt-8", "gpt-8@1"]
    assert shortlist._name(keys, bare) == "gpt-8"
    assert shortlist._name(["gemini/gemini-9-preview", "gemini-9", "gemini/gemini-9"], prefixed) == "gemini-9"
    assert shortlist._name(["azure/gpt-8"], bare) is None


def test_a_model_without_scores_is_not_offered(source: Path) -> None:
    """Price and date are a guess, and no reason to recommend a model."""
    tables = build.build(source)
    assert shortlist._ability(Row(key="x"), tables) is None
    listed = {entry.name for entry in tables.shortlist}
    assert {"openai/gpt-8", "openai/gpt-8-nano"} <= listed
    assert {f"openrouter/{slug}" for slug in shortlist.OPENROUTER} <= listed


def test_every_choice_names_something_real(shipped: Tables) -> None:
    """Merged, dated and defaulted bases exist in the tables, so that no correction is a dead letter."""
    assert set(choices.ALIASES.values()) <= set(shipped.models)
    assert not set(choices.ALIASES) & set(shipped.models)
    assert set(choices.RELEASED) <= set(shipped.models)
    assert set(choices.EFFORTS) <= set(shipped.models)
    assert set(choices.FAMILIES.values()) <= {row.maker for row in shipped.models.values()}


@needs_source
def test_newer_tables_make_a_newer_catalogue(tmp_path: Path) -> None:
    """A refresh from changed tables takes on the change and the day, and leaves every other model as it was."""
    for file in build.default_source().glob("*.csv"):
        text = file.read_text("utf-8")
        if file.name == "ability.csv":
            head, *lines = text.splitlines()
            at = head.split(",").index("g")
            cells = [line.split(",") for line in lines]
            for row in cells:
                if row[1] == "gpt-4o":
                    row[at] = "1.75"
            text = "\n".join([head, *map(",".join, cells)]) + "\n"
        (tmp_path / file.name).write_text(text, "utf-8")
    out = tmp_path / "catalogue.json"
    assert build.main(["--source", str(tmp_path), "--out", str(out), "--as-of", "2027-02-01"]) == 0
    old, new = read_tables(), read_tables(out)
    assert new.as_of == "2027-02-01"
    assert [name for name, row in new.models.items() if row != old.models[name]] == ["gpt-4o"]
    assert new.models["gpt-4o"].g == 1.75
