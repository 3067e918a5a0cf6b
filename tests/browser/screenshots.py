"""Makes the pictures of the console in the docs: ``python -m tests.browser.screenshots [DIRECTORY]``.

They show the demo in steady traffic, with one provider taken down on the way and another one at its limit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ofox_middleware.demo import Demo
from ofox_middleware.server import background, listen
from tests.browser.chromium import browsing, missing

DOCS = Path(__file__).parent.parent.parent / "docs" / "img"
PROMPT = "Prove that the square root of 2 is irrational, then generalise the proof to every non-square integer."


def main(directory: Path = DOCS, *, before_s: float = 100, after_s: float = 14) -> list[Path]:
    """Makes the pictures and returns where they are."""
    directory.mkdir(parents=True, exist_ok=True)
    demo, listener = Demo(), listen("127.0.0.1", 0)
    with background(demo.app, listener, stopping=demo.console.stop), browsing(height=1330) as page:
        page.goto(f"http://127.0.0.1:{listener.getsockname()[1]}/ofox/")
        page.get_by_role("button", name="Steady traffic").click()
        page.wait_for_timeout(1000 * before_s)
        page.get_by_role("group", name="north").get_by_role("radio", name="down").check()
        page.wait_for_timeout(1000 * after_s)
        page.get_by_role("group", name="pebble").get_by_role("radio", name="limited").check()
        page.locator("tr[data-model='pebble/mini'][data-state='open']").wait_for()
        page.get_by_label("Prompt", exact=True).fill(PROMPT)
        page.get_by_role("button", name="Explain").click()
        page.locator(".verdict").wait_for()
        _open_one(page)
        return [_picture(page, directory / f"console-{scheme}.png", scheme) for scheme in ("light", "dark")]


def _open_one(page: Any) -> None:
    """Opens a decision in which a model failed and another answered."""
    page.get_by_role("button", name="Pause").click()
    fallen = page.locator(".decisions li", has_text="fallback").first
    (fallen if fallen.count() else page.locator(".decisions li").first).locator(".line").click()
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def _picture(page: Any, path: Path, scheme: str) -> Path:
    page.emulate_media(color_scheme=scheme)
    page.wait_for_timeout(400)
    page.screenshot(path=path)
    return path


if __name__ == "__main__":
    if missing():
        sys.exit(missing())
    for made in main(*map(Path, sys.argv[1:2])):
        print(made)
