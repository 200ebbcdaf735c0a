"""The repository in memory keeps the promises of a repository."""

import pytest

from aefi_bluesky.application.in_memory import InMemoryStudyRepository
from aefi_bluesky.testing.contracts.study_repository import StudyRepositoryContract


class TestInMemoryStudyRepository(StudyRepositoryContract):
    @pytest.fixture
    def repository(self) -> InMemoryStudyRepository:
        return InMemoryStudyRepository()
