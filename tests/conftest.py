"""For every test."""

from __future__ import annotations

import gc
import signal
import warnings
from collections.abc import Iterator

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it runs in the background deaf to Ctrl-C, children inherit that, and some tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def leftovers_of_litellm(request: pytest.FixtureRequest) -> Iterator[None]:
    """LiteLLM leaves connections open; they are put away with its tests, so that no later test is blamed for them."""
    yield
    if request.module.__name__.startswith("tests.litellm") or hasattr(request.module, "litellm"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
