"""What one worker tells the others, as it lies in the cache. Nothing in there is trusted."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from ofox_middleware.fleet import Report

MOST_BYTES: Final = 128 * 1024


class Envelope(msgspec.Struct):
    """One worker's summary on the wire, as JSON. ``at``: seconds since the epoch; ``memories``: each in its form."""

    worker: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    at: float
    models: dict[str, Report]
    memories: dict[str, msgspec.Raw] = {}


_decoder: Final = msgspec.json.Decoder(Envelope)


def read_envelope(value: Any) -> Envelope | None:
    """The envelope in ``value``; ``None`` when it is none of ours."""
    if not isinstance(value, bytes) or len(value) > MOST_BYTES:
        return None
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
