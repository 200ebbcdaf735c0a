"""A connection to a Tiled server, with errors in our words."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

from tiled.client import from_uri

from aefi_bluesky.domain.errors import StorageError

_REACH_S = 3.0


def connect(uri: str, api_key: str) -> Any:
    """Return Tiled's client of a server.

    A server that is not there is told from one that is before Tiled's client is
    asked: the client itself tries again for 20 s and more.

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
        _reach(uri)
        return from_uri(uri, api_key=api_key)
    except Exception as err:
        reason = _first_line(err).replace(api_key, "(key)")
        raise StorageError(f"Tiled at {uri} is not reachable: {reason}") from err


def _reach(uri: str) -> None:
    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    with socket.create_connection((parts.hostname or "", port), timeout=_REACH_S):
        pass


def _first_line(err: Exception) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]
