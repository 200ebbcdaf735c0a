"""What a session stands on: its data folder, held, and a Tiled server on its way.

Light to import: a server takes as long to start as everything else to be imported, so
whoever opens a session lays its ground first, and imports the rest meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.storage.tiled.server import TiledServer


@dataclass(frozen=True, slots=True)
class Ground:
    """A data folder that nobody else works in, and where its runs are stored.

    Parameters
    ----------
    folders
        The data folder.
    tiled
        The server that was launched for it; None for a foreign one.
    foreign
        Address and key of a foreign server.
    """

    folders: SessionFolders
    tiled: TiledServer | None
    foreign: tuple[str, str]

    def tiled_address(self) -> tuple[str, str]:
        """Return address and key of the server, which answers by now if it is ours.

        Raises
        ------
        StorageError
            If it does not.
        """
        if self.tiled is None:
            return self.foreign
        self.tiled.wait_for_answer()
        return self.tiled.uri, self.tiled.api_key


@contextlib.contextmanager
def held_ground(
    folder: Path, *, tiled_uri: str | None = None, tiled_key: str | None = None
) -> Generator[Ground]:
    """Hold a data folder inside the context, and launch its Tiled server.

    Parameters
    ----------
    folder
        Where data go.
    tiled_uri, tiled_key
        Address and key of a Tiled server that already runs; None starts one.

    Raises
    ------
    StorageError
        If the folder can't be written, or another server runs over it.
    SessionBusyError
        If another session works in the folder; names it.
    """
    folders = SessionFolders.below(folder)
    with contextlib.ExitStack() as stack:
        stack.enter_context(folders.held())
        tiled = None
        if tiled_uri is None:
            tiled = TiledServer(folders.tiled, folders.raw)
            stack.callback(tiled.stop)
            tiled.launch()
        yield Ground(folders, tiled, (tiled_uri or "", tiled_key or ""))
