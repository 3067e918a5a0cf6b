"""No regular expression of ours can be made to run away."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import ofox_middleware

try:
    import re._constants as constants
    import re._parser as parser
except ImportError:  # Python 3.10
    import sre_constants as constants
    import sre_parse as parser

REPEATS = (constants.MAX_REPEAT, constants.MIN_REPEAT)
MANY = 16
# Repeats within repeats that were looked at: each round must end in a character that its inner repeat cannot take, so
# there is one way only to divide a text into rounds.
DIVIDED_ONE_WAY = {
    "model_names._DOTTED_PREFIX": ("a." * 50_000, "a" * 100_000),
    "gateway_errors._PREFIX": ("xError: " * 20_000,),
}


def patterns() -> Iterator[tuple[str, re.Pattern[Any]]]:
    """Every compiled pattern that a module of ours holds, by its place."""
    for found in pkgutil.iter_modules(ofox_middleware.__path__, "ofox_middleware."):
        if found.name.endswith("__main__") or found.name.startswith("ofox_middleware.litellm_"):
            continue  # the former runs; the latter load LiteLLM, and what they match are frames' ends
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{found.name.rpartition('.')[2]}.{name}", value


PATTERNS = dict(patterns())


def nested(tree: Any, within: bool = False) -> bool:
    """Whether an open-ended repeat of something of open length stands inside another: ``(a+)+``."""
    for operator, argument in tree:
        if operator in REPEATS:
            _, most, inner = argument
            open_ended = most > MANY
            if (open_ended and within) or nested(inner, within or open_ended):
                return True
        elif operator is constants.SUBPATTERN:
            if nested(argument[3], within):
                return True
        elif operator is constants.BRANCH:
            if any(nested(branch, within) for branch in argument[1]):
                return True
        elif operator in (constants.ASSERT, constants.ASSERT_NOT) and nested(argument[1], within):
            return True
    return False


def test_the_check_knows_a_runaway() -> None:
    """The check tells the classic from its harmless relatives, and there is something to check."""
    assert nested(parser.parse(r"(a+)+b"))
    assert nested(parser.parse(r"(?:x*y?)*"))
    assert not nested(parser.parse(r"(?:ab)+c*"))
    assert len(PATTERNS) > 20


@pytest.mark.parametrize("place", PATTERNS)
def test_no_repeat_within_a_repeat(place: str) -> None:
    """No pattern repeats without end what itself repeats without end, but for those that were looked at."""
    pattern = PATTERNS[place]
    if place in DIVIDED_ONE_WAY:
        for text in DIVIDED_ONE_WAY[place]:
            pattern.search(f"{text}!")  # a runaway would not come back
        return
    assert not nested(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)), pattern.pattern


def test_nothing_hangs_on_a_megabyte() -> None:
    """Shapes that make backtracking costly, a megabyte each, are read, judged and decided on; a hang fails the test."""
    code = """
from ofox_middleware import ModelCard, Settings, SmartRouter
router = SmartRouter(Settings(models=[ModelCard(name="a/b", max_input_tokens=10**8)]))
shapes = ["<" , "</", "<a ", "[x] Result:", "# ", "```", "$\\\\", "\\n\\n", "- ", "(", "https://", "a@", "0x", "1.",
          "\\t ", "<system-reminder>", "Error: ", "\\u200b", "a\\u0301", "<tool_result><", "Caveat: "]
for shape in shapes:
    text = shape * (1_000_000 // len(shape))
    for content in (text, [{"type": "text", "text": text}]):
        for path in ("/v1/chat/completions", "/v1/messages"):
            body = {"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": content}] * 2}
            assert router.decide(body, path=path).model == "a/b"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=240)
