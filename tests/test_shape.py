"""What no protocol takes is refused, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from ofox_middleware import shape
from ofox_middleware.errors import InvalidRequest


@pytest.mark.parametrize(
    ("surface", "body", "param"),
    [
        ("chat", {"messages": "hi"}, "messages"),
        ("chat", {"messages": {"role": "user"}}, "messages"),
        ("messages", {"messages": ["hi"]}, "messages[0]"),
        (
            "chat",
            {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": 5}]},
            "messages[1].content",
        ),
        ("chat", {"messages": [{"role": "user", "content": {"text": "a"}}]}, "messages[0].content"),
        ("chat", {"messages": [{"role": "user", "content": [7]}]}, "messages[0].content"),
        ("responses", {"input": 5}, "input"),
        ("responses", {"input": [5]}, "input[0]"),
        ("text", {"prompt": {"a": 1}}, "prompt"),
    ],
)
def test_what_cannot_be_a_conversation(surface: Any, body: dict[str, Any], param: str) -> None:
    """The error names the place."""
    with pytest.raises(InvalidRequest) as caught:
        shape.check(body, surface)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        ("chat", {}),
        ("chat", {"messages": None}),
        ("chat", {"messages": []}),
        ("chat", {"messages": [{"role": "assistant", "content": None, "tool_calls": []}, {"role": "x"}]}),
        ("messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]}),
        ("responses", {"input": "hi"}),
        ("responses", {"input": [{"type": "item_reference", "id": "x"}]}),
        ("text", {"prompt": [[1, 2], [3]]}),
        ("text", {"prompt": "hi"}),
    ],
)
def test_what_may_be_one(surface: Any, body: dict[str, Any]) -> None:
    """Absent, null and unusual values are the provider's to judge."""
    shape.check(body, surface)
