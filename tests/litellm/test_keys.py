"""Fields of a caller's key, whatever the release."""

from __future__ import annotations

import warnings

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # LiteLLM's proxy uses what pydantic and others have deprecated
    from litellm.proxy._types import UserAPIKeyAuth

    from ofox_middleware.litellm_keys import reader

pytestmark = pytest.mark.filterwarnings("default")


def test_fields_that_a_release_lacks_are_not_asked_for() -> None:
    """What no key can hold is passed over; the rest comes in the order in which it was named."""
    read = reader("team_id", "models", "field_of_another_release", "user_id")
    assert read(UserAPIKeyAuth(api_key="sk-x", team_id="t", user_id="u")) == ("t", [], "u")
