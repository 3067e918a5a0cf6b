"""Prints the error of :func:`ofox_middleware.tokens.estimate` against tiktoken, by language and kind of text.

    python -m benchmarks.tokens

The reference is ``o200k_base``; ``cl100k_base`` (GPT-4, and what LiteLLM counts unknown models with) stands beside it.
Both come with litellm, so nothing is downloaded. Each text of ``corpus/`` has two halves, parted by a line ``%%``: the
upper ones were used to calibrate the weights, the errors shown are those of the lower ones. The training sets of
``OFOX_BENCH_DATA`` are added where they are present (a slice of their shorter prompts took part in the calibration),
and the translated messages of the programs on this machine (half of the programs did). Then it prints what reading a
request takes, a short one and ones of 10,000 messages. Exits with 1 when a kind that is promised within 15% is not.
"""

from __future__ import annotations

import contextlib
import gettext
import gzip
import hashlib
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ofox_middleware.signals import read
from ofox_middleware.tokens import SAMPLE_CHARS, estimate

if TYPE_CHECKING:
    from tiktoken import Encoding

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
PROMISED = (
    "english",
    "technical",
    "python",
    "javascript",
    "systems",
    "sql_shell",
    "json",
    "chinese",
    "japanese",
    "korean",
    "german",
    "italian_dutch",
    "spanish_portuguese",
    "turkish_polish",
    "vietnamese",
    "russian",
    "maths",
)
"""Kinds whose estimate is promised to be within :data:`BOUND`; the others are shown."""
BOUND = 0.15
LONG_DRAWS = 20
LANGUAGES = ("de", "fr", "es", "pt", "it", "nl", "pl", "cs", "vi", "hi", "mr", "ru", "uk", "ar", "tr", "sv", "fi", "ro",
             "hu", "id")  # fmt: skip


def encodings() -> tuple[Encoding, Encoding]:
    """``o200k_base`` and ``cl100k_base`` from the files that litellm ships."""
    litellm = find_spec("litellm")
    if litellm is None or litellm.origin is None or find_spec("tiktoken") is None:
        sys.exit("This benchmark needs tiktoken and litellm, whose package holds the encodings.")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers")
    import tiktoken

    return tiktoken.get_encoding("o200k_base"), tiktoken.get_encoding("cl100k_base")


def corpus() -> Iterator[tuple[str, str, str]]:
    """Each kind of text of our own writing: name, the half that was calibrated with, the half that was not."""
    for file in sorted(CORPUS.glob("*.txt")):
        calibrated, kept = file.read_text(encoding="utf-8").split("\n%%\n")
        yield file.stem, calibrated, kept


def public() -> Iterator[tuple[str, list[str]]]:
    """The prompts of each training set, by language where it has several."""
    named = os.environ.get("OFOX_BENCH_DATA")
    folder = (Path(named) if named else HERE.parents[2] / "shared" / "data") / "train"
    for file in sorted(folder.glob("*.jsonl.gz")):
        kinds: dict[str, list[str]] = {}
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                name = file.name.partition(".")[0] + (f" {row['lang']}" if "lang" in row else "")
                kinds.setdefault(name, []).append(_text(row["prompt"]))
        yield from sorted(kinds.items())


def catalogues() -> Iterator[tuple[str, list[str]]]:
    """Sentences of the programs' message catalogues, by language; of every other program, by the hash of its name."""
    for language in [
        "de",
        "fr",
        "es",
        "pt",
        "it",
        "nl",
        "pl",
        "cs",
        "vi",
        "hi",
        "mr",
        "ru",
        "uk",
        "ar",
        "tr",
        "sv",
        "fi",
        "ro",
        "hu",
        "id",
    ]:
        sentences: list[str] = []
        for file in sorted(Path("/usr/share/locale").glob(f"{language}/LC_MESSAGES/*.mo")):
            if int(hashlib.md5(file.name.encode(), usedforsecurity=False).hexdigest(), 16) % 2 == 0:
                continue
            with contextlib.suppress(OSError, ValueError), file.open("rb") as opened:
                told: dict[Any, str] = vars(gettext.GNUTranslations(opened))["_catalog"]
                sentences += [text for key, text in told.items() if key and len(text) > 60 and text.count(" ") > 8]
        random.Random(1).shuffle(sentences)
        if len(sentences) >= 50:
            yield f"messages {language}", ["\n".join(sentences[at : at + 8]) for at in range(0, 400, 8)]


def _text(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(str(message.get("content", "")) for message in prompt)


def main() -> int:
    o200k, cl100k = encodings()

    def tokens(encoding: Encoding, texts: list[str]) -> int:
        return sum(map(len, encoding.encode_ordinary_batch(texts, num_threads=1)))

    def line(name: str, texts: list[str], estimated: int) -> float:
        real, older = tokens(o200k, texts), tokens(cl100k, texts)
        error = estimated / real - 1
        chars = sum(map(len, texts))
        print(f"{name:34} {chars:9,} {real:9,} {estimated:9,} {error:+8.1%} {estimated / older - 1:+9.1%}")
        return error

    print(f"{'text':34} {'chars':>9} {'o200k':>9} {'estimate':>9} {'error':>8} {'to cl100k':>9}")
    late = [
        name for name, _, kept in corpus() if abs(line(name, [kept], estimate([kept]))) > BOUND and name in PROMISED
    ]
    for name, prompts in public():
        line(name, prompts, sum(estimate([prompt]) for prompt in prompts))
    for name, texts in catalogues():
        line(name, [text for text in texts if text], sum(estimate([text]) for text in texts))
    late += _long(o200k)
    _times()
    if late:
        print(f"over {BOUND:.0%}: {', '.join(late)}")
    return bool(late)


def _long(o200k: Encoding) -> list[str]:
    """The error of what is sampled: long conversations drawn from all kinds of text."""
    pieces = [text for _, *halves in corpus() for text in halves]
    draw = random.Random(1)
    errors = []
    for _ in range(LONG_DRAWS):
        texts = draw.choices(pieces, k=draw.randint(30, 300))
        errors.append(abs(estimate(texts) / sum(len(o200k.encode_ordinary(text)) for text in texts) - 1))
    mean, worst = sum(errors) / len(errors), max(errors)
    print(
        f"{LONG_DRAWS} mixed conversations over {SAMPLE_CHARS:,} characters: mean error {mean:.1%}, worst {worst:.1%}"
    )
    return ["mixed conversations"] if worst > BOUND else []


def _times() -> None:
    """What reading takes, in processor time of this thread."""
    call = [{"type": "text", "text": "I read it. "}, {"type": "tool_use", "id": "t", "name": "Read", "input": {"a": 1}}]
    result = [{"type": "tool_result", "tool_use_id": "t", "content": "def f(x):\n    return x\n" * 12}]
    agent = [{"role": "assistant", "content": call}, {"role": "user", "content": result}] * 5000
    talk = [{"role": role, "content": "Words about the weather. " * 10} for role in ("user", "assistant")] * 5000
    short = [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": "Why is the sky blue?"}]
    for name, messages, repeats in (("a short request", short, 2000), ("10,000 messages of an agent", agent, 30),
                                    ("10,000 messages of a talk", talk, 30)):  # fmt: skip
        times = []
        for _ in range(repeats):
            began = time.thread_time()
            read({"messages": messages}, "messages")
            times.append(time.thread_time() - began)
        print(f"reading {name}: {1e6 * min(times):,.0f} us at best, median {1e6 * statistics.median(times):,.0f} us")


if __name__ == "__main__":
    sys.exit(main())
