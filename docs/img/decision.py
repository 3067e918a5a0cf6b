"""Draws decision.svg, the picture of how a decision is made, from a real decision: ``python docs/img/decision.py``."""

from __future__ import annotations

import html
from pathlib import Path

from ofox_middleware import Settings, SmartRouter
from ofox_middleware.decision import Candidate, Decision
from ofox_middleware.simulated import POOL

ASK = "Prove from the diagram that the two triangles are similar, and find the area of the shaded region."
WIDTH, ROW, TOP = 980, 40, 208
STEPS = (
    ("1  Can it?", "inputs, window, cost cap,", "rights of the caller", 150),
    ("2  How well?", "ability against difficulty", "x recent success", 318),
    ("3  At what cost?", "tokens x prices, cached", "input counted", 480),
    ("4  How soon?", "time to first token, rate,", "load now", 646),
    ("5  Score", "by the preference", "", 796),
)
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 11.5px; fill: #59636e; }
  .head { font-weight: 600; }
  .card { fill: #fff; stroke: #d1d9e0; }
  .back { fill: #f6f8fa; }
  .pick { fill: #fff1e8; stroke: #bc4c00; }
  .accent { fill: #bc4c00; font-weight: 600; }
  .bad { fill: #cf222e; }
  .dim { opacity: .5; }
  .bar { fill: #bc4c00; }
  .line { stroke: #9a6700; fill: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; } .card { fill: #151b23; stroke: #3d444d; }
    .back { fill: #0d1117; } .pick { fill: #3b2010; stroke: #f0883e; } .accent { fill: #f0883e; }
    .bad { fill: #ff7b72; } .bar { fill: #f0883e; } .line { stroke: #d29922; }
  }
"""


def decide() -> Decision:
    """A question about a picture, while the strongest model of the demo's pool is down."""
    router = SmartRouter(Settings(models=[model.card for model in POOL], seed=1, share_within=0))
    for _ in range(6):
        router.health.record_failure("north/titan", status=503)
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/triangles.png"}}
    content = [{"type": "text", "text": ASK}, picture]
    return router.decide({"model": "auto", "messages": [{"role": "user", "content": content}]})


def text(x: float, y: float, said: str, style: str = "") -> str:
    """A line of text whose baseline begins at ``x``, ``y``."""
    return f'<text x="{x}" y="{y}" class="{style}">{html.escape(said).replace("-0", "−0")}</text>'


def row(candidate: Candidate, number: int, decision: Decision) -> list[str]:
    """One candidate: what each step says of it."""
    y = TOP + number * ROW
    picked = candidate.name == decision.model
    middle = y + 22
    drawn = [
        f'<rect class="{"pick" if picked else "card"}" x="16" y="{y}" width="{WIDTH - 32}" height="{ROW - 8}" rx="6"/>',
        text(32, middle, candidate.name, "accent" if picked else "head"),
    ]
    can, quality, cost, time, score = (step[3] for step in STEPS)
    if candidate.status == "skipped":
        return ['<g class="dim">', *drawn, text(can, middle, f"skipped: {candidate.reason}"), "</g>"]
    drawn.append(text(can, middle, "yes"))
    assert candidate.quality is not None and candidate.time_s is not None and candidate.score is not None
    drawn += [
        f'<rect class="bar" x="{quality}" y="{y + 12}" width="{candidate.quality * 60:.0f}" height="8" rx="4"/>',
        text(quality + 68, middle, f"{candidate.quality:.2f}"),
        text(cost, middle, f"${candidate.cost_usd:.5f}"),
        text(time, middle, f"{candidate.time_s:.1f} s"),
    ]
    if candidate.reason:
        drawn.append(text(score, middle, f"demoted: {candidate.reason}", "bad"))
    else:
        drawn.append(
            text(score, middle, f"{candidate.score:.3f}{'  picked' if picked else ''}", "accent" if picked else "")
        )
    return drawn


def picture(decision: Decision) -> str:
    """The whole SVG."""
    detail = decision.difficulty_detail
    because = ", ".join(f"{name} {weight:+.2f}" for name, weight in detail.evidence[:3])
    height = TOP + len(decision.candidates) * ROW + 60
    fallbacks = ", then ".join(decision.ranking[1:])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="How a decision is made">',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}" rx="8"/>',
        f'<rect class="card" x="16" y="16" width="{WIDTH - 32}" height="86" rx="8"/>',
        text(32, 40, '"model": "auto"', "accent"),
        text(150, 40, f"“{ASK}”"),
        text(32, 62, f"with a picture, about {decision.input_tokens:,} tokens in and {decision.output_tokens} out; "
             f"preference {decision.preference}", "small"),
        text(32, 86, f"difficulty {decision.difficulty:.2f} of 1", "head"),
        text(170, 86, f"because of {because}", "small"),
        f'<path class="line" d="M {WIDTH / 2} 102 v 22 m -5 -6 l 5 6 l 5 -6"/>',
        text(32, 150, "Candidate", "head"),
    ]  # fmt: skip
    for title, first, second, x in STEPS:
        parts += [text(x, 150, title, "head"), text(x, 168, first, "small"), text(x, 184, second, "small")]
    for number, candidate in enumerate(decision.candidates):
        parts += row(candidate, number, decision)
    at = TOP + len(decision.candidates) * ROW + 22
    parts += [
        text(32, at, f"{decision.model} gets the request.", "accent"),
        text(
            32,
            at + 22,
            f"Should it fail before its first byte: {fallbacks}. How it went feeds steps 2 and 4 of the next decision.",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    target = Path(__file__).with_suffix(".svg")
    target.write_text(picture(decide()), "utf-8")
