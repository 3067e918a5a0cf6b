"""Fields of a request that LiteLLM trips over before it asks a provider.

It answers them with a 500, which would count against every model that is tried with them, for all callers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ofox_middleware.errors import InvalidRequest

_OBJECTS: Final = ("response_format", "extra_body", "extra_headers", "extra_query")
_SECONDS: Final = ("timeout", "stream_timeout", "request_timeout")
_NOT_JSON: Final = "client"
"""In Python an object that makes connections."""


def check_shapes(data: dict[str, Any]) -> None:
    """Raises ``InvalidRequest`` for a field of the wrong type; takes out what no JSON can be."""
    data.pop(_NOT_JSON, None)
    for name in _OBJECTS:
        if data.get(name) is not None and not isinstance(data[name], Mapping):
            raise InvalidRequest(f"{name} must be an object.", param=name, code="invalid_type")
    for name in _SECONDS:
        if data.get(name) is not None and not _is_number(data[name]):
            raise InvalidRequest(f"{name} must be a number.", param=name, code="invalid_type")


def _is_number(value: object) -> bool:
    try:
        return not isinstance(value, bool) and isinstance(value, (int, float, str)) and float(value) == float(value)
    except ValueError:
        return False
