"""The end of runs whose process died before it could write one."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.local import file_lock
from aefi_bluesky.storage.runs.journal import (
    KEPT_SUFFIX,
    OPEN_SUFFIX,
    journal_documents,
    kept_path,
)
from aefi_bluesky.storage.runs.plain_documents import json_line

PROCESS_DIED = "process died"
"""The process was gone before the run had an end."""

LOST_END = "its end was not stored"
"""The process closed the journal without an end: the disk was full, for example."""

Documents = list[tuple[str, dict[str, Any]]]


def abandoned_journals(folder: Path) -> list[Path]:
    """Return the journals of runs without an end that no living process writes.

    Parameters
    ----------
    folder
        Where journals are; may be absent.
    """
    under_way = folder.glob(f"*{OPEN_SUFFIX}")
    kept = (path for path in folder.glob(f"*{KEPT_SUFFIX}") if not _has_end(path))
    paths = sorted([*under_way, *kept])
    return [path for path in paths if not file_lock.is_held(path)]


def _has_end(path: Path) -> bool:
    try:
        return any(name == "stop" for name, _ in journal_documents(path))
    except StorageError:
        return False  # whoever closes it gets the same error, and tells it


def _as_they_are(documents: Documents) -> Documents:
    return documents


def close_journal(
    path: Path, complete: Callable[[Documents], Documents] = _as_they_are
) -> tuple[str, Path]:
    """Close a run whose process died.

    Its journal gets a stop document that says why, unless it has one, and the name of
    a journal that is kept. If this is interrupted, it can be done again.

    Parameters
    ----------
    path
        One of `abandoned_journals`.
    complete
        Returns the documents of a run that has no end with those that they lack.

    Returns
    -------
    tuple
        Uid of the run and where its journal is now.

    Raises
    ------
    StorageError
        If the journal can't be read or written, or holds no run.
    """
    is_kept = path.name.endswith(KEPT_SUFFIX)
    documents = list(journal_documents(path))
    uid = run_uid(path, documents)
    if documents[-1][0] != "stop":
        documents = complete(documents)
        cause = LOST_END if is_kept else PROCESS_DIED
        documents.append(("stop", _stop(uid, documents, cause)))
    kept = path if is_kept else kept_path(path)
    closed = path.with_name(f"{path.name}.closed")
    try:
        # Without a last line that was cut short.
        with closed.open("w", encoding="utf-8") as file:
            file.writelines(json_line(*each) for each in documents)
            file.flush()
            os.fsync(file)
        closed.replace(path)
        path.rename(kept)
    except OSError as err:
        raise StorageError(f"journal {path} cannot be closed: {err}") from err
    return uid, kept


def run_uid(path: Path, documents: Documents) -> str:
    """Return the uid of the run that a journal's documents are of.

    Parameters
    ----------
    path
        The journal.
    documents
        All of it.

    Raises
    ------
    StorageError
        If they do not begin with the start document of a run.
    """
    if not documents or documents[0][0] != "start" or "uid" not in documents[0][1]:
        raise StorageError(f"journal {path} does not begin with a start document")
    return str(documents[0][1]["uid"])


def _stop(uid: str, documents: Documents, cause: str) -> dict[str, Any]:
    return {
        "uid": str(uuid.uuid4()),
        "run_start": uid,
        "time": time.time(),
        "exit_status": "fail",
        "reason": json.dumps({"cause": cause}),
        "num_events": rows_told(documents),
    }


def rows_told(documents: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    """Return the rows of each stream, as far as documents tell of them.

    Parameters
    ----------
    documents
        Those of one run.
    """
    stream_of: dict[str, str] = {}
    counts: dict[str, int] = {}
    for name, document in documents:
        if name == "descriptor":
            stream_of[document["uid"]] = document["name"]
            counts.setdefault(document["name"], 0)
            continue
        stream = stream_of.get(document.get("descriptor", ""))
        if stream is None:
            continue
        if name == "event":
            counts[stream] += 1
        elif name == "event_page":
            counts[stream] += len(document["seq_num"])
        elif name == "stream_datum":
            counts[stream] = max(counts[stream], document["indices"]["stop"])
    return counts
