"""Text to fill conversations with: plausible in length and shape, drawn from word lists, the same every time."""

from __future__ import annotations

import random

HARNESS = (
    "You are an agent that works in a software repository. Use the tools to read, search, edit and run. Keep changes"
    " small, follow the style of the files around, and say briefly what you did.\n"
)
_SUBJECTS = (
    "the committee", "a supplier", "the writer thread", "our parser", "each shard", "the second party", "the report",
    "a reader", "the cache", "the auditor", "this clause", "the scheduler", "the sample", "an earlier version",
)  # fmt: skip
_VERBS = (
    "describes", "replaces", "limits", "extends", "confirms", "measures", "depends on", "rejects", "collects",
    "repeats", "covers", "precedes", "restores", "divides",
)  # fmt: skip
_OBJECTS = (
    "the schedule of payments", "every open file", "the previous estimate", "a list of exceptions", "its own record",
    "the terms of delivery", "the oldest entry", "a smaller set of values", "the agreed price", "the lock order",
    "the results of the trial", "a second opinion", "the remaining budget", "the written notice",
)  # fmt: skip
_TAILS = (
    "before the end of the month", "unless both sides agree", "when the buffer is full", "in most of the cases",
    "without further notice", "as the table shows", "for the reasons given above", "after the first review",
    "at the usual rate", "on the same day",
)  # fmt: skip
_CHINESE = ("您好", "订单", "已经发货", "请您耐心等待", "我们会尽快处理", "退款", "将在三个工作日内到账",
            "感谢您的理解", "如有问题", "随时联系我们", "地址", "可以在详情页修改", "优惠券", "按比例分摊")  # fmt: skip
_NAMES = ("shard", "writer", "buffer", "merge", "flush", "index", "row", "lock", "queue", "batch")


def prose(draw: random.Random, count: int) -> str:
    """About ``count`` words of English."""
    parts: list[str] = []
    length = 0
    while length < count:
        sentence = f"{draw.choice(_SUBJECTS)} {draw.choice(_VERBS)} {draw.choice(_OBJECTS)} {draw.choice(_TAILS)}."
        parts.append(sentence[0].upper() + sentence[1:])
        length += sentence.count(" ") + 1
    return " ".join(parts)


def chinese(draw: random.Random, count: int) -> str:
    """About ``count`` characters of Chinese."""
    text = ""
    while len(text) < count:
        text += draw.choice(_CHINESE) + draw.choice("，。")
    return text


def record(draw: random.Random) -> str:
    """A tool's JSON answer."""
    rows = ", ".join(
        f'{{"line": {line}, "net": {draw.randint(100, 90000) / 100}, "vat": {draw.choice((0, 20, 23))}}}'
        for line in range(1, draw.randint(5, 12))
    )
    number, date = draw.randint(1000, 9999), f"2026-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}"
    return f'{{"id": "{number}", "date": "{date}", "rows": [{rows}]}}'


def code(draw: random.Random, lines: int) -> str:
    """Lines of Python with line numbers, as an agent's read tool shows them."""
    made = []
    for number in range(1, lines + 1):
        name, other = draw.choice(_NAMES), draw.choice(_NAMES)
        made.append(
            f"{number:5}\t"
            + draw.choice(
                (
                    f"    def {name}_{other}(self, {other}: int) -> None:",
                    f"        self._{name} = self._{other}.get({number}, {draw.randint(0, 99)})",
                    f"        if {name} is None or {other}[{number}] > {draw.randint(1, 9)}:",
                    f"            raise ValueError(f'{name} {{{other}}} is out of range')",
                    "        with self._lock:",
                    f"        return [{name} for {name} in self._{other} if {name}.ready]",
                )
            )
        )
    return "\n".join(made)


def tool_step(draw: random.Random) -> tuple[str, dict[str, str], str]:
    """One step of a coding agent: tool, arguments, result. No two in a row are the same call."""
    path = f"src/{draw.choice(_NAMES)}/{draw.choice(_NAMES)}_{draw.randint(1, 99)}.py"
    kind = draw.random()
    if kind < 0.5:
        return "Read", {"path": path}, code(draw, draw.randint(40, 160))
    if kind < 0.7:
        return "Grep", {"pattern": f"{draw.choice(_NAMES)}\\(", "path": path}, code(draw, draw.randint(5, 25))
    if kind < 0.88:
        return "Edit", {"path": path, "text": code(draw, 6)}, "The file has been updated.\n" + code(draw, 8)
    return "Bash", {"text": f"pytest -q {path}"}, f"{draw.randint(10, 90)} passed in {draw.randint(1, 30)}.2s"
