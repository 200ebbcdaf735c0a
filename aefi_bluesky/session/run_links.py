"""Prints where each run can be seen, when the run is over."""

from __future__ import annotations

from typing import Any

from aefi_bluesky.session.composition import Session

STORING_PATIENCE_S = 10.0
"""How long a person's prompt waits for Tiled after a run."""


class RunLinks:
    """Says where a run can be seen; for ``RE.subscribe``, of stop documents.

    Parameters
    ----------
    session
        Stores the runs.
    attended
        Whether a person waits at a prompt for the end of the run. If so, the link has
        Tiled's key and is printed after the run is stored, or after a short wait if
        Tiled is slow; the motion is over by then. If not, other people may read the
        output and the next plan must not wait: the link is printed at once, without the
        key.
    """

    def __init__(self, session: Session, *, attended: bool) -> None:
        self._session = session
        self._attended = attended

    def __call__(self, _name: str, doc: dict[str, Any]) -> None:
        """Print the link to the run that this document ends."""
        if self._attended:
            self._wait_for_tiled()
        link = self._session.browse_url(doc["run_start"], with_key=self._attended)
        if link is not None:
            print(f"Tiled: {link}")

    def _wait_for_tiled(self) -> None:
        writer = self._session.writer
        if not writer.health.using_backup and not writer.flush(STORING_PATIENCE_S):
            print("Tiled is still storing this run; c[-1] may lack its end.")
