"""One run on its way into Tiled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from bluesky_tiled_plugins import TiledWriter

from aefi_bluesky.storage.document_sorting import SortedDocument
from aefi_bluesky.storage.page_normalizer import PageNormalizer
from aefi_bluesky.storage.run_journal import RunJournal

ClientFactory = Callable[[], Any]
"""Returns a new Tiled client, closed after the run; may raise and may block."""


class RunUpload:
    """Send the documents of one run to Tiled until the first failure.

    After it nothing more is sent, so that a half-written run never gets a stop
    document and so never passes for a whole one.

    Parameters
    ----------
    uid
        Uid of the run.
    journal
        Where its documents are kept meanwhile.
    open_client
        Called with the first document.
    """

    def __init__(
        self, uid: str, journal: RunJournal, open_client: ClientFactory
    ) -> None:
        self.uid = uid
        self.journal = journal
        self.failure = ""
        self.is_reported = False
        self._open_client = open_client
        self._client: Any = None
        self._write: Callable[[str, dict[str, Any]], None] | None = None

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
            if self._write is None:
                self._write = self._open_writer()
            self._write(item.name, item.document)
        except Exception as err:
            self._note(err)
        return not self.failure

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

    def _open_writer(self) -> Callable[[str, dict[str, Any]], None]:
        # Any callable with these keywords is as good as the class it asks for.
        normalizer = cast("Any", functools.partial(PageNormalizer, self._note))
        self._client = self._open_client()
        # Every array is stored as one: the stock writer makes text of small ones.
        return TiledWriter(
            self._client, normalizer=normalizer, batch_size=1, max_array_size=0
        )

    def _note(self, err: Exception) -> None:
        self.give_up(f"{type(err).__name__}: {err}")
