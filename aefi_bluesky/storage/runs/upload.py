"""A run on its way into Tiled: as it is measured, or from its journal."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from bluesky_tiled_plugins import TiledWriter

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.local import file_lock
from aefi_bluesky.storage.runs.closing import run_uid
from aefi_bluesky.storage.runs.declared_types import ColumnTooNarrowError, DeclaredTypes
from aefi_bluesky.storage.runs.journal import KEPT_SUFFIX, journal_documents
from aefi_bluesky.storage.runs.sorting import SortedDocument, merged, sorted_run
from aefi_bluesky.storage.tiled import consolidator
from aefi_bluesky.storage.tiled.page_normalizer import PageNormalizer

ClientFactory = Callable[[], Any]
"""Returns a new Tiled client, closed after the run; may raise and may block."""

DocumentSource = Callable[[], Sequence[tuple[str, dict[str, Any]]]]
"""Returns all documents of a run that there are, from its start; may raise."""


class TiledUpload:
    """Send the documents of one run to Tiled until the first failure.

    After it nothing more is sent, so that a half-written run never gets a stop
    document and so never passes for a whole one.
    Values are sent as their data keys declare them. A run whose values turn out to be
    others is begun anew, with wider data keys: nothing of it is lost for them.

    Parameters
    ----------
    uid
        Uid of the run.
    documents
        All that there are of it, where it is begun anew.
    open_client
        Called with the first document.
    """

    def __init__(
        self, uid: str, documents: DocumentSource, open_client: ClientFactory
    ) -> None:
        self.uid = uid
        self.failure = ""
        self._documents = documents
        self._open_client = open_client
        self._types = DeclaredTypes()
        self._client: Any = None
        self._write: Callable[[str, dict[str, Any]], None] | None = None
        # The last document that was sent when the run was begun anew.
        self._sent_ahead = 0

    def send(self, item: SortedDocument) -> bool:
        """Send one document; return whether the server has it.

        Parameters
        ----------
        item
            Document of this run.
        """
        if self.failure:
            return False
        try:
            self._send_or_begin_anew(item)
        except Exception as err:
            self._note(err)
        return not self.failure

    def _send_or_begin_anew(self, item: SortedDocument) -> None:
        if item.number <= self._sent_ahead:
            return
        try:
            self._send(item)
        except ColumnTooNarrowError:
            while not self._sent_anew():
                pass  # each time a column is wider, and there is a widest

    def _send(self, item: SortedDocument) -> None:
        if self._write is None:
            self._client = self._open_client()
            self._write = self._new_writer()
        self._write(item.name, self._types.fitted(item.name, item.document))

    def _sent_anew(self) -> bool:
        """Send all that there is again; return whether all of it fitted."""
        remove_unfinished(self._client, self.uid)
        self._write = self._new_writer()
        items = list(sorted_run(self.uid, self._documents()))
        try:
            for item in merged(items):
                self._send(item)
                if self.failure:
                    break
        except ColumnTooNarrowError:
            return False
        self._sent_ahead = len(items)
        return True

    def give_up(self, reason: str) -> None:
        """Send nothing more; the first reason stays.

        Parameters
        ----------
        reason
            One sentence.
        """
        self.failure = self.failure or reason

    def close(self) -> None:
        """Close the connection; nothing is sent any more."""
        client, self._client, self._write = self._client, None, None
        if client is not None:
            client.context.close()

    def _new_writer(self) -> Callable[[str, dict[str, Any]], None]:
        # Any callable with these keywords is as good as the class it asks for.
        make = functools.partial(PageNormalizer, self._note, self._types.notes)
        # Every array is stored as one: the stock writer makes text of small ones.
        return TiledWriter(
            self._client,
            normalizer=cast("Any", make),
            batch_size=1,
            max_array_size=0,
        )

    def _note(self, err: Exception) -> None:
        self.give_up(f"{type(err).__name__}: {err}")


def remove_unfinished(client: Any, uid: str) -> None:
    """Remove what Tiled has of a run, tables and arrays of its own included.

    Parameters
    ----------
    client
        Of the catalogue.
    uid
        Uid of the run; nothing happens if Tiled does not know it.
    """
    if uid in client:
        client.delete_contents(uid, recursive=True, external_only=False)


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
        raise StorageError(
            f"journal {path} has no whole run: its stop document is missing"
        )
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
