"""Takes credentials out of text before it is written down. Errs on the side of taking out too much."""

from __future__ import annotations

import re
from typing import Final

REMOVED: Final = "[removed]"

_WHOLE: Final = re.compile(
    r"""
      -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----.*?(?:-----END\ [A-Z\ ]*PRIVATE\ KEY-----|\Z)  # PEM
    | \beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?                   # JSON Web Token
    | \b(?:sk|pk|rk)[-_][\w-]{16,}                             # OpenAI, Anthropic, Stripe and many others
    | \b(?:gh[pousr]_|github_pat_|glpat-|hf_|gsk_|xai-|pplx-|r8_|nvapi-|npm_|pypi-)[\w-]{16,}
    | \bxox[abeoprs]-[\w-]{10,}                                # Slack
    | \bAIza[\w-]{30,}                                         # Google
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                            # AWS
    | (?<=://)[^/\s:@]+:[^/\s@]+(?=@)                          # user:password in a URL
    """,
    re.VERBOSE | re.DOTALL,
)
_NAMED: Final = re.compile(
    r"""(?ix)
    ( \b(?:authorization|bearer|api[-_ ]?key|secret|access[-_ ]?key|token|password|passwd|pwd|client[-_ ]?secret)\b
      ["']? \s* (?: [:=] | \bis\b )? \s* (?:bearer\s+|basic\s+)? ["']? )
    ( (?=[^\s"',;]*\d)[^\s"',;]{8,} )
    """
)
_RANDOM: Final = re.compile(r"(?<![\w/+-])(?=[\w/+-]*\d)(?=[\w/+-]*[a-z])(?=[\w/+-]*[A-Z])[\w/+-]{32,}={0,2}")
"""A long run of mixed case and digits is a key, or nothing that a reader will miss."""


def redact(text: str) -> str:
    """``text`` with what looks like a credential replaced by ``[removed]``."""
    text = _WHOLE.sub(REMOVED, text)
    text = _NAMED.sub(rf"\1{REMOVED}", text)
    return _RANDOM.sub(REMOVED, text)
