"""Studies kept in memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from aefi_bluesky.domain.errors import StudyNotFoundError
from aefi_bluesky.domain.events import StudyId
from aefi_bluesky.domain.study import Study


class InMemoryStudyRepository:
    """A `StudyRepository` that lasts as long as its process."""

    def __init__(self) -> None:
        self._studies: dict[StudyId, Study] = {}

    def save(self, study: Study) -> None:
        """Store `study` as it is now; see `StudyRepository`."""
        self._studies[study.id] = _without_events(study)

    def get(self, study_id: StudyId) -> Study:
        """Return a study equal to what was stored; see `StudyRepository`."""
        if study_id not in self._studies:
            raise StudyNotFoundError(f"no study is called {study_id!r}")
        return copy.deepcopy(self._studies[study_id])

    def __iter__(self) -> Iterator[StudyId]:
        return iter(tuple(self._studies))


def _without_events(study: Study) -> Study:
    """Return a deep copy: what happens to one later does not reach the other."""
    stored = copy.deepcopy(study)
    stored.take_events()
    return stored
