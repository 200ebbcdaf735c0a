"""The repositories keep the promises of a repository: in memory and in SQLite."""

import pytest

from aefi_bluesky.application.in_memory import InMemoryStudyRepository
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.testing.contracts.study_repository import StudyRepositoryContract


class TestInMemoryStudyRepository(StudyRepositoryContract):
    @pytest.fixture
    def repository(self) -> InMemoryStudyRepository:
        return InMemoryStudyRepository()


class TestSqliteStudyRepository(StudyRepositoryContract):
    @pytest.fixture
    def repository(self, tmp_path) -> SqliteStudyRepository:
        return SqliteStudyRepository(tmp_path / "studies.sqlite")
