"""A lock that ends with its process, and the name of who has it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shlex
import sqlite3
import sys
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from aefi_bluesky.domain.errors import AefiError, StorageError

_LONGEST_COMMAND = 200
"""Characters of a command line that a message shows."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock.

    Parameters
    ----------
    pid
        Number of the process.
    user
        Whose process it is.
    command
        What was started.
    since
        When the lock was taken, in local time.
    """

    pid: int
    user: str
    command: str
    since: str

    @classmethod
    def this_process(cls) -> Self:
        """Return this process as a holder from now on."""
        program, *words = sys.orig_argv or sys.argv
        command = shlex.join([Path(program).name, *words])
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        return cls(os.getpid(), user_name(), command[:_LONGEST_COMMAND], since)

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} since {self.since}: {self.command}"


@contextlib.contextmanager
def held(lock: Path, refuse: Callable[[str], AefiError]) -> Generator[None]:
    """Hold a lock file inside the context, and say beside it who does.

    The lock is that of an empty SQLite file: on every system it ends with the
    process, whatever ended that. The note beside it, ``<name>.holder``, is for
    messages only: nothing is decided by it.

    Parameters
    ----------
    lock
        The lock file, made if absent; its folder exists.
    refuse
        Makes the error from the holder's name.

    Raises
    ------
    AefiError
        That of `refuse`, if somebody else holds it.
    StorageError
        If that can't be found out, or the note can't be written.
    """
    note = lock.with_suffix(".holder")
    with contextlib.closing(_locked(lock, note, refuse)):
        _write_note(note)
        try:
            yield
        finally:
            note.unlink(missing_ok=True)


def _locked(
    lock: Path, note: Path, refuse: Callable[[str], AefiError]
) -> sqlite3.Connection:
    """Return a file that nobody else can lock until it is closed."""
    try:
        # Whoever ends a session may do so on another thread.
        file = sqlite3.connect(
            lock, timeout=0.0, isolation_level=None, check_same_thread=False
        )
        try:
            file.execute("BEGIN EXCLUSIVE")
        except BaseException:
            file.close()
            raise
    except sqlite3.Error as err:
        if err.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise refuse(_holder_name(lock, note)) from err
        raise StorageError(f"lock file {lock}: {err}") from err
    return file


def _holder_name(lock: Path, note: Path) -> str:
    try:
        return str(Holder(**json.loads(note.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        # Between its lock and its note, or by a program of another version.
        return f"another process, which locks {lock}"


def _write_note(note: Path) -> None:
    """Write the note whole: a reader never sees half of it."""
    unfinished = note.with_suffix(".unfinished")
    try:
        text = json.dumps(asdict(Holder.this_process()))
        unfinished.write_text(f"{text}\n", encoding="utf-8")
        unfinished.replace(note)
    except OSError as err:
        raise StorageError(f"{note} cannot be written: {err.strerror}") from err


def user_name() -> str:
    """Return who runs this process; the system may have no name for it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name, as in some containers
        return "an unknown user" if sys.platform == "win32" else f"user {os.getuid()}"
