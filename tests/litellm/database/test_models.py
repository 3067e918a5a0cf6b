"""Models that LiteLLM keeps in its database: added and deleted while the proxy runs, by its own API and by others."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.litellm.conftest import MODELS, routing
from tests.litellm.database.office import Caller, Office, ask, reached
from tests.litellm.proxy import deployment
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy
SIMPLE = {"messages": [{"role": "user", "content": "Say hi."}]}
CHEAPEST = {**MODELS["cheap"], "input_cost_per_token": 1e-9, "output_cost_per_token": 1e-9}
FILE = {"cheap", "mid", "dear"}


@pytest.fixture
def caller(office: Office) -> Caller:
    return Caller(office.key())


@pytest.fixture(autouse=True)
def as_before(office: Office) -> Iterator[None]:
    """Deletes what a test has left."""
    yield
    office.database.run('DELETE FROM "LiteLLM_ProxyModelTable"')
    assert wait_for(lambda: pool(office, Caller(office.key())) == FILE)


def add(office: Office, name: str, upstream: Upstream, **model_info: Any) -> str:
    """Adds a model by LiteLLM's API; its id."""
    made = deployment(name, f"prov-{name}", upstream.base_url, ofox=CHEAPEST)
    made["model_info"] |= {"id": f"id-{name}-{uuid.uuid4()}", **model_info}
    return str(office.post("/model/new", **made)["model_info"]["id"])


def pool(office: Office, caller: Caller) -> set[str]:
    """The candidates that a decision for ``caller`` looks at."""
    answer = ask(office, caller, dry=True)
    return {row["name"] for row in answer.json()["candidates"]}


def wait_for(holds: Callable[[], bool]) -> bool:
    for _ in range(60):
        if holds():
            return True
        time.sleep(0.2)
    return False


@pytest.mark.parametrize("name", ["later", "fresh-one"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_model_that_is_added_answers_and_one_that_is_deleted_does_not(
    office: Office, upstream: Upstream, caller: Caller, name: str, path: str
) -> None:
    """`/model/new` and `/model/delete` count at the next request, whether the operator's pool names the model or has a
    glob for it."""
    assert pool(office, caller) == FILE
    added = add(office, name, upstream)
    assert pool(office, caller) == FILE | {name}
    answer = ask(office, caller, path, **routing(preference="cost", models=[name]))
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ofox-model"] == answer.json()["model"] == name
    assert reached(upstream) == {f"prov-{name}"}
    office.post("/model/delete", id=added)
    upstream.reset()
    assert pool(office, caller) == FILE
    assert ask(office, caller, path, **routing(preference="cost")).headers["x-ofox-model"] in FILE
    assert ask(office, caller, path, **routing(models=[name])).status_code == 400
    assert f"prov-{name}" not in reached(upstream)


def test_a_model_outside_the_operators_pool_does_not_enter_it(
    office: Office, upstream: Upstream, caller: Caller
) -> None:
    """Neither the names nor the glob cover it."""
    add(office, "stranger", upstream)
    assert pool(office, caller) == FILE
    assert ask(office, caller, model="stranger").status_code == 200


def test_a_conversation_leaves_a_model_that_is_deleted(office: Office, upstream: Upstream, caller: Caller) -> None:
    """The pin on it goes with it, and comes to no error."""
    added = add(office, "later", upstream)
    session = routing(preference="cost", session_id=str(uuid.uuid4()))
    assert ask(office, caller, **session, **SIMPLE).headers["x-ofox-model"] == "later"
    assert ask(office, caller, **session, **SIMPLE).headers["x-ofox-model"] == "later"
    office.post("/model/delete", id=added)
    answer = ask(office, caller, **session, **SIMPLE)
    assert answer.status_code == 200
    assert answer.headers["x-ofox-model"] in FILE
    assert upstream.models()[:2] == ["prov-later"] * 2
    assert "prov-later" not in upstream.models()[2:]


def test_a_bounded_key_gets_no_model_that_came_later(office: Office, upstream: Upstream) -> None:
    """What a key may use is asked anew when the models change; a key with a glob gets what it covers."""
    bounded, wide = Caller(office.key(models=["auto", "cheap"])), Caller(office.key(models=["auto", "fresh-*"]))
    assert pool(office, bounded) == {"cheap"}
    assert ask(office, wide).status_code == 403
    add(office, "fresh-one", upstream)
    for _ in range(2):
        assert ask(office, bounded, **routing(preference="cost")).headers["x-ofox-model"] == "cheap"
        assert ask(office, wide, **routing(preference="quality")).headers["x-ofox-model"] == "fresh-one"
    assert pool(office, bounded) == {"cheap"}
    assert reached(upstream) == {"prov-cheap", "prov-fresh-one"}


def test_a_model_that_another_worker_adds_and_deletes(office: Office, upstream: Upstream, caller: Caller) -> None:
    """LiteLLM reads its table every few seconds; what is in it then, or no longer, counts without a restart."""
    added = add(office, "later", upstream)
    row = f"""WHERE model_id = '{added}'"""
    office.database.run(f"""UPDATE "LiteLLM_ProxyModelTable" SET model_name = 'fresh-two' {row}""")
    assert wait_for(lambda: pool(office, caller) == FILE | {"fresh-two"})
    assert ask(office, caller, **SIMPLE, **routing(preference="cost")).headers["x-ofox-model"] == "fresh-two"
    office.database.run(f"""DELETE FROM "LiteLLM_ProxyModelTable" {row}""")
    assert wait_for(lambda: pool(office, caller) == FILE)
    upstream.reset()
    assert ask(office, caller, **SIMPLE, **routing(preference="cost")).headers["x-ofox-model"] == "cheap"


def test_a_teams_own_model_is_its_teams_alone(office: Office, upstream: Upstream, caller: Caller) -> None:
    """A deployment that belongs to a team (LiteLLM makes one for licensed operators only) is a candidate for the keys
    of that team, by the name that the team calls it."""
    team, other = (office.post("/team/new", models=["auto", "fresh-own"])["team_id"] for _ in range(2))
    added = add(office, "later", upstream)
    office.database.run(
        f"""UPDATE "LiteLLM_ProxyModelTable" SET model_name = 'model_name_{team}_own', model_info = model_info
        || '{{"team_id": "{team}", "team_public_model_name": "fresh-own"}}' WHERE model_id = '{added}'"""
    )
    members, others = Caller(office.key(team_id=team)), Caller(office.key(team_id=other))
    assert wait_for(lambda: ask(office, members, dry=True).status_code == 200)
    answer = ask(office, members, **SIMPLE, **routing(preference="cost"))
    assert answer.json()["model"] == answer.headers["x-ofox-model"] == "fresh-own"
    for stranger in (others, caller):
        assert ask(office, stranger, **routing(models=["fresh-own"])).status_code >= 400
    assert reached(upstream) == {"prov-later"}
