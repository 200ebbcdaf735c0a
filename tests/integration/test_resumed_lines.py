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
from aefi_bluesky.engine import RustScanAdapter, VirtualConnection
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.simulated import SimulationSettings, simulated_bench
from aefi_bluesky.testing.builders import a_long_plan
from aefi_bluesky.views.recorder import Recorder

PAUSES = 12
HELD = 196_608
"""Fixes that nobody has taken when virtual time stands still: 3/4 of the ring."""
OK = FRAME_STATES.index(FrameState.OK)


def pauses_in_flight(flight, after_frames):
    """Pause the flight further on; return whether it was still flying.

    Its products are taken only while it is paused: virtual time, which waits for who
    takes them, can't pass the whole of a long flight before its first pause.
    """
    frames = flight.progress().frames_done + after_frames
    while flight.progress().frames_done < frames and not flight.is_over:
        pass
    flight.pause()
    while not flight.is_over:
        if flight.progress().state is ScanState.PAUSED:
            assert flight.wait(0.0) is None
            return True
    return False


@pytest.fixture(scope="module")
def flown():
    """A map that was paused again and again, in virtual time."""
    configuration = load_bench("simulated")
    bench = simulated_bench(configuration, SimulationSettings(seed=3))
    connection = VirtualConnection(configuration.links(), bench)
    port = RustScanAdapter(configuration.description(), connection)
    recorder = Recorder()
    plan = a_long_plan()
    flight = port.start_scan(plan, recorder)
    pauses = 0
    while pauses < PAUSES and pauses_in_flight(flight, after_frames=200):
        pauses += 1
        flight.resume()
    assert pauses > 0
    results = flight.wait(60.0)
    assert results.n_fixes > HELD, "the flight was no long one"
    assert results.frames[FrameState.OK] == plan.n_frames
    return configuration.description(), plan, recorder


def test_readings_by_their_frame_are_what_the_frame_counts(flown):
    bench, plan, recorder = flown
    frames, readings = recorder.columns("frames"), recorder.columns("readings")
    volts = volts_per_code(bench.detector.vref_v, bench.detector.gain)
    assert (frames["state"] == OK).all()
    counted = readings["frame"] >= 0
    of_frame = readings["frame"][counted]
    order = np.argsort(frames["frame"])
    counts = np.bincount(of_frame, minlength=plan.n_frames)
    np.testing.assert_array_equal(counts, frames["count"][order])
    for number, channel in enumerate(CHANNELS, start=1):
        codes = readings[f"code_{number}"][counted]
        means = np.bincount(of_frame, weights=codes, minlength=plan.n_frames) / counts
        np.testing.assert_allclose(means * volts, frames[channel][order], atol=1e-9)


def test_every_time_of_a_line_is_possible_or_not_known(flown):
    _, plan, recorder = flown
    lines = recorder.columns("lines")
    assert len(lines["line"]) == len(plan.lines)
    for name in ("run_up", "window", "run_down"):
        known = lines[name][np.isfinite(lines[name])]
        assert (known > 0).all(), name
    rates = lines["reading_rate"][np.isfinite(lines["reading_rate"])]
    assert ((rates > 40) & (rates < 80)).all(), rates
    assert (lines["loop_rate"] > 100).all()
