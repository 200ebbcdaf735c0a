"""Bluesky documents to Tiled, from a thread of ours."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aefi_bluesky.storage.runs.journal import RunJournal
from aefi_bluesky.storage.runs.plain_documents import plain
from aefi_bluesky.storage.runs.sorting import RunSorter, SortedDocument, merged
from aefi_bluesky.storage.runs.upload import ClientFactory, DocumentSource, TiledUpload
from aefi_bluesky.storage.tiled import consolidator

MAX_WAITING = 100_000
"""Documents that may wait before a run is no longer sent to Tiled."""

CLOSE_TIMEOUT_S = 30.0
"""How long `DocumentWriter.close` waits for Tiled."""

_NO_RUN = "no-run"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WriterHealth:
    """How a `DocumentWriter` fares.

    Parameters
    ----------
    queued
        Documents received that are neither in Tiled nor given up yet.
    written
        Documents that are in Tiled.
    last_error
        Why a run went to the backup folder last, in one sentence; None so far.
    using_backup
        Whether the newest run went to the backup folder instead of Tiled.
    alive
        Whether the writer's thread runs.
    backup_files
        Runs that did not reach Tiled, as files of documents.
    """

    queued: int
    written: int
    last_error: str | None
    using_backup: bool
    alive: bool
    backup_files: tuple[Path, ...]


@dataclass(slots=True)
class _Run:
    """A run under way: where it is kept, and how it goes to Tiled."""

    journal: RunJournal
    upload: TiledUpload
    is_reported: bool = False


class DocumentWriter:
    """A callback that stores every run in Tiled or, failing that, in a file.

    A call puts the document on a queue, nothing else: a dead or slow server never
    touches the scan. A thread writes each document to the run's journal in the
    backup folder, then sends it to Tiled. The journal is removed once Tiled has
    the stop document, and stays, as JSON lines, if anything failed; so nothing is
    lost either when no connection can be made or when the process is killed.
    A document must not be changed after it was handed in.

    Memory: documents wait in memory while a call to the server lasts. A dead
    server holds a call for about 45 s, once a run, because Tiled's client tries
    again; after that the run goes to its journal only. A run that has more than
    `max_waiting` documents waiting is left to its journal too.

    Parameters
    ----------
    open_client
        Returns a new Tiled client. Called on the writer's thread for each run, so
        that a server may be started again between runs; closed after the run.
    backup_folder
        Where journals are; created at the first document.
    max_waiting
        See above.
    on_stored
        Called on the writer's thread with the uid of each run that Tiled has, its
        stop document included.
    """

    def __init__(
        self,
        open_client: ClientFactory,
        backup_folder: Path,
        *,
        max_waiting: int = MAX_WAITING,
        on_stored: Callable[[str], None] = lambda uid: None,
    ) -> None:
        consolidator.install()
        self._open_client = open_client
        self._backup_folder = backup_folder.absolute()
        self._max_waiting = max_waiting
        self._on_stored = on_stored
        self._changed = threading.Condition()
        self._queue: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._received = self._handled = self._written = 0
        self._closing = self._abandoned = False
        self._last_error: str | None = None
        self._using_backup = False
        self._backup_files: list[Path] = []
        # Journals and their runs; held by the thread that takes documents in.
        self._intake = threading.RLock()
        self._sorter = RunSorter()
        self._runs: dict[str, _Run] = {}
        self._thread = threading.Thread(
            target=self._work, name="aefi document writer", daemon=True
        )
        self._thread.start()
        atexit.register(self.close)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document; returns at once.

        Parameters
        ----------
        name
            Kind of document.
        doc
            Its content; not to be changed by anybody from now on.
        """
        with self._changed:
            self._queue.append((name, doc))
            self._received += 1
            self._changed.notify_all()
        if not self._thread.is_alive():
            self._leave_rest("the writer was closed before this document came")

    @property
    def health(self) -> WriterHealth:
        """How the writer fares now."""
        with self._changed:
            return WriterHealth(
                queued=self._received - self._handled,
                written=self._written,
                last_error=self._last_error,
                using_backup=self._using_backup,
                alive=self._thread.is_alive(),
                backup_files=tuple(self._backup_files),
            )

    def flush(self, timeout_s: float | None) -> bool:
        """Wait until every document handed in so far is in Tiled or given up.

        Parameters
        ----------
        timeout_s
            How long to wait, in seconds; None waits as long as it takes.

        Returns
        -------
        bool
            False if documents still wait.
        """
        with self._changed:
            target = self._received
            self._changed.wait_for(
                lambda: self._handled >= target or not self._thread.is_alive(),
                timeout_s,
            )
            return self._handled >= target

    def wait(self) -> None:
        """Wait as long as it takes until nothing is queued."""
        self.flush(None)

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """End the thread; what Tiled does not take in time stays in journals.

        Parameters
        ----------
        timeout_s
            How long to wait for Tiled, in seconds.
        """
        atexit.unregister(self.close)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            self._abandoned = True
            self._leave_rest(f"Tiled did not take it within {timeout_s:g} s of closing")
        else:
            self._leave_rest("the writer was closed before the run's stop document")

    def _work(self) -> None:
        while self._wait_for_documents():
            for item in merged(self._take_in()):
                stored = self._store(item)
                self._count(handled=item.count, written=item.count * stored)
        if self._abandoned:  # close gave up waiting for us; take what came since
            self._leave_rest("the writer was closed before this document came")

    def _wait_for_documents(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            return bool(self._queue) and not self._abandoned

    def _take_in(self) -> list[SortedDocument]:
        """Take all that is queued and write it to the journals first."""
        with self._intake:
            with self._changed:
                waiting = list(self._queue)
                self._queue.clear()
            return [self._journaled(name, doc) for name, doc in waiting]

    def _journaled(self, name: str, doc: Mapping[str, Any]) -> SortedDocument:
        document = plain(doc)
        uid = self._sorter.run_of(name, document) or _NO_RUN
        run = self._runs.get(uid)
        if run is None:
            journal = RunJournal(self._backup_folder, uid)
            upload = TiledUpload(uid, self._documents_of(journal), self._open_client)
            run = self._runs[uid] = _Run(journal, upload)
        with self._noting_errors(f"run {uid} could not be backed up"):
            run.journal.append(name, document)
        return SortedDocument(uid, name, document, number=run.journal.count)

    def _documents_of(self, journal: RunJournal) -> DocumentSource:
        def documents() -> Sequence[tuple[str, dict[str, Any]]]:
            with self._intake:  # nobody writes to it meanwhile
                return journal.documents()

        return documents

    def _store(self, item: SortedDocument) -> bool:
        run = self._runs[item.run]
        if self.health.queued > self._max_waiting:
            waiting = f"more than {self._max_waiting} documents wait for Tiled"
            run.upload.give_up(waiting)
        stored = run.upload.send(item)
        with self._intake:
            self._report(run)
            if item.name == "stop":
                self._end(run)
        if stored and item.name == "stop":
            with self._noting_errors(f"run {item.run} is stored, but on_stored failed"):
                self._on_stored(item.run)
        return stored

    def _report(self, run: _Run) -> None:
        """Keep the journal of a run that failed, and say so once."""
        upload = run.upload
        if not upload.failure:
            self._using_backup = False
            return
        if run.is_reported:
            return
        run.is_reported = self._using_backup = True
        path = run.journal.path
        with self._noting_errors(f"the backup of run {upload.uid} was not renamed"):
            path = run.journal.keep()
        self._backup_files.append(path)
        self._note_error(
            f"run {upload.uid} is not in Tiled ({upload.failure}); "
            f"its documents are kept in {path}"
        )

    def _end(self, run: _Run) -> None:
        upload, journal = run.upload, run.journal
        with self._noting_errors(f"the connection of run {upload.uid} was not closed"):
            upload.close()
        undone = f"the journal of run {upload.uid} could not be closed or removed"
        with self._noting_errors(undone):
            if upload.failure:
                journal.close()
            else:
                journal.discard()
        self._runs.pop(upload.uid, None)
        self._sorter.forget(upload.uid)

    def _leave_rest(self, reason: str) -> None:
        """Journal what is queued and send no run any further."""
        with self._intake:
            rest = self._take_in()
            for run in self._runs.values():
                run.upload.give_up(reason)
                self._report(run)
            if not self._thread.is_alive():
                for run in tuple(self._runs.values()):
                    self._end(run)
        self._count(handled=len(rest), written=0)

    def _count(self, handled: int, written: int) -> None:
        with self._changed:
            self._handled += handled
            self._written += written
            self._changed.notify_all()

    @contextlib.contextmanager
    def _noting_errors(self, what: str) -> Generator[None]:
        """Go on after an error: a journal that fails must not stop the upload."""
        try:
            yield
        except Exception as err:
            self._note_error(f"{what}: {err}")

    def _note_error(self, sentence: str) -> None:
        self._last_error = sentence
        _log.warning(sentence)
