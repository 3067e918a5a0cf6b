"""Whether what routing reads of a request has the shape that its protocol says. Pure.

An app or LiteLLM that stumbles over ``"messages": "hi"`` fails with each model in turn, which would count against all
of them. What no protocol takes is refused before a model is picked; what is merely unusual is the provider's to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ofox_middleware.errors import InvalidRequest
from ofox_middleware.types import Surface

_CODE: Final = "invalid_type"
HELD: Final[Mapping[Surface, str]] = {
    "chat": "messages",
    "messages": "messages",
    "responses": "input",
    "text": "prompt",
}
"""Where each protocol keeps what is asked."""


def check(body: Mapping[str, Any], surface: Surface) -> None:
    """Raises :class:`InvalidRequest` when the conversation in ``body`` cannot be one; what is absent or null passes."""
    name = HELD[surface]
    value = body.get(name)
    if value is None or (isinstance(value, str) and name != "messages"):
        return
    if not isinstance(value, list):
        expected = "a list of objects" if name == "messages" else "a string or a list"
        raise InvalidRequest(f"{name} must be {expected}.", param=name, code=_CODE)
    if surface == "text":
        return
    for at, item in enumerate(value):
        if not isinstance(item, dict):
            raise InvalidRequest(f"{name}[{at}] must be an object.", param=f"{name}[{at}]", code=_CODE)
        content = item.get("content")
        if content is None or isinstance(content, str):
            continue
        where = f"{name}[{at}].content"
        if not isinstance(content, list):
            raise InvalidRequest(f"{where} must be a string, a list of objects or null.", param=where, code=_CODE)
        if not all(isinstance(part, (dict, str)) for part in content):
            raise InvalidRequest(f"Each part of {where} must be an object.", param=where, code=_CODE)
