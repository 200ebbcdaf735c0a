"""The documents of one run on disk, until Tiled has them all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage import file_lock
from aefi_bluesky.storage.plain_documents import json_line

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
    """

    def __init__(self, folder: Path, uid: str) -> None:
        self._folder = folder
        self._stem = re.sub(r"[^\w.-]", "_", uid)
        self._path = folder / f"{self._stem}{OPEN_SUFFIX}"
        self._file: TextIO | None = None
        self._kept = False

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
        try:
            file = self._opened()
            file.write(json_line(name, document))
            file.flush()
        except OSError as err:
            raise StorageError(
                f"document {name!r} cannot be written to {self._path}: {err}"
            ) from err

    def _opened(self) -> TextIO:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a", encoding="utf-8")
            file_lock.hold(self._file)
        return self._file

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
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError as err:
        raise StorageError(f"journal {path} cannot be read: {err}") from err
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line.endswith("\n"):
            return
        try:
            entry = json.loads(line)
            yield entry["name"], entry["doc"]
        except (ValueError, KeyError, TypeError) as err:
            raise StorageError(
                f"line {number} of {path} is no document: {err}"
            ) from err
