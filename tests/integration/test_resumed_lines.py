"""Lines that were paused: their frames, readings and times belong together."""

import numpy as np
import pytest

from aefi_bluesky.domain.results.scan_results import (
    CHANNELS,
    FRAME_STATES,
    FrameState,
    ScanState,
)
from aefi_bluesky.domain.results.voltage import volts_per_code
from aefi_bluesky.domain.spec.fly_spec import Zone
from aefi_bluesky.engine import RustScanAdapter, VirtualConnection
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, simulated_bench
from aefi_bluesky.testing.builders import a_plan
from aefi_bluesky.views.recorder import Recorder

PAUSES = 12
OK = FRAME_STATES.index(FrameState.OK)


@pytest.fixture(scope="module")
def flown():
    """A map that was paused again and again, in virtual time."""
    configuration = load_bench("simulated")
    bench = simulated_bench(configuration, SimulationSettings(seed=3))
    connection = VirtualConnection(configuration.links(), bench)
    port = RustScanAdapter(configuration.description(), connection)
    recorder = Recorder()
    zone = Zone(x_min_mm=535.0, x_max_mm=735.0, y_min_mm=510.0, y_max_mm=710.0)
    flight = port.start_scan(a_plan(zone=zone, n_x=81, n_y=81), recorder)
    for _ in range(PAUSES):
        done = flight.progress().frames_done
        while flight.progress().frames_done < done + 200:
            assert flight.wait(0.0) is None
        flight.pause()
        while flight.progress().state is not ScanState.PAUSED:
            assert flight.wait(0.001) is None
        flight.resume()
    results = flight.wait(60.0)
    assert results.frames[FrameState.OK] == 81 * 81
    return configuration.description(), recorder


def test_readings_by_their_frame_are_what_the_frame_counts(flown):
    bench, recorder = flown
    frames, readings = recorder.columns("frames"), recorder.columns("readings")
    volts = volts_per_code(bench.detector.vref_v, bench.detector.gain)
    assert (frames["state"] == OK).all()
    counted = readings["frame"] >= 0
    of_frame = readings["frame"][counted]
    order = np.argsort(frames["frame"])
    counts = np.bincount(of_frame, minlength=81 * 81)
    np.testing.assert_array_equal(counts, frames["count"][order])
    for number, channel in enumerate(CHANNELS, start=1):
        codes = readings[f"code_{number}"][counted]
        means = np.bincount(of_frame, weights=codes, minlength=81 * 81) / counts
        np.testing.assert_allclose(means * volts, frames[channel][order], atol=1e-9)


def test_every_time_of_a_line_is_possible_or_not_known(flown):
    _, recorder = flown
    lines = recorder.columns("lines")
    assert len(lines["line"]) == 81
    for name in ("run_up", "window", "run_down"):
        known = lines[name][np.isfinite(lines[name])]
        assert (known > 0).all(), name
    rates = lines["reading_rate"][np.isfinite(lines["reading_rate"])]
    assert ((rates > 40) & (rates < 80)).all(), rates
    assert (lines["loop_rate"] > 100).all()
