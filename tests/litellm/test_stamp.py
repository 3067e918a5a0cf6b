"""The pool's name in answers of every shape."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ofox_middleware.litellm_stamp import FrameStamper, stamp, stamped_chunk


class Inner(BaseModel):
    model: str | None = "prov-x"


class Event(BaseModel):
    type: str = "response.created"
    response: Inner | None = None


class Delta(BaseModel):
    type: str = "response.output_text.delta"
    delta: str = "x"


def test_whole_answers_are_stamped_in_place() -> None:
    """Objects and dicts with a model take the name; others stay as they are."""
    answer, plain, bare = Inner(), {"model": "prov-x"}, {"id": "1"}
    for response in (answer, plain, bare):
        stamp(response, "cheap")
    assert (answer.model, plain, bare) == ("cheap", {"model": "cheap"}, {"id": "1"})
    stamp(object(), "cheap")


def test_chunks_are_copied_not_changed() -> None:
    """LiteLLM keeps its chunks for pricing."""
    for chunk in (Inner(), Event(response=Inner())):
        before = chunk.model_dump()
        named = stamped_chunk(chunk, "cheap")
        assert chunk.model_dump() == before
        assert "cheap" in named.model_dump_json()


def test_dict_chunks_are_copied_too() -> None:
    """Top-level names, responses events and Anthropic's message_start."""
    assert stamped_chunk({"model": "x"}, "cheap") == {"model": "cheap"}
    for key in ("response", "message"):
        chunk = {"type": "t", key: {"id": 1, "model": "x"}}
        assert stamped_chunk(chunk, "cheap") == {"type": "t", key: {"id": 1, "model": "cheap"}}
        assert chunk[key] == {"id": 1, "model": "x"}


@pytest.mark.parametrize("chunk", [{"type": "ping"}, Delta(), Event(), Event(response=Inner(model=None)), "text", None])
def test_chunks_without_a_model_are_the_same_object(chunk: object) -> None:
    """What names no model passes untouched."""
    assert stamped_chunk(chunk, "cheap") is chunk


START = {"type": "message_start", "message": {"id": "m", "model": "prov-x", "content": [], "text": "é"}}
STREAM = (
    b": comment\n\n"
    b'event: ping\ndata: {"type": "ping"}\n\n'
    b"event: message_start\r\ndata: " + json.dumps(START).encode() + b"\r\n\r\n"
    b'event: x\ndata: {"type": "content_block_delta", "model": "untouched"}\n\n'
)


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_frames_are_stamped_however_the_bytes_are_cut(cuts: list[int]) -> None:
    """Only message_start changes, wherever transport reads split the stream."""
    edges = [0, *sorted(cuts), len(STREAM)]
    stamper = FrameStamper("cheap")
    out = b"".join(stamper.feed(STREAM[a:b]) for a, b in itertools.pairwise(edges)) + stamper.flush()
    named = {**START, "message": {**START["message"], "model": "cheap"}}  # type: ignore[dict-item]
    data = [line[6:] for line in out.decode().splitlines() if line.startswith("data: ")]
    assert json.loads(data[1]) == named
    assert out.startswith(b": comment\n\n")
    assert out.endswith(STREAM.split(b"\r\n\r\n")[1])


@pytest.mark.parametrize(
    "data", [b'data: {"type": "x"}\n\n', b"data: not json\n\n", b"data: [1]\n\n", b"data: [DONE]\n\n"]
)
def test_streams_without_a_name_pass_unchanged(data: bytes) -> None:
    """Odd frames are not ours to mend."""
    stamper = FrameStamper("cheap")
    assert stamper.feed(data) + stamper.feed(b"rest") + stamper.flush() == data + b"rest"


def test_an_endless_frame_is_not_held_for_ever() -> None:
    """Memory is bounded: past the limit the bytes go out as they came."""
    stamper = FrameStamper("cheap")
    assert len(stamper.feed(b"x" * 300_000)) == 300_000
    assert stamper.feed(b"y") == b"y"
