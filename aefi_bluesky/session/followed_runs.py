"""The newest run of another session, followed by its rows in Tiled."""

from __future__ import annotations

import logging
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.session.exports import table_of
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.views.run_follower import Columns, RunFollower, Shows

logger = logging.getLogger(__name__)

PERIOD_S = 1.0
"""How often Tiled is asked: documents come about as often."""

_END_S = 1.0
"""How long the end of the thread is waited for; a server that hangs may keep it."""


class FollowedRuns:
    """Tells a presenter of the newest run of a Tiled server, on a thread of its own.

    Nothing is asked of the session that measures: a viewer can't disturb it.

    Parameters
    ----------
    uri
        Address of the server; a link with ``?api_key=`` too.
    api_key
        The server's key; None takes that of the link.
    shows
        Is told.
    period_s
        How often Tiled is asked, in s.
    """

    def __init__(
        self, uri: str, api_key: str | None, shows: Shows, period_s: float = PERIOD_S
    ) -> None:
        self._uri, self._key = _address(uri, api_key)
        self._follower = RunFollower(shows)
        self._period_s = period_s
        self._client: Any = None
        self._uid: str | None = None
        self._is_followed = False
        self._rows: dict[str, int] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="aefi-follow", daemon=True
        )
        self.notice = f"waiting for {self._uri}"

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Ask no longer."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._look()
            except Exception as err:
                # A server that is started again is asked again, with a new client.
                self.notice = str(err)
                self._drop_client()
                if not isinstance(err, StorageError):
                    logger.warning("the run could not be followed: %s", err)
            self._closing.wait(self._period_s)
        self._drop_client()

    def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.context.close()

    def _look(self) -> None:
        if self._client is None:
            self._client = connect(self._uri, self._key)
        uids = self._client.keys().tail(1)
        if not uids:
            self.notice = "there is no run yet"
            return
        run = self._client[uids[0]]
        if uids[0] != self._uid:
            self._is_followed = self._follower.started(run.metadata["start"])
            self._uid, self._rows = uids[0], {}
        if self._is_followed:
            self._follow(run)

    def _follow(self, run: Any) -> None:
        # Before the rows: what a run has when it stops is all of it.
        stop = run.metadata.get("stop")
        for stream, take in (
            ("primary", self._follower.frames_taken),
            ("lines", self._follower.lines_taken),
        ):
            rows = self._new_rows(run, stream)
            if rows is not None:
                take(rows)
        self.notice = f"run {self._uid}: " + (
            "under way" if stop is None else stop["exit_status"]
        )
        if stop is not None:
            self._follower.ended(stop)
            self._is_followed = False

    def _new_rows(self, run: Any, stream: str) -> Columns | None:
        """Return the rows that came since the last time; None if none came."""
        rows = table_of(run, stream, self._rows.get(stream, 0))
        if rows is not None:
            seen = len(next(iter(rows.values())))
            self._rows[stream] = self._rows.get(stream, 0) + seen
        return rows


def _address(uri: str, api_key: str | None) -> tuple[str, str]:
    """Return address and key; a link of a browser's has the key, and a page's path."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise StorageError(
            f"the address of a Tiled server must be like http://127.0.0.1:8000, "
            f"was {uri!r}"
        )
    key = api_key or next(iter(parse_qs(parts.query).get("api_key", [])), "")
    path = parts.path if "/api/" in parts.path else "/api/v1"
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), key
