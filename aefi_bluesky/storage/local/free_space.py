"""How much room a disk has left."""

from __future__ import annotations

import shutil
from pathlib import Path

from aefi_bluesky.domain.errors import StorageError


def free_bytes(folder: Path) -> int:
    """Return how many bytes can be written to a folder's disk.

    Parameters
    ----------
    folder
        A folder that exists.

    Raises
    ------
    StorageError
        If it can't be asked.
    """
    try:
        return shutil.disk_usage(folder).free
    except OSError as err:
        raise StorageError(f"free space of {folder} is not known: {err}") from err


def require_free_bytes(folder: Path, needed: int) -> None:
    """Refuse a folder whose disk is too full.

    Parameters
    ----------
    folder
        A folder that exists.
    needed
        How many bytes must be free.

    Raises
    ------
    StorageError
        If fewer are free.
    """
    free = free_bytes(folder)
    if free < needed:
        raise StorageError(
            f"{folder} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed"
        )
