"""What every `StudyRepository` promises.

A subclass named ``Test...`` gives the fixture ``repository``: one without studies.
"""

# ruff: noqa: S101  (a test suite: its asserts are meant)

from __future__ import annotations

import pytest

from aefi_bluesky.domain.errors import (
    StaleStudyError,
    StudyBusyError,
    StudyNotFoundError,
)
from aefi_bluesky.domain.ports import StudyRepository
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.study import PlannedScanState, ScanRole, StudyState
from aefi_bluesky.testing.builders import a_spec, a_study


class StudyRepositoryContract:
    """The promises of `StudyRepository`."""

    def test_stored_study_comes_back_equal(self, repository: StudyRepository) -> None:
        """Everything about a study is kept: scans, order, states, causes, runs."""
        study = a_study(scans=("reference", "another"))
        reference = ScanId("reference")
        study.add_scan(ScanId("object"), a_spec(), ScanRole.OBJECT, reference=reference)
        study.add_scan(
            ScanId("again"), a_spec(n_x=3), ScanRole.REPETITION, (ScanId("object"),)
        )
        study.start_scan(ScanId("reference"))
        study.fail_scan(ScanId("reference"), "axis x: limit", run_uid="uid-1")
        study.retry_scan(ScanId("reference"), ScanId("retry"))
        repository.save(study)
        stored = repository.get(study.id)
        assert stored == study
        assert stored.scans == study.scans
        assert stored.measured_object == study.measured_object
        assert (stored.operator, stored.bench) == (study.operator, study.bench)
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
        with pytest.raises(StudyNotFoundError, match=r"'nobody'$"):
            repository.get(StudyId("nobody"))
        with pytest.raises(StudyNotFoundError, match="did you mean 'another'"):
            repository.get(StudyId("anothr"))

    def test_saving_again_replaces(self, repository: StudyRepository) -> None:
        """There is one study under one identifier: the last."""
        study = a_study(scans=("one",))
        repository.save(study)
        study.add_scan(ScanId("two"), a_spec(), ScanRole.REFERENCE)
        repository.save(study)
        assert list(repository) == ["study-1"]
        assert len(repository.get(StudyId("study-1")).scans) == 2

    def test_stale_study_is_refused_by_name(self, repository: StudyRepository) -> None:
        """What somebody else saved meanwhile is not overwritten."""
        repository.save(a_study())
        ours, theirs = (repository.get(StudyId("study-1")) for _ in range(2))
        theirs.add_scan(ScanId("theirs"), a_spec(), ScanRole.REFERENCE)
        repository.save(theirs)
        ours.abort("too late")
        with pytest.raises(
            StaleStudyError,
            match=r"'study-1' was changed .* version 1 was loaded, version 2 is stored",
        ):
            repository.save(ours)
        assert repository.get(StudyId("study-1")) == theirs
        repository.save(theirs)

    def test_new_study_does_not_replace_another(
        self, repository: StudyRepository
    ) -> None:
        """A study that was never loaded is stale where one is stored."""
        repository.save(a_study(scans=("one",)))
        with pytest.raises(StaleStudyError, match="version 0 was loaded"):
            repository.save(a_study())
        assert len(repository.get(StudyId("study-1")).scans) == 1

    def test_held_study_is_not_held_twice(self, repository: StudyRepository) -> None:
        """Who holds a study is the only one; another study is another matter."""
        study, other = StudyId("study-1"), StudyId("../a b/c")
        with repository.hold(study), repository.hold(other):
            with pytest.raises(StudyBusyError, match="study-1"):
                repository.hold(study).__enter__()
            repository.save(a_study())
        with repository.hold(study):
            assert list(repository) == ["study-1"]

    def test_hold_ends_with_an_error_inside(self, repository: StudyRepository) -> None:
        """The error goes on and the study is free."""
        with pytest.raises(ZeroDivisionError), repository.hold(StudyId("study-1")):
            raise ZeroDivisionError
        with repository.hold(StudyId("study-1")):
            pass

    def test_change_after_saving_does_not_reach_the_store(
        self, repository: StudyRepository
    ) -> None:
        """A study is stored as it was when it was saved."""
        study = a_study()
        repository.save(study)
        study.add_scan(ScanId("later"), a_spec(), ScanRole.REFERENCE)
        assert repository.get(study.id).scans == ()

    def test_change_of_a_returned_study_does_not_reach_the_store(
        self, repository: StudyRepository
    ) -> None:
        """Nobody changes the store but by saving."""
        repository.save(a_study())
        taken = repository.get(StudyId("study-1"))
        taken.add_scan(ScanId("later"), a_spec(), ScanRole.REFERENCE)
        assert repository.get(StudyId("study-1")).scans == ()

    def test_events_are_not_stored(self, repository: StudyRepository) -> None:
        """Events stay with the study that was saved; none happens twice."""
        study = a_study()
        study.add_scan(ScanId("object"), a_spec(), ScanRole.REFERENCE)
        repository.save(study)
        assert repository.get(study.id).take_events() == ()
        assert len(study.take_events()) == 1

    def test_identifiers_come_oldest_first(self, repository: StudyRepository) -> None:
        """Saving a study again does not make it younger."""
        assert list(repository) == []
        for name in ("c", "a", "b"):
            repository.save(a_study(name))
        repository.save(repository.get(StudyId("c")))
        assert list(repository) == ["c", "a", "b"]
