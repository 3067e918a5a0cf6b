"""The tables that ship: abilities, speeds and prices of known models, and the shortlist. Read-only data.

``benchmarks/tables/build.py`` writes them; NOTICE names the sources.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

SHIPPED: Final = Path(__file__).parent / "data" / "catalogue.json"


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model, whoever serves it.

    Attributes:
        key: its own key in LiteLLM's model map.
        maker: who made it; ``""`` when not known.
        released: ISO date.
        usd: list price of input and output, USD per million tokens.
        g: overall ability, standard normal over the catalogued models; ``None`` when nobody measured it.
        se: standard error of ``g``.
        n: number of score series behind ``g``.
        offsets: per domain of :data:`~ofox_middleware.types.DOMAINS`, ability there minus ``g``, unshrunk.
        counts: per domain, the number of score series.
        gap: how much of ``g`` is lost without reasoning.
        effort: the effort that its API applies when a request names none; ``""`` when not known.
    """

    key: str
    maker: str = ""
    released: str = ""
    usd: tuple[float, float] | None = None
    g: float | None = None
    se: float = 0.0
    n: int = 0
    offsets: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    gap: float | None = None
    effort: str = ""

    @property
    def blended_usd(self) -> float | None:
        """USD per million tokens, three parts input to one part output; ``None`` when the price is unknown or zero."""
        if self.usd is None:
            return None
        return (3 * self.usd[0] + self.usd[1]) / 4 or None


class MakerSpeed(msgspec.Struct, frozen=True):
    """Medians over a maker's models: seconds to the first answer token without and with reasoning, and the rate."""

    ttft_s: float
    reasoning_ttft_s: float
    tokens_per_s: float


class Shortlisted(msgspec.Struct, frozen=True):
    """One model of the shortlist: the name to request and the variables of which one must hold an API key."""

    name: str
    keys: tuple[str, ...]


class Tables(msgspec.Struct, frozen=True):
    """Everything in the shipped file.

    Attributes:
        as_of: ISO date of the newest source.
        how: how the abilities, speeds and the shortlist were made, in words.
        ceiling: highest well-supported ability per domain; thinner rows are clipped to it.
        models: rows by base name.
        keys: for each base name, the LiteLLM keys that serve it.
        speeds: for each base name, measured (effort share 0..1, seconds to first answer token, tokens per second).
        advertised: tokens per second that a fast host advertises, by provider and base name; ``""`` its median.
        makers: medians by maker; ``""`` holds the median over all.
        families: first part of a model's name -> maker.
        shortlist: current models worth routing between, by provider and price.
    """

    as_of: str
    how: str
    ceiling: tuple[float, ...]
    models: dict[str, Row]
    keys: dict[str, list[str]]
    speeds: dict[str, list[tuple[float, float, float]]]
    advertised: dict[str, dict[str, float]]
    makers: dict[str, MakerSpeed]
    families: dict[str, str]
    shortlist: list[Shortlisted]


def read_tables(path: Path = SHIPPED) -> Tables:
    """The tables in ``path``.

    Raises:
        OSError: the file cannot be read.
        msgspec.ValidationError: it is not a tables file.
    """
    return msgspec.json.decode(path.read_bytes(), type=Tables)
