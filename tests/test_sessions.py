"""Conversation pins and the keys they are kept under."""

from __future__ import annotations

from ofox_middleware.sessions import SessionBook, session_key


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pin_is_found_again() -> None:
    """A conversation is found on the model it was put on, with what that model has read."""
    book = SessionBook(clock=Clock(), ttl_s=10, max_sessions=2)
    book.pin("k", "m", sent_tokens=5, degraded=True)
    pin = book.get("k")
    assert pin is not None
    assert (pin.model, pin.sent_tokens, pin.degraded) == ("m", 5, True)
    assert book.get("other") is None


def test_caches_of_models_that_were_left_are_remembered() -> None:
    """For five minutes a model that a conversation has left still has what it read, if that was long enough."""
    clock = Clock()
    book = SessionBook(clock=clock, ttl_s=3600, max_sessions=2)
    for model, tokens in (("a", 5000), ("b", 6000), ("a", 7000), ("c", 500)):
        book.pin("k", model, sent_tokens=tokens)
        clock.now += 100
    pin = book.get("k")
    assert pin is not None
    assert (pin.model, pin.switches) == ("c", 3)
    assert pin.warm(clock.now) == {"a": 7000, "b": 6000}
    assert pin.warm(clock.now + 100) == {"a": 7000}
    assert pin.warm(clock.now + 301) == {}
    for model in "defg":
        book.pin("k", model, sent_tokens=2000)
    pin = book.get("k")
    assert pin is not None
    assert set(pin.warm(clock.now)) == {"g", "f", "e"}


def test_idle_pins_are_forgotten() -> None:
    """A pin that has been idle longer than its time to live is gone, and its memory with it."""
    clock = Clock()
    book = SessionBook(clock=clock, ttl_s=10, max_sessions=2)
    book.pin("k", "m", sent_tokens=5)
    clock.now = 10.0
    assert book.get("k") is not None
    clock.now = 10.1
    assert book.get("k") is None
    assert len(book) == 0


def test_number_of_pins_is_bounded() -> None:
    """The conversation that was used least recently goes first."""
    book = SessionBook(clock=Clock(), ttl_s=10, max_sessions=2)
    for key in ("a", "b", "a", "c"):
        book.pin(key, "m", sent_tokens=0)
    assert len(book) == 2
    assert book.get("b") is None


def test_nothing_to_keep() -> None:
    """The empty key is never kept, and zero sessions switches pins off."""
    book = SessionBook(clock=Clock(), ttl_s=10, max_sessions=2)
    book.pin("", "m", sent_tokens=0)
    assert len(book) == 0
    off = SessionBook(clock=Clock(), ttl_s=10, max_sessions=0)
    off.pin("k", "m", sent_tokens=0)
    assert len(off) == 0
    off.forget("never there")


def test_keys_tell_callers_and_conversations_apart() -> None:
    """Same opening or id, other caller: another conversation; an id stands alone for the opening."""
    keys = {
        session_key("hi", "ann", None),
        session_key("hi", "bob", None),
        session_key("hi", "ann", "hi"),
        session_key("hi", "bob", "hi"),
    }
    assert len(keys) == 4
    assert session_key("hi", "ann", "7") == session_key("other", "ann", "7")


def test_key_holds_no_text() -> None:
    """A key is a hash; without anything to know the conversation by it is empty."""
    assert session_key("", "ann", None) == ""
    key = session_key("secret \ud800 words", "ann", None)
    assert len(key) == 32
    assert "secret" not in key
