"""For every test."""

from __future__ import annotations

import gc
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from ofox_middleware.health import HealthBook
from tests.health_tools import HandClock, a_book
from tests.redis_server import RedisServer

# Tests that mostly wait for processes of their own: they begin first, so that none is left over at the end.
PATIENT = ("tests/litellm/", "tests/test_demo", "tests/gateway/", "tests/browser/", "tests/docs/", "tests/arena/")

# LiteLLM's door in depth takes as long as all other tests together: `make test` and `make contract` run these, on every
# release of LiteLLM that is supported, `make cover` does not.
CONTRACT = tuple(
    f"tests/litellm/{name}.py"
    for name in ("database/test_models", "database/test_spend", "test_proxy_wildcards", "test_litellm_usage")
)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it runs in the background deaf to Ctrl-C, children inherit that, and some tests send it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the long tests. Tests that mostly wait begin first where several processes run them, one by one."""
    for item in items:
        if item.nodeid.startswith(CONTRACT):
            item.add_marker(pytest.mark.contract)
    if hasattr(config, "workerinput"):
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    on_proxy = "proxy_process" in getattr(item, "fixturenames", ())
    return 0 if on_proxy else next((at for at, start in enumerate(PATIENT, 1) if item.nodeid.startswith(start)), 99)


@pytest.fixture(scope="module", autouse=True)
def leftovers_of_litellm(request: pytest.FixtureRequest) -> Iterator[None]:
    """LiteLLM leaves connections open; they are put away with its tests, so that no later test is blamed for them."""
    yield
    if request.module.__name__.startswith(("tests.litellm", "tests.gateway")) or hasattr(request.module, "litellm"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis of its own for each test."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def clock() -> HandClock:
    """Seconds that pass when the test says so."""
    return HandClock()


@pytest.fixture
def book(clock: HandClock) -> HealthBook:
    """A health book by that clock."""
    return a_book(clock)
