"""What is fuzzed: each target takes any bytes and raises only when our code broke a promise."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from ofox_middleware import body as bodies
from ofox_middleware import sniff
from ofox_middleware.cards import ModelCard
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.errors import InvalidRequest, OfoxError, wire_body
from ofox_middleware.headers import for_body, read_head, stamped
from ofox_middleware.members import MOST_MEMBERS, WINDOW
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.signals import read
from ofox_middleware.splice import splice
from tests.fuzz.tape import Tape
from tests.properties.test_body_properties import pairs_of
from tests.properties.test_signals_properties import SURFACES, check

AUTO = "auto"
HALVES = re.compile("[\ud800-\udfff]")  # are read as U+FFFD, as documented
MARKS = bodies.needles([AUTO])
# The door lets nothing longer through to the readers without a scan of its own; fuzzing goes for odd, not for long.
PADDING = b'"pad":"' + b"x" * (2 * WINDOW) + b'"'


def body_bytes(data: bytes) -> None:
    """Any bytes: read or left alone; what is read is spliced into what a plain parser expects."""
    splice_and_compare(data)


def body_text(data: bytes) -> None:
    """JSON objects in any spelling, small and past the size from which only both ends are looked at."""
    tape = Tape(data)
    padded = tape.number(8) == 0
    raw = tape.members().encode("utf-8", "surrogatepass")
    if padded:
        raw = raw.replace(b"{", b"{" + PADDING + (b"" if raw.startswith(b"{}") else b","), 1)
    splice_and_compare(raw)


def splice_and_compare(raw: bytes) -> None:
    try:
        document = bodies.read(raw)
    except InvalidRequest:
        assert raw.count(b":") > MOST_MEMBERS
        return
    if document is None:
        return
    before = pairs_of(raw)
    fields = dict(before)
    assert list(document.fields) == list({HALVES.sub("\ufffd", name): 0 for name in fields})
    if document.fields.get(bodies.MODEL) == AUTO or bodies.CONFIG in document.fields:
        assert bodies.may_concern(raw, MARKS, lambda model: model == AUTO)
    assert splice(document, model=None, params={}) == raw or bodies.CONFIG in fields
    after = splice(document.without_values(), model="a/b", params={"added": [1]})
    assert len(after) <= len(raw) + 32 * max(1, len(before))
    expected: list[tuple[str, Any]] = []
    added = "added" in fields
    for name, value in before:
        if name == bodies.CONFIG:
            continue
        expected.append((name, "a/b" if name == bodies.MODEL else value))
        if name == bodies.MODEL and not added:
            expected.append(("added", [1]))
            added = True
    # By their text, in which NaN equals itself.
    assert repr(pairs_of(after)) == repr(expected)


def signals(data: bytes) -> None:
    """Any decoded body on each surface: read within bounds, and what is read of it is judged within bounds."""
    tape = Tape(data)
    names = ("messages", "input", "prompt", "system", "instructions", "tools", "response_format", "max_tokens")
    body = {tape.pick(names): tape.value() for _ in range(tape.number(6))}
    for surface in SURFACES:
        found = read(body, surface)
        check(found, surface, body)
        judged = judge().classify(found)
        assert 0 <= judged.level <= 1
        assert abs(sum(judged.domains) - 1) < 1e-6


def decision(data: bytes) -> None:
    """Any decoded body gets a decision among the pool or a typed refusal that names the field."""
    tape = Tape(data)
    body = {"model": AUTO, "messages": tape.value(), tape.pick(("tools", "n", "stream", "max_tokens")): tape.value()}
    if tape.number(2):
        config = {tape.pick(("models", "preference", "exclude", "max_cost_usd", "session_id", "fallback", "x")): 0}
        body["model_routing_config"] = {name: tape.value() for name in config} if tape.number(4) else tape.value()
    try:
        made = router().decide(body, path="/v1/chat/completions")
    except OfoxError as refused:
        json.dumps(wire_body(refused, "chat"))
        return
    assert set(made.ranking) <= {"cheap", "dear"}
    json.dumps(made.to_dict())


def stream_start(data: bytes) -> None:
    """Any beginning of an answer: errors, emptiness and token counts are read or not, and nothing raises."""
    tape = Tape(data)
    if tape.number(2):
        events = (f"event: {tape.pick(('error', 'ping', 'message_start'))}\ndata: {tape.written()}" for _ in range(3))
        data = "\n\n".join(events).encode("utf-8", "surrogatepass")
    for status in (sniff.first_error(data), sniff.last_error([data, data]), sniff.error_in(data)):
        assert status is None or 100 <= status < 600
    sniff.says_nothing(data)
    tokens = sniff.output_tokens([data[:7], data[7:]])
    assert tokens is None or tokens >= 0


def heads(data: bytes) -> None:
    """Any request headers: read or passed over; what goes on has one length and the rest as it was."""
    tape = Tape(data)
    known = (b"content-type", b"content-length", b"content-encoding", b"authorization", b"x-api-key", b"digest",
             b"x-litellm-session-id", b"x-ofox-dry-run", b"transfer-encoding", b"expect")  # fmt: skip
    values = (b"application/json", b"application/x+json; charset=utf-8", b"1", b"-1", b"gzip", b"true", b"\xb2", b"")
    headers = []
    for _ in range(tape.number(8)):
        name = tape.pick(known) if tape.number(4) else tape.rest(12)
        headers.append((name, tape.pick(values) if tape.number(2) else tape.rest()))
    read_head(headers, 1000)
    assert [value for name, value in for_body(headers, 7) if name == b"content-length"] == [b"7"]
    assert stamped(headers, [(b"x-ofox-model", b"m")])[-1] == (b"x-ofox-model", b"m")


@cache
def judge() -> DifficultyModel:
    return DifficultyModel.load()


@cache
def router() -> SmartRouter:
    cards = [
        ModelCard(name="cheap", ability=0.3, input_cost_per_token=1e-7, output_cost_per_token=2e-7),
        ModelCard(name="dear", ability=0.9, input_cost_per_token=1e-5, output_cost_per_token=3e-5),
    ]
    return SmartRouter(Settings(models=cards, seed=1), clock=lambda: 1.0)


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (body_bytes, body_text, signals, decision, stream_start, heads)
}
