"""The Grafana dashboard and the scrape configuration of the observability example, against what is really exported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Outcome
from ofox_middleware.metrics import Metrics
from ofox_middleware.router import SmartRouter
from ofox_middleware.server import background, listen
from ofox_middleware.settings import Settings
from tests.litellm.upstream import free_port

FOLDER = Path(__file__).parent.parent / "examples" / "observability"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text("utf-8"))
QUERIES = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
CARDS = [
    ModelCard(name="a/large", ability=0.9, input_cost_per_token=1e-5, output_cost_per_token=5e-5),
    ModelCard(name="b/small", ability=0.5, input_cost_per_token=1e-7, output_cost_per_token=4e-7),
]
ASK = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "stream": True}

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="apt-get install prometheus",
)


class Busy:
    """A router in which everything that is counted happens."""

    def __init__(self) -> None:
        self.router = SmartRouter(Settings(models=CARDS))
        self.metrics = Metrics(self.router)

    def turn(self) -> None:
        """One answer, one rescued by a fallback, one failure."""
        for attempts, ok in ((("b/small",), True), (("b/small", "a/large"), True), (("a/large",), False)):
            decision = self.router.decide(ASK)
            status = 200 if ok else 503
            self.router.health.record_success(attempts[-1], ttft_s=0.3, total_s=1.0, output_tokens=40)
            self.router.report(Outcome(decision, attempts[-1], ok, status, attempts, 0.3, 1.0, 40, None))


@pytest.fixture
def busy() -> Busy:
    pytest.importorskip("prometheus_client", reason="pip install 'ofox-middleware[metrics]'")
    made = Busy()
    made.turn()
    return made


def exposition(busy: Busy) -> str:
    from prometheus_client import generate_latest

    text: str = generate_latest(busy.metrics.registry).decode()
    return text


def test_every_query_asks_for_a_metric_that_is_exported(busy: Busy) -> None:
    """Each name in the dashboard's queries, and each label they match on, is in the exposition."""
    told = exposition(busy)
    for title, query in QUERIES:
        names = re.findall(r"ofox_\w+", query)
        assert names, title
        for name in names:
            assert re.search(rf"^{name}[{{ ]", told, re.MULTILINE), f"{title}: {name} is not exported"
        for name, labels in re.findall(r"(ofox_\w+)\{([^}]*)\}", query):
            for label in re.findall(r"(\w+)=", labels):
                assert re.search(rf"^{name}\{{[^}}]*\b{label}=", told, re.MULTILINE), f"{title}: {name} has no {label}"


def test_grafanas_own_model_takes_the_dashboard_whole() -> None:
    """Read into Grafana's published model of a dashboard and written again, nothing is lost or changed."""
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason="pip install grafana-foundation-sdk")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    written = json.loads(JSONEncoder().encode(models.Dashboard.from_json(DASHBOARD)))
    assert _missing(DASHBOARD, written) == []


def _missing(wanted: Any, found: Any, place: str = "dashboard") -> list[str]:
    """Where ``found`` lacks something of ``wanted``, or has another value."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [place]
        return [lack for key, value in wanted.items() for lack in _missing(value, found.get(key), f"{place}.{key}")]
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return [place]
        pairs = zip(wanted, found, strict=True)
        return [lack for at, (one, other) in enumerate(pairs) for lack in _missing(one, other, f"{place}[{at}]")]
    return [] if wanted == found else [f"{place}: {wanted!r} became {found!r}"]


def test_panels_have_places_and_a_data_source() -> None:
    """Panels have ids of their own, stay within 24 columns without covering each other, and use the chosen source."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    source = next(name for name, variable in variables.items() if variable["type"] == "datasource")
    used = {item["datasource"]["uid"] for panel in panels for item in (panel, *panel.get("targets", []))}
    assert used <= {f"${{{source}}}", f"${source}"}


@needs_prometheus
def test_the_scrape_configuration_is_valid() -> None:
    """Prometheus's own tool accepts the example's configuration."""
    done = subprocess.run(
        ["promtool", "check", "config", str(FOLDER / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


@needs_prometheus
def test_names_and_help_are_as_prometheus_wants_them(busy: Busy) -> None:
    """Prometheus's own linter finds nothing wrong with the exposition."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=exposition(busy), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[httpx.Client]:
    """A real Prometheus that scrapes ``target`` every half second."""
    jobs = [{"job_name": "ofox", "metrics_path": "/metrics", "static_configs": [{"targets": [target]}]}]
    config = folder / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "500ms"}, "scrape_configs": jobs}))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}", "--log.level=error",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder) as process:
        try:
            with httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=10) as client:
                yield client
        finally:
            process.terminate()
            process.wait(20)


@needs_prometheus
def test_every_query_has_an_answer_in_a_real_prometheus(busy: Busy, tmp_path: Path) -> None:
    """Scraped by Prometheus, each of the dashboard's queries returns data, and the variable lists the models."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    with background(busy.metrics.app(), listener), prometheus(f"127.0.0.1:{port}", tmp_path) as client:

        def answer(query: str) -> list[Any]:
            for variable, value in (("$__rate_interval", "20s"), ("$__range", "20s"), ("$model", ".*")):
                query = query.replace(variable, value)
            try:
                told = client.get("/api/v1/query", params={"query": query}).json()
            except httpx.TransportError:
                return []  # it starts
            assert told["status"] == "success", f"{query}: {told}"
            return list(told["data"]["result"])

        until = time.monotonic() + 60
        waiting = QUERIES
        while waiting:
            assert time.monotonic() < until, f"no data for {waiting}"
            busy.turn()
            time.sleep(0.5)
            waiting = [(title, query) for title, query in waiting if not answer(query)]
        models = {row["metric"]["model"] for row in answer("ofox_model_state")}
        assert models == {"a/large", "b/small"}
