"""The configuration text of the Tiled server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aefi_bluesky.storage.loopback import HOST
from aefi_bluesky.storage.server_extension import TABLE_MEDIA_TYPES

_SPECS = ("CatalogOfBlueskyRuns", "BlueskyRun", "BlueskyEventStream")
_EXPORTER = "bluesky_tiled_plugins.exporters:json_seq_exporter"
_SHUTDOWN_S = 3


def tiled_configuration(folder: Path, raw_folder: Path, port: int) -> dict[str, Any]:
    """Return the server's configuration; it has no secret in it.

    Tables are kept by DuckDB, since SQLite stores NaN as NULL and -0.0 as 0.0.

    Parameters
    ----------
    folder
        The server's own folder: catalogue, tables and arrays.
    raw_folder
        Where run files are; the server reads there and never writes.
    port
        TCP port on loopback.
    """
    catalog = {
        "uri": f"sqlite:///{folder.as_posix()}/catalog.db",
        "writable_storage": [
            str(folder / "arrays"),
            f"duckdb:///{folder.as_posix()}/tables.duckdb",
        ],
        "readable_storage": [str(raw_folder)],
        "init_if_not_exists": True,
        "specs": [{"name": "CatalogOfBlueskyRuns", "version": "3.0"}],
    }
    return {
        "trees": [{"path": "/", "tree": "catalog", "args": catalog}],
        "authentication": {"allow_anonymous_access": False},
        "media_types": {
            "BlueskyRun": {"application/json-seq": _EXPORTER},
            "table": TABLE_MEDIA_TYPES,
        },
        "specs": [{"spec": name} for name in _SPECS],
        "streaming_cache": {"uri": "memory"},
        "uvicorn": {
            "host": HOST,
            "port": port,
            "timeout_graceful_shutdown": _SHUTDOWN_S,
        },
    }


def configuration_text(configuration: dict[str, Any]) -> str:
    """Return a configuration as text; JSON is YAML, and quotes every path right."""
    return json.dumps(configuration, indent=2) + "\n"
