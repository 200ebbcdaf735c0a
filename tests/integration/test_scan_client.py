"""The client of a window, without a window: it never waits, and says what it does."""

import contextlib
import threading
import time
from functools import partial

import numpy as np
import pytest

from aefi_bluesky.domain.errors import PortBusyError
from aefi_bluesky.domain.results.scan_results import CHANNELS, ScanState
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState, ScanRole
from aefi_bluesky.session.view import opened_bench
from aefi_bluesky.testing.builders import a_bench, a_spec, a_step_spec
from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.client import ClientState, ScanClient
from aefi_bluesky.views.pymodaq.spec_tree import tree_of, values_of

STUDY = StudyId("ball")


@pytest.fixture
def presenter():
    return Presenter()


@pytest.fixture
def opening(shared_tiled, tmp_path_factory):
    server, folder = shared_tiled
    return partial(
        opened_bench,
        kind="virtual",
        folder=folder / tmp_path_factory.mktemp("client").name,
        tiled_uri=server.uri,
        tiled_key=server.api_key,
    )


@pytest.fixture
def client(opening, presenter):
    made = ScanClient(opening, presenter, a_bench())
    yield made
    made.close().result(60.0)
    made.shut_down()


@pytest.fixture
def opened(client):
    client.open().result(60.0)
    client.create_study(STUDY, "steel ball", "ann")
    wait_for(lambda: client.status.studies)
    return client


def wait_for(condition):
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def scans(client):
    return client.served.studies.get_study(STUDY).scans


def test_it_opens_and_closes_once_however_often_it_is_asked(client):
    first, second = client.open(), client.open()
    assert first is second
    assert client.status.state in (ClientState.OPENING, ClientState.READY)
    first.result(60.0)
    assert client.status.state is ClientState.READY
    assert client.served is not None
    client.close().result(60.0)
    assert client.status.state is ClientState.CLOSED
    assert client.served is None
    client.open().result(60.0)  # and again
    assert client.status.state is ClientState.READY


def test_a_session_that_cannot_be_opened_is_told_in_a_sentence(opening, presenter):
    with opening():
        client = ScanClient(opening, presenter, a_bench())
        client.open().result(60.0)
        status = client.status
        assert (status.state, status.failed) == (ClientState.CLOSED, True)
        assert "could not be opened" in status.notice
        client.shut_down()


@pytest.mark.parametrize("spec", [a_spec(n_x=3), a_step_spec()], ids=["flown", "rest"])
def test_it_carries_a_scan_out_and_the_presenter_is_told(opened, presenter, spec):
    opened.run(STUDY, spec).result(60.0)
    (scan,) = scans(opened)
    assert (scan.spec, scan.state) == (spec, PlannedScanState.COMPLETED)
    assert opened.status.last_run == scan.run_uid
    assert "is completed" in opened.status.notice
    wait_for(lambda: presenter.snapshot().state is ScanState.COMPLETED)
    shown = presenter.snapshot()
    assert (shown.counts == 1).all()
    assert all(np.isfinite(shown.image(channel)).all() for channel in CHANNELS)


def test_it_carries_out_the_scan_that_was_asked_for_before_others(opened):
    service = opened.served.studies
    service.add_scan(STUDY, ScanId("planned"), a_spec(n_x=2), ScanRole.REFERENCE)
    opened.run(STUDY, a_spec(n_x=3)).result(60.0)
    states = {scan.id: scan.state for scan in scans(opened)}
    assert states == {
        "planned": PlannedScanState.PENDING,
        "scan-2": PlannedScanState.COMPLETED,
    }
    opened.run_next(STUDY).result(60.0)
    assert {scan.state for scan in scans(opened)} == {PlannedScanState.COMPLETED}


def test_an_object_scan_names_its_reference(opened):
    spec = a_spec(n_x=2)
    opened.run(STUDY, spec).result(60.0)
    opened.run(STUDY, spec, ScanRole.OBJECT, ScanId("scan-1")).result(60.0)
    assert scans(opened)[1].reference == "scan-1"
    opened.run(STUDY, a_spec(n_x=2), ScanRole.OBJECT).result(60.0)
    assert opened.status.failed
    assert "named no reference scan" in opened.status.notice
    assert len(scans(opened)) == 2


def test_a_move_goes_there_and_one_outside_is_refused(opened):
    opened.move_to(612.3, 605.4).result(60.0)
    assert opened.served.positions_mm() == pytest.approx((612.3, 605.4), abs=0.02)
    opened.move_to(612.3, 99_000.0).result(60.0)
    assert opened.status.failed
    assert "99000" in opened.status.notice
    assert opened.served.positions_mm() == pytest.approx((612.3, 605.4), abs=0.02)
    assert opened.status.state is ClientState.READY


def test_what_comes_while_it_is_busy_is_refused(opened):
    began, go_on = threading.Event(), threading.Event()

    def job(_served):
        began.set()
        go_on.wait(30.0)

    ended = opened._do("waiting", job)
    began.wait(30.0)
    opened.move_to(1.0, 1.0).result(1.0)
    assert "not ready" in opened.status.notice
    go_on.set()
    ended.result(30.0)


def test_while_a_plan_runs_nothing_is_moved_or_read(opened):
    served = opened.served
    session = served.start_moves.__self__._session

    def plan():
        for act in (
            lambda: served.start_moves({"x": 600.0}),
            lambda: served.start_homing("x"),
            lambda: served.take_readings(10, 1),
        ):
            with pytest.raises(PortBusyError, match="a plan is running"):
                act()
        yield from ()

    session.RE(plan())


def test_a_scan_that_begins_beside_another_s_plan_stays_pending(opened):
    served = opened.served
    session = served.start_moves.__self__._session
    running, go_on = threading.Event(), threading.Event()

    def plan():
        running.set()
        go_on.wait(30.0)
        yield from ()

    other = threading.Thread(target=lambda: session.RE(plan()))
    other.start()
    running.wait(30.0)
    opened.run(STUDY, a_spec(n_x=2)).result(60.0)
    assert "a plan is running" in opened.status.notice
    assert scans(opened)[0].state is PlannedScanState.PENDING
    go_on.set()
    other.join()
    opened.run_next(STUDY).result(60.0)
    assert scans(opened)[0].state is PlannedScanState.COMPLETED


def test_a_client_that_closes_leaves_others_moves_alone(opened):
    served = opened.served
    stopped = []
    object.__setattr__(served, "stop_moves", lambda: stopped.append(1))
    opened.close().result(60.0)
    assert stopped == []


def test_only_the_last_of_several_questions_is_answered(opened):
    good, bad = (values_of(tree_of(a_spec(n_x=n))) for n in (3, 4))
    bad["speed_mm_per_s"] = 900.0
    for _ in range(20):
        opened.check(bad)
    opened.check(good)
    assert opened.status.verdict is None or opened.status.verdict.is_feasible
    wait_for(lambda: opened.status.verdict is not None)
    assert opened.status.verdict.spec == a_spec(n_x=3)
    opened.check(bad)
    wait_for(lambda: opened.status.verdict is not None)
    assert not opened.status.verdict.is_feasible
    assert "900 mm/s" in opened.status.verdict.text
    opened.check({**good, "n_avg": 0})
    wait_for(lambda: opened.status.verdict is not None)
    assert "1 to 127" in opened.status.verdict.text


def test_a_scan_that_did_not_complete_is_planned_again(opened):
    service = opened.served.studies
    service.add_scan(STUDY, ScanId("first"), a_spec(n_x=2), ScanRole.REFERENCE)
    service.cancel_scan(STUDY, ScanId("first"), "no time")
    for number in (2, 3):
        opened.retry(STUDY, ScanId("first"))
        retry = f"first-try-{number}"
        if number == 2:
            wait_for(lambda retry=retry: scans(opened)[-1].id == retry)
    wait_for(lambda: opened.status.failed)  # it is planned again already
    assert len(scans(opened)) == 2


def test_a_failure_of_the_session_s_end_is_told(presenter):
    @contextlib.contextmanager
    def opening():
        with opened_bench_of_nothing() as served:
            yield served
        raise RuntimeError("the disk is full")

    @contextlib.contextmanager
    def opened_bench_of_nothing():
        class Nothing:
            @staticmethod
            @contextlib.contextmanager
            def watch(_presenter):
                yield

            class studies:  # noqa: N801
                control = type("C", (), {"stop": lambda self: None})()
                study_ids = staticmethod(tuple)

            stop_moves = staticmethod(lambda: None)

        yield Nothing()

    client = ScanClient(opening, presenter, a_bench())
    client.open().result(10.0)
    client.close().result(10.0)
    assert "the disk is full" in client.status.notice
    assert client.status.failed
    client.shut_down()
    client.refresh()  # a window's last question harms nobody
    client.check({})
