"""Where ``RE.md`` is kept from session to session, so that no scan id comes twice."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aefi_bluesky.domain.errors import ConfigurationError, StorageError
from aefi_bluesky.storage.local.json_dict import JsonDict

REDIS_VARIABLE = "AEFI_REDIS_URL"
"""Names a Redis server, as ``redis://127.0.0.1:6379/0``."""

REDIS_PREFIX = "aefi-"
"""Of the names in Redis, which others may use too."""


@contextlib.contextmanager
def run_metadata(file: Path) -> Generator[MutableMapping[str, Any]]:
    """Keep the RunEngine's metadata inside the context.

    In Redis where ``AEFI_REDIS_URL`` names a server, for several sessions; else in a
    file, for one at a time.

    Parameters
    ----------
    file
        The JSON file.

    Raises
    ------
    ConfigurationError
        If the address is none, or the package for Redis is not installed.
    StorageError
        If the server is not reachable, or the file can't be read.
    """
    url = os.environ.get(REDIS_VARIABLE)
    if not url:
        yield JsonDict(file)
        return
    with _in_redis(url) as metadata:
        yield metadata


@contextlib.contextmanager
def _in_redis(url: str) -> Generator[MutableMapping[str, Any]]:
    try:
        import redis
        from redis_json_dict import (  # pyright: ignore[reportMissingImports]
            RedisJSONDict,  # pyright: ignore[reportPrivateImportUsage]
        )
    except ImportError as err:
        raise ConfigurationError(
            f"{REDIS_VARIABLE} is set, but {err.name} is not installed: "
            "pip install 'aefi-bluesky[redis]'"
        ) from err
    try:
        client = redis.Redis.from_url(url)
    except ValueError as err:
        raise ConfigurationError(f"{REDIS_VARIABLE}: {err}") from err
    with contextlib.closing(client):
        try:
            client.ping()
        except redis.RedisError as err:
            # Without the password that the address may have.
            at = urlsplit(url)
            raise StorageError(
                f"Redis at {at.hostname}:{at.port or 6379} is not reachable: {err}"
            ) from err
        yield RedisJSONDict(client, prefix=REDIS_PREFIX)
