"""The documents of one run on disk, until Tiled has them all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.local import file_lock
from aefi_bluesky.storage.runs.plain_documents import json_line

KEPT_SUFFIX = ".jsonl"
"""A run that did not reach Tiled: all of its documents, one a line."""

OPEN_SUFFIX = ".jsonl.part"
"""A run under way; after the process died, all that it had handed on."""


class RunJournal:
    """Append the documents of one run to a file.

    Parameters
    ----------
    folder
        Where the file goes; created if absent.
    uid
        Uid of the run.

    Attributes
    ----------
    count
        Documents that were appended, those that could not be written included.
    """

    def __init__(self, folder: Path, uid: str) -> None:
        self._folder = folder
        self._stem = re.sub(r"[^\w.-]", "_", uid)
        self._path = folder / f"{self._stem}{OPEN_SUFFIX}"
        self._file: TextIO | None = None
        self._kept = False
        self._lacks = 0
        self.count = 0

    @property
    def path(self) -> Path:
        """Where the file is now."""
        return self._path

    def append(self, name: str, document: Mapping[str, Any]) -> None:
        """Write one document; it is with the system when this returns.

        Parameters
        ----------
        name
            Kind of document.
        document
            Its content.

        Raises
        ------
        StorageError
            If the file can't be written.
        """
        self.count += 1
        try:
            file = self._opened()
            file.write(json_line(name, document))
            file.flush()
        except OSError as err:
            self._lacks += 1
            raise StorageError(
                f"document {name!r} cannot be written to {self._path}: {err}"
            ) from err

    def _opened(self) -> TextIO:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
            file_lock.hold(self._file)
        return self._file

    def documents(self) -> list[tuple[str, dict[str, Any]]]:
        """Return all documents that were appended.

        Raises
        ------
        StorageError
            If the file can't be read, or lacks one of them.
        """
        if self._lacks:
            raise StorageError(f"{self._path} lacks {self._lacks} documents")
        return list(journal_documents(self._path))

    def keep(self) -> Path:
        """Give the file its lasting name and return it; more may be appended.

        The file stays locked until `close`: a run under way is nobody else's.

        Raises
        ------
        OSError
            If the file can't be renamed.
        """
        if not self._kept:
            self.close()
            kept = kept_path(self._path)
            if is_there := self._path.exists():
                self._path.rename(kept)
            self._path = kept
            self._kept = True
            if is_there:
                self._opened()
        return self._path

    def discard(self) -> None:
        """Remove the file: Tiled has the run.

        Raises
        ------
        OSError
            If the file can't be removed.
        """
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; the next document opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def kept_path(path: Path) -> Path:
    """Return an unused lasting name for the journal of a run under way.

    Parameters
    ----------
    path
        The journal, of `OPEN_SUFFIX`.
    """
    stem = path.name.removesuffix(OPEN_SUFFIX)
    kept = path.with_name(f"{stem}{KEPT_SUFFIX}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{stem}.{number}{KEPT_SUFFIX}")
    return kept


def journal_documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the documents of a journal; a last line cut short by a crash is left out.

    Parameters
    ----------
    path
        File with one document a line.

    Raises
    ------
    StorageError
        If the file can't be read, or a line other than the last is no document.
    """
    try:
        # Bytes: a damaged one is the fault of its line.
        lines = path.read_bytes().split(b"\n")
    except OSError as err:
        raise StorageError(f"journal {path} cannot be read: {err}") from err
    for number, line in enumerate(lines[:-1], start=1):
        try:
            yield _document(json.loads(line.decode("utf-8")))
        except (ValueError, KeyError, TypeError, RecursionError) as err:
            raise StorageError(
                f"line {number} of {path} is no document: {err}"
            ) from err


def _document(entry: Any) -> tuple[str, dict[str, Any]]:
    name, document = entry["name"], entry["doc"]
    if not (isinstance(name, str) and isinstance(document, dict)):
        raise TypeError("it has no name and content")
    return name, cast("dict[str, Any]", document)
