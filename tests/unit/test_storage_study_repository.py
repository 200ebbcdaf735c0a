"""What SQLite adds to a repository: it lasts, and it says what is wrong with a file."""

import sqlite3
from contextlib import closing

import pytest

from aefi_bluesky.domain.errors import StorageError, StudyFormatError
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.testing.builders import a_spec, a_study


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "studies.sqlite"


def execute(path, statement, *values):
    with closing(sqlite3.connect(path)) as file, file:
        file.execute(statement, values)


def test_study_outlives_its_repository(path):
    study = a_study(scans=("a",))
    SqliteStudyRepository(path).save(study)
    again = SqliteStudyRepository(path).get("study-1")
    assert again == study
    assert again.version == 1


def test_study_of_another_session_is_not_overwritten_unseen(path):
    ours, theirs = SqliteStudyRepository(path), SqliteStudyRepository(path)
    ours.save(a_study())
    study = theirs.get("study-1")
    study.add_scan("a", a_spec(), ScanRole.REFERENCE)
    theirs.save(study)
    assert ours.get("study-1") == study


def test_save_that_fails_changes_nothing(path):
    repository = SqliteStudyRepository(path)
    study = a_study()
    repository.save(study)
    execute(
        path,
        "CREATE TRIGGER full BEFORE UPDATE ON studies "
        "BEGIN SELECT RAISE(FAIL, 'disk full'); END",
    )
    study.add_scan("a", a_spec(), ScanRole.REFERENCE)
    with pytest.raises(StorageError, match=r"studies.sqlite: disk full"):
        repository.save(study)
    assert repository.get("study-1").scans == ()
    execute(path, "DROP TRIGGER full")
    repository.save(study)
    assert repository.get("study-1") == study


def test_damaged_study_is_named(path):
    repository = SqliteStudyRepository(path)
    repository.save(a_study())
    for damaged, message in (
        ("{", "Expecting"),
        ('{"format": 9}', "format must be 1, was 9"),
    ):
        execute(path, "UPDATE studies SET study = ?", damaged)
        with pytest.raises(
            StudyFormatError,
            match=rf"studies.sqlite: what is stored as 'study-1' .*{message}",
        ):
            repository.get("study-1")


def test_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 100)
    with pytest.raises(StorageError, match=r"notes.txt: file is not a database"):
        SqliteStudyRepository(path)


def test_file_of_a_newer_schema_is_refused(path):
    SqliteStudyRepository(path)
    execute(path, "PRAGMA user_version = 2")
    with pytest.raises(StorageError, match="must have schema 1, has 2"):
        SqliteStudyRepository(path)


def test_database_of_somebody_else_is_left_alone(tmp_path):
    path = tmp_path / "other.sqlite"
    execute(path, "CREATE TABLE other (x)")
    with pytest.raises(StorageError, match="must have schema 1, has 0"):
        SqliteStudyRepository(path)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/studies.sqlite cannot be written"):
        SqliteStudyRepository(tmp_path / "file" / "studies.sqlite")


def test_study_is_held_against_other_sessions_only(path):
    ours, theirs = SqliteStudyRepository(path), SqliteStudyRepository(path)
    with ours.hold("study-1"):
        # Who plans is not kept waiting by who flies.
        theirs.save(a_study())
    assert list(ours) == ["study-1"]


def test_foreign_error_inside_a_hold_stays_what_it_is(path):
    repository = SqliteStudyRepository(path)
    error = sqlite3.Error("of somebody else")
    with pytest.raises(sqlite3.Error, match="of some"), repository.hold("study-1"):
        raise error
