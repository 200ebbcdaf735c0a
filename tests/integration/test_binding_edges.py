"""What the engine's Python side is given that is none: refused in a sentence."""

import math
import os
import threading
import time

import numpy as np
import pytest

from aefi_bluesky.engine import _native


@pytest.fixture
def link():
    controller, device = os.openpty()
    yield _native.StageLink(
        port=os.ttyname(device),
        baud=115200,
        paced=True,
        name="4EX00",
        address=0,
        reply_allowance_ms=100,
        reply_delay_us=0,
        status_period_ms=500,
        host_watch_ms=0,
    )
    os.close(controller)
    os.close(device)


@pytest.fixture
def moves(link):
    return _native.StageMoves(
        link, speeds=[1, 1], start_speeds=[1, 1], ramps_ms=[300, 300]
    )


@pytest.mark.parametrize("timeout_s", [-1.0, -1e-9, math.nan, -math.inf])
def test_a_time_that_is_none_is_refused(moves, timeout_s):
    for wait in (lambda: moves.wait("x", timeout_s), moves.wait_for_rest):
        with pytest.raises((ValueError, TypeError)):
            wait() if wait is not moves.wait_for_rest else wait(timeout_s)


def test_to_wait_for_ever_for_nothing_ends_at_once(moves):
    assert moves.wait("x", math.inf) is None
    assert moves.wait_for_rest(math.inf)


@pytest.mark.parametrize("duration_s", [-1.0, math.nan, math.inf, 1e9])
def test_a_measurement_of_the_link_has_a_possible_duration(link, duration_s):
    with pytest.raises(ValueError, match="duration_s must be 0 to 3600 s"):
        link.poll(duration_s)


def plan(stations, windows):
    return _native.FlightPlan(
        fast_axis="y",
        speed=1500,
        positioning_speed=1500,
        start_speed=10,
        ramp_ms=300,
        stations=np.array(stations, dtype=np.int64).reshape(-1, 5),
        windows=np.array(windows, dtype=np.float64).reshape(-1, 2),
        averaging=10,
        min_readings=1,
        extra_passes=0,
        lag_ns=0,
        trigger=("free-running", 0.0),
        excitation=[],
        excitation_off=[],
    )


LINE, WINDOW = (0, 0, 1000, 4, 0), (400.0, 800.0)


@pytest.mark.parametrize("frames", [-1, 0, 2**40, -(2**63)])
def test_a_line_has_a_possible_number_of_frames(frames):
    with pytest.raises(ValueError, match=r"line 1: frames must be 1 to 1000000, was"):
        plan([LINE, (*LINE[:3], frames, 0)], [WINDOW] * 2)


@pytest.mark.parametrize(("stations", "windows"), [(2, 1), (1, 2), (0, 1)])
def test_each_line_has_its_window(stations, windows):
    words = f"{stations} rows of stations and {windows} of windows"
    with pytest.raises(ValueError, match=words):
        plan([LINE] * stations, [WINDOW] * windows)


def test_others_run_while_a_flight_is_dropped(link):
    """Nobody answers: the end of such a flight takes its time."""
    controller, device = os.openpty()
    detector = _native.DetectorLink(
        port=os.ttyname(device),
        baud=115200,
        paced=True,
        reply_allowance_ms=150,
        conversion_ns=1000,
    )
    flights = [_native.Flight.start(plan([LINE], [WINDOW]), link, detector)]
    ticks, over = [], threading.Event()

    def tick():
        while not over.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    ticking = threading.Thread(target=tick)
    ticking.start()
    began = time.monotonic()
    flights.clear()
    ended = time.monotonic()
    over.set()
    ticking.join()
    held = max(np.diff([began, *(at for at in ticks if at < ended), ended]))
    assert held < (ended - began) / 2
    os.close(controller)
    os.close(device)
