"""Studies kept in one SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote

from aefi_bluesky.domain.errors import (
    StorageError,
    StudyBusyError,
    StudyFormatError,
    StudyNotFoundError,
)
from aefi_bluesky.domain.plain_values import nearest_hint
from aefi_bluesky.domain.study.events import StudyId
from aefi_bluesky.domain.study.study import Study
from aefi_bluesky.storage.local.hold import held

SCHEMA_VERSION = 1
"""Of the file's tables; a file of another version is refused by name."""

_SCHEMA = """
CREATE TABLE studies (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    study TEXT NOT NULL
)
"""

_PATIENCE_S = 10.0
"""How long a save waits for another one; each takes milliseconds."""


class SqliteStudyRepository:
    """A `StudyRepository` in a file that several sessions may share.

    Each call opens the file anew, so it may come on any thread. A save is one
    transaction that is on the disk when it returns. Beside the file, the folder
    ``<name>.holds`` has a lock file for each study that was flown.

    Parameters
    ----------
    path
        The file; it and its folder are made if they do not exist.

    Raises
    ------
    StorageError
        If it can't be made or read, is no such file, or has another schema.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._holds = self._path.with_name(f"{self._path.name}.holds")
        try:
            self._holds.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise StorageError(
                f"study file {self._path} cannot be written: {err.strerror}"
            ) from err
        with self._transaction() as file:
            self._require_schema(file)

    def save(self, study: Study) -> None:
        """Store `study` as it is now; see `StudyRepository`."""
        plain = json.dumps(study.to_plain(), allow_nan=False)
        version = study.version + 1
        with self._transaction() as file:
            row = file.execute(
                "SELECT version FROM studies WHERE id = ?", (study.id,)
            ).fetchone()
            study.require_version(0 if row is None else row[0])
            file.execute(
                "INSERT INTO studies (id, version, study) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE "
                "SET version = excluded.version, study = excluded.study",
                (study.id, version, plain),
            )
        study.mark_stored(version)

    def get(self, study_id: StudyId) -> Study:
        """Return a study equal to what was stored; see `StudyRepository`."""
        with _opened(self._path) as file:
            row = file.execute(
                "SELECT version, study FROM studies WHERE id = ?", (study_id,)
            ).fetchone()
        if row is None:
            raise StudyNotFoundError(
                f"no study is called {study_id!r}{nearest_hint(study_id, self)}"
            )
        version, plain = row
        try:
            study = Study.from_plain(json.loads(plain))
        except (json.JSONDecodeError, StudyFormatError) as err:
            raise StudyFormatError(
                f"study file {self._path}: what is stored as {study_id!r} is no "
                f"study: {err}"
            ) from err
        study.mark_stored(version)
        return study

    def __iter__(self) -> Iterator[StudyId]:
        with _opened(self._path) as file:
            rows = file.execute("SELECT id FROM studies ORDER BY number").fetchall()
        return iter([StudyId(row[0]) for row in rows])

    def hold(self, study_id: StudyId) -> AbstractContextManager[None]:
        """Be the only one that flies the study; see `StudyRepository`."""
        path = self._holds / f"{quote(study_id, safe='')}.lock"
        return held(
            path,
            lambda holder: StudyBusyError(
                f"study {study_id!r} is being flown by {holder}"
            ),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        """Open the file; what is done to it inside is done as a whole or not at all."""
        with _opened(self._path) as file:
            file.execute("PRAGMA synchronous = FULL")
            file.execute("BEGIN IMMEDIATE")
            # Closing without a commit takes everything back.
            yield file
            file.execute("COMMIT")

    def _require_schema(self, file: sqlite3.Connection) -> None:
        (found,) = file.execute("PRAGMA user_version").fetchone()
        tables = file.execute("SELECT name FROM sqlite_schema").fetchall()
        if found == 0 and not tables:
            file.execute(_SCHEMA)
            file.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        elif found != SCHEMA_VERSION:
            raise StorageError(
                f"study file {self._path} must have schema {SCHEMA_VERSION}, "
                f"has {found}"
            )


@contextlib.contextmanager
def _opened(path: Path) -> Generator[sqlite3.Connection]:
    """Open an SQLite file and close it in any case."""
    try:
        # Without the transactions that Python would begin by itself.
        with contextlib.closing(
            sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
        ) as file:
            yield file
    except sqlite3.Error as err:
        raise StorageError(f"study file {path}: {err}") from err
