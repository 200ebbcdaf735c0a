"""Ports are taken from PyMoDAQ's modules and given back: twenty times, and refused."""

import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from pymodaq.control_modules.daq_move import DAQ_Move
from pymodaq.utils.data import DataActuator
from qtpy import QtWidgets

from aefi_bluesky.application.forwarder import Forwarder, Told
from aefi_bluesky.domain.errors import PortBusyError
from aefi_bluesky.domain.spec.zone import Zone
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.planned_scan import PlannedScanState, ScanRole
from aefi_bluesky.session import Session
from aefi_bluesky.session.simulated import SimulationSettings, SimulatorProcess
from aefi_bluesky.session.study_runs import study_service
from aefi_bluesky.testing.builders import a_spec, an_object
from aefi_bluesky.views.pymodaq.handover import PortHandover
from aefi_bluesky.views.truth import Truth

pytestmark = pytest.mark.realtime

BAUD = 115_200
POLLING_MS = 20
READ_S = 0.03
STUDY = StudyId("ball")


@pytest.fixture
def simulator(tmp_path):
    with SimulatorProcess(
        "simulated", SimulationSettings(), tmp_path / "truth"
    ) as started:
        yield started


@pytest.fixture
def slow_reads(monkeypatch):
    """Reads of the plugin take 30 ms: it is polled faster than it can read."""
    from pylablib.devices import Arcus

    read = Arcus.Performax4EXStage.get_position

    def slowly(self, *arguments, **named):
        time.sleep(READ_S)
        return read(self, *arguments, **named)

    monkeypatch.setattr(Arcus.Performax4EXStage, "get_position", slowly)


@pytest.fixture
def axes(qtbot, until, simulator, slow_reads):
    """Both axes as a plugin on pylablib drives them, a master and its slave."""
    made = []
    for axis in "xy":
        widget = QtWidgets.QWidget()
        module = DAQ_Move(widget, f"axis {axis}")
        module.actuator = "ArcusPerformax"
        settings = module.settings.child("actuator_settings")
        settings.child("port").setValue(simulator.stage_port)
        settings.child("baud").setValue(BAUD)
        settings.child("controller", "axis").setValue(axis)
        settings.child("controller", "controller_ID").setValue(17)
        if axis == "y":
            settings.child("controller", "controller_status").setValue("Slave")
        module.settings.child("main_settings", "refresh_timeout").setValue(POLLING_MS)
        made.append(module)
        initialise(made, module)
        until(lambda module=module: module.initialized_state)
    kept = list(made)
    yield made
    # Not `quit_fun` at once: it terminates a thread that has still much to read.
    end = PortHandover(lambda: kept, lambda _: None, [simulator.stage_port], 60.0)
    end._in_gui(end._take("the end of a test"))
    for module in reversed(kept):
        module.quit_fun()
    qtbot.wait(50)


def initialise(modules, module):
    """As the Dashboard does (``ModulesManager.on_hardware_initialization``)."""
    if not module.master:
        for other in modules:
            if other.initialized_state and other.id == module.id and other.master:
                shared = other.controller_and_thread
                module.controller_and_thread.controller = shared.controller
                module.controller_and_thread.thread = shared.thread
    module.init_hardware(True)


@pytest.fixture
def handover(axes, simulator):
    return PortHandover(
        lambda: axes,
        lambda module: initialise(axes, module),
        (simulator.stage_port, simulator.acquisition_port),
    )


def poll(axes):
    for module in axes:
        module.get_continuous_actuator_value(True)


def open_ptys():
    """Ptys that this process has open: those of plugins and of the engine."""
    found = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith("/dev/pts/"):
            found.append(target)
    return found


def in_worker(until, call):
    """What a call returns, made in a thread while the windows live."""
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(call)
        until(ended.done, 120.0)
        return ended.result()


def bench_file(folder, simulator):
    text = (
        resources.files("aefi_bluesky.profiles.benches") / "simulated.toml"
    ).read_text()
    text = re.sub(r'port = "stage".*', f'port = "{simulator.stage_port}"', text)
    text = re.sub(
        r'port = "acquisition".*', f'port = "{simulator.acquisition_port}"', text
    )
    path = folder / "bench.toml"
    path.write_text(text)
    return str(path)


@pytest.fixture
def session(axes, handover, simulator, until, tmp_path):
    """A session on the same ports, that must take them from the modules first."""
    opened = {}
    ready, leave = threading.Event(), threading.Event()

    def work():
        with Session.open(
            kind="real",
            folder=tmp_path / "data",
            bench=bench_file(tmp_path, simulator),
            lease=handover,
        ) as session:
            opened["session"] = session
            ready.set()
            leave.wait()

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(work)
        until(lambda: ready.is_set() or ended.done(), 60.0)
        if ended.done():
            ended.result()
        yield opened["session"]
        leave.set()
        until(ended.done, 60.0)


@pytest.fixture
def service(session):
    made = study_service(session)
    made.create_study(STUDY, an_object(), "me")
    made.configure_study(STUDY)
    made.add_scan(STUDY, ScanId("scan"), a_spec(n_x=2, n_y=5), ScanRole.REFERENCE)
    return made


def state_of(service):
    return service.get_study(STUDY).scan(ScanId("scan")).state


def test_a_flight_takes_the_port_and_gives_it_back(axes, service, until, qtbot):
    poll(axes)
    qtbot.wait(100)
    results = in_worker(until, lambda: service.execute_next_scan(STUDY))
    assert results.frames["ok"] == 10
    assert state_of(service) is PlannedScanState.COMPLETED
    assert all(module.initialized_state for module in axes)


class CountsPtys(Forwarder):
    """Descriptors of a port that the process has, as seen in flight."""

    def __init__(self, port):
        self.port, self.seen = port, []

    def forward(self, told, say):
        if told is Told.FRAMES:
            self.seen.append(open_ptys().count(self.port))


def test_the_port_is_free_in_twenty_flights_and_the_axes_move_afterwards(
    axes, service, session, simulator, until, qtbot, tmp_path
):
    poll(axes)
    counts = CountsPtys(simulator.stage_port)
    small = a_spec(n_x=1, n_y=2, zone=Zone.centred(600.0, 600.0, 0.0, 4.0))
    for number in range(20):
        scan = ScanId(f"scan {number}")
        service.add_scan(STUDY, scan, small, ScanRole.REFERENCE)
        with session.observed.watched_by(counts):
            results = in_worker(
                until,
                lambda scan=scan: service.execute_next_scan(STUDY, scan_id=scan),
            )
        assert results.frames["ok"] == 2
        assert all(module.initialized_state for module in axes)
        assert simulator.stage_port in open_ptys()
    assert len(counts.seen) >= 20
    assert set(counts.seen) <= {0, 1}  # the engine's own, until it ends
    for module in axes:
        module.stop_grab()  # or a thread that can't keep up would not look at moves
    before_ns = time.monotonic_ns()
    for number, module in enumerate(axes):
        target_mm = 640.0 + 5.0 * number
        module.move_abs(DataActuator("p", data=target_mm, units="mm"))
    until(lambda: all(module.move_done_bool for module in axes), 60.0)
    qtbot.wait(500)
    truth = Truth.read(tmp_path / "truth")
    at = np.array([before_ns, time.monotonic_ns()])
    for axis in "xy":
        first, last = truth.position_steps(axis, at)
        assert abs(last - first) > 100


def test_a_module_that_is_removed_meanwhile_is_not_opened_again(axes, handover, until):
    def remove():
        with handover.hold("a test"):
            axes.pop()
            axes.pop()

    kept = list(axes)
    in_worker(until, remove)
    assert not any(module.initialized_state for module in kept)
    axes.extend(kept)


def test_windows_that_close_in_a_hand_over_do_not_hang(axes, handover, until, qtbot):
    """The end of a window waits with a dialog, and the hand-over goes on below it."""
    from aefi_bluesky.views.pymodaq.closing import ClosingDialog

    poll(axes)

    def hold():
        with handover.hold("a test"):
            time.sleep(0.2)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(hold)
        qtbot.wait(20)
        ClosingDialog(None, ended).wait()
        ended.result(1.0)


def test_a_move_of_the_session_asks_the_same_lease(axes, session, until, qtbot):
    poll(axes)
    in_worker(until, lambda: session.stage_x.set(605.0).wait())
    assert not any(module.initialized_state for module in axes)
    in_worker(until, session.port.release)
    assert all(module.initialized_state for module in axes)


def test_an_axis_that_moves_refuses_and_the_scan_stays_pending(
    axes, service, until, qtbot
):
    axes[0].move_abs(DataActuator("p", data=900.0, units="mm"))
    began = time.monotonic()
    with pytest.raises(PortBusyError, match="axis x"):
        in_worker(until, lambda: service.execute_next_scan(STUDY))
    assert time.monotonic() - began < 5.0
    assert state_of(service) is PlannedScanState.PENDING
    axes[0].stop_motion()
    until(lambda: axes[0].move_done_bool)
    assert all(module.initialized_state for module in axes)


def test_a_stuck_module_refuses_in_time_and_is_left_as_it_was(
    axes, handover, service, until, qtbot
):
    stuck = threading.Event()
    read = axes[0].controller_and_thread.controller.get_position

    def hang(*arguments, **named):
        stuck.wait(30.0)
        return read(*arguments, **named)

    axes[0].controller_and_thread.controller.get_position = hang
    handover._patience_s = 1.0
    try:
        axes[0].get_actuator_value()
        qtbot.wait(50)
        began = time.monotonic()
        with pytest.raises(PortBusyError, match="did not answer within 1 s"):
            in_worker(until, lambda: service.execute_next_scan(STUDY))
        assert time.monotonic() - began < 10.0
        assert state_of(service) is PlannedScanState.PENDING
        assert all(module.initialized_state for module in axes)
    finally:
        stuck.set()
    qtbot.wait(200)
    assert axes[0].ui is None or axes[0].ui.toolbar.isEnabled()


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="pymodaq 5.3.8 drops the plugin's close",
)
def test_pymodaqs_own_end_alone_closes_the_port(axes, simulator, qtbot):
    poll(axes)
    qtbot.wait(300)
    for module in reversed(axes):
        module.init_hardware(False)
    qtbot.wait(200)
    assert simulator.stage_port not in open_ptys()
