"""A connection to a Tiled server, with errors in our words."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

from tiled.client import from_uri

from aefi_bluesky.domain.errors import StorageError

_REACH_S = 5.0


def connect(uri: str, api_key: str) -> Any:
    """Return Tiled's client of a server.

    The server is asked once before Tiled's client is, since that client tries
    again for 20 s and more and leaves a socket behind when it fails.

    Parameters
    ----------
    uri
        Address of the server's API, for example ``http://127.0.0.1:8000/api/v1``.
    api_key
        The server's key.

    Raises
    ------
    StorageError
        If the server does not answer or refuses the key.
    """
    try:
        _try(uri, api_key)
        return from_uri(uri, api_key=api_key)
    except Exception as err:
        reason = _first_line(err).replace(api_key, "(key)")
        raise StorageError(f"Tiled at {uri} is not reachable: {reason}") from err


def _try(uri: str, api_key: str) -> None:
    parts = urlsplit(uri)
    is_secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=_REACH_S)
    try:
        headers = {"Authorization": f"Apikey {api_key}"}
        connection.request(
            "GET", parts.path.rstrip("/") + "/metadata/", headers=headers
        )
        status = connection.getresponse().status
    finally:
        connection.close()
    if status == http.client.UNAUTHORIZED:
        raise StorageError("it refuses the key (401)")


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]
