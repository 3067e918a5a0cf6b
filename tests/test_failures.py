"""What counts as a provider's failure, and Retry-After in all its spellings."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from ofox_middleware.failures import HINT_CAP_S, is_failure, retry_after_s

NOW = 1_800_000_000.0


@pytest.mark.parametrize("status", [None, 401, 402, 403, 404, 408, 429, 500, 502, 503, 504, 529, 599])
def test_hard_failures(status: int | None) -> None:
    """No answer at all, 5xx, and the 4xx that speak of the provider and not of the request are failures."""
    assert is_failure(status)


@pytest.mark.parametrize("status", [200, 204, 301, 400, 405, 409, 413, 415, 422, 451, 499])
def test_the_requests_own_affair(status: int) -> None:
    """Other 4xx, a client that left and every success say nothing about the next request."""
    assert not is_failure(status)


@pytest.mark.parametrize(
    "message",
    [
        "Your credit balance is too low to access the Anthropic API.",
        "Error code: 400 - {'error': {'code': 'insufficient_quota'}}",
        "You exceeded your current quota, please check your plan and billing details.",
        "Access denied, please make sure your account is in good standing: Arrearage",
        "billing_hard_limit_reached: Billing hard limit has been reached",
        "Insufficient balance",
        "This account is suspended",
        "API key not valid. Please pass a valid API key.",
        "API_KEY_INVALID",
    ],
)
def test_400_without_credit(message: str) -> None:
    """A 400 whose text says that the account cannot pay, or that its key is void, is a failure of the provider."""
    assert is_failure(400, message)
    assert not is_failure(422, message)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "This model's maximum context length is 128000 tokens.",
        "The response was filtered due to the prompt triggering content management policy.",
        "Invalid prompt: 'write a billing system with accounts, credits and quota'",
        "x" * 3_000 + "insufficient_quota",
    ],
)
def test_other_400(message: str) -> None:
    """Any other 400 is not, neither words of a prompt that it quotes nor text far into it."""
    assert not is_failure(400, message)


@pytest.mark.parametrize(
    ("source", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": "7.5"}, 7.5),
        ({"RETRY-AFTER": " 12 "}, 12.0),
        ([(b"Retry-After", b"3")], 3.0),
        ([("content-type", "x"), ("retry-after", "4")], 4.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": 5}, 5.0),
        ("30", 30.0),
        (b"30", 30.0),
        (30, 30.0),
        (1.5, 1.5),
        ("0", 0.0),
        ({"retry-after": "86400"}, HINT_CAP_S),
        ({"retry-after-ms": "86400000"}, HINT_CAP_S),
    ],
)
def test_retry_after_in_seconds(source: object, seconds: float) -> None:
    """Seconds and milliseconds are read from headers of any shape and from bare values; 300 s is the most."""
    assert retry_after_s(source, wall=lambda: NOW) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(90, 90.0), (-90, 0.0), (86_400, HINT_CAP_S)])
def test_retry_after_as_date(ahead: int, seconds: float) -> None:
    """An HTTP date counts from now, never less than nothing and at most 300 s."""
    date = formatdate(NOW + ahead, usegmt=True)
    assert retry_after_s({"retry-after": date}, wall=lambda: NOW) == seconds


@pytest.mark.parametrize(
    "source",
    [
        None, "", "soon", "-5", "nan", "inf", "1e9", "0x10", "9" * 400, "Mon, 99 Foo 2026 99:99:99 GMT",
        "Mon" + "x" * 100, "2026-10-14", {}, {"retry-after": ""}, {"retry-after": None}, {"x": "5"}, [],
        [("retry-after",)], object(), [5], {"retry-after-ms": "-3"},
    ],
)  # fmt: skip
def test_retry_after_nonsense(source: object) -> None:
    """What does not say how long is as if it were not there; nothing raises."""
    assert retry_after_s(source) is None
