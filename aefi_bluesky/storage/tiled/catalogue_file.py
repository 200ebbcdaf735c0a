"""The file of Tiled's catalogue, made once and whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


class CatalogueInMaking:
    """Makes the catalogue of a new data folder, in a process beside this one.

    Tiled would start such a process at each start, to find that there is nothing to be
    done: 3 s. And what dies in it leaves a file that no later start can use. So the
    file gets its name when it is whole.

    Parameters
    ----------
    path
        Where the catalogue is to be; nothing happens if it is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # A name of its own: what a start that died has left may be at work still.
        self._unfinished = path.with_name(f"{path.name}.{os.getpid()}.new")
        self._process: subprocess.Popen[bytes] | None = None
        for left in path.parent.glob(f"{path.name}.*.new*"):
            left.unlink(missing_ok=True)
        if path.exists():
            return
        uri = f"sqlite:///{self._unfinished.as_posix()}"
        command = [sys.executable, "-P", "-m", "tiled", "catalog", "init", uri]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def finish(self) -> None:
        """Wait until the catalogue is there.

        Raises
        ------
        RuntimeError
            If it could not be made; the process has printed why.
        """
        if self._process is None:
            return
        if self._process.wait():
            raise RuntimeError(f"the catalogue {self._path} could not be made")
        os.replace(self._unfinished, self._path)
