"""Signals pause flights by the engine, and Python hears of them as ever."""

import signal
import socket
import threading

import pytest
from bluesky.utils import SigintHandler

from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.engine import RustScanAdapter, VirtualConnection
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.signals import StopMotion, StopOnTermination, ending_signals
from aefi_bluesky.session.simulated import SimulationSettings, simulated_bench
from aefi_bluesky.testing.builders import a_long_plan
from aefi_bluesky.views.recorder import Recorder

NUMBER = signal.SIGUSR1


@pytest.fixture(autouse=True)
def heard():
    """Numbers that Python's own handler got."""
    numbers = []
    before = signal.signal(NUMBER, lambda number, _frame: numbers.append(number))
    yield numbers
    signal.signal(NUMBER, before)


@pytest.fixture
def port():
    configuration = load_bench("simulated")
    bench = simulated_bench(configuration, SimulationSettings(seed=1))
    connection = VirtualConnection(configuration.links(), bench)
    return RustScanAdapter(configuration.description(), connection)


@pytest.fixture
def earlier():
    """A socket that got the numbers before; its other end reads them."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    reader.settimeout(5.0)
    before = signal.set_wakeup_fd(writer.fileno())
    yield reader
    assert signal.set_wakeup_fd(before) == writer.fileno(), "it was not put back"
    reader.close()
    writer.close()


def test_signal_pauses_the_flight_and_a_resume_flies_all_frames(port, heard):
    told = threading.Event()
    flight = port.start_scan(a_long_plan(), Recorder())
    with port.stopped_by_signals([NUMBER], then=told.set):
        signal.raise_signal(NUMBER)
        assert told.wait(5.0)
    assert heard == [NUMBER]
    while flight.progress().state is not ScanState.PAUSED:
        assert flight.wait(0.01) is None
    flight.pause()  # as the RunEngine does, which hears of it later
    flight.resume()
    results = flight.wait(60.0)
    assert results.state is ScanState.COMPLETED
    assert sum(results.frames.values()) == results.frames["ok"] == 81 * 81


def test_who_got_the_numbers_before_gets_them_still(port, earlier, heard):
    with port.stopped_by_signals([NUMBER]):
        signal.raise_signal(NUMBER)
        assert earlier.recv(1) == bytes([NUMBER])
    signal.raise_signal(NUMBER)
    assert earlier.recv(1) == bytes([NUMBER])
    assert heard == [NUMBER, NUMBER]


def test_nobody_is_told_where_no_flight_was_paused(port, heard):
    told = threading.Event()
    with port.stopped_by_signals([NUMBER], then=told.set):
        signal.raise_signal(NUMBER)
    assert heard == [NUMBER]
    assert not told.is_set()


def test_contexts_one_in_the_other_put_each_other_back(port, earlier):
    with port.stopped_by_signals([NUMBER]), port.stopped_by_signals([NUMBER]):
        signal.raise_signal(NUMBER)
        assert earlier.recv(1) == bytes([NUMBER])


def test_outside_of_the_main_thread_nothing_is_set(port, earlier):
    def enter():
        with port.stopped_by_signals([NUMBER]):
            signal.raise_signal(NUMBER)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert earlier.recv(1) == bytes([NUMBER])


def test_flight_that_somebody_waits_for_is_ended_by_a_handled_signal(port, monkeypatch):
    monkeypatch.setattr(
        "aefi_bluesky.engine.rust_scan_adapter.ENDING_SIGNALS", [NUMBER]
    )

    class Interrupting(Recorder):
        def flight_started(self, plan):
            signal.raise_signal(NUMBER)

    results = port.execute_scan(a_long_plan(), Interrupting())
    assert results.state is ScanState.STOPPED
    assert results.cause == "stop requested"


@pytest.fixture
def in_a_terminal():
    """These tests may run under nohup themselves."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("in_a_terminal")
def test_program_that_is_to_outlast_its_terminal_does():
    assert ending_signals() == (signal.SIGTERM, signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    assert ending_signals() == (signal.SIGTERM,)


@pytest.mark.usefixtures("in_a_terminal")
def test_termination_stops_at_once_and_an_interrupt_where_it_ends_the_run(
    port, new_run_engine
):
    engine = new_run_engine()
    engine.context_managers = [SigintHandler, StopMotion(port)]
    before = engine.context_managers
    with StopOnTermination(engine):
        handler, stop = engine.context_managers
        assert handler is SigintHandler
        assert {*stop.at_once} == {signal.SIGTERM, signal.SIGHUP}
        assert stop.on_second == (signal.SIGINT,)
        with StopOnTermination(engine, (signal.SIGINT, signal.SIGTERM)):
            (stop,) = engine.context_managers
            assert {*stop.at_once} >= {signal.SIGINT, signal.SIGTERM}
            assert stop.on_second == ()
    assert engine.context_managers == before
