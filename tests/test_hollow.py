"""What LiteLLM's own objects tell of the end of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace

import pytest

from ofox_middleware.hollow import is_hollow


def source(*, sent_last: bool = True, reason: str | None = None, meanwhile: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(
        sent_last_chunk=sent_last, received_finish_reason=reason, intermittent_finish_reason=meanwhile
    )


def test_an_end_that_no_provider_announced_is_hollow() -> None:
    """Also where the stream that knows is within another one."""
    assert is_hollow(source())
    assert is_hollow(SimpleNamespace(completion_stream=source()))
    assert is_hollow(SimpleNamespace(litellm_custom_stream_wrapper=source()))


def test_a_generator_is_looked_into() -> None:
    """LiteLLM hands out streamed text completions through one, whose argument is the stream that knows."""

    async def passing_on(response: object) -> AsyncGenerator[object, None]:
        yield response

    async def main() -> None:
        through = passing_on(source())
        await anext(through)
        assert is_hollow(through)
        await through.aclose()
        assert not is_hollow(through)

    asyncio.run(main())


@pytest.mark.parametrize(
    "stream",
    [source(reason="stop"), source(meanwhile="content_filter"), source(sent_last=False), object(), iter(())],
)
def test_what_a_provider_ended_or_nobody_knows_is_not(stream: object) -> None:
    """A reason of the provider's, a stream that goes on, and what is no stream of LiteLLM's."""
    assert not is_hollow(stream)
