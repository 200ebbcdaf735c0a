"""A study's scans as runs: what the run says of the study, and the study of the run."""

import pytest

from aefi_bluesky.application.in_memory import InMemoryStudyRepository
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.spec.fly_spec import Excitation, ExcitationMode
from aefi_bluesky.domain.spec.formats import kind_of
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.session.study_runs import RunEngineScanExecutor
from aefi_bluesky.testing.builders import a_spec, a_step_spec, an_object
from aefi_bluesky.testing.fakes import RecordingObserver

EXCITATION = Excitation(ExcitationMode.X_DIR, 50.0, 50.0, 1000.0)
PLACES = [
    PointSpec(620.0, 600.0, 10, EXCITATION, readings=3, differential=True),
    TimeSeriesSpec(620.0, 600.0, 10, EXCITATION, count=5),
    FrequencySequenceSpec(
        *(620.0, 600.0, 10, EXCITATION), frequencies_hz=(500.0, 1000.0, 2000.0)
    ),
]

STUDY, SCAN = StudyId("study"), ScanId("scan")


@pytest.fixture
def studies():
    return InMemoryStudyRepository()


@pytest.fixture
def service(bench, studies):
    executor = RunEngineScanExecutor(bench.RE, bench.run_maker, bench.port)
    return StudyService(
        studies,
        executor,
        bench.description,
        at_rest=executor,
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


class Looking:
    """A `StepObserver` that keeps what it is told."""

    def __init__(self):
        self.done = []

    def state_changed(self, state):
        self.done.append(state)

    def measured(self, done, plan):
        self.done.append((done, plan.n_measurements))


def test_a_scan_at_rest_is_a_run_of_its_own_plan(bench, service, studies):
    service.create_study(STUDY, an_object(), "me")
    service.configure_study(STUDY)
    service.add_scan(STUDY, SCAN, a_step_spec(), ScanRole.REFERENCE)
    looking = Looking()
    results = service.execute_next_scan(STUDY, None, looking)
    run = bench.run
    assert run.start["plan_name"] == "step_map"
    assert run.start["study"]["scan"] == "scan"
    assert run.start["scan_spec"]["kind"] == "step-map"
    assert run.column("primary", "frame") == list(range(6))
    assert looking.done == [(n, 6) for n in range(7)]
    scan = studies.get(STUDY).scan(SCAN)
    assert (scan.state, scan.run_uid) == (PlannedScanState.COMPLETED, run.start["uid"])
    assert (results.frames["ok"], results.frames["not-reached"]) == (6, 0)
    assert results.n_readings == 6
    assert results.excitation_off


@pytest.mark.parametrize("spec", PLACES, ids=lambda spec: kind_of(spec).value)
def test_every_kind_at_rest_is_carried_out(bench, service, studies, spec):
    service.create_study(STUDY, an_object(), "me")
    service.configure_study(STUDY)
    service.add_scan(STUDY, SCAN, spec, ScanRole.PRE_SCAN)
    results = service.execute_next_scan(STUDY)
    assert results.frames["ok"] == spec.n_measurements
    assert len(bench.run.column("primary", "frame")) == spec.n_measurements
    assert studies.get(STUDY).scan(SCAN).state is PlannedScanState.COMPLETED
