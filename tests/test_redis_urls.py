"""LiteLLM's Redis variables, read."""

from __future__ import annotations

import pytest

from ofox_middleware.redis_urls import redis_url


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        ({"REDIS_HOST": ""}, None),
        ({"REDIS_URL": "rediss://x:1/2", "REDIS_HOST": "y"}, "rediss://x:1/2"),
        ({"REDIS_HOST": "h"}, "redis://h:6379/0"),
        ({"REDIS_HOST": "h", "REDIS_PORT": "7", "REDIS_DB": "3", "REDIS_SSL": "True"}, "rediss://h:7/3"),
        ({"REDIS_HOST": "h", "REDIS_PASSWORD": "p@s:s/"}, "redis://:p%40s%3As%2F@h:6379/0"),
        ({"REDIS_HOST": "h", "REDIS_USERNAME": "u", "REDIS_PASSWORD": "p"}, "redis://u:p@h:6379/0"),
        ({"REDIS_HOST": "h", "REDIS_CLUSTER_NODES": "[]"}, None),
        ({"REDIS_HOST": "h", "REDIS_SENTINEL_NODES": "[]"}, None),
    ],
)
def test_litellms_redis(environ: dict[str, str], url: str | None) -> None:
    """LiteLLM's own Redis variables make a URL; clusters and sentinels do not."""
    assert redis_url(environ) == url
