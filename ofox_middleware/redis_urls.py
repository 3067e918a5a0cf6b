"""Where the Redis is that workers share through: URLs, and LiteLLM's own variables."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from ofox_middleware.errors import SettingsError


def redis_url(environ: Mapping[str, str]) -> str | None:
    """The Redis that LiteLLM is told to use by its own variables, for when ``OFOX_REDIS_URL`` is unset.

    Reads ``REDIS_URL``, or ``REDIS_HOST`` with ``REDIS_PORT``, ``REDIS_USERNAME``, ``REDIS_PASSWORD``, ``REDIS_SSL``
    and ``REDIS_DB``. Clusters and sentinels are not supported: ``None``.
    """
    if environ.get("REDIS_CLUSTER_NODES") or environ.get("REDIS_SENTINEL_NODES"):
        return None
    if environ.get("REDIS_URL"):
        return environ["REDIS_URL"]
    host = environ.get("REDIS_HOST")
    if not host:
        return None
    scheme = "rediss" if environ.get("REDIS_SSL", "").lower() == "true" else "redis"
    user, password = environ.get("REDIS_USERNAME", ""), environ.get("REDIS_PASSWORD", "")
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else ""
    return f"{scheme}://{login}{host}:{environ.get('REDIS_PORT') or 6379}/{environ.get('REDIS_DB') or 0}"


def check_redis_url(url: str) -> None:
    """Raises ``SettingsError`` when ``url`` is no Redis's, or redis is not installed."""
    try:
        from redis.asyncio.connection import parse_url  # noqa: PLC0415 - redis is optional
    except ImportError:
        raise SettingsError(
            "redis_url is set but redis is not installed: pip install 'ofox-middleware[redis]'.", param="redis_url"
        ) from None
    try:
        parse_url(url)
    except ValueError:
        # Not the URL itself, which may hold a password.
        raise SettingsError(
            "redis_url cannot be read: use redis://, rediss:// or unix://.", param="redis_url"
        ) from None
