"""One run on its way into Tiled."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, cast

from bluesky_tiled_plugins import TiledWriter

from aefi_bluesky.storage.runs.declared_types import ColumnTooNarrowError, DeclaredTypes
from aefi_bluesky.storage.runs.sorting import SortedDocument, merged, sorted_run
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
