"""A scan that a worker carries out, in the hands of another thread."""

import concurrent.futures
import os
import signal
import time

import pytest

from aefi_bluesky.domain.errors import IllegalTransitionError, PortBusyError
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.session import Session
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.testing.builders import (
    a_long_plan,
    a_plan,
    a_spec,
    a_step_spec,
    an_object,
)

SCAN = ScanId("scan")
PATIENCE_S = 30.0
AT_REST = a_step_spec(n_x=10, n_y=10)
"""Long enough for a thread that waits for its turn."""


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with Session.open(kind="virtual", folder=tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture
def worker():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield pool


class Meddler:
    """Does something when so many measurements are done; keeps what it was told."""

    def __init__(self, do, when=2):
        self._do, self._when = do, when
        self.states = []

    def state_changed(self, state):
        self.states.append(state)

    def measured(self, done, plan):
        if done == self._when:
            self._do()


class Study:
    """A study with one scan, and the service that carries it out."""

    _count = 0

    def __init__(self, session, spec, lease=None):
        Study._count += 1
        self.id = StudyId(f"study {Study._count}")
        self.service = study_service(session, lease=lease)
        self.service.create_study(self.id, an_object(), "me")
        self.service.configure_study(self.id)
        self.service.add_scan(self.id, SCAN, spec, ScanRole.REFERENCE)

    @property
    def control(self):
        return self.service.control

    @property
    def scan(self):
        return self.service.get_study(self.id).scan(SCAN)

    def carry_out(self, **observers):
        return self.service.execute_next_scan(self.id, **observers)

    def wait_for(self, state):
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.control.progress()) is None or found.state is not state:
            assert time.monotonic() < deadline, found
            time.sleep(0.005)
        return found


def test_a_measurement_at_rest_waits_in_a_pause_and_goes_on(session, worker):
    study = Study(session, AT_REST)
    meddler = Meddler(study.control.pause)
    ended = worker.submit(study.carry_out, step_observer=meddler)
    progress = study.wait_for(ScanState.PAUSED)
    assert 2 <= progress.frames_done < progress.frames_planned == 100
    assert progress.lines_planned == 10
    study.control.resume()
    results = ended.result(PATIENCE_S)
    assert (results.state, results.frames["ok"]) == (ScanState.COMPLETED, 100)
    assert meddler.states == [ScanState.PAUSED, ScanState.FLYING]
    assert study.scan.state is PlannedScanState.COMPLETED
    assert study.control.progress() is None


@pytest.mark.parametrize("end", ["stop", "abort"])
def test_a_measurement_at_rest_is_ended(session, worker, end):
    study = Study(session, AT_REST)
    meddler = Meddler(getattr(study.control, end))
    results = worker.submit(study.carry_out, step_observer=meddler).result(PATIENCE_S)
    assert results.state is ScanState.STOPPED
    assert 2 <= results.frames["ok"] < 100
    assert results.excitation_off
    assert session.RE.state == "idle"
    assert study.scan.state is PlannedScanState.CANCELLED


def test_an_end_is_heard_in_a_pause_and_a_pause_twice_is_one(session, worker):
    study = Study(session, AT_REST)
    ended = worker.submit(study.carry_out, step_observer=Meddler(study.control.pause))
    study.wait_for(ScanState.PAUSED)
    study.control.pause()
    with pytest.raises(concurrent.futures.TimeoutError):
        ended.result(0.2)
    study.control.stop()
    study.control.stop()
    assert ended.result(PATIENCE_S).state is ScanState.STOPPED
    with pytest.raises(IllegalTransitionError, match="resumed"):
        study.control.resume()


def test_a_pause_that_is_taken_back_at_once_costs_no_frame(session, worker):
    study = Study(session, AT_REST)

    def there_and_back():
        study.control.pause()
        study.control.resume()

    meddler = Meddler(there_and_back)
    results = worker.submit(study.carry_out, step_observer=meddler).result(PATIENCE_S)
    assert (results.state, results.frames["ok"]) == (ScanState.COMPLETED, 100)


def test_a_signal_ends_what_nobody_here_paused(session):
    """In the main thread: who sent it does not come back to resume."""
    study = Study(session, AT_REST)
    meddler = Meddler(lambda: os.kill(os.getpid(), signal.SIGTERM))
    results = study.carry_out(step_observer=meddler)
    assert results.state is ScanState.STOPPED


class Refusing:
    def __init__(self):
        self.asked = []

    def hold(self, owner):
        self.asked.append(owner)
        raise PortBusyError("an axis of another program moves")


@pytest.mark.parametrize("spec", [a_spec(), AT_REST], ids=["flown", "at rest"])
def test_a_lease_that_is_refused_leaves_the_scan_pending(session, spec):
    lease = Refusing()
    study = Study(session, spec, lease=lease)
    runs = len(session.catalog)
    with pytest.raises(PortBusyError, match="another program moves"):
        study.carry_out()
    assert lease.asked == [f"study {study.id!r}"]
    assert study.scan.state is PlannedScanState.PENDING
    assert len(session.catalog) == runs


def test_a_client_asks_what_the_bench_can_do(session):
    service = study_service(session)
    assert service.bench == session.bench
    assert service.check(a_spec()).n_frames == a_plan().n_frames
    assert service.check(AT_REST).n_measurements == 100
    refused = service.check(a_spec(speed_mm_per_s=1e6))
    assert isinstance(refused, FeasibilityReport)
    assert refused.violations
    assert service.check(a_long_plan().spec).spec == a_long_plan().spec
