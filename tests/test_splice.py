"""Splicing: byte for byte what was sent, except for what has to change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ofox_middleware.adapting import Edits
from ofox_middleware.body import read
from ofox_middleware.members import WINDOW
from ofox_middleware.splice import splice


def spliced(raw: bytes, model: str | None = "a/b", **params: Any) -> bytes:
    document = read(raw)
    assert document is not None
    return splice(document, model=model, params=params)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"model":"auto"}', b'{"model":"a/b"}'),
        (b' \n{ "model" :\t"auto" , "n" : 1 } ', b' \n{ "model" :\t"a/b" , "n" : 1 } '),
        (b'{"n":1,"model":"auto"}', b'{"n":1,"model":"a/b"}'),
        (b'{"messages":[{"model":"auto"}],"model":"auto"}', b'{"messages":[{"model":"auto"}],"model":"a/b"}'),
        (b'{"model":"auto","x":{"model":"auto"}}', b'{"model":"a/b","x":{"model":"auto"}}'),
        (b'{"a":"model","model":"auto"}', b'{"a":"model","model":"a/b"}'),
        (b'{"a\\"model":"auto","model":"auto"}', b'{"a\\"model":"auto","model":"a/b"}'),
        (b'{"mod\\u0065l":"\\u0061uto"}', b'{"mod\\u0065l":"a/b"}'),
        (b'{"model":["auto"]}', b'{"model":"a/b"}'),
        (b'{"model":"x","model":"auto"}', b'{"model":"a/b","model":"a/b"}'),
        (b'{"model":{"a":1},"n":2,"mod\\u0065l":"auto"}', b'{"model":"a/b","n":2,"mod\\u0065l":"a/b"}'),
        ('{"é":"漢😀","model":"x","ü":1,"model":"auto"}'.encode(),
         '{"é":"漢😀","model":"a/b","ü":1,"model":"a/b"}'.encode()),
        (b'{"seed":123456789012345678901234567890,"t":1.10,"model":"auto"}',
         b'{"seed":123456789012345678901234567890,"t":1.10,"model":"a/b"}'),
        (b'{"t":1e400,"i":' + b"7" * 5000 + b',"s":"\\ud800","model":"auto"}',
         b'{"t":1e400,"i":' + b"7" * 5000 + b',"s":"\\ud800","model":"a/b"}'),
        (b'{"s":"\\/\\u00e9\\n","model":"auto"}', b'{"s":"\\/\\u00e9\\n","model":"a/b"}'),
    ],
)  # fmt: skip
def test_only_the_model_changes(raw: bytes, expected: bytes) -> None:
    """Every top-level model is rewritten, whatever its spelling; all other bytes stay."""
    assert spliced(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"model_routing_config":{"a":[1,2]}}', b"{}"),
        (b'{ "model_routing_config" : {} }', b"{  }"),
        (b'{"model_routing_config":null, "n":1}', b'{"n":1}'),
        (b'{"n":1 , "model_routing_config":"x" }', b'{"n":1  }'),
        (b'{"n":1,"model_routing_config":{},"m":2}', b'{"n":1,"m":2}'),
        (b'{"model_routing_config":1,"model_routing_config":2}', b"{}"),
        (b'{"n":1,"model_routing_config":1, "model_routing_config":2}', b'{"n":1}'),
        (b'{"model_routing_config":1,"n":1,"model_routing_config":2}', b'{"n":1}'),
        (b'{"model_routing_config":1,"model_routing_config":2,"n":1}', b'{"n":1}'),
        (b'{"model\\u005frouting_config":1,"n":1}', b'{"n":1}'),
        (b'{"x":{"model_routing_config":1},"model_routing_config":1}', b'{"x":{"model_routing_config":1}}'),
        (b'{"model":"gpt","model_routing_config":7}', b'{"model":"gpt"}'),
    ],
)  # fmt: skip
def test_the_config_goes(raw: bytes, expected: bytes) -> None:
    """Every top-level routing config goes with one comma, whatever is in it; nested ones and the model stay."""
    assert spliced(raw, None) == expected


def test_without_either_name_nothing_is_done() -> None:
    """A body without model and config comes back as the same object."""
    raw = b'{"n": 1}'
    assert spliced(raw) is raw


def test_absent_params_are_added_after_the_model() -> None:
    """A card's parameters are added once, and only those that the caller did not set, be it to null."""
    raw = b'{"model":"auto","temperature":null,"model":"auto","n":1}'
    assert spliced(raw, reasoning_effort="low", temperature=0.5, thinking={"type": "off"}) == (
        b'{"model":"a/b","reasoning_effort":"low","thinking":{"type":"off"},"temperature":null,"model":"a/b","n":1}'
    )


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"model":"auto","temperature":1,"max_tokens":5}', b'{"model":"a/b","max_completion_tokens":5}'),
        (b'{"temperature" : 1e0 , "model":"auto"}', b'{"model":"a/b"}'),
        (b'{"model":"auto", "temperature":1}', b'{"model":"a/b"}'),
        (b'{"temperature":1,"model_routing_config":{},"top_p":1,"model":"auto"}', b'{"model":"a/b"}'),
        (b'{"model":"auto","x":{"temperature":1},"effort":"minimal"}',
         b'{"model":"a/b","x":{"temperature":1},"effort":"low"}'),
        ('{"é":"ü","max_tokens" :\t5,"model":"auto","messages":["max_tokens"]}'.encode(),
         '{"é":"ü","max_completion_tokens" :\t5,"model":"a/b","messages":["max_tokens"]}'.encode()),
        (b'{"max_tok\\u0065ns":5,"model":"auto","temperature":1,"temperature":2}',
         b'{"max_completion_tokens":5,"model":"a/b"}'),
        (b'{"model":"auto"}', b'{"model":"a/b"}'),
    ],
)  # fmt: skip
def test_members_are_taken_out_renamed_and_replaced(raw: bytes, expected: bytes) -> None:
    """Only top-level members change, wherever they stand, and the bytes around them stay."""
    document = read(raw)
    assert document is not None
    edits = Edits(frozenset({"temperature", "top_p"}), {"max_tokens": "max_completion_tokens"}, {"effort": "low"})
    assert splice(document, model="a/b", params={}, edits=edits) == expected
    large = raw[:-1] + b',"pad":"' + b"x" * 70_000 + b'"}'
    document = read(large)
    assert document is not None
    after = json.loads(splice(document, model="a/b", params={}, edits=edits))
    assert after == {**json.loads(expected), "pad": "x" * 70_000}


def test_odd_model_names_are_escaped() -> None:
    """A model's name is written as a JSON string, whatever it holds."""
    assert json.loads(spliced(b'{"model":"auto"}', 'x"\n\\é')) == {"model": 'x"\n\\é'}


LARGE = [{"role": "user", "content": 'The "model": "auto" of foxes.\n' * 40} for _ in range(200)]
TOOLS = [{"name": "t", "parameters": {"model": {"type": "string"}, "n": n}} for n in range(3)]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "auto", "messages": LARGE},
        {"messages": LARGE, "model": "auto", "stream": True},
        {"messages": LARGE, "model": "auto", "tools": TOOLS},
        {"messages": LARGE, "model": "auto", "tools": TOOLS * 1000},
        {"messages": LARGE, "model": "auto", "tools": TOOLS * 10},
        {"max_tokens": 5, "messages": LARGE, "model": "auto", "model_routing_config": {"preference": "cost"}},
        {"model_routing_config": {"preference": "cost"}, "messages": LARGE, "model": "auto"},
        {"model": "auto", "messages": LARGE, "model_routing_config": {"models": ["x"]}, "tools": TOOLS},
        {"model": "auto", "messages": LARGE, "z": {"model_routing_config": 1}, "model_routing_config": 1},
        {"input": "x" * 300_000, "model": "auto"},
        {"a": "x" * 300_000, "model": "auto", "b": "y" * 300_000},
    ],
)  # fmt: skip
@pytest.mark.parametrize("ascii_only", [True, False])
def test_large_bodies(fields: dict[str, Any], *, ascii_only: bool) -> None:
    """Wherever the names stand in a large body, the result is what re-encoding would give."""
    raw = json.dumps({**fields, "é": "漢"}, ensure_ascii=ascii_only).encode()
    expected = {name: value for name, value in {**fields, "é": "漢"}.items() if name != "model_routing_config"}
    expected["model"] = "a/b"
    assert spliced(raw) == json.dumps(expected, ensure_ascii=ascii_only).encode()


def test_an_escaped_name_in_the_tail_of_a_large_body() -> None:
    """A nested name near the end is not taken for the top-level one, which is spelt with an escape."""
    raw = b'{"a":"' + b"x" * (3 * WINDOW) + b'","mod\\u0065l":"auto","b":[{"model":"auto"}],"c":"\\"model\\":1"}'
    assert spliced(raw) == raw.replace(b'"mod\\u0065l":"auto"', b'"mod\\u0065l":"a/b"')


def test_many_false_names_in_the_tail() -> None:
    """More nested names than are tried in the tail only cost a scan."""
    raw = b'{"a":"' + b"x" * (3 * WINDOW) + b'","model":"auto","b":[' + b'{"model":1},' * 20 + b"0]}"
    assert spliced(raw) == raw.replace(b'"model":"auto"', b'"model":"a/b"')


def test_a_small_body_is_not_scanned_for_a_name_in_a_string() -> None:
    """A name that ends a string with an escaped quote before it is no name."""
    raw = b'{"x\\"model":[1],"model":"auto","y\\"model":[2]}'
    assert spliced(raw) == raw.replace(b',"model":"auto"', b',"model":"a/b"')
