"""The fields of a caller's key, of which not every release of LiteLLM has all."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from litellm.proxy._types import UserAPIKeyAuth


def reader(first: str, second: str, *more: str) -> Callable[[UserAPIKeyAuth], tuple[Any, ...]]:
    """Reads of a key those of the named fields that the installed LiteLLM knows, all in one step.

    To ask a key for a field that it lacks takes as long as all the others do.

    Args:
        first, second: fields that every release has.
    """
    return attrgetter(first, second, *(name for name in more if name in UserAPIKeyAuth.model_fields))
