"""Which run a flight's spool belongs to, and when it is no longer needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aefi_bluesky.engine import NoRuns
from aefi_bluesky.storage.runs.plain_documents import plain

logger = logging.getLogger(__name__)

_KEPT = ("uid", "scan_id", "study")


class SpoolsOfRuns(NoRuns):
    """A callback of the RunEngine that keeps each run's spools until it is stored.

    The documents of a run that is over may be in memory only, for as long as a slow
    server takes: until then the spool is all that a kill would leave.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Mapping[str, Any]] = {}
        self._waiting: dict[str, list[Path]] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take notice of runs that begin and end."""
        with self._lock:
            if name == "start":
                kept = {key: doc[key] for key in _KEPT if key in doc}
                self._open[doc["uid"]] = plain(kept)
            elif name == "stop":
                self._open.pop(doc["run_start"], None)

    def current_run(self) -> Mapping[str, Any]:
        """Return uid, scan_id and study of the newest open run; empty if none is."""
        with self._lock:
            return next(reversed(self._open.values()), {})

    def let_go(self, spool: Path) -> None:
        """Remove a spool when its run is stored; at once if no run is open."""
        uid = self.current_run().get("uid")
        if uid is None:
            super().let_go(spool)
            return
        with self._lock:
            self._waiting.setdefault(uid, []).append(spool)

    def run_stored(self, uid: str) -> None:
        """Remove the spools of a run that Tiled has."""
        with self._lock:
            spools = self._waiting.pop(uid, [])
        for spool in spools:
            try:
                super().let_go(spool)
            except OSError as err:
                logger.warning("spool %s cannot be removed: %s", spool, err)
