"""The flyer ends what it must end, over ports that are told how to go wrong."""

import logging
import threading
from dataclasses import replace

import numpy as np
import pytest

from aefi_bluesky.devices import AefiFlyer
from aefi_bluesky.domain.errors import DataLossError, StorageError
from aefi_bluesky.domain.results.scan_results import (
    FrameState,
    ReadingChunk,
    ScanProgress,
    ScanResults,
    ScanState,
)
from aefi_bluesky.plans.stubs import come_to_rest
from aefi_bluesky.testing.builders import a_bench, a_plan
from aefi_bluesky.testing.fakes import FakeScanPort


class Samples:
    uri = "memory"

    def __init__(self, error=None):
        self.error = error

    def append(self, stream, columns):
        if self.error:
            raise self.error

    def close(self):
        pass


def results_of(plan, **changes):
    frames = dict.fromkeys(FrameState, 0)
    frames[FrameState.OK] = plan.n_frames
    return replace(
        ScanResults(
            state=ScanState.COMPLETED,
            cause="",
            frames=frames,
            n_readings=1,
            n_fixes=1,
            n_lost={"fixes": 0, "readings": 0},
            flight_s=1.0,
            position_suspect=False,
        ),
        **changes,
    )


class HeldFlight:
    """Flies until it is stopped, or its end is called."""

    def __init__(self, plan, observer, results):
        self.plan, self.observer, self.results = plan, observer, results
        self.over = threading.Event()
        self.calls = []

    def wait(self, timeout_s=None):
        if not self.over.wait(timeout_s):
            return None
        self.observer.flight_ended(self.results)
        return self.results

    def stop(self):
        self.calls.append("stop")
        self.over.set()

    def pause(self):
        self.calls.append("pause")

    def resume(self):
        self.calls.append("resume")

    def progress(self):
        return ScanProgress(ScanState.FLYING, 0, 1, 0, 1, 0.0, 0.0)


class HeldPort:
    def __init__(self, **changes):
        self.changes = changes

    def start_scan(self, plan, observer):
        observer.state_changed(ScanState.FLYING)
        self.flight = HeldFlight(plan, observer, results_of(plan, **self.changes))
        return self.flight


@pytest.fixture
def fly():
    flyers = []

    def start(port, samples=None):
        flyer = AefiFlyer(
            port, a_bench(), lambda uid: samples or Samples(), name="flyer"
        )
        flyers.append(flyer)
        flyer.prepare(a_plan())
        flyer.kickoff().wait(5.0)
        return flyer

    yield start
    for flyer in flyers:
        flyer.stop()
        assert flyer.wait_for_end(5.0)


def failure_of(flyer):
    assert flyer.wait_for_end(5.0)
    return flyer.complete().exception(5.0)


def test_unstage_stops_the_flight(fly):
    flyer = fly(port := HeldPort())
    flyer.stage()
    flyer.unstage()
    assert port.flight.calls[0] == "stop"
    assert flyer.wait_for_end(5.0)


def test_samples_that_find_no_room_stop_the_flight(fly):
    error = StorageError("no space left on device")
    flyer = fly(port := HeldPort(), Samples(error))
    port.flight.observer.readings_taken(ReadingChunk({"t_end": np.array([1])}))
    assert failure_of(flyer) is error
    assert port.flight.calls == ["stop"]


def test_a_sample_file_that_does_not_close_is_no_success(fly):
    class Unclosed(Samples):
        def close(self):
            raise StorageError("no space left on device")

    flyer = fly(port := HeldPort(), Unclosed())
    port.flight.over.set()
    with pytest.raises(StorageError, match="no space left"):
        raise failure_of(flyer)


@pytest.mark.parametrize("kind", ["fixes", "readings"])
def test_records_that_were_lost_are_no_success(fly, kind):
    port = HeldPort(n_lost={"fixes": 0, "readings": 0, kind: 3})
    flyer = fly(port)
    port.flight.over.set()
    error = failure_of(flyer)
    assert isinstance(error, DataLossError)
    assert f"'{kind}': 3" in str(error)


def test_a_whole_flight_is_a_success(fly):
    flyer = fly(port := HeldPort())
    port.flight.over.set()
    assert failure_of(flyer) is None


def test_a_flight_that_was_stopped_lost_no_data(fly):
    """Frames that were not reached were not asked for any more."""
    frames = {**results_of(a_plan()).frames, FrameState.OK: 3}
    flyer = fly(port := HeldPort(state=ScanState.STOPPED, frames=frames))
    port.flight.over.set()
    assert failure_of(flyer) is None


@pytest.mark.parametrize("is_off", [True, False])
def test_the_excitation_is_off_if_the_flight_says_so(fly, is_off, caplog):
    flyer = fly(port := HeldPort(excitation_off=is_off))
    assert not flyer.excitation_off  # in flight it is on
    port.flight.over.set()
    assert failure_of(flyer) is None
    assert flyer.excitation_off is is_off
    told = [each for each in caplog.records if each.levelno == logging.CRITICAL]
    assert len(told) == (0 if is_off else 1)


def test_only_a_flight_under_way_is_paused_and_resumed(fly):
    flyer = AefiFlyer(HeldPort(), a_bench(), lambda uid: Samples(), name="flyer")
    flyer.pause()  # nothing was ever flown
    flyer.resume()
    flyer = fly(port := HeldPort())
    flyer.resume()  # it does not hold
    flyer.pause()
    flyer.resume()
    flyer.resume()
    assert port.flight.calls == ["pause", "resume"]
    port.flight.over.set()
    assert flyer.wait_for_end(5.0)
    flyer.pause()
    flyer.resume()
    assert port.flight.calls == ["pause", "resume"]


def flown(fly):
    flyer = fly(FakeScanPort())
    assert flyer.wait_for_end(5.0)
    return flyer, len(a_plan().lines)


def rows(pages):
    return [frame for page in pages for frame in page["data"]["frame"]]


def test_a_page_at_a_time_is_collected(fly):
    flyer, n_lines = flown(fly)
    seen = []
    while flyer.next_page():
        seen += rows(flyer.collect_pages())
        assert rows(flyer.collect_pages()) == []  # each row once
    assert sorted(seen) == list(range(a_plan().n_frames))
    assert n_lines > 1


class PausedPort(FakeScanPort):
    """Flies no line before it was paused and resumed, or stopped."""

    def start_scan(self, plan, observer):
        flight = super().start_scan(plan, observer)
        observer.state_changed(ScanState.FLYING)
        flight.pause()
        return flight


def test_all_pages_are_collected_once_a_pause_was_never_taken_back(fly):
    """After a halt only the RunEngine collects, and once."""
    flyer = fly(PausedPort())
    flyer.pause()
    flyer._flight.resume()  # the port goes on, nobody told the flyer
    assert flyer.wait_for_end(5.0)
    assert flyer.next_page()
    assert sorted(rows(flyer.collect_pages())) == list(range(a_plan().n_frames))


@pytest.mark.parametrize("taken_back", ["resume", "stop", "prepare"])
def test_a_pause_that_was_taken_back_leaves_a_page_at_a_time(fly, taken_back):
    flyer = fly(PausedPort())
    flyer.pause()
    if taken_back == "prepare":
        flyer._flight.resume()
        assert flyer.wait_for_end(5.0)
        flyer.prepare(a_plan())
        flyer.kickoff().wait(5.0)
        flyer._flight.resume()
    elif taken_back == "resume":
        flyer.resume()
    else:
        flyer._flight.resume()
        assert flyer.wait_for_end(5.0)
        flyer.stop()
    assert flyer.wait_for_end(5.0)
    n_pages = flyer.pages_waiting
    assert flyer.next_page()
    assert len(rows(flyer.collect_pages())) == a_plan().lines[0].n_frames
    assert flyer.pages_waiting == n_pages - 1


def test_the_page_that_was_cut_off_is_handed_out_at_rest(fly):
    flyer, _ = flown(fly)
    assert flyer.next_page()
    seen = []
    for message in come_to_rest(flyer):
        if message.command == "collect" and message.obj is flyer:
            seen += rows(flyer.collect_pages())
    assert sorted(seen) == list(range(a_plan().n_frames))


@pytest.mark.parametrize("fast", ["x", "y"])
def test_the_uncertainty_is_that_along_the_lines(fly, fast):
    flyer = AefiFlyer(FakeScanPort(), a_bench(), lambda uid: Samples(), name="flyer")
    flyer.prepare(a_plan(fast_axis=fast))
    n = 9
    along_x, along_y = np.meshgrid(np.arange(n), np.arange(n))
    # 1 mV a pixel along x, 10 mV along y; intervals of 0.02 and 0.2 mm.
    columns = {
        "x_I": along_x * 1e-3 + along_y * 10e-3,
        "count": np.full((n, n), 4.0),
        "x_lo": np.full((n, n), -0.01),
        "x_hi": np.full((n, n), 0.01),
        "y_lo": np.full((n, n), -0.1),
        "y_hi": np.full((n, n), 0.1),
    }

    def map_of(name, *, total=False, muted=False):
        assert not muted
        # Readings of a pixel are those of all its frames.
        return columns[name] * (4.0 if total else 1.0)

    columns["count"] /= 4.0
    flyer._log.map_of = map_of
    pitch_mm = 20 / 8
    noise_v = 2 * 50e-6 / 2
    place_v = {"x": 1e-3 / pitch_mm * 0.01, "y": 10e-3 / pitch_mm * 0.1}[fast]
    found = flyer.uncertainty_of("x_I", noise_v=50e-6)
    np.testing.assert_allclose(found, noise_v + place_v, rtol=1e-9)
