"""What the documentation holds: its links, code blocks and commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Every code block in one of ``languages``, all of them without."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        found += [
            Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
            for match in _FENCE.finditer(text)
            if not languages or match[1] in languages
        ]
    return found


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures, those within code left out."""
    return _LINK.findall(_FENCE.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them in links."""
    prose = _FENCE.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def commands() -> dict[str, str]:
    """Every command of the console blocks, with the first place where it stands."""
    found: dict[str, str] = {}
    for block in blocks("console", "bash", "sh"):
        for command in _of(block.text):
            found.setdefault(command, block.where)
    return found


def _of(text: str) -> Iterator[str]:
    lines = re.sub(r" *\\\n\s*", " ", text).splitlines()
    prompted = [line[2:] for line in lines if line.startswith("$ ")]
    # Where a prompt is shown, what has none is output.
    for line in prompted or lines:
        command = re.sub(r"\s+#\s.*$", "", line).strip()
        if command and not command.startswith("#"):
            yield command


def inline(*starts: str) -> dict[str, str]:
    """Code within sentences and tables that begins with one of ``starts``, with the first page that has it."""
    found: dict[str, str] = {}
    for page in PAGES:
        for code in _INLINE.findall(_FENCE.sub("", page.read_text("utf-8"))):
            if code.startswith(starts):
                found.setdefault(code, str(page.relative_to(ROOT)))
    return found


def table(page: Path, heading: str) -> dict[str, list[str]]:
    """The rows of the first table whose header begins with ``heading``: the other cells by each name of the first."""
    lines = page.read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows: dict[str, list[str]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *rest = [cell.strip() for cell in line.strip("|").split(" | ")]
        for name in re.findall(r"`([^`]+)`", first):
            rows[name] = rest
    return rows
