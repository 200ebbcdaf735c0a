"""A study's scans as runs: what the run says of the study, and the study of the run."""

import pytest

from aefi_bluesky.application.in_memory import InMemoryStudyRepository
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.events import ScanId, StudyId
from aefi_bluesky.domain.planned_scan import PlannedScanState
from aefi_bluesky.domain.study import ScanRole
from aefi_bluesky.session.study_runs import RunEngineScanExecutor
from aefi_bluesky.testing.builders import a_spec, an_object
from aefi_bluesky.testing.fakes import RecordingObserver

STUDY, SCAN = StudyId("study"), ScanId("scan")


@pytest.fixture
def studies():
    return InMemoryStudyRepository()


@pytest.fixture
def service(bench, studies):
    executor = RunEngineScanExecutor(bench.RE, bench.flyer, bench.flyer._port, studies)
    return StudyService(
        studies,
        executor,
        bench.description,
        handlers=(executor,),
        last_run_uid=executor.last_run_uid,
    )


def test_the_run_tells_its_study_and_the_study_its_run(bench, service, studies):
    service.create_study(STUDY, an_object(), "me")
    service.configure_study(STUDY)
    service.add_scan(STUDY, SCAN, a_spec(), ScanRole.REFERENCE)
    observer = RecordingObserver()
    results = service.execute_next_scan(STUDY, observer)
    start = bench.run.start
    assert start["study"] == {
        "id": "study",
        "object": "a sphere",
        "scan": "scan",
        "role": "reference",
    }
    scan = studies.get(STUDY).scan(SCAN)
    assert scan.run_uid == start["uid"]
    assert scan.state is PlannedScanState.COMPLETED
    assert observer.values("flight_ended") == [results]
