"""One PostgreSQL and one proxy on it for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.litellm.conftest import config
from tests.litellm.database.office import MASTER_KEY, Office
from tests.litellm.postgres import Absent, Database, client, running_postgres
from tests.litellm.proxy import running_proxy
from tests.litellm.upstream import Upstream


@pytest.fixture(scope="session")
def office_process(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("database")
    with ExitStack() as running:
        try:
            environment = client(folder / "client")
            database = running.enter_context(running_postgres())
        except Absent as reason:
            pytest.skip(f"LiteLLM's database cannot be started here: {reason}")
        yield Office(running.enter_context(_proxy(provider, folder, database, environment)), database)


def _proxy(provider: Upstream, folder: Path, database: Database, environment: dict[str, str]) -> Any:
    settings = config(provider.base_url, models=["cheap", "mid", "dear", "later", "fresh-*"])
    for deployment in settings["model_list"]:
        if deployment["model_name"] == "cheap":
            deployment["model_info"]["access_groups"] = ["small"]
    # An operator's traps: fallbacks of every kind to a model that the callers here may not use.
    trap = [{group: ["dear"]} for group in ("cheap", "mid")]
    settings["router_settings"] |= {
        "fallbacks": trap,
        "context_window_fallbacks": trap,
        "content_policy_fallbacks": trap,
        "default_fallbacks": ["dear"],
    }
    # Migrations are the operator's matter; the tables are there.
    settings["general_settings"] = {
        "master_key": MASTER_KEY,
        "disable_prisma_schema_update": True,
        "proxy_batch_write_at": 1,
        "store_model_in_db": True,
        "proxy_config_reload_interval_seconds": 1,
    }
    more = {"DATABASE_URL": database.url, "LITELLM_SALT_KEY": "sk-salt-of-the-tests"}
    return running_proxy(settings, folder, **environment, **more)


@pytest.fixture
def office(office_process: Office, upstream: Upstream) -> Office:
    """The proxy with its database; every model well."""
    httpx.post(f"{office_process.proxy.base_url}/_reset", timeout=30)
    return office_process
