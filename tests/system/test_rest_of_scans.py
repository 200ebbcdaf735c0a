"""Pause and stop by another thread, judged by what the simulated bench really did."""

import concurrent.futures
import time

import numpy as np
import pytest

from aefi_bluesky.domain.errors import PortBusyError
from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.domain.spec.excitation import Excitation, ExcitationMode
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.session import Session
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.testing.builders import a_spec, a_step_spec, an_object
from aefi_bluesky.views.truth import Truth

pytestmark = pytest.mark.realtime

SCAN = ScanId("scan")
DRIVEN = Excitation(ExcitationMode.X_DIR, 50.0, 50.0, 1000.0)
FLOWN = a_spec(n_x=3, n_y=9, excitation=DRIVEN)
AT_REST = a_step_spec(n_x=3, n_y=3, excitation=DRIVEN)
REST_S = 1.0


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with Session.open(kind="ptys", folder=tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture
def study(session, request):
    service = study_service(session)
    study_id = StudyId(request.node.name)
    service.create_study(study_id, an_object(), "me")
    service.configure_study(study_id)
    service.add_scan(study_id, SCAN, request.param, ScanRole.REFERENCE)
    return service, study_id


def truth_of(session):
    time.sleep(0.3)  # what was written until now is whole then
    return Truth.read(session.write_truth())


def moves_after(session, at_ns):
    """Return whether an axis moved after an instant, by the simulator's truth."""
    truth = truth_of(session)
    later = np.array([at_ns, at_ns + 2_000_000_000])
    return any(len({*truth.position_steps(axis, later)}) > 1 for axis in "xy")


def wait_for(service, state):
    deadline = time.monotonic() + 20.0
    while (found := service.control.progress()) is None or found.state is not state:
        assert time.monotonic() < deadline, found
        time.sleep(0.005)


@pytest.mark.parametrize(
    "study", [FLOWN, AT_REST], ids=["flown", "at rest"], indirect=True
)
def test_a_pause_brings_the_stage_to_rest_within_a_second(session, study):
    service, study_id = study
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ended = pool.submit(service.execute_next_scan, study_id)
        wait_for(service, ScanState.FLYING)
        time.sleep(1.0)
        for _ in range(2):
            service.control.pause()
            time.sleep(REST_S)
            rested_ns = time.monotonic_ns()
            time.sleep(1.0)
            assert not moves_after(session, rested_ns)
            service.control.resume()
            time.sleep(0.5)
        results = ended.result(120.0)
    assert results.state is ScanState.COMPLETED
    assert sum(results.frames.values()) == results.frames["ok"]


@pytest.mark.parametrize(
    "study", [FLOWN, AT_REST], ids=["flown", "at rest"], indirect=True
)
@pytest.mark.parametrize("end", ["stop", "abort"])
def test_an_end_brings_the_stage_to_rest_within_a_second(session, study, end):
    service, study_id = study
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        ended = pool.submit(service.execute_next_scan, study_id)
        wait_for(service, ScanState.FLYING)
        time.sleep(1.0)
        driven_ns = time.monotonic_ns()
        getattr(service.control, end)()
        time.sleep(REST_S)
        rested_ns = time.monotonic_ns()
        results = ended.result(30.0)
        time.sleep(1.0)
    assert results.state in (ScanState.STOPPED, ScanState.ABORTED)
    assert results.excitation_off
    assert not moves_after(session, rested_ns)
    truth = truth_of(session)
    assert truth.level_at(driven_ns) > 0
    assert truth.level_at(time.monotonic_ns()) == 0
    session.port.clear_errors()


@pytest.mark.parametrize("study", [FLOWN], ids=["flown"], indirect=True)
def test_an_axis_that_moves_leaves_the_scan_pending(session, study):
    service, study_id = study
    session.stage_x.set(700.0)
    try:
        with pytest.raises(PortBusyError):
            service.execute_next_scan(study_id)
    finally:
        session.stage_x.stop()
    scan = service.get_study(study_id).scan(SCAN)
    assert scan.state is PlannedScanState.PENDING
