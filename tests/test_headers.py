"""Headers: read once, rewritten on copies, safe to send."""

from __future__ import annotations

import pytest

from ofox_middleware import headers

JSON = (b"content-type", b"application/json")


def test_a_head_holds_what_routing_needs() -> None:
    """Credential, session and the wish for a dry run are read in one pass."""
    head = headers.read_head(
        [JSON, (b"authorization", b"Bearer k"), (b"x-litellm-session-id", b"s" * 600), (b"x-ofox-dry-run", b"TRUE")], 10
    )
    assert head is not None
    assert (head.dry_run, head.session, len(head.caller)) == (True, "s" * 512, 24)


@pytest.mark.parametrize("name", [b"authorization", b"x-api-key", b"api-key", b"x-litellm-api-key"])
def test_each_credential_makes_a_caller(name: bytes) -> None:
    """Every header that carries a key tells callers apart; the same key under another name is another caller."""
    one, two, other = (
        headers.read_head([JSON, pair], 10) for pair in ((name, b"a"), (name, b"b"), (b"authorization", b"b"))
    )
    assert one is not None
    assert two is not None
    assert other is not None
    assert one.caller != two.caller
    assert (two.caller == other.caller) is (name == b"authorization")


def test_without_credentials_there_is_no_caller() -> None:
    """A request without a credential has the empty caller and an empty session is none."""
    head = headers.read_head([JSON, (b"x-litellm-session-id", b"")], 10)
    assert head is not None
    assert (head.caller, head.session) == ("", None)


@pytest.mark.parametrize(
    ("length", "fits"),
    [(b"0", True), (b"10", True), (b"010", True), (b"11", False), (b"1" * 19, False), (b" 5", False)],
)
def test_declared_lengths(length: bytes, *, fits: bool) -> None:
    """A declared length counts when it is a plain number; beyond the limit the body is not looked at."""
    assert (headers.read_head([JSON, (b"content-length", length)], 10) is not None) is fits


def test_stamping_replaces_and_keeps() -> None:
    """Of the app's headers only those of our five names go; the list itself is not changed."""
    theirs = [(b"a", b"1"), (b"X-Ofox-Model", b"x"), (b"x-ofox-else", b"y")]
    assert headers.stamped(theirs, [(b"x-ofox-model", b"m")]) == [
        (b"a", b"1"), (b"x-ofox-else", b"y"), (b"x-ofox-model", b"m"),
    ]  # fmt: skip
    assert len(theirs) == 3


def test_a_new_body_replaces_what_described_the_old_one() -> None:
    """Lengths, encodings and digests of the old body go; one length comes."""
    old = [(b"content-length", b"1"), (b"a", b"b"), (b"content-length", b"2"), (b"transfer-encoding", b"chunked"),
           (b"digest", b"x"), (b"content-md5", b"y"), (b"repr-digest", b"z")]  # fmt: skip
    assert headers.for_body(old, 7) == [(b"a", b"b"), (b"content-length", b"7")]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("gpt-4o", b"gpt-4o"),
        ("é", b"\xe9"),
        ("模", b"?"),
        ("a\r\nb", b"a??b"),
        ("\x7f\x85\xa0", b"???"),
        (" x ", b"x"),
        ("", b""),
    ],
)
def test_safe_values(value: str, sent: bytes) -> None:
    """Values become one line of Latin-1."""
    assert headers.safe(value) == sent
