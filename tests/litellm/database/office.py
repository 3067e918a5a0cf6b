"""A proxy with LiteLLM's database, and the work of its administrator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.litellm.postgres import Database
from tests.litellm.proxy import Proxy
from tests.litellm.upstream import Upstream

MASTER_KEY = "sk-master-of-the-database-tests-0123456789"
HARD = "Prove the spectral theorem for unbounded normal operators, with all lemmas."
ALLOWED = ["auto", "cheap"]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": HARD}]},
    "/v1/completions": {"prompt": HARD},
    "/v1/responses": {"input": HARD},
    "/v1/messages": {"messages": [{"role": "user", "content": HARD}], "max_tokens": 100},
}


@dataclass
class Office:
    """A proxy with its database, and the proxy administrator's work in it."""

    proxy: Proxy
    database: Database
    made: dict[str, Caller] = field(default_factory=dict)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Calls LiteLLM's management API."""
        answer = self.proxy.post(path, body, key=MASTER_KEY)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return dict(answer.json())

    def key(self, **body: Any) -> str:
        return str(self.post("/key/generate", **body)["key"])

    def caller(self, level: str, make: Callable[[Office], Caller]) -> Caller:
        """A caller bounded at ``level``, made at its first use."""
        if level not in self.made:
            self.made[level] = make(self)
        return self.made[level]


@dataclass(frozen=True)
class Caller:
    """A key, and what its requests must hold to be the bounded caller's."""

    key: str
    body: dict[str, Any] = field(default_factory=dict)


def ask(
    office: Office, caller: Caller, path: str = "/v1/chat/completions", *, dry: bool = False, **fields: Any
) -> httpx.Response:
    """A request for `auto`. ``dry``: asks for the decision alone."""
    body = {"model": "auto", **BODIES[path], **caller.body, **fields}
    return office.proxy.post(path, body, key=caller.key, headers={"x-ofox-dry-run": str(dry).lower()})


def reached(upstream: Upstream) -> set[str]:
    return set(upstream.models())
