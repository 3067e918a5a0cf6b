"""Conversation pins and the keys they are kept under."""

from __future__ import annotations

import msgspec
import pytest

from ofox_middleware.sessions import TOLD_FOR_S, SessionBook, session_key


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


def told(summary: object) -> bytes:
    """What another worker would read."""
    return msgspec.json.encode(summary)


def test_workers_tell_each_other_where_conversations_are() -> None:
    """The later word counts, one's own comes back without effect, and old ones are not told."""
    here, there = Clock(), Clock()
    here.now, there.now = 100.0, 5000.0
    mine, other = (SessionBook(clock=clock, ttl_s=60, max_sessions=5) for clock in (here, there))
    key, old = session_key("a", "", None), session_key("b", "", None)
    mine.pin(old, "m", sent_tokens=1)
    here.now += TOLD_FOR_S + 1
    mine.pin(key, "m", sent_tokens=2000, degraded=True, preference="cost")
    assert mine.summary().keys() == {key}
    other.merge(told(mine.summary()), age_s=2.0)
    pin = other.get(key)
    assert pin is not None
    assert (pin.model, pin.sent_tokens, pin.at, pin.degraded) == ("m", 2000, 4998.0, True)
    assert pin.preference == "cost"
    there.now += 1
    other.pin(key, "n", sent_tokens=3000)
    other.merge(told(mine.summary()), age_s=3.0)
    moved = other.get(key)
    assert moved is not None
    assert (moved.model, moved.switches, moved.warm(there.now)) == ("n", 1, {"n": 3000, "m": 2000})
    here.now += 4
    mine.merge(told(other.summary()), age_s=0.0)
    back = mine.get(key)
    assert back is not None
    assert back.model == "n"


def test_odd_words_of_other_workers_are_left_out() -> None:
    """Wrong keys, sizes and ages are not taken over; what has another form is refused; the number is bounded."""
    book = SessionBook(clock=Clock(), ttl_s=60, max_sessions=3)
    key = session_key("a", "", None)
    odd = {"short": ("m", 1, 0.0, False, ""), "x" * 31 + "/": ("m", 1, 0.0, False, ""), key: ("m", -1, 0.0, False, "")}
    book.merge(told(odd), age_s=0.0)
    book.merge(told({key: ("m", 1, 59.0, False, "")}), age_s=2.0)
    assert len(book) == 0
    with pytest.raises(msgspec.MsgspecError):
        book.merge(b'{"a": 1}', age_s=0.0)
    book.merge(told({session_key(str(n), "", None): ("m", 1, 0.0, False, "") for n in range(9)}), age_s=0.0)
    assert len(book) == 3
