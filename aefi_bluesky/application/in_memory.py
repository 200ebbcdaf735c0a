"""Studies kept in memory."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Generator, Iterator

from aefi_bluesky.domain.errors import StudyBusyError, StudyNotFoundError
from aefi_bluesky.domain.plain_values import nearest_hint
from aefi_bluesky.domain.study.events import StudyId
from aefi_bluesky.domain.study.study import Study


class InMemoryStudyRepository:
    """A `StudyRepository` that lasts as long as its process."""

    def __init__(self) -> None:
        self._studies: dict[StudyId, Study] = {}
        self._held: set[StudyId] = set()
        self._lock = threading.Lock()

    def save(self, study: Study) -> None:
        """Store `study` as it is now; see `StudyRepository`."""
        with self._lock:
            before = self._studies.get(study.id)
            study.require_version(0 if before is None else before.version)
            study.mark_stored(study.version + 1)
            self._studies[study.id] = _without_events(study)

    def get(self, study_id: StudyId) -> Study:
        """Return a study equal to what was stored; see `StudyRepository`."""
        if study_id not in self._studies:
            raise StudyNotFoundError(
                f"no study is called {study_id!r}{nearest_hint(study_id, self)}"
            )
        return copy.deepcopy(self._studies[study_id])

    def __iter__(self) -> Iterator[StudyId]:
        return iter(tuple(self._studies))

    @contextlib.contextmanager
    def hold(self, study_id: StudyId) -> Generator[None]:
        """Be the only one that flies the study; see `StudyRepository`."""
        with self._lock:
            if study_id in self._held:
                raise StudyBusyError(f"study {study_id!r} is being flown already")
            self._held.add(study_id)
        try:
            yield
        finally:
            self._held.discard(study_id)


def _without_events(study: Study) -> Study:
    """Return a deep copy: what happens to one later does not reach the other."""
    stored = copy.deepcopy(study)
    stored.take_events()
    return stored
