"""Maps and series measured at rest, in virtual time."""

import bluesky.plan_stubs as bps
import numpy as np
import pytest
from bluesky.simulators import RunEngineSimulator, check_limits, summarize_plan
from bluesky.utils import RunEngineInterrupted

from aefi_bluesky.domain.errors import InfeasibleScanError, InvalidScanSpecError
from aefi_bluesky.plans import (
    differential_map,
    fly_map,
    frequency_sequence,
    measure_point,
    step_map,
    time_series,
)

ZONE = {
    "x_min_mm": 620.0,
    "x_max_mm": 630.0,
    "n_x": 3,
    "y_min_mm": 600.0,
    "y_max_mm": 612.0,
    "n_y": 4,
}
PLACE = {"x_mm": 625.0, "y_mm": 605.0}


def devices(bench):
    return bench.x, bench.y, bench.sensor, bench.excitation


def run(bench, plan):
    bench.run.documents.clear()
    bench.RE(plan)
    return bench.run


def keys_of(run, stream):
    (found,) = (doc for doc in run.of_kind("descriptor") if doc["name"] == stream)
    return {name: key.get("units", "") for name, key in found["data_keys"].items()}


def test_a_stepped_map_has_the_keys_and_the_order_of_a_flown_one(bench):
    flown = run(bench, fly_map(bench.flyer, **ZONE))
    keys, order = keys_of(flown, "primary"), {}
    for name in ("frame", "line", "x_nominal", "y_nominal"):
        order[name] = flown.column("primary", name)
    maps = keys_of(flown, "maps")
    stepped = run(bench, step_map(*devices(bench), **ZONE))
    assert keys_of(stepped, "primary") == keys
    assert keys_of(stepped, "maps") == maps
    for name, values in order.items():
        assert stepped.column("primary", name) == pytest.approx(values)
    assert set(stepped.column("primary", "state")) == {"ok"}
    assert stepped.start["plan_name"] == "step_map"
    assert stepped.start["scan_spec"]["kind"] == "step-map"
    assert stepped.stop["exit_status"] == "success"
    assert bench.excitation.state() == "off"


def test_the_images_are_those_of_the_rows(bench):
    found = run(bench, step_map(*devices(bench), **ZONE, readings_per_point=3))
    image = np.array(found.column("maps", "map_x_I")[0])
    assert image.shape == (4, 3)
    x, y = found.column("primary", "x_nominal"), found.column("primary", "y_nominal")
    for value, at_x, at_y in zip(found.column("primary", "x_I"), x, y, strict=True):
        pixel = image[round((at_y - 600) / 4), round((at_x - 620) / 5)]
        assert pixel == pytest.approx(value)
    assert set(found.column("primary", "count")) == {3}


def test_a_differential_map_at_rest_tells_what_is_there_without_excitation(bench):
    found = run(bench, step_map(*devices(bench), **ZONE, differential=True))
    driven = np.array(found.column("maps", "map_x_I")[0])
    muted = np.array(found.column("maps", "map_x_I_muted")[0])
    assert np.abs(driven).min() > 0.1
    # Half a millivolt of offset, 60 uV of noise, and what the lock-in remembers.
    assert np.abs(muted).max() < 0.01


def test_a_flown_differential_map_tells_the_same(bench):
    found = run(bench, differential_map(bench.flyer, **ZONE))
    assert found.stop["exit_status"] == "success"
    assert len(found.column("primary", "frame")) == 24
    driven = np.array(found.column("maps", "map_x_I")[0])
    muted = np.array(found.column("maps", "map_x_I_muted")[0])
    assert np.abs(driven).min() > 0.1
    assert np.abs(muted).max() < 1e-3
    assert bench.excitation.state() == "off"


def test_settings_are_put_back(bench):
    bench.sensor.n_avg.put(7)
    bench.excitation.level_s1s2.put(11.0)
    run(bench, step_map(*devices(bench), **ZONE))
    assert bench.sensor.n_avg.get() == 7
    assert bench.sensor.n_discarded.get() == 0
    assert bench.excitation.level_s1s2.get() == 11.0


def test_one_place_is_measured_once_driven_and_once_muted(bench):
    plan = measure_point(*devices(bench), **PLACE, readings=20, differential=True)
    found = run(bench, plan)
    driven, muted = found.column("primary", "x_I")
    assert found.column("primary", "count") == [20, 20]
    assert abs(driven) > 100 * abs(muted) / 2
    assert bench.x.position == pytest.approx(625.0, abs=0.02)


def test_a_time_series_is_as_fast_as_readings_come(bench):
    found = run(bench, time_series(*devices(bench), **PLACE, count=30))
    times = np.diff(found.column("primary", "t"))
    assert np.allclose(times, 0.016, atol=1e-3)


def test_a_time_series_waits_for_its_period(bench):
    found = run(bench, time_series(*devices(bench), **PLACE, count=4, period_s=0.2))
    # Readings are due at instants: a late one does not delay the others.
    assert found.times("primary")[-1] - found.start["time"] > 3 * 0.2


def test_each_frequency_is_measured_and_the_old_one_put_back(bench):
    plan = frequency_sequence(
        *devices(bench), **PLACE, frequencies_hz=[100.0, 1000.0, 5000.0]
    )
    found = run(bench, plan)
    assert len(found.column("primary", "x_I")) == 3
    assert bench.excitation.frequency.get() == 1000.0
    assert found.start["scan_spec"]["frequencies_hz"] == [100.0, 1000.0, 5000.0]


def test_a_map_outside_the_travel_is_refused_before_anything_moves(bench):
    before = bench.x.position
    with pytest.raises(InfeasibleScanError, match="axis y: -3 mm is outside"):
        run(bench, step_map(*devices(bench), **{**ZONE, "y_min_mm": -3.0}))
    assert bench.x.position == before
    assert bench.run.documents == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_x": 0}, "frames along x"),
        ({"n_avg": 128}, "conversions averaged"),
        ({"settle_s": -1.0}, "settling must be"),
        ({"level_s1s2_percent": 101.0}, "level s1s2"),
        ({"readings_per_point": 0}, "readings of a measurement"),
    ],
)
def test_wrong_numbers_are_refused_by_name(bench, changed, words):
    with pytest.raises(InvalidScanSpecError, match=words):
        run(bench, step_map(*devices(bench), **{**ZONE, **changed}))
    assert bench.run.documents == []


@pytest.mark.parametrize("number", range(20, 220, 20))
def test_a_pause_at_any_message_costs_no_measurement(bench, pause_at_message, number):
    pause_at_message(bench, number)
    with pytest.raises(RunEngineInterrupted):
        run(bench, step_map(*devices(bench), **ZONE))
    assert bench.excitation.state() != "on"
    bench.RE.resume()
    found = bench.run
    assert found.stop["exit_status"] == "success"
    frames = found.column("primary", "frame")
    assert sorted(frames) == list(range(12))
    assert np.abs(found.column("primary", "x_I")).min() > 0.1
    assert bench.excitation.state() == "off"


def test_an_abort_leaves_the_excitation_off(bench, pause_at_message):
    pause_at_message(bench, 100)
    with pytest.raises(RunEngineInterrupted):
        run(bench, step_map(*devices(bench), **ZONE))
    bench.RE.abort("as planned")
    assert bench.run.stop["exit_status"] == "abort"
    assert bench.excitation.state() == "off"


def test_bluesky_simulators_take_the_plans_without_a_bench(bench):
    bench.x.position  # noqa: B018  known before nobody answers
    for plan in (
        lambda: step_map(*devices(bench), **ZONE),
        lambda: measure_point(*devices(bench), **PLACE),
        lambda: time_series(*devices(bench), **PLACE, count=3),
        lambda: differential_map(bench.flyer, **ZONE),
    ):
        summarize_plan(plan())
        check_limits(plan())
        assert RunEngineSimulator().simulate_plan(plan())
    assert bench.run.documents == []


def test_check_limits_refuses_what_leaves_the_travel(bench):
    with pytest.raises(InvalidScanSpecError, match="stage_x: target must be"):
        check_limits(bps.mv(bench.x, -50.0))
