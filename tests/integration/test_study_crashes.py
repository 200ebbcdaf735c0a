"""A study survives whatever kills its session, and goes on with the right scan."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import study_campaign
from study_campaign import STUDY

from aefi_bluesky.application.in_memory import InMemoryStudyRepository
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.errors import (
    StudyBusyError,
    StudyNotFoundError,
    StudyRuleError,
)
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.domain.study.study import ScanRole, StudyState
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.testing.builders import a_bench, a_spec, an_object
from aefi_bluesky.testing.fakes import FakeScanPort, RecordingObserver

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = [sys.executable, study_campaign.__file__]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def service(repository):
    return StudyService(repository, FakeScanPort(), a_bench())


def saved_in_order():
    """Return what a campaign that nobody kills saves, step by step."""
    saved = [None]

    class Noting(InMemoryStudyRepository):
        def save(self, study):
            super().save(study)
            saved.append(study.to_plain())

    study_campaign.run(service(Noting()))
    return saved


def stored(repository):
    try:
        return repository.get(STUDY)
    except StudyNotFoundError:
        return None


def expected_next(study):
    """Return the scan that is next by the campaign: the first that is not flown."""
    for role in (ScanRole.REFERENCE, ScanRole.OBJECT):
        attempts = [scan for scan in study.scans if scan.role is role]
        if attempts and attempts[-1].state is not PlannedScanState.COMPLETED:
            return attempts[-1].id
    return None


def carry_on(repository):
    """Do what a campaign lacks, as its operator would; return the finished study."""
    campaign = service(repository)
    if stored(repository) is None:
        campaign.create_study(STUDY, an_object(), "an operator")
    if repository.get(STUDY).state is StudyState.CREATED:
        campaign.configure_study(STUDY)
    known = [scan.id for scan in repository.get(STUDY).scans]
    if "r" not in known:
        campaign.add_scan(STUDY, "r", a_spec(), ScanRole.REFERENCE)
    if "o" not in known:
        campaign.add_scan(STUDY, "o", a_spec(), ScanRole.OBJECT, reference="r")
    while (due := expected_next(repository.get(STUDY))) is not None:
        assert campaign.next_scan(STUDY).id == due
        campaign.execute_next_scan(STUDY, RecordingObserver())
    if repository.get(STUDY).state is StudyState.IN_PROGRESS:
        campaign.complete_study(STUDY)
    if repository.get(STUDY).state is StudyState.COMPLETED:
        campaign.archive_study(STUDY)
    return repository.get(STUDY)


def recover(repository):
    """End what a kill left active, by the explicit call only; return its scan."""
    study = stored(repository)
    if study is None or study.active_scan is None:
        return None
    active = study.active_scan
    with pytest.raises(StudyRuleError, match=f"one scan at a time: scan '{active.id}'"):
        service(repository).next_scan(STUDY)
    lost = service(repository).recover(STUDY)
    assert (lost.id, lost.state) == (active.id, PlannedScanState.FAILED)
    assert (
        "the program that carried this scan out died"
        in repository.get(STUDY).scan(lost.id).cause
    )
    service(repository).retry_scan(STUDY, lost.id, f"{lost.id}2")
    return lost.id


def test_study_reopens_after_a_kill_at_any_point_and_goes_on(tmp_path):
    done = subprocess.run(
        [*SCRIPT, "every", str(tmp_path)], env=ENVIRONMENT, check=False, timeout=200
    )
    assert done.returncode == 0
    expected, seen, lost = saved_in_order(), [], set()
    for path in sorted(tmp_path.glob("*.sqlite")):
        repository = SqliteStudyRepository(path)
        study = stored(repository)
        # Exactly what one of the saves stored: never half of it, never an older one.
        seen.append(expected.index(None if study is None else study.to_plain()))
        lost.add(recover(repository))
        finished = carry_on(repository)
        assert finished.state is StudyState.ARCHIVED
        assert len([s for s in finished.scans if s.state is not s.state.FAILED]) == 2
    assert seen == sorted(seen)
    assert set(seen) == set(range(len(expected)))
    assert lost == {None, "r", "o"}


def test_scan_of_a_living_session_is_not_recovered(tmp_path):
    path = tmp_path / "studies.sqlite"
    with subprocess.Popen(
        [*SCRIPT, "flying", str(path)], env=ENVIRONMENT, stdout=subprocess.PIPE
    ) as session:
        try:
            assert session.stdout.readline() == b"flying\n"
            repository = SqliteStudyRepository(path)
            holder = rf"process {session.pid} of .*study_campaign\.py flying"
            with pytest.raises(StudyBusyError, match=f"being flown by {holder}"):
                service(repository).recover(STUDY)
            active = repository.get(STUDY).active_scan
            assert (active.id, active.state) == ("r", PlannedScanState.RUNNING)
        finally:
            session.kill()
    assert service(repository).recover(STUDY).id == "r"
    assert service(repository).recover(STUDY) is None


def test_two_sessions_lose_no_change_of_each_other(tmp_path):
    path = tmp_path / "studies.sqlite"
    first, second = (service(SqliteStudyRepository(path)) for _ in range(2))
    first.create_study(STUDY, an_object(), "an operator")
    first.configure_study(STUDY)
    for number, session in zip(range(6), itertools.cycle((first, second))):
        session.add_scan(STUDY, f"r{number}", a_spec(), ScanRole.REFERENCE)
    scans = SqliteStudyRepository(path).get(STUDY).scans
    assert [scan.id for scan in scans] == [f"r{number}" for number in range(6)]
