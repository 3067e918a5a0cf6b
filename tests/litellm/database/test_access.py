"""Access with LiteLLM's real database: virtual keys, teams, users and customers made by LiteLLM's own API.

Each caller is bounded at one level to `auto` and `cheap`. Rows that LiteLLM's API makes for licensed operators only
(organisations, budgets of single models) are written into its tables as that API would.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.litellm.conftest import routing
from tests.litellm.database.office import ALLOWED, BODIES, Caller, Office, ask, reached
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy

TOO_LONG = "This model's maximum context length is 10 tokens. However, your messages resulted in 20 tokens."
EASY = {"messages": [{"role": "user", "content": "Say hi."}], **routing(preference="cost")}


def by_key(office: Office) -> Caller:
    return Caller(office.key(models=ALLOWED))


def by_team(office: Office) -> Caller:
    return Caller(office.key(team_id=office.post("/team/new", models=ALLOWED)["team_id"]))


def by_all_team_models(office: Office) -> Caller:
    team = office.post("/team/new", models=ALLOWED)
    return Caller(office.key(team_id=team["team_id"], models=["all-team-models"]))


def by_user(office: Office) -> Caller:
    user = office.post("/user/new", models=ALLOWED, auto_create_key=False)
    return Caller(office.key(user_id=user["user_id"]))


def by_end_user(office: Office) -> Caller:
    name = f"customer-{uuid.uuid4()}"
    office.post("/customer/new", user_id=name, models=ALLOWED)
    return Caller(office.key(), {"user": name})


def by_organisation(office: Office) -> Caller:
    return Caller(office.key(organization_id=organisation(office)))


def by_organisation_of_the_team(office: Office) -> Caller:
    team = office.post("/team/new", models=ALLOWED)["team_id"]
    office.database.run(
        f"""UPDATE "LiteLLM_TeamTable" SET models = '{{}}', organization_id = '{organisation(office)}'
        WHERE team_id = '{team}'"""
    )
    return Caller(office.key(team_id=team))


def organisation(office: Office) -> str:
    """The id of an organisation that may use `auto` and `cheap`; the API that makes one needs a licence."""
    name = str(uuid.uuid4())
    office.database.run(
        f"""INSERT INTO "LiteLLM_BudgetTable" (budget_id, created_by, updated_by) VALUES ('{name}', 'me', 'me');
        INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, created_by,
        updated_by) VALUES ('{name}', '{name}', '{name}', '{{auto,cheap}}', 'me', 'me')"""
    )
    return name


def by_key_with_settings_of_its_own(office: Office) -> Caller:
    """A key whose own `router_settings` lead further; LiteLLM applies them without a look at its grants."""
    trap = [{"cheap": ["dear"]}]
    own = {"fallbacks": trap, "context_window_fallbacks": trap}
    return Caller(office.key(models=ALLOWED, router_settings=own))


def by_access_group(office: Office) -> Caller:
    return Caller(office.key(models=["auto", "small"]))


LEVELS: dict[str, Callable[[Office], Caller]] = {
    "key": by_key,
    "team": by_team,
    "all team models": by_all_team_models,
    "user": by_user,
    "end user": by_end_user,
    "organisation": by_organisation,
    "organisation of the team": by_organisation_of_the_team,
    "access group": by_access_group,
    "key with settings of its own": by_key_with_settings_of_its_own,
}


def bounded(office: Office, level: str) -> Caller:
    return office.caller(level, LEVELS[level])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("path", "stream"),
    [("/v1/chat/completions", False), ("/v1/completions", False), ("/v1/responses", True), ("/v1/messages", True)],
)
def test_a_bounded_caller_is_answered_by_what_it_may_call(
    office: Office, upstream: Upstream, level: str, path: str, stream: bool
) -> None:
    """However hard the prompt and whatever is preferred, on every surface, plain and streamed."""
    answer = ask(office, bounded(office, level), path, stream=stream, **routing(preference="quality"))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ofox-model"] == "cheap"
    assert reached(upstream) == {"prov-cheap"}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_no_fallback_leaves_the_bounds(office: Office, upstream: Upstream, level: str, path: str) -> None:
    """When the allowed model fails, neither our ranking nor the operator's nor the caller's fallbacks lead further."""
    upstream.behave("prov-cheap", status=500)
    for fields in ({}, {"fallbacks": ["dear"]}, {"fallbacks": [{"cheap": ["dear"]}]}):
        assert ask(office, bounded(office, level), path, **fields).status_code >= 400
    assert reached(upstream) <= {"prov-cheap"}


@pytest.mark.parametrize("level", LEVELS)
def test_no_fallback_of_the_operators_for_one_kind_of_error_leaves_the_bounds(
    office: Office, upstream: Upstream, level: str
) -> None:
    """A prompt that is too long for the allowed model goes to no other by `context_window_fallbacks`."""
    upstream.behave("prov-cheap", status=400, message=TOO_LONG)
    assert ask(office, bounded(office, level)).status_code >= 400
    assert reached(upstream) <= {"prov-cheap"}


@pytest.fixture
def any_name(office: Office) -> Iterator[None]:
    """A group that covers further names, with which LiteLLM no longer refuses a name because nobody has it."""
    params = {"model": "openai/*", "api_key": "sk-upstream"}
    made = office.post("/model/new", model_name="house/*", litellm_params=params, model_info={})
    yield
    office.post("/model/delete", id=made["model_id"])


@pytest.mark.usefixtures("any_name")
@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("fallback", ["auto", {"model": "auto"}, "cheapest", {"auto": ["auto"], "cheap": ["auto"]}])
def test_a_fallback_that_nobody_has_leads_nowhere(
    office: Office, upstream: Upstream, path: str, fallback: object
) -> None:
    """LiteLLM would take the operator's default fallback in its place: for `auto`, and for a name that only a key's
    glob covers."""
    upstream.behave("prov-cheap", status=500)
    caller = office.caller("glob", lambda office: Caller(office.key(models=["auto", "che*"])))
    answer = ask(office, caller, path, fallbacks=[fallback])
    assert answer.status_code >= 400
    assert reached(upstream) == {"prov-cheap"}, answer.text


@pytest.mark.parametrize("fallback", ["cheap", {"model": "cheap"}, {"mid": ["cheap"]}])
def test_no_fallback_passes_a_rate_limit(office: Office, upstream: Upstream, fallback: object) -> None:
    """A caller at its limit for `cheap` does not get there by naming it as the fallback of another."""
    caller = Caller(office.key(models=["auto", "cheap", "mid"], model_rpm_limit={"cheap": 1}))
    assert ask(office, caller, **EASY).headers["x-ofox-model"] == "cheap"
    upstream.behave("prov-mid", status=500)
    upstream.seen.clear()
    assert ask(office, caller, fallbacks=[fallback]).status_code >= 400
    assert reached(upstream) == {"prov-mid"}


@pytest.mark.parametrize(("models", "status"), [(["auto"], 403), (ALLOWED, 500)])
def test_an_error_of_ours_leads_to_no_fallback(
    office: Office, upstream: Upstream, models: list[str], status: int
) -> None:
    """When deciding breaks, neither a key without models nor one whose model fails gets to the operator's default."""
    caller = Caller(office.key(models=models))
    ask(office, caller)
    upstream.behave("prov-cheap", status=500)
    httpx.post(f"{office.proxy.base_url}/_break", timeout=30)
    assert ask(office, caller, deployment_id="prov-dear").status_code == status
    assert reached(upstream) <= {"prov-cheap"}


def test_a_teams_alias_for_auto_stays_within_the_team(office: Office, upstream: Upstream) -> None:
    """LiteLLM checks what a key's alias stands for, and not what a team's does."""
    for target, status in (("dear", 403), ("cheap", 200)):
        team = office.post("/team/new", models=ALLOWED, model_aliases={"auto": target})["team_id"]
        assert ask(office, Caller(office.key(team_id=team))).status_code == status
    assert reached(upstream) == {"prov-cheap"}


def test_the_operators_fallbacks_are_real(office: Office, upstream: Upstream) -> None:
    """An unbounded key that names the model itself does fall into them."""
    upstream.behave("prov-cheap", status=400, message=TOO_LONG)
    ask(office, Caller(office.key()), model="cheap")
    assert reached(upstream) == {"prov-cheap", "prov-dear"}


@pytest.mark.parametrize("level", LEVELS)
def test_a_caller_that_asks_for_more_is_refused(office: Office, upstream: Upstream, level: str) -> None:
    """A pool of models that it may not call has no candidate, and the answer does not name one."""
    answer = ask(office, bounded(office, level), **routing(models=["dear"]))
    assert answer.status_code == 400
    assert upstream.seen == []


@pytest.mark.parametrize("level", LEVELS)
def test_an_answer_of_a_better_model_is_not_continued(office: Office, upstream: Upstream, level: str) -> None:
    """The id of a response that another caller got from `dear` leads no bounded caller there, plain or streamed."""
    best = ask(office, Caller(office.key()), "/v1/responses", **routing(preference="quality"))
    assert best.headers["x-ofox-model"] == "dear"
    upstream.seen.clear()
    for stream in (False, True):
        continued = {"previous_response_id": best.json()["id"], "stream": stream}
        answer = ask(office, bounded(office, level), "/v1/responses", **continued)
        assert answer.status_code in {400, 403}, answer.text
    assert upstream.seen == []


@pytest.mark.parametrize("level", LEVELS)
def test_a_conversation_of_somebody_else_pins_nobody(office: Office, upstream: Upstream, level: str) -> None:
    """Nor does the session that an unbounded caller has with `dear`, named in the body or in LiteLLM's header."""
    session = f"shared-{uuid.uuid4()}"
    named = {"litellm_session_id": session, **routing(session_id=session, preference="quality")}
    assert ask(office, Caller(office.key()), **named).headers["x-ofox-model"] == "dear"
    upstream.seen.clear()
    caller = bounded(office, level)
    assert ask(office, caller, **named).headers["x-ofox-model"] == "cheap"
    body = {"model": "auto", **BODIES["/v1/chat/completions"], **caller.body}
    office.proxy.post("/v1/chat/completions", body, key=caller.key, headers={"x-litellm-session-id": session})
    assert reached(upstream) == {"prov-cheap"}


def _widened(office: Office, team: str, models: list[str]) -> str:
    """A key of ``team`` whose row names ``models``, though LiteLLM's API may refuse to make one."""
    key = office.key(team_id=team)
    names = ",".join(models)
    office.database.run(
        f"""UPDATE "LiteLLM_VerificationToken" SET models = '{{{names}}}'
        WHERE token = '{hashlib.sha256(key.encode()).hexdigest()}'"""
    )
    return key


@pytest.mark.parametrize("path", BODIES)
def test_a_key_is_no_wider_than_its_team(office: Office, upstream: Upstream, path: str) -> None:
    """A key for `dear` in a team for `cheap` may use neither; one for all of the proxy's models may use `cheap`."""
    team = office.post("/team/new", models=ALLOWED)["team_id"]
    body = {"model": "auto", **BODIES[path], **routing(preference="quality")}
    wider = _widened(office, team, ["auto", "dear"])
    assert office.proxy.post(path, body, key=wider).status_code in {400, 401, 403}
    assert upstream.seen == []
    everything = _widened(office, team, ["all-proxy-models"])
    office.proxy.post(path, body, key=everything)
    assert reached(upstream) <= {"prov-cheap"}


@pytest.mark.parametrize("path", BODIES)
def test_no_alias_of_a_key_or_team_widens_it(office: Office, upstream: Upstream, path: str) -> None:
    """LiteLLM lets whoever has an alias call its name, and renames it then. What `auto` picks is not renamed to `dear`,
    and no alias that is called like it allows it."""
    trap = {"cheap": "dear", "mid": "dear"}
    team = office.post("/team/new", models=ALLOWED, model_aliases=trap)["team_id"]
    for key in (office.key(models=ALLOWED, aliases=trap), office.key(team_id=team)):
        ask(office, Caller(key), path, stream=True, **routing(preference="quality"))
    assert reached(upstream) <= {"prov-cheap"}
    assert upstream.seen


def test_an_unbounded_key_gets_the_best(office: Office, upstream: Upstream) -> None:
    """The bounds above are what held the others back."""
    answer = ask(office, Caller(office.key()), **routing(preference="quality"))
    assert answer.headers["x-ofox-model"] == "dear"
    assert reached(upstream) == {"prov-dear"}


def test_a_key_that_is_changed_is_seen_at_once(office: Office, upstream: Upstream) -> None:
    """`/key/update` moves the bounds of a key that has been used."""
    caller = Caller(office.key(models=ALLOWED))
    assert ask(office, caller).headers["x-ofox-model"] == "cheap"
    office.post("/key/update", key=caller.key, models=["auto", "mid"])
    assert ask(office, caller).headers["x-ofox-model"] == "mid"
    office.post("/key/update", key=caller.key, models=["auto"])
    assert ask(office, caller).json()["error"]["code"] == "model_access_denied"


def test_a_team_that_is_changed_is_seen_at_once(office: Office, upstream: Upstream) -> None:
    """`/team/update` moves the bounds of its keys."""
    team = office.post("/team/new", models=ALLOWED)["team_id"]
    caller = Caller(office.key(team_id=team))
    assert ask(office, caller).headers["x-ofox-model"] == "cheap"
    office.post("/team/update", team_id=team, models=["auto", "mid"])
    assert ask(office, caller).headers["x-ofox-model"] == "mid"


@pytest.mark.parametrize("level", ["key", "team", "user", "end user"])
def test_a_budget_for_one_model_sends_the_caller_to_another(office: Office, upstream: Upstream, level: str) -> None:
    """Over its budget for `cheap`, a caller gets `mid`; over that of each model, a 429 that says so."""
    budget = json.dumps({"cheap": {"budget_limit": 1e-9, "time_period": "1d"}})
    broke = json.dumps({each: {"budget_limit": 1e-9, "time_period": "1d"} for each in ("cheap", "mid", "dear")})
    caller = BUDGETED[level](office, budget)
    assert ask(office, caller, **EASY).headers["x-ofox-model"] == "cheap"
    assert until(lambda: ask(office, caller, **EASY), "x-ofox-model", "mid")
    assert ask(office, caller, **routing(models=["cheap"])).status_code >= 400
    upstream.behave("prov-mid", status=500)
    upstream.seen.clear()
    assert ask(office, caller, fallbacks=["cheap"], **routing(models=["mid"])).status_code >= 400
    assert reached(upstream) == {"prov-mid"}
    upstream.reset()
    caller = BUDGETED[level](office, broke)
    for _ in range(60):
        answer = ask(office, caller, **EASY)
        if answer.status_code != 200:
            break
        time.sleep(0.1)
    assert answer.status_code == 429, answer.text
    assert answer.json()["error"]["code"] == "model_budget_exceeded"


def write_budget(office: Office, table: str, where: str, budget: str) -> None:
    """Into the row of a caller that has not been used yet; the API that does so needs a licence."""
    office.database.run(f"""UPDATE "{table}" SET model_max_budget = '{budget}' WHERE {where}""")


def key_with_budget(office: Office, budget: str) -> Caller:
    made = office.post("/key/generate")
    write_budget(office, "LiteLLM_VerificationToken", f"token = '{made['token']}'", budget)
    return Caller(made["key"])


def team_with_budget(office: Office, budget: str) -> Caller:
    team = office.post("/team/new")["team_id"]
    write_budget(office, "LiteLLM_TeamTable", f"team_id = '{team}'", budget)
    office.post("/team/update", team_id=team, team_alias=team)  # takes the row up into LiteLLM's cache
    return Caller(office.key(team_id=team))


def user_with_budget(office: Office, budget: str) -> Caller:
    user = office.post("/user/new", auto_create_key=False)["user_id"]
    write_budget(office, "LiteLLM_UserTable", f"user_id = '{user}'", budget)
    return Caller(office.key(user_id=user))


def end_user_with_budget(office: Office, budget: str) -> Caller:
    name = f"customer-{uuid.uuid4()}"
    made = office.post("/customer/new", user_id=name, max_budget=10.0)
    write_budget(office, "LiteLLM_BudgetTable", f"budget_id = '{made['budget_id']}'", budget)
    return Caller(office.key(), {"user": name})


BUDGETED: dict[str, Callable[[Office, str], Caller]] = {
    "key": key_with_budget,
    "team": team_with_budget,
    "user": user_with_budget,
    "end user": end_user_with_budget,
}


def until(request: Callable[[], httpx.Response], header: str, wanted: str) -> bool:
    """Whether ``request`` comes to be answered so; LiteLLM adds up what was spent after the answer."""
    for _ in range(60):
        if request().headers.get(header) == wanted:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("level", ["key", "team"])
def test_a_rate_limit_for_one_model_sends_the_caller_to_another(office: Office, upstream: Upstream, level: str) -> None:
    """At its limit of requests a minute for `cheap`, a caller gets `mid`; at that of each model, a 429 that says so."""
    limits = {"model_rpm_limit": {"cheap": 1, "mid": 1}}
    if level == "key":
        caller = Caller(office.key(models=["auto", "cheap", "mid"], **limits))
    else:
        team = office.post("/team/new", models=["auto", "cheap", "mid"], **limits)["team_id"]
        caller = Caller(office.key(team_id=team))
    answers = [ask(office, caller, **EASY) for _ in range(3)]
    assert [answer.headers.get("x-ofox-model") for answer in answers[:2]] == ["cheap", "mid"]
    assert answers[2].status_code == 429
    assert answers[2].json()["error"]["code"] == "model_rate_limit_exceeded"
