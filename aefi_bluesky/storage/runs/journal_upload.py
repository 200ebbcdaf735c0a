"""Runs that are kept in journals into Tiled."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.local import file_lock
from aefi_bluesky.storage.runs.closing import run_uid
from aefi_bluesky.storage.runs.journal import KEPT_SUFFIX, journal_documents
from aefi_bluesky.storage.runs.sorting import merged, sorted_run
from aefi_bluesky.storage.runs.upload import (
    ClientFactory,
    TiledUpload,
    remove_unfinished,
)
from aefi_bluesky.storage.tiled import consolidator


def kept_journals(folder: Path) -> list[Path]:
    """Return the journals of runs that did not reach Tiled and that nobody writes.

    Parameters
    ----------
    folder
        Where journals are; may be absent.
    """
    paths = sorted(folder.glob(f"*{KEPT_SUFFIX}"))
    return [path for path in paths if not file_lock.is_held(path)]


def upload_journal(path: Path, open_client: ClientFactory) -> str:
    """Store a run in Tiled and remove its journal; return the run's uid.

    What Tiled has of the run without its stop document is removed first: a journal
    has all that was sent, and before it was sent.

    Parameters
    ----------
    path
        One of `kept_journals`.
    open_client
        Returns a new client of Tiled.

    Raises
    ------
    StorageError
        If the journal holds no run with its end, or Tiled does not take it: then
        the journal stays.
    """
    consolidator.install()
    documents = list(journal_documents(path))
    uid = run_uid(path, documents)
    if documents[-1][0] != "stop":
        raise StorageError(f"journal {path} has no run from start to stop")
    if not _has_whole_run(uid, open_client):
        upload = TiledUpload(uid, lambda: documents, open_client)
        with contextlib.closing(upload):
            for item in merged(sorted_run(uid, documents)):
                upload.send(item)
        if upload.failure:
            raise StorageError(
                f"run {uid} is not in Tiled ({upload.failure}); its documents are "
                f"kept in {path}"
            )
    try:
        path.unlink()
    except OSError as err:
        raise StorageError(
            f"run {uid} is in Tiled, but {path} cannot be removed: {err.strerror}"
        ) from err
    return uid


def _has_whole_run(uid: str, open_client: ClientFactory) -> bool:
    """Return whether Tiled has a run; remove it if it has no end."""
    client: Any = open_client()
    try:
        if uid not in client:
            return False
        if "stop" in client[uid].metadata:
            return True
        remove_unfinished(client, uid)
        return False
    except Exception as err:
        raise StorageError(f"Tiled cannot be asked about run {uid}: {err}") from err
    finally:
        client.context.close()
