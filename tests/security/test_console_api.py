"""The console's API against its own description, with requests that a generator thinks of."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

from ofox_middleware.cards import ModelCard
from ofox_middleware.console import API, Console, console
from ofox_middleware.decision import Outcome
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.asgi.server import serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the library and its own libraries deprecate is theirs
    import schemathesis
    from schemathesis import GenerationMode

pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
DESCRIPTION: dict[str, Any] = json.loads(API)
# A stream of fifteen seconds has nothing for a generator, and tests of its own.
GENERATED = schemathesis.openapi.from_dict(DESCRIPTION).exclude(path="/api/events")
OPERATIONS = {operation.label: operation for operation in (found.ok() for found in GENERATED.get_all_operations())}


def page() -> Console:
    """A console with a decision in its log."""
    cards = [ModelCard(name=name, ability=0.5, input_cost_per_token=1e-6, output_cost_per_token=1e-6) for name in "ab"]
    router = SmartRouter(Settings(models=cards, seed=1))
    made = console(router)
    decision = router.decide({"model": "auto", "messages": [{"role": "user", "content": "Hi"}]})
    router.report(Outcome(decision, model=decision.model, ok=True, status=200, attempts=(decision.model,)))
    return made


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(page()) as url:
        yield url


def test_the_description_is_served_and_whole(url: str) -> None:
    """Every route of the API is in the description that the console serves, and nothing else is."""
    served = httpx.get(f"{url}/api/openapi.json").json()
    assert served == DESCRIPTION
    known = {(path, method.upper()) for path, methods in served["paths"].items() for method in methods}
    routes = {
        (route.path, method)
        for route in page()._app._app.routes
        for method in (route.methods or ())
        if method != "HEAD"
    }
    assert known == {(path, method) for path, method in routes if path.startswith("/api/")} - {
        ("/api/openapi.json", "GET")
    }


@pytest.mark.parametrize(
    ("label", "mode"),
    [
        *((label, GenerationMode.POSITIVE) for label in OPERATIONS),
        # A request without a body cannot be wrong: every query is a string.
        *((label, GenerationMode.NEGATIVE) for label in OPERATIONS if label.startswith("POST")),
    ],
)
def test_every_answer_is_as_described(label: str, mode: GenerationMode, url: str) -> None:
    """Right and wrong requests get an answer that the description allows: its status, its type, its fields."""
    cases = OPERATIONS[label].as_strategy(generation_mode=mode)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(cases)
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=url)

    ask()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/api/explain", "/api/feedback", "/api/reload"])
def test_other_methods_are_refused(url: str, path: str, method: str) -> None:
    """What changes something is a POST and nothing else."""
    assert httpx.request(method, url + path, headers={"content-type": "application/json"}).status_code == 405
