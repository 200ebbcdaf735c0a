"""What every `StudyRepository` promises.

A subclass named ``Test...`` gives the fixture ``repository``: one without studies.
"""

# ruff: noqa: S101  (a test suite: its asserts are meant)

from __future__ import annotations

import pytest

from aefi_bluesky.domain.errors import StudyNotFoundError
from aefi_bluesky.domain.events import ScanId, StudyId
from aefi_bluesky.domain.ports import StudyRepository
from aefi_bluesky.domain.study import PlannedScanState, ScanRole, StudyState
from aefi_bluesky.testing.builders import a_spec, a_study


class StudyRepositoryContract:
    """The promises of `StudyRepository`."""

    def test_stored_study_comes_back_equal(self, repository: StudyRepository) -> None:
        """Everything about a study is kept: scans, order, states, causes, runs."""
        study = a_study(scans=("reference", "object"))
        study.add_scan(
            ScanId("again"), a_spec(n_x=3), ScanRole.REPETITION, (ScanId("object"),)
        )
        study.start_scan(ScanId("reference"))
        study.fail_scan(ScanId("reference"), "axis x: limit", run_uid="uid-1")
        repository.save(study)
        stored = repository.get(study.id)
        assert stored == study
        assert stored.scans == study.scans
        assert stored.state is StudyState.IN_PROGRESS
        assert stored.scan(ScanId("reference")).run_uid == "uid-1"

    def test_stored_study_goes_on(self, repository: StudyRepository) -> None:
        """What comes back is a study that can be worked with."""
        repository.save(a_study(scans=("object",)))
        study = repository.get(StudyId("study-1"))
        study.start_scan(study.next_scan().id)
        repository.save(study)
        stored = repository.get(study.id)
        assert stored.scan(ScanId("object")).state is PlannedScanState.RUNNING

    def test_unknown_study_is_named(self, repository: StudyRepository) -> None:
        """The error says which study was asked for."""
        repository.save(a_study("another"))
        with pytest.raises(StudyNotFoundError, match="nobody"):
            repository.get(StudyId("nobody"))

    def test_saving_again_replaces(self, repository: StudyRepository) -> None:
        """There is one study under one identifier: the last."""
        repository.save(a_study(scans=("one",)))
        repository.save(a_study(scans=("one", "two")))
        assert list(repository) == ["study-1"]
        assert len(repository.get(StudyId("study-1")).scans) == 2

    def test_change_after_saving_does_not_reach_the_store(
        self, repository: StudyRepository
    ) -> None:
        """A study is stored as it was when it was saved."""
        study = a_study()
        repository.save(study)
        study.add_scan(ScanId("later"), a_spec(), ScanRole.OBJECT)
        assert repository.get(study.id).scans == ()

    def test_change_of_a_returned_study_does_not_reach_the_store(
        self, repository: StudyRepository
    ) -> None:
        """Nobody changes the store but by saving."""
        repository.save(a_study())
        taken = repository.get(StudyId("study-1"))
        taken.add_scan(ScanId("later"), a_spec(), ScanRole.OBJECT)
        assert repository.get(StudyId("study-1")).scans == ()

    def test_events_are_not_stored(self, repository: StudyRepository) -> None:
        """Events stay with the study that was saved; none happens twice."""
        study = a_study()
        study.add_scan(ScanId("object"), a_spec(), ScanRole.OBJECT)
        repository.save(study)
        assert repository.get(study.id).take_events() == ()
        assert len(study.take_events()) == 1

    def test_identifiers_come_oldest_first(self, repository: StudyRepository) -> None:
        """Saving a study again does not make it younger."""
        assert list(repository) == []
        for name in ("c", "a", "b"):
            repository.save(a_study(name))
        repository.save(a_study("c", scans=("object",)))
        assert list(repository) == ["c", "a", "b"]
