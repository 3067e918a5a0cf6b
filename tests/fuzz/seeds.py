"""Where fuzzing starts from: requests and answers as they are, and tapes of every length."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

ASK = [{"role": "user", "content": "Prove that there are infinitely many primes."}]
BODIES: tuple[bytes, ...] = (
    b'{"model":"auto","messages":[{"role":"user","content":"Hi"}]}',
    b'{"model":"auto","model":"auto","model_routing_config":{"models":["a/*"]},"model_routing_config":1}',
    rb'{"mod\u0065l":"\u0061uto", "m\u006fdel_routing_config" : {"model":"auto"} , "x":[1e400,"\ud83d"]}',
    b'\t{ "messages" : [ ] ,\n"seed":123456789012345678901234567890,"model"\r:"auto"} ',
    b'{"model":"named","model_routing_config":{"preference":"cost"}}',
    json.dumps({"model": "auto", "messages": ASK, "tools": [{"function": {"parameters": {"model": {}}}}]}).encode(),
)
ANSWERS: tuple[bytes, ...] = (
    b'data: {"error":{"message":"overloaded","code":529}}\n\n',
    b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
    b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\ndata: {"usage":{"completion_tokens":3}}\n\n',
    b'event: message_start\r\ndata: {"type":"message_start"}\r\n\r\n',
    b'{"error":{"message":"x","status":"503"}}',
)
WORDS: tuple[str, ...] = (
    '"model"', '"model_routing_config"', '"auto"', "\\u006d", "\\ud83d", "1e400", "NaN", "null", "true", "data: ",
    "event: error", '"error"', '"completion_tokens":', '"delta"', "{}", "[]", "\\\\", '\\"', "\\n\\n",
)  # fmt: skip


def of(target: str) -> Iterator[bytes]:
    """The seeds of a target, the same each time."""
    if target in ("body_bytes", "stream_start"):
        yield from BODIES if target == "body_bytes" else ANSWERS
    dice = random.Random(target)
    for length in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256):
        for _ in range(4):
            yield dice.randbytes(length)
