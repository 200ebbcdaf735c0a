"""A bench whose axes have different steps: the controller gets what its file says."""

import itertools
from importlib import resources

import pytest
from bluesky import plan_stubs as bps

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.session.configuration import load_bench

START, POSITIONING = 1000, 3000
"""Registers of the file, in steps/s."""

Y_UM = 21.8
NEAR = {"x_min_mm": 320.0, "x_max_mm": 350.0}
"""Within the travel of the simulated stage, whatever its steps are said to be."""


@pytest.fixture(params=[2.0, 0.5, 1.0], ids="x steps {} y steps".format)
def bench(make_bench, tmp_path, request):
    text = (
        resources.files("aefi_bluesky.profiles") / "benches/simulated.toml"
    ).read_text()
    scale = f"um_per_step = {Y_UM}"
    x_um = f"um_per_step = {Y_UM * request.param}"
    file = tmp_path / "bench.toml"
    # The first of the two is x's.
    file.write_text(text.replace(scale, x_um, 1).replace("1269.6756", "600.0"))
    bench = load_bench(file).description()
    assert bench.x.um_per_step == pytest.approx(request.param * bench.y.um_per_step)
    return make_bench(bench=file)


def speeds(bench, axis):
    """Speeds at which ramps of an axis begin, and those of its cruises, in steps/s."""
    rows = bench.log().segments[axis]
    starts, cruises = set(), set()
    for before, row in itertools.pairwise(rows):
        if before["v"] == 0 and row["v"] != 0:
            starts.add(round(abs(row["v"])))
        if row["a"] == 0 and row["v"] != 0:
            cruises.add(round(abs(row["v"])))
    return starts, cruises


@pytest.mark.parametrize("fast_axis", ["x", "y"])
def test_a_flight_uses_the_registers_of_the_file(bench, fast_axis):
    speed = 1500 * bench.description.axis(fast_axis).mm_per_step
    run = bench.fly(fast_axis=fast_axis, speed_mm_per_s=speed, **NEAR)
    assert run.stop["exit_status"] == "success"
    starts, cruises = speeds(bench, fast_axis)
    assert starts == {START}
    assert cruises <= {1500, POSITIONING}
    assert 1500 in cruises
    slow_starts, slow_cruises = speeds(bench, "y" if fast_axis == "x" else "x")
    assert slow_starts == {START}
    assert slow_cruises <= {POSITIONING}


def test_moves_use_the_registers_of_the_file(bench):
    bench.RE(bps.mv(bench.x, 200.0, bench.y, 300.0))
    bench.RE(bps.mv(bench.x, 500.0, bench.y, 900.0))
    for axis in "xy":
        assert speeds(bench, axis) == ({START}, {POSITIONING})


def test_velocity_begins_at_the_positioning_speed_of_the_axis(bench):
    for axis in (bench.x, bench.y):
        step = bench.description.axis(axis._axis).mm_per_step
        assert axis.velocity.get() == pytest.approx(POSITIONING * step)


@pytest.mark.parametrize("fast_axis", ["x", "y"])
def test_a_plan_says_how_long_it_takes_on_either_axis(bench, fast_axis):
    run = bench.fly(fast_axis=fast_axis, speed_mm_per_s=20.0, **NEAR)
    told = run.start["flight_plan"]
    (flown_s,) = run.column("health", "flight_s")
    margin_s = told["estimated_duration_error_s"]
    assert abs(flown_s - told["estimated_duration_s"]) <= margin_s
    planned = plan_flight(bench.flyer._log.plan.spec, bench.description)
    assert isinstance(planned, FlightPlan)
    step = bench.description.axis(fast_axis).mm_per_step
    assert planned.start_speed_mm_per_s == pytest.approx(START * step)
    assert planned.positioning_speed_mm_per_s == pytest.approx(POSITIONING * step)
