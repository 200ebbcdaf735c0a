"""Whether a living process writes a file: its lock ends with it, however it dies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Any

if sys.platform == "win32":

    def hold(file: IO[Any]) -> None:
        """Do nothing: this system lets nobody rename an open file."""

    def is_held(path: Path) -> bool:
        """Return False: that an open file can't be renamed says the same."""
        return False

else:
    import fcntl

    def hold(file: IO[Any]) -> None:
        """Lock an open file until it is closed; nothing where files have no locks."""
        _lock(file)

    def is_held(path: Path) -> bool:
        """Return whether another opening of the file is locked.

        False of a file that can't be opened: whoever opens it next can tell why.
        """
        try:
            with path.open("rb") as file:
                return not _lock(file)
        except OSError:
            return False

    def _lock(file: Any) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
