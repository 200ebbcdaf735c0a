"""The fake port keeps the promises of a port, and fails as it is told."""

import threading
import time

import pytest

from aefi_bluesky.domain.errors import DeviceTimeoutError, DeviceUnavailableError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.scan_results import FrameState, ScanState
from aefi_bluesky.testing.builders import a_plan
from aefi_bluesky.testing.contracts.scan_port import ScanPortContract
from aefi_bluesky.testing.fakes import Failure, FakeScanPort, RecordingObserver


@pytest.fixture
def flight_plan() -> FlightPlan:
    return a_plan(n_x=21)


@pytest.fixture
def scan_port() -> FakeScanPort:
    return FakeScanPort()


class TestFakeScanPort(ScanPortContract):
    pass


def test_failure_is_raised_after_the_results_so_far_were_handed_out(flight_plan):
    error = DeviceTimeoutError("m10*: no reply within 200 ms")
    port, observer = FakeScanPort(Failure(3, error)), RecordingObserver()
    with pytest.raises(DeviceTimeoutError, match="no reply"):
        port.execute_scan(flight_plan, observer)
    (results,) = observer.values("flight_ended")
    assert observer.names[-1] == "flight_ended"
    assert results.state is ScanState.FAILED
    assert "no reply" in results.cause
    assert observer.column("lines_ended", "line") == [0, 1, 2]
    assert results.frames[FrameState.OK] == 27
    assert sum(results.frames.values()) == flight_plan.n_frames


def test_failed_flight_raises_at_every_wait(flight_plan):
    port = FakeScanPort(Failure(0, DeviceTimeoutError("silence")))
    flight = port.start_scan(flight_plan, RecordingObserver())
    for _ in range(2):
        with pytest.raises(DeviceTimeoutError, match="silence"):
            flight.wait()


def test_refusal_starts_nothing(flight_plan):
    port = FakeScanPort(refusal=DeviceUnavailableError("no controller 01"))
    with pytest.raises(DeviceUnavailableError, match="no controller"):
        port.start_scan(flight_plan, RecordingObserver())
    assert not port.plans


def test_same_plan_gives_the_same_chunks(flight_plan):
    observers = RecordingObserver(), RecordingObserver()
    for observer in observers:
        FakeScanPort().execute_scan(flight_plan, observer)
    one, two = (observer.column("readings_taken", "code_1") for observer in observers)
    assert one == two


class PausesAfterALine(RecordingObserver):
    flight = None

    def lines_ended(self, lines):
        super().lines_ended(lines)
        if self.flight and lines["line"][0] == 4:
            self.flight.pause()


def test_observer_may_pause_the_flight_it_watches(flight_plan):
    observer = PausesAfterALine()
    observer.flight = FakeScanPort().start_scan(flight_plan, observer)
    assert observer.flight.wait(0.01) is None
    assert observer.column("lines_ended", "line") == [0, 1, 2, 3, 4]
    observer.flight.resume()
    assert observer.flight.wait().state is ScanState.COMPLETED


def test_second_wait_ends_with_its_own_time(flight_plan):
    flight = FakeScanPort().start_scan(flight_plan, RecordingObserver())
    flight.pause()
    other = threading.Thread(target=flight.wait, args=(10,))
    other.start()
    began_s = time.monotonic()
    assert flight.wait(0.02) is None
    assert time.monotonic() - began_s < 5
    flight.stop()
    other.join()


def test_another_thread_ends_a_paused_wait(flight_plan):
    flight = FakeScanPort().start_scan(flight_plan, RecordingObserver())
    flight.pause()
    other = threading.Timer(0.02, flight.abort)
    other.start()
    assert flight.wait(10).state is ScanState.ABORTED
    other.join()
