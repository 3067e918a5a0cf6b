"""A gateway over a provider on loopback: real LiteLLM, real clients, real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import litellm
import pytest

from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.gateway import LOOPBACK, create_app
from ofox_middleware.router import SmartRouter
from ofox_middleware.server import background, listen
from ofox_middleware.settings import Settings
from tests.gateway.tools import Site, card
from tests.litellm.upstream import Upstream, running_upstream


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    """The provider that every model of the pool is served by."""
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The provider, well and without memories."""
    provider.reset()
    return provider


@pytest.fixture
def site(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A gateway over three models of the upstream."""
    monkeypatch.setenv("HOUSE_KEY", "operators-own-key")
    cards = [
        card("house/large", upstream, ability=0.95, input_cost_per_token=5e-6, output_cost_per_token=2e-5,
             ttft_s=0.9, tokens_per_s=50),
        card("house/medium", upstream, ability=0.8, input_cost_per_token=1e-6, output_cost_per_token=4e-6,
             ttft_s=0.5, tokens_per_s=100),
        card("other/small", upstream, ability=0.6, input_cost_per_token=1e-7, output_cost_per_token=4e-7,
             ttft_s=0.1, tokens_per_s=300),
    ]  # fmt: skip
    router, log = SmartRouter(Settings(models=cards, seed=1)), DecisionStore()
    router.subscribe(log)
    listener = listen("127.0.0.1", 0)
    with background(create_app(router, trusted_hosts=LOOPBACK), listener):
        running = Site(f"http://127.0.0.1:{listener.getsockname()[1]}", router, log)
        yield running
        running.close()
    log.close()
    # LiteLLM's callbacks are the process's, and would go on feeding the health of a router that is gone.
    litellm.logging_callback_manager._reset_all_callbacks()
