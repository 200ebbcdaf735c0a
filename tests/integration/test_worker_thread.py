"""A session whose plans are run from a worker thread, as a window's program does."""

import concurrent.futures
import signal
import sys

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest
from bluesky.utils import DefaultDuringTask

from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.plans import fly_map
from aefi_bluesky.session import Session
from aefi_bluesky.session.signals import StopOnTermination, WaitForRun
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.testing.builders import a_spec, a_step_spec, an_object
from aefi_bluesky.testing.fakes import RecordingObserver

STUDY = StudyId("study")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    with Session.open(kind="virtual", folder=tmp_path_factory.mktemp("data")) as opened:
        yield opened


def in_worker(work):
    """Return what a worker thread makes of it, or raise what it raised."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(60.0)


def test_any_plan_runs(session):
    before = signal.getsignal(signal.SIGINT)
    for plan in (
        lambda: fly_map(session.flyer, 620, 630, 3, 600, 612, 4),
        lambda: bp.count([session.sensor], 2),
        lambda: bps.mv(session.stage_x, 610),
    ):
        assert in_worker(lambda plan=plan: session.RE(plan())).exit_status == "success"
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("spec", [a_spec(), a_step_spec()], ids=["flown", "at rest"])
def test_a_studys_scan_is_run_and_recorded_as_completed(session, spec):
    service = study_service(session)
    study = StudyId(f"study of {type(spec).__name__}")
    service.create_study(study, an_object(), "me")
    service.configure_study(study)
    service.add_scan(study, ScanId("scan"), spec, ScanRole.REFERENCE)
    results = in_worker(lambda: service.execute_next_scan(study, RecordingObserver()))
    assert results.state is ScanState.COMPLETED
    scan = service.get_study(study).scan(ScanId("scan"))
    assert scan.state is PlannedScanState.COMPLETED
    assert session.writer.flush(30.0)
    assert session.catalog[scan.run_uid].metadata["stop"]["exit_status"] == "success"


def test_a_failure_reaches_the_worker_by_name(session):
    from aefi_bluesky.domain.errors import InvalidScanSpecError

    with pytest.raises(InvalidScanSpecError, match="stage_x"):
        in_worker(lambda: session.RE(bps.mv(session.stage_x, -5)))
    assert session.RE.state == "idle"


def test_signals_of_the_program_are_left_alone_there(session):
    before = {number: signal.getsignal(number) for number in (2, 15)}

    def terminable():
        with StopOnTermination(session.RE):
            return session.RE(bp.count([session.sensor], 1))

    assert in_worker(terminable).exit_status == "success"
    assert {number: signal.getsignal(number) for number in (2, 15)} == before


def test_a_worker_serves_no_window(session, monkeypatch):
    """bluesky would run Qt's loop in it, and replace the program's ``excepthook``."""
    served = []
    monkeypatch.setattr(
        DefaultDuringTask, "block", lambda self, event: (served.append(1), event.wait())
    )
    hook = sys.excepthook
    in_worker(lambda: session.RE(bp.count([session.sensor], 1)))
    assert (served, sys.excepthook) == ([], hook)
    session.RE(bp.count([session.sensor], 1))
    assert served == [1]
    assert isinstance(session.RE._during_task, WaitForRun)
