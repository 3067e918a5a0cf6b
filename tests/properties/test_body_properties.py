"""Splicing against a plain reference, on JSON written in every way that is allowed."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ofox_middleware import body as bodies
from ofox_middleware.body import read
from ofox_middleware.splice import splice

SPACE = st.sampled_from(["", "", " ", "\n", "\t \r\n"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["auto", "model", '"model":"auto"', "model_routing_config", "}{][,:\\", "cut \ud83d", "😀"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["model", "model_routing_config", "x", 'a"b']), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(["model", "model", "model_routing_config", "messages", "é", 'x"model', "", "n"])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """``value`` as JSON with drawn whitespace and escapes."""
    if isinstance(value, str):
        return draw(string(value))
    if isinstance(value, list):
        parts = [draw(SPACE) + draw(written(item)) + draw(SPACE) for item in value]
        return "[" + ",".join(parts) + "]"
    if isinstance(value, dict):
        return draw(members(list(value.items())))
    return json.dumps(value)


@st.composite
def string(draw: st.DrawFn, value: str) -> str:
    halved = any("\ud800" <= char <= "\udfff" for char in value)
    if draw(st.booleans()):
        return json.dumps(value, ensure_ascii=halved or draw(st.booleans()))
    return '"' + "".join(f"\\u{ord(char):04X}" if ord(char) < 0x10000 else char for char in value) + '"'


@st.composite
def members(draw: st.DrawFn, pairs: list[tuple[str, Any]]) -> str:
    parts = [
        f"{draw(SPACE)}{draw(string(name))}{draw(SPACE)}:{draw(SPACE)}{draw(written(value))}{draw(SPACE)}"
        for name, value in pairs
    ]
    return "{" + (",".join(parts) or draw(SPACE)) + "}"


@st.composite
def bodies_and_pairs(draw: st.DrawFn) -> tuple[bytes, list[tuple[str, Any]]]:
    pairs = draw(st.lists(st.tuples(NAMES, VALUES), max_size=6))
    text = draw(SPACE) + draw(members(pairs)) + draw(SPACE)
    return text.encode("utf-8", "surrogatepass"), pairs


def pairs_of(raw: bytes) -> list[tuple[str, Any]]:
    """The top-level members in order, twins included."""
    depth_first: list[list[tuple[str, Any]]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        depth_first.append(pairs)
        return dict(pairs)

    json.loads(raw, object_pairs_hook=keep)
    return depth_first[-1]


@settings(max_examples=400, deadline=None)
@given(bodies_and_pairs(), st.booleans(), st.integers(min_value=0, max_value=3))
@example((b'{"model":"auto","model":"auto"}', []), True, 0)
def test_splice_agrees_with_a_reference(drawn: tuple[bytes, Any], routed: bool, padding: int) -> None:
    """The members after splicing are those before, but for model and config, in the same order and with all twins."""
    raw = drawn[0]
    if padding:  # past the size from which both ends are looked at first
        filler = b'"filler":"' + b"x" * (padding * 50_000) + b'"'
        at = raw.index(b"{") + 1
        raw = raw[:at] + filler + (b"," if pairs_of(raw) else b"") + raw[at:]
    document = read(raw)
    assert document is not None
    before = pairs_of(raw)
    if document.members is None:
        assert document.fields == dict(before)
    after = splice(document, model="a/b" if routed else None, params={"added": [1]})
    expected: list[tuple[str, Any]] = []
    added = not routed or "added" in document.fields
    for name, value in before:
        if name == bodies.CONFIG:
            continue
        expected.append((name, "a/b" if routed and name == bodies.MODEL else value))
        if name == bodies.MODEL and not added:
            expected.append(("added", [1]))
            added = True
    assert pairs_of(after) == expected


@settings(max_examples=200, deadline=None)
@given(bodies_and_pairs())
def test_bytes_that_do_not_change_stay(drawn: tuple[bytes, Any]) -> None:
    """Putting the old model back gives the old bytes: nothing else was touched."""
    raw = drawn[0]
    document = read(raw)
    assert document is not None
    pairs = pairs_of(raw)
    if [name for name, _ in pairs].count("model") != 1 or any(name == bodies.CONFIG for name, _ in pairs):
        return
    mark = "\u0001unlikely\u0001"
    after = splice(document, model=mark, params={})
    head, tail = after.split(json.dumps(mark).encode())
    assert raw.startswith(head)
    assert raw.endswith(tail)
    assert json.loads(raw[len(head) : len(raw) - len(tail)]) == dict(pairs)["model"]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_left(raw: bytes) -> None:
    """Reading never raises, and what it reads is a JSON object for the standard library too."""
    document = read(raw)
    if document is not None:
        assert isinstance(json.loads(raw), dict)
        assert splice(document, model=None, params={}) == raw or bodies.CONFIG in document.fields


@settings(max_examples=200, deadline=None)
@given(bodies_and_pairs())
def test_the_cheap_test_misses_nothing(drawn: tuple[bytes, Any]) -> None:
    """A body that names an auto model or holds a config never fails the test that comes before reading."""
    raw = drawn[0]
    document = read(raw)
    assert document is not None
    if document.fields.get("model") == "auto" or bodies.CONFIG in document.fields:
        assert bodies.may_concern(raw, bodies.needles(["auto"]), lambda model: model == "auto")
