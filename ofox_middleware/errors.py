"""Typed errors and their wire bodies, in the protocol of the request that caused them. A leaf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ofox_middleware.decision import Candidate
from ofox_middleware.types import Surface

_TYPES: Final[Mapping[int, str]] = {403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC_TYPES: Final[Mapping[int, str]] = {401: "authentication_error", 404: "not_found_error"}
"""Status -> ``error.type``: OpenAI's, and where Anthropic's is another one. Else a 5xx is an ``api_error`` in both, for
it is nothing that the caller could mend in the request, and what is left an ``invalid_request_error``."""


class OfoxError(Exception):
    """A refusal with a clear answer for the caller.

    Attributes:
        status: HTTP status.
        code: a stable word for programs.
        message: a sentence for people; never text of the prompt.
        param: the request field at fault, ``None`` when there is none.
    """

    status = 400
    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code

    @property
    def type(self) -> str:
        """The ``error.type`` of an OpenAI-shaped body."""
        return _TYPES.get(self.status, "api_error" if self.status >= 500 else "invalid_request_error")


class SettingsError(OfoxError):
    """The operator's configuration is wrong; raised at start, with the file, the line and the field."""

    status = 500
    code = "invalid_settings"


class InvalidRequest(OfoxError):
    """The request cannot be routed as it stands."""


class InvalidRoutingConfig(OfoxError):
    """``model_routing_config`` is wrong: unknown key or preference, wrong type, empty ``models``."""

    code = "invalid_routing_config"


class NoPool(OfoxError):
    """Neither the operator nor the caller named a model to choose from."""

    code = "no_model_pool"


_WHEN_ALL: Final[Mapping[str, str]] = {
    "not_named": "model_routing_config.models matches no name of the pool",
    "excluded": "exclude leaves none",
    "context_window": "the prompt and the output asked for (max_tokens) are together longer than their windows",
    "over_max_cost": "each is expected to cost more than max_cost_usd",
    "no_image": "none of them takes images",
    "no_tools": "none of them takes tools",
}
"""What to say more where every candidate was left out for the same reason."""


class NoCandidate(OfoxError):
    """No candidate can serve this request; each is listed with the reason it was left out."""

    code = "no_candidate_model"

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        listed = "; ".join(f"{row.name}: {row.reason}" for row in candidates[:20])
        more = f"; and {len(candidates) - 20} more" if len(candidates) > 20 else ""
        reasons = {row.reason for row in candidates}
        why = _WHEN_ALL.get(reasons.pop(), "") if len(reasons) == 1 else ""
        said = f"({listed}{more})" + (f": {why}" if why else "")
        super().__init__(f"No candidate model can serve this request {said}.", param="model")
        self.candidates = tuple(candidates)


class NotAllowed(OfoxError):
    """The caller's key may use none of the candidates."""

    status = 403
    code = "model_access_denied"


def wire_body(error: OfoxError, surface: Surface) -> dict[str, Any]:
    """The JSON body of ``error`` in the protocol of ``surface``: Anthropic-shaped for ``messages``, else OpenAI's."""
    if surface == "messages":
        kind = _ANTHROPIC_TYPES.get(error.status, error.type)
        return {"type": "error", "error": {"type": kind, "message": error.message}}
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
