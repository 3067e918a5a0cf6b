"""A real browser: Debian's Chromium driven by Playwright, with no network but loopback."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE_MS = 20_000
EXECUTABLE = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
    # Whatever is not loopback does not resolve: a page that needs the network would be seen to be broken.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


def missing() -> str:
    """Why there is no browser; empty when there is one."""
    if not os.access(EXECUTABLE, os.X_OK):
        return "no Chromium: apt-get install chromium"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "no Playwright: pip install playwright (its own browsers are not needed)"
    return ""


@contextmanager
def browsing(width: int = 1440, height: int = 1000, *, dark: bool = False, scale: float = 1) -> Iterator[Any]:
    """A page in a fresh profile."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=EXECUTABLE,
            args=FLAGS,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            device_scale_factor=scale,
        )
        try:
            yield context.pages[0]
        finally:
            context.close()


def expect(found: Any) -> Any:
    """Assertions about what ``found`` locates, which wait until they hold: a page is drawn a moment after its news."""
    from playwright.sync_api import expect as waiting

    waiting.set_options(timeout=PATIENCE_MS)
    return waiting(found)
