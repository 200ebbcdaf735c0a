"""The configuration text of the Tiled server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aefi_bluesky.storage.local.loopback import HOST

_SPECS = ("CatalogOfBlueskyRuns", "BlueskyRun", "BlueskyEventStream")
CATALOGUE = "catalog.db"
"""Name of the catalogue's file in the server's folder."""

_TABLE_LINES = "aefi_bluesky.storage.tiled.extension:json_lines"
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
        "uri": f"sqlite:///{folder.as_posix()}/{CATALOGUE}",
        "writable_storage": [
            str(folder / "arrays"),
            f"duckdb:///{folder.as_posix()}/tables.duckdb",
        ],
        "readable_storage": [str(raw_folder)],
        # The server's process sees to it: see `CatalogueInMaking`.
        "init_if_not_exists": False,
        "specs": [{"name": "CatalogOfBlueskyRuns", "version": "3.0"}],
    }
    return {
        "trees": [{"path": "/", "tree": "catalog", "args": catalog}],
        "authentication": {"allow_anonymous_access": False},
        "media_types": {
            "BlueskyRun": {"application/json-seq": _EXPORTER},
            "table": {"application/json-seq": _TABLE_LINES},
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
