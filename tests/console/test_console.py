"""The console's API: what it says, and that it keeps prompts and keys to itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.cards import ModelCard
from ofox_middleware.console import Console, console, for_settings
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.errors import SettingsError
from ofox_middleware.reload import Reloader
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.console.tools import ASK, PROMPT, TOKEN, Client, ended, new_router

# What it says ---------------------------------------------------------------------------------------------------------


def test_the_page_and_its_files_are_served(client: Client) -> None:
    """Every file that the page names is there, with its type."""
    html = client.get("/")
    assert html.headers["content-type"].startswith("text/html") and "Ofox console" in html.text
    for name, kind in (("main.js", "text/javascript"), ("console.css", "text/css"), ("fox.svg", "image/svg+xml")):
        assert name in html.text
        assert client.get(f"/{name}").headers["content-type"].startswith(kind)


def test_the_status_shows_each_model(router: SmartRouter, client: Client) -> None:
    """Every model of the pool has a row, sent to or not, with its state and prices, and never its parameters."""
    for _ in range(5):
        router.health.record_failure("a/strong", status=500)
    answer = client.get("/api/status")
    status = answer.json()
    strong, weak = status["models"]
    assert (strong["name"], strong["state"], strong["seen"]) == ("a/strong", "open", True)
    assert (weak["name"], weak["state"], weak["seen"], weak["in_flight"]) == ("b/weak", "closed", False, 0)
    assert weak["input_usd_per_m"] == 0.1 and weak["limit"] == 20 and weak["tokens_per_s"] > 0
    assert status["panic"] is True
    assert list(status["settings"]["profiles"]) == ["balanced", "quality", "speed", "cost"]
    assert "sk-operators-own" not in answer.text


def test_every_row_of_a_model_has_the_same_fields(router: SmartRouter, client: Client) -> None:
    """A client finds the same fields in each row, those that the API's description promises, used or not."""
    elsewhere = SmartRouter(Settings(models=[ModelCard(name="c/gone", ability=0.5)]))
    for decision in (router.decide(ASK), router.decide(ASK, pool=elsewhere.pool)):
        router.health.record_success(decision.model)
        router.report(ended(decision))
    rows = client.get("/api/status").json()["models"]
    assert [(row["in_pool"], row["seen"]) for row in rows if row["name"] == "c/gone"] == [(False, True)]
    assert {row["seen"] for row in rows if row["in_pool"]} == {True, False}
    schemas = client.get("/api/openapi.json").json()["components"]["schemas"]
    described = {*schemas["Health"]["required"], *schemas["Model"]["allOf"][1]["required"]}
    assert [set(row) for row in rows] == [described] * 3
    assert next(row for row in rows if not row["seen"])["failed"] == 0


def test_metrics_without_their_library_say_what_to_install(
    router: SmartRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A door's console answers ``metrics`` with a 501 that names the extra, to those who may see the console."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    made = for_settings(router)
    answer = Client(made).get("/metrics")
    assert answer.status_code == 501 and answer.json()["error"]["code"] == "metrics_missing"
    assert "pip install 'ofox-middleware[metrics]'" in answer.json()["error"]["message"]
    assert Client(made, client="8.8.8.8").get("/metrics").status_code == 403


def test_the_status_counts_and_adds_up(router: SmartRouter, client: Client) -> None:
    """Totals, history and the ledger cover what was routed since the console began."""
    router.report(ended(router.decide(ASK), attempts=("a/strong", "b/weak"), model="b/weak"))
    router.report(ended(router.decide(ASK), ok=False, status=502))
    router.report(ended(router.decide(ASK), ok=False, status=None))
    status = client.get("/api/status").json()
    totals = status["totals"]
    assert [totals[name] for name in ("decided", "ended", "ok", "left", "fallbacks")] == [3, 3, 1, 1, 1]
    assert totals["ttft_median_s"] == 0.2
    assert sum(status["history"]["a/strong"]["failed"]) >= 1
    assert status["savings"]["requests"] == 1 and status["savings"]["against_strongest_usd"] > 0
    assert len(status["decisions"]) == 3 and status["events"] == 6


def test_a_pool_that_is_the_doors_shows_what_was_seen() -> None:
    """Where a door brings its own pool, or the pool cannot be used, models appear with their first request."""
    router = SmartRouter(Settings(models=[ModelCard(name="nobody/*")]))
    client = Client(console(router))
    assert client.get("/api/status").json()["models"] == []
    decision = router.decide(ASK, pool=new_router().pool)
    router.health.record_success(decision.model)
    router.report(ended(decision))
    feed = client._app._feed
    assert [(row["name"], row["in_pool"]) for row in feed.models()] == [(decision.model, False)]


def test_decisions_are_listed_and_found(router: SmartRouter, client: Client) -> None:
    """The list is newest first and bounded; one decision is found by its id, an unknown one is a 404."""
    made = [router.decide(ASK) for _ in range(3)]
    listed = client.get("/api/decisions?limit=2").json()["decisions"]
    assert [entry["id"] for entry in listed] == [made[2].id, made[1].id]
    assert len(client.get("/api/decisions?limit=many").json()["decisions"]) == 3
    assert client.get(f"/api/decisions/{made[0].id}").json()["candidates"][0]["name"] == made[0].model
    assert client.get("/api/decisions/0000").json()["error"]["code"] == "not_found"


def test_the_export_is_json_lines(router: SmartRouter) -> None:
    """The whole log can be taken along as JSON lines, oldest first."""
    log = DecisionStore()
    router.subscribe(log)
    client = Client(console(router, log=log))
    made = [router.decide(ASK).id for _ in range(3)]
    answer = client.get("/api/decisions.jsonl")
    assert [json.loads(line)["id"] for line in answer.text.splitlines()] == made
    assert "decisions.jsonl" in answer.headers["content-disposition"]


# Dry runs -------------------------------------------------------------------------------------------------------------


def test_a_dry_run_explains_every_preference(client: Client) -> None:
    """One post tells the decision with its candidates, and what each preference would pick."""
    told = client.post("/api/explain", {"request": {**ASK, "model_routing_config": {"preference": "quality"}}}).json()
    assert told["decision"]["preference"] == "quality" and told["decision"]["model"] == "a/strong"
    assert set(told["picks"]) == {"balanced", "quality", "speed", "cost"}
    assert told["picks"]["cost"]["model"] == "b/weak" and told["picks"]["quality"]["model"] == "a/strong"


def test_a_dry_run_leaves_no_trace(
    router: SmartRouter, page: Console, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A prompt that is tried is in no log, no store, no pin, no count and no status."""
    caplog.set_level("DEBUG")
    answer = client.post("/api/explain", {"request": ASK})
    assert answer.status_code == 200 and "heliotrope" not in answer.text
    assert len(router.sessions) == 0 and router.stats["decided"] == 0 and page.log.recent() == []
    assert "heliotrope" not in client.get("/api/status").text and "heliotrope" not in caplog.text


def test_a_dry_run_is_not_bent_by_a_conversation(router: SmartRouter, client: Client) -> None:
    """A conversation that began with the same words does not decide for the prompt that is tried."""
    router.decide({**ASK, "model_routing_config": {"preference": "quality"}})
    told = client.post("/api/explain", {"request": {**ASK, "model_routing_config": {"preference": "cost"}}}).json()
    assert told["decision"]["model"] == "b/weak" and told["decision"]["reason"] != "session"


def test_a_dry_run_of_the_other_protocols(client: Client) -> None:
    """The path tells the request's shape, as it does at the doors."""
    told = client.post("/api/explain", {"request": {"input": PROMPT}, "path": "/v1/responses"}).json()
    assert told["decision"]["input_tokens"] > 0


def test_a_refused_dry_run_says_why(client: Client) -> None:
    """No candidate and a wrong config are told as the doors tell them, with each candidate's reason."""
    config = {"models": ["c/none"]}
    refused = client.post("/api/explain", {"request": {**ASK, "model_routing_config": config}})
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "no_candidate_model"
    assert refused.json()["error"]["candidates"][0] == {"name": "a/strong", "reason": "not_named"}
    wrong = client.post("/api/explain", {"request": {**ASK, "model_routing_config": {"preference": "best"}}})
    assert wrong.json()["error"]["param"] == "model_routing_config.preference"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"request": "text"}', 400),
        (b'{"request": {}, "path": 3}', 400),
        (b"[" * 100_000, 400),
        (b'{"request": "' + b"x" * 1_100_000 + b'"}', 413),
    ],
)
def test_odd_bodies_are_refused(client: Client, content: bytes, status: int) -> None:
    """What is not a bounded JSON object with a request in it is refused cleanly."""
    headers = {"content-type": "application/json"}
    assert client.ask("POST", "/api/explain", headers, content=content).status_code == status


# Feedback and reload --------------------------------------------------------------------------------------------------


def test_feedback_reaches_the_log(router: SmartRouter) -> None:
    """A score from 0 to 1 is kept with its decision."""
    log = DecisionStore()
    router.subscribe(log)
    client, made = Client(console(router, log=log)), router.decide(ASK)
    assert client.post("/api/feedback", {"id": made.id, "score": 0.5}).json() == {"id": made.id, "score": 0.5}
    assert client.get(f"/api/decisions/{made.id}").json()["feedback"] == 0.5
    assert client.post("/api/feedback", {"id": "0000", "score": 1}).status_code == 404


@pytest.mark.parametrize(
    "body",
    [{}, {"id": 3, "score": 1}, {"id": "x"}, {"id": "x", "score": "1"}, {"id": "x", "score": True},
     {"id": "x", "score": 1.01}, {"id": "x", "score": -1}],
)  # fmt: skip
def test_wrong_feedback_is_refused(client: Client, body: Any) -> None:
    """A score is a number from 0 to 1 for a decision's id."""
    assert client.post("/api/feedback", body).json()["error"]["code"] == "invalid_feedback"


def test_the_configuration_is_reloaded_by_a_post(tmp_path: Path) -> None:
    """The reload button's call takes on what is written, or says why not and keeps the old."""
    path = tmp_path / "ofox.yaml"
    path.write_text("models: [a/b]\npreference: cost\n")
    router = SmartRouter(Settings(config=path))
    client = Client(console(router, reloader=Reloader(router, lambda: Settings(config=path), path)))
    path.write_text("models: [a/b]\npreference: speed\n")
    assert client.post("/api/reload", {}).json()["changed"] == ["preference"]
    assert client.get("/api/status").json()["reload"]["last"]["ok"]
    path.write_text("preference: fastest\n")
    refused = client.post("/api/reload", {})
    assert refused.status_code == 409 and "ofox.yaml:1" in refused.json()["error"]["message"]
    assert router.settings.preference == "speed"


def test_without_a_reloader_there_is_nothing_to_reload(client: Client) -> None:
    """A console that was given no configuration says so."""
    assert client.post("/api/reload", {}).status_code == 404
    assert client.get("/api/status").json()["reload"] == {"can": False, "last": None}


# Where it is served ---------------------------------------------------------------------------------------------------


async def plain(request: Request) -> JSONResponse:
    return JSONResponse({"path": request.url.path, "root": request.scope.get("root_path", "")})


APP = Starlette(routes=[Route("/{rest:path}", plain, methods=["GET", "POST"])])


@pytest.mark.parametrize("under", ["", "/outer"])
def test_the_middleware_serves_it_at_its_path(router: SmartRouter, under: str) -> None:
    """``console_path`` is the console, with and without its slash, also below a mount; everything else is the app's."""
    inner = OfoxMiddleware(APP, router=router, console_path="/ofox")
    client = Client(Starlette(routes=[Mount("/outer", inner)]) if under else inner)
    moved = client.get(f"{under}/ofox")
    assert moved.status_code == 307 and moved.headers["location"] == f"{under}/ofox/"
    assert "Ofox console" in client.get(f"{under}/ofox/").text
    assert client.get(f"{under}/ofox/api/status").json()["models"]
    for path in ("/", "/ofoxes", "/other/ofox/"):
        assert client.get(f"{under}{path}").json()["path"].endswith(path)


def test_it_is_off_unless_asked_for(router: SmartRouter) -> None:
    """Without ``console_path`` the path is the app's, and no console is built."""
    middleware = OfoxMiddleware(APP, router=router)
    assert middleware.app is APP
    assert Client(middleware).get("/ofox/").json()["path"] == "/ofox/"


def test_settings_ask_for_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """``OFOX_CONSOLE_PATH`` and ``OFOX_CONSOLE_TOKEN`` do what the arguments do; the token never shows."""
    monkeypatch.setenv("OFOX_CONSOLE_PATH", "/watch")
    monkeypatch.setenv("OFOX_CONSOLE_TOKEN", TOKEN)
    middleware = OfoxMiddleware(APP, models=["a/b"])
    client = Client(middleware, client="8.8.8.8")
    assert client.get("/watch/api/status").status_code == 401
    assert client.get("/watch/api/status", authorization=f"Bearer {TOKEN}").status_code == 200
    assert TOKEN not in repr(middleware.router.settings)


@pytest.mark.parametrize("path", ["ofox", "/ofox/", "/", "", "/o fox"])
def test_a_path_that_is_none_is_refused(path: str) -> None:
    """The path begins with a slash and ends without one."""
    with pytest.raises(SettingsError, match="console_path"):
        Settings(console_path=path)


def test_it_can_be_mounted_in_any_app(router: SmartRouter) -> None:
    """``app.mount("/ofox", console(router))`` works as it says."""
    client = Client(Starlette(routes=[Mount("/ofox", console(router))]))
    assert client.get("/ofox/api/status").status_code == 200 and "Ofox console" in client.get("/ofox/").text
