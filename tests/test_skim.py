"""Long histories: what a model must be able to take is found wherever it is, and odd shapes do no harm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ofox_middleware import signals, skim
from ofox_middleware.types import Need, Signals, Surface

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" * 50}


def turns(count: int) -> list[dict[str, Any]]:
    """An agent's history in Anthropic's shape: texts of many lengths, calls and results."""
    made: list[dict[str, Any]] = [{"role": "user", "content": "Mend the parser, please."}]
    for at in range(count // 2):
        call = {"type": "tool_use", "id": f"t{at}", "name": "Read", "input": {"path": f"src/part_{at}.py", "at": at}}
        made.append({"role": "assistant", "content": [{"type": "text", "text": "I read it. " * (at % 9)}, call]})
        result = {"type": "tool_result", "tool_use_id": f"t{at}", "content": "def f(x):\n    return x\n" * (at % 40)}
        made.append({"role": "user", "content": [result]})
    return made


def chat(count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [{"role": "user", "content": "Mend the parser, please."}]
    for at in range(count // 2):
        function = {"name": "read", "arguments": f'{{"path": "src/part_{at}.py"}}'}
        made.append({"role": "assistant", "content": None, "tool_calls": [{"id": f"c{at}", "function": function}]})
        made.append({"role": "tool", "tool_call_id": f"c{at}", "content": "    return x\n" * (at % 60)})
    return made


def items(count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [{"role": "user", "content": "Mend the parser, please."}]
    for at in range(count // 2):
        made.append({"type": "function_call", "call_id": f"c{at}", "name": "read", "arguments": f'{{"at": {at}}}'})
        made.append({"type": "function_call_output", "call_id": f"c{at}", "output": "    return x\n" * (at % 60)})
    return made


def read(messages: list[Any], surface: Surface) -> Signals:
    return signals.read({"input" if surface == "responses" else "messages": messages}, surface)


SHAPES: list[tuple[Callable[[int], list[dict[str, Any]]], Surface]] = [
    (turns, "messages"), (chat, "chat"), (items, "responses"),
]  # fmt: skip


@pytest.mark.parametrize(("build", "surface"), SHAPES)
def test_a_long_history_reads_as_if_it_were_read_closely(
    build: Callable[[int], list[dict[str, Any]]], surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything but counts that are scaled up is the same, and those are near."""
    messages = build(4000)
    skimmed = read(messages, surface)
    monkeypatch.setattr(signals, "LONG", 10**9)
    closely = read(messages, surface)
    assert skimmed.input_tokens == pytest.approx(closely.input_tokens, rel=0.06)
    assert skimmed.tool_turns == pytest.approx(closely.tool_turns, rel=0.1)
    for name in ("ask", "context", "in_tool_loop", "needs", "opening", "thinking_signed", "housekeeping"):
        assert getattr(skimmed, name) == getattr(closely, name), name


@pytest.mark.parametrize(
    ("part", "need"),
    [
        ({"type": "image", "source": PNG}, "image"),
        ({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "x"}}, "file"),
        ({"type": "tool_result", "content": [{"type": "image", "source": PNG}]}, "image"),
        ({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}, "audio"),
    ],
)
def test_one_image_in_the_middle_is_found(part: dict[str, Any], need: Need) -> None:
    """One message of thousands decides which models can serve."""
    messages = turns(4000)
    plain = read(messages, "messages")
    assert need not in plain.needs
    for place in (skim.HEAD + 1, 1777, 2500):
        seen = read([*messages[:place], {"role": "user", "content": [part]}, *messages[place:]], "messages")
        assert need in seen.needs
        assert seen.input_tokens == pytest.approx(plain.input_tokens, rel=0.03)


def test_one_very_long_message_in_the_middle_counts() -> None:
    """A length that no sample would meet is still in the estimate."""
    messages = turns(4000)
    long = {
        "role": "user",
        "content": [{"type": "tool_result", "content": [{"type": "text", "text": "word " * 500_000}]}],
    }
    seen = read([*messages[:1501], long, *messages[1501:]], "messages")
    assert seen.input_tokens - read(messages, "messages").input_tokens == pytest.approx(500_000, rel=0.15)


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking"])
def test_signed_thinking_in_the_middle_is_found(kind: str) -> None:
    """One signed block keeps a conversation on its model."""
    messages = turns(4000)
    block = {"role": "assistant", "content": [{"type": kind, "thinking": "hm", "signature": "s"}]}
    assert read([*messages[:1500], block, *messages[1500:]], "messages").thinking_signed
    unsigned = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]}
    assert not read([*messages[:1500], unsigned, *messages[1500:]], "messages").thinking_signed


@pytest.mark.parametrize(
    "odd",
    [
        None, 1, "x", [], {}, {"role": "user"}, {"content": 5}, {"role": "user", "content": [None]},
        {"role": "user", "content": ["text"]}, {"role": "user", "content": [{"text": 5}]},
        {"role": "user", "content": [{"type": ["x"]}]}, {"role": "user", "content": [{"type": "text", "text": 5}]},
        {"role": "user", "content": [{"type": "tool_result", "content": 5}]},
        {"role": "user", "content": [{"type": "tool_result", "content": [5]}]},
        {"role": "user", "content": {"type": "text"}},
    ],
)  # fmt: skip
def test_odd_shapes_in_the_middle(odd: Any) -> None:
    """What is no message of any protocol is passed over, and what is around it counts as before."""
    messages = turns(2000)
    image = {"role": "user", "content": [{"type": "image", "source": PNG}]}
    seen = read([*messages[:900], odd, image, *messages[900:]], "messages")
    assert "image" in seen.needs
    assert seen.input_tokens == pytest.approx(read(messages, "messages").input_tokens + 1100, rel=0.05)
