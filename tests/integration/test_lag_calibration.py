"""The lag is found, used, and the zig-zag of a map goes away; in virtual time."""

import json

import numpy as np
import pytest
from bluesky.simulators import RunEngineSimulator

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.results.lag import estimate_lag
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.domain.results.uncertainty import COVERAGE
from aefi_bluesky.plans import calibrate_lag, fly_map, measure_point, step_map
from aefi_bluesky.session.simulated import SimulationSettings

LINE = {"slow_mm": 600.0, "fast_min_mm": 520.0, "fast_max_mm": 700.0, "n_frames": 73}
MAP = {
    "x_min_mm": 590.0,
    "x_max_mm": 620.0,
    "n_x": 7,
    "y_min_mm": 550.0,
    "y_max_mm": 670.0,
    "n_y": 49,
}
PITCH_MM = 2.5
LAG_S = 0.020
SPEED_MM_PER_S = 32.7
NOISE_V = 60e-6
"""Of a reading of the simulated bench."""


def calibrate(bench, **changes):
    bench.run.documents.clear()
    bench.RE(calibrate_lag(bench.flyer, bench.calibration, **{**LINE, **changes}))
    return bench.calibration.current.lag_s


@pytest.mark.parametrize("tick_us", [0, 16_000])
def test_an_injected_lag_is_found(make_bench, tick_us):
    found = {}
    for lag_s in (0.0, LAG_S):
        settings = SimulationSettings(lag_s=lag_s, tick_us=tick_us)
        bench = make_bench(simulation=settings)
        found[lag_s] = calibrate(bench)
        bench.run.check()
    # What is found without any is the link's: of both together the lock-in's is left.
    assert found[LAG_S] - found[0.0] == pytest.approx(LAG_S, rel=0.1)
    if tick_us == 0:
        assert found[LAG_S] == pytest.approx(LAG_S, rel=0.1)


def test_the_run_tells_what_was_found(make_bench):
    bench = make_bench(simulation=SimulationSettings(lag_s=LAG_S))
    lag_s = calibrate(bench)
    (error_s,) = bench.run.column("lag", "lag_error_s")
    assert bench.run.column("lag", "lag_s") == [lag_s]
    assert bench.run.column("lag", "lag_before_s") == [0.0]
    assert 0 < error_s < 1e-3
    assert bench.calibration.current.runs["lag_s"] == bench.run.start["uid"]
    assert bench.run.start["plan_name"] == "calibrate_lag"


def zigzag_mm(bench):
    """By how much ascending and descending lines of a map are shifted, in mm.

    Neighbouring lines are not the same line: half of them is compared with the mean
    of those on either side.
    """
    y = bench.flyer.map_of("y")
    voltages = np.stack([bench.flyer.map_of(channel) for channel in CHANNELS], axis=2)
    shifts = []
    for line in range(1, y.shape[1] - 1, 2):
        beside = (voltages[:, line - 1] + voltages[:, line + 1]) / 2
        places = (y[:, line - 1] + y[:, line + 1]) / 2
        ascending = np.full(len(places), SPEED_MM_PER_S)
        found = estimate_lag(
            np.concatenate([places, y[:, line]]),
            np.concatenate([beside, voltages[:, line]]),
            np.concatenate([ascending, -ascending]),
        )
        shifts.append(found.zigzag_mm)
    return float(np.mean(shifts))


def test_a_corrected_map_has_no_zigzag(make_bench):
    bench = make_bench(simulation=SimulationSettings(lag_s=LAG_S, noise_v=10e-6))
    bench.RE(fly_map(bench.flyer, **MAP))
    before = zigzag_mm(bench)
    calibrate(bench)
    bench.RE(fly_map(bench.flyer, **MAP))
    after = zigzag_mm(bench)
    # 23 ms at 32.7 mm/s, twice.
    assert before > 0.4 * PITCH_MM
    assert abs(after) <= 0.1 * PITCH_MM


def test_a_second_calibration_finds_little_more(make_bench):
    bench = make_bench(simulation=SimulationSettings(lag_s=LAG_S))
    first = calibrate(bench)
    assert calibrate(bench) == pytest.approx(first, abs=2e-3)


def test_a_line_without_a_field_changes_nothing(bench):
    with pytest.raises(InvalidScanSpecError, match="changes too little"):
        calibrate(bench, level_s1s2_percent=0.0, level_s3s4_percent=0.0)
    assert bench.run.stop["exit_status"] == "fail"
    assert "changes too little" in json.loads(bench.run.stop["reason"])["message"]
    assert bench.calibration.current.lag_s is None


def test_the_simulator_of_bluesky_takes_the_plan(bench):
    plan = calibrate_lag(bench.flyer, bench.calibration, **LINE)
    assert RunEngineSimulator().simulate_plan(plan)
    assert bench.calibration.current.lag_s is None


def voltages_at_one_place(bench):
    """Six voltages in the middle of the map."""
    devices = bench.x, bench.y, bench.sensor, bench.excitation
    bench.run.documents.clear()
    bench.RE(measure_point(*devices, 605.0, 610.0, readings=200, settle_s=0.2))
    return np.array([bench.run.column("primary", channel)[0] for channel in CHANNELS])


def test_a_flown_map_is_the_stepped_one_within_its_uncertainty(make_bench):
    bench = make_bench(simulation=SimulationSettings(lag_s=LAG_S))
    calibrate(bench)
    before = voltages_at_one_place(bench)
    bench.RE(fly_map(bench.flyer, **MAP))
    flown = [bench.flyer.map_of(channel) for channel in CHANNELS]
    bench.run.documents.clear()
    devices = bench.x, bench.y, bench.sensor, bench.excitation
    bench.RE(step_map(*devices, **MAP, readings_per_point=4, settle_s=0.2))
    stepped = [np.array(bench.run.column("maps", f"map_{c}")[0]) for c in CHANNELS]
    drifts = np.abs(voltages_at_one_place(bench) - before).tolist()
    inside, stated = [], []
    for number, channel in enumerate(CHANNELS):
        of_flown = bench.flyer.uncertainty_of(channel, NOISE_V, drifts[number])
        of_both = np.hypot(of_flown, COVERAGE * NOISE_V / np.sqrt(4))
        inside.append(np.abs(flown[number] - stepped[number]) <= of_both)
        stated.append(of_both)
    assert np.mean(inside) >= 0.95
    # It says something: what it allows is used, and is small beside the map.
    assert np.mean(np.abs(np.subtract(flown, stepped)) <= np.divide(stated, 4)) < 0.7
    assert np.median(stated[0]) < 0.05 * np.ptp(flown[0])
