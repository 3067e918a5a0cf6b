"""A console over a pool, and a client of it on this machine."""

from __future__ import annotations

import pytest

from ofox_middleware.console import Console, console
from ofox_middleware.router import SmartRouter
from tests.console.tools import Client, new_router


@pytest.fixture
def router() -> SmartRouter:
    return new_router()


@pytest.fixture
def page(router: SmartRouter) -> Console:
    return console(router)


@pytest.fixture
def client(page: Console) -> Client:
    return Client(page)
