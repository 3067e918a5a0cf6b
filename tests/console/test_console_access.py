"""Who may see the console, and that it is locked down."""

from __future__ import annotations

import pytest

from ofox_middleware.console import PAGE, console
from ofox_middleware.errors import SettingsError
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.console.tools import ASK, TOKEN, Client


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("127.0.0.1", "127.0.0.1:4100"), ("127.0.0.1", "localhost"), ("::1", "[::1]:4100"),
        ("127.8.8.8", "LOCALHOST:1"), ("::ffff:127.0.0.1", "127.0.0.1"),
    ],
)  # fmt: skip
def test_this_machine_is_answered(router: SmartRouter, address: str, host: str) -> None:
    """A loopback client that names a loopback host gets the page and the data."""
    client = Client(console(router), client=address, host=host)
    assert client.get("/").status_code == client.get("/api/status").status_code == 200


@pytest.mark.parametrize("path", ["/", "/main.js", "/api/status", "/api/events", "/api/decisions", "/nothing"])
@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.168.1.7", {}),
        ("8.8.8.8", {}),
        (None, {}),
        ("testclient", {}),
        ("127.0.0.1", {"host": "evil.example"}),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example"}),
        ("127.0.0.1", {"host": "localhost.evil.example:80"}),
        ("127.0.0.1", {"host": "[::2]"}),
        ("127.0.0.1", {"host": ""}),
        ("127.0.0.1", {"x-forwarded-for": "8.8.8.8"}),
        ("127.0.0.1", {"forwarded": "for=8.8.8.8"}),
        ("127.0.0.1", {"x-real-ip": "8.8.8.8"}),
    ],
)
def test_without_a_token_nobody_else_is(
    router: SmartRouter, path: str, address: str | None, headers: dict[str, str]
) -> None:
    """Other machines, other host names (DNS rebinding) and proxies get nothing, not even the page."""
    answer = Client(console(router), client=address).get(path, **headers)
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "console_is_local"


def test_with_a_token_everybody_who_knows_it_is_answered(router: SmartRouter) -> None:
    """The token opens the data from anywhere; without it there is only the page, which holds none."""
    far = Client(console(router, token=TOKEN), client="8.8.8.8", host="ofox.example")
    assert far.get("/api/status", authorization=f"Bearer {TOKEN}").status_code == 200
    assert far.get("/").status_code == 200
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
        answer = far.get("/api/status", **headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"


def test_with_a_token_this_machine_needs_it_too(router: SmartRouter) -> None:
    """A token is asked for from loopback as well, for a proxy on this machine may speak for the world."""
    assert Client(console(router, token=TOKEN)).get("/api/status").status_code == 401


def test_a_token_that_can_be_guessed_is_refused(router: SmartRouter) -> None:
    """A short token is a mistake at the start, not an open door later."""
    with pytest.raises(ValueError, match="at least 16"):
        console(router, token="short")
    with pytest.raises(SettingsError, match="console_token"):
        Settings(console_token="short")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "http://127.0.0.1:4100"}, 200),
    ],
)
def test_no_other_page_can_post(client: Client, headers: dict[str, str], status: int) -> None:
    """A page of another origin, also on this machine, cannot make a browser change anything here."""
    assert client.post("/api/explain", {"request": ASK}, **headers).status_code == status


def test_every_answer_is_locked_down(client: Client) -> None:
    """Page, data and refusals forbid framing, foreign content, sniffing and caching."""
    for path in ("/", "/api/status", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer" and headers["x-frame-options"] == "DENY"


def test_paths_cannot_leave_the_page(client: Client) -> None:
    """Only the page's own files are there; nothing is looked up on the disk."""
    for path in ("/../console.py", "/..%2fconsole.py", "/%2e%2e/console.py", "/index.html", "/__init__.py"):
        assert client.get(path).status_code == 404


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    """No file of the page names another host, evaluates text, or writes markup from data."""
    for path in PAGE.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert not any(word in text for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "style=")), (
            path
        )
