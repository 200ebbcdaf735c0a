"""Where a session keeps its data."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aefi_bluesky.domain.errors import SessionBusyError, StorageError
from aefi_bluesky.storage.local.free_space import require_free_bytes
from aefi_bluesky.storage.local.hold import held

NEEDED_BYTES = 200_000_000
"""Free space below which a session refuses to begin: some hours of samples."""


@dataclass(frozen=True, slots=True)
class SessionFolders:
    """The folders of one session.

    Parameters
    ----------
    root
        Everything lies below it.
    """

    root: Path

    @classmethod
    def below(cls, root: Path) -> Self:
        """Make the folders and see that they can be written.

        Raises
        ------
        StorageError
            If not, or if the disk is too full.
        """
        folders = cls(root.absolute())
        try:
            for folder in (
                folders.raw,
                folders.tiled,
                folders.backup,
                folders.spool,
            ):
                folder.mkdir(parents=True, exist_ok=True)
            probe = folders.root / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as err:
            raise StorageError(
                f"data folder {root} cannot be written: {err.strerror}"
            ) from err
        require_free_bytes(folders.root, NEEDED_BYTES)
        return folders

    def held(self) -> AbstractContextManager[None]:
        """Be the only session that works in the folders, inside the context.

        Raises
        ------
        SessionBusyError
            If another one does; names its process, user and command.
        """
        return held(
            self.lock,
            lambda holder: SessionBusyError(
                f"data folder {self.root} is in use by {holder}; close that session, "
                "or choose another folder"
            ),
        )

    def queue_held(self) -> AbstractContextManager[None]:
        """Be the only queue server of the folder, inside the context.

        Raises
        ------
        SessionBusyError
            If another one is; names its process, user and command.
        """
        return held(
            self.root / "qserver.lock",
            lambda holder: SessionBusyError(
                f"data folder {self.root} has a queue server already, {holder}; end "
                "that server, or choose another folder"
            ),
        )

    @property
    def raw(self) -> Path:
        """Sample files."""
        return self.root / "raw"

    @property
    def tiled(self) -> Path:
        """The Tiled server's own."""
        return self.root / "tiled"

    @property
    def calibrations(self) -> Path:
        """What was measured of benches."""
        return self.root / "calibrations"

    @property
    def backup(self) -> Path:
        """Journals of runs that Tiled does not have."""
        return self.root / "backup"

    @property
    def spool(self) -> Path:
        """What flights record, while they fly; kept where one did not complete."""
        return self.root / "spool"

    @property
    def queue(self) -> Path:
        """The queue server's own."""
        return self.root / "qserver"

    @property
    def recovered(self) -> Path:
        """What was recovered from spools; Tiled reads there as in all of ``raw``."""
        return self.raw / "recovered"

    @property
    def studies(self) -> Path:
        """The studies, an SQLite file (decision 0011)."""
        return self.root / "studies.sqlite"

    @property
    def metadata(self) -> Path:
        """What is kept of ``RE.md`` from session to session."""
        return self.root / "run-engine.json"

    @property
    def log(self) -> Path:
        """What sessions have logged."""
        return self.root / "session.log"

    @property
    def lock(self) -> Path:
        """Held by the one session that works in the folder."""
        return self.root / "session.lock"

    @property
    def truth(self) -> Path:
        """What a simulated bench really did."""
        return self.root / "truth.jsonl"


def user_folder() -> Path:
    """Return the user's folder for data (XDG base directories; ``~`` elsewhere)."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "aefi-bluesky"
