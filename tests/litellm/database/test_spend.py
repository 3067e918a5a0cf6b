"""What LiteLLM's spend log keeps of a routed request: its own row names the model that answered, and the decision."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.litellm.conftest import MODELS, routing
from tests.litellm.database.office import BODIES, Caller, Office, ask
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy
COST = 11 * MODELS["mid"]["input_cost_per_token"] + 20 * MODELS["mid"]["output_cost_per_token"]
"""Of what the simulated provider says that an answer took."""
MID = routing(models=["mid"], preference="cost")
EASY = {"messages": [{"role": "user", "content": "Say hi."}], **routing(models=["mid", "dear"], preference="cost")}


def row(office: Office, decision_id: str) -> dict[str, Any]:
    """The row of the request that was decided so."""
    columns = "model_group, model, model_id, status, spend, call_type, metadata"
    for _ in range(100):
        rows = office.database.run(
            f"""SELECT {columns} FROM "LiteLLM_SpendLogs" WHERE metadata::text LIKE '%{decision_id}%'"""
        )
        if rows:
            break
        time.sleep(0.2)
    assert len(rows) == 1, rows
    return dict(zip(columns.split(", "), rows[0], strict=True))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_the_spend_log_holds_the_decision(office: Office, upstream: Upstream, path: str, stream: bool) -> None:
    """On every surface: who was picked and why; and what chat cost, plain and streamed, and plain text. LiteLLM 1.106
    counts nothing for Responses and Messages of a model that its map lacks, nor for streamed text, also when the model
    is named."""
    answer = ask(office, Caller(office.key()), path, stream=stream, **MID)
    assert answer.status_code == 200
    kept = row(office, answer.headers["x-ofox-decision-id"])
    noted = json.loads(kept["metadata"])["spend_logs_metadata"]["ofox"]
    assert kept["model_group"] == noted["model"] == answer.headers["x-ofox-model"] == "mid"
    assert kept["model_id"] == "id-mid"
    assert kept["status"] == "success"
    if path == "/v1/chat/completions" or (path == "/v1/completions" and not stream):
        assert float(kept["spend"]) == pytest.approx(COST)
    assert noted["preference"] == "cost"
    assert noted["ranking"][0] == "mid"


def test_the_spend_log_names_the_fallback(office: Office, upstream: Upstream) -> None:
    """The row of a request whose pick failed names the model that answered; the decision still says what was picked."""
    upstream.behave("prov-mid", status=500)
    answer = ask(office, Caller(office.key()), **EASY)
    assert answer.json()["model"] == "dear"
    kept = row(office, answer.headers["x-ofox-decision-id"])
    assert (kept["model_group"], kept["model_id"], kept["status"]) == ("dear", "id-dear", "success")
    assert json.loads(kept["metadata"])["spend_logs_metadata"]["ofox"]["model"] == "mid"


def test_a_callers_own_notes_are_kept_beside_the_decision(office: Office, upstream: Upstream) -> None:
    """`spend_logs_metadata` of the request."""
    answer = ask(office, Caller(office.key()), metadata={"spend_logs_metadata": {"project": "x"}}, **MID)
    kept = row(office, answer.headers["x-ofox-decision-id"])
    noted = json.loads(kept["metadata"])["spend_logs_metadata"]
    assert noted["project"] == "x"
    assert noted["ofox"]["model"] == "mid"
