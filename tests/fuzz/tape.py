"""Bytes as a tape of choices, so that a fuzzer's mutations become other documents rather than broken ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from tests.properties.test_signals_properties import NAMES, VALUES, WORDS

T = TypeVar("T")
SPACES = ("", "", "", " ", "\n", "\t\r\n ")
TOP_NAMES = ("model", "model_routing_config", "messages", "input", "prompt", "system", "tools", "metadata", "é", 'x"y')
STRINGS = (
    "auto",
    "model",
    "a\\",
    '"model":"auto"',
    "model_routing_config",
    "}{][,:\\",
    "\ud83d",
    "\ude00",
    "😀",
    "",
    "\0",
)
NUMBERS = ("0", "-0", "1e400", "-1E+5", "0.1", "9" * 30, "1" + "0" * 400, "18446744073709551616", "NaN", "Infinity")
MAX_DEPTH = 6


class Tape:
    """Reads choices off ``data``; at its end every choice is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._data)

    def number(self, below: int) -> int:
        """A number in [0, below), ``below`` at most 256."""
        if self.ended:
            return 0
        self._at += 1
        return self._data[self._at - 1] % below

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.number(len(choices))]

    def rest(self, limit: int = 64) -> bytes:
        """Up to ``limit`` raw bytes."""
        taken = self._data[self._at : self._at + self.number(limit)]
        self._at += len(taken)
        return taken

    def text(self) -> str:
        kind = self.number(4)
        if kind == 0:
            return self.pick(VALUES)
        if kind == 1:
            return "".join(self.pick(WORDS) for _ in range(self.number(12)))
        if kind == 2:
            return self.pick(STRINGS)
        return self.rest().decode("utf-8", "surrogateescape")

    def value(self, depth: int = 0) -> Any:
        """A JSON value for the readers of decoded bodies."""
        kind = self.number(8 if depth < MAX_DEPTH else 5)
        if kind == 0:
            return self.pick((None, True, False, 0, -1, 1.5, 10**25, float("inf")))
        if kind < 5:
            return self.text()
        if kind == 5:
            return [self.value(depth + 1) for _ in range(self.number(6))]
        return {self.pick(NAMES): self.value(depth + 1) for _ in range(self.number(7))}

    def written(self, depth: int = 0) -> str:
        """A value as JSON text, spelt in any way that is allowed, and in a few that are not."""
        kind = self.number(6 if depth < MAX_DEPTH else 4)
        if kind == 0:
            return self.pick(("null", "true", "false", *NUMBERS))
        if kind < 4:
            return self.spelt(self.text())
        if kind == 4:
            return "[" + ",".join(self.spaced(self.written(depth + 1)) for _ in range(self.number(4))) + "]"
        return self.members(depth + 1)

    def members(self, depth: int = 0) -> str:
        """An object as JSON text; names may come again."""
        pairs = []
        for _ in range(self.number(6)):
            name = self.spelt(self.pick(TOP_NAMES))
            pairs.append(f"{self.spaced(name)}:{self.spaced(self.written(depth + 1))}")
        return "{" + ",".join(pairs) + self.pick(("}", "}", "}", "}", "}", "}", ",}", "")) + self.pick(SPACES)

    def spaced(self, text: str) -> str:
        return self.pick(SPACES) + text + self.pick(SPACES)

    def spelt(self, text: str) -> str:
        """A string as JSON, plainly or with escapes."""
        kind = self.number(4)
        if kind < 2:
            return json.dumps(text, ensure_ascii=bool(kind))
        if kind == 2:
            return json.dumps(text).replace("/", "\\/").replace("o", "\\u006f").replace("m", "\\u006D")
        return '"' + "".join(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else char for char in text) + '"'
