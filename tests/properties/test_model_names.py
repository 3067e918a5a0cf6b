"""Laws of names, over names that nobody thought of."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ofox_middleware.model_names import canonical, embedded_date, is_small, keys_for, matches, named_effort

SMALL = st.text(alphabet="ab/-.*?[", max_size=12)
NAMES = st.text(max_size=60) | st.from_regex(r"[a-z]{1,9}/[a-z]{1,9}-[0-9](\.[0-9])?(-[0-9]{8})?", fullmatch=True)


@given(pattern=SMALL, name=SMALL)
def test_a_glob_means_what_the_same_regular_expression_means(pattern: str, name: str) -> None:
    """Reference: each star as ``.*``, everything else literal, the whole name."""
    reference = ".*".join(re.escape(part) for part in pattern.split("*"))
    assert matches(pattern, name) is (re.fullmatch(reference, name, re.DOTALL) is not None)


@given(name=NAMES)
def test_a_canonical_form_is_plain(name: str) -> None:
    """No path, no dot, no capital is left, and nothing is added."""
    form = canonical(name)
    assert len(form) <= len(name.lower())
    assert not set(form) & set("/._@:")
    assert form == form.lower()


@settings(max_examples=200)
@given(name=NAMES)
def test_no_name_is_too_odd_to_read(name: str) -> None:
    """Whatever an operator or a client writes, reading it raises nothing and ends."""
    assert next(keys_for(name)) == (name, "")
    assert len(list(keys_for(name))) < 60
    assert named_effort(name) in {"none", "high", None}
    assert isinstance(is_small(name), bool)
    day = embedded_date(name)
    assert day is None or re.fullmatch(r"\d{4}-\d\d-\d\d", day)
