"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

tiled_option = click.option(
    "--tiled",
    "tiled_uri",
    envvar="AEFI_TILED_URI",
    help="Address of a Tiled server that already runs; its key is in TILED_API_KEY.",
)
"""Gives a command the parameter ``tiled_uri``, which is None where none is named."""

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    envvar="AEFI_FOLDER",
    help="Data folder; by default aefi-bluesky in XDG_DATA_HOME (~/.local/share).",
)
"""Gives a command the parameter ``folder``, which is None where none is named."""


def bench_option(default: str | None = None) -> Callable[..., Any]:
    """Return what gives a command the parameter ``bench``.

    Parameters
    ----------
    default
        Its value where no bench is named.
    """
    words = "Path of a bench file, or name of a shipped bench."
    return click.option("--bench", default=default, help=words)
