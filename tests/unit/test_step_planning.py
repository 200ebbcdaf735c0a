"""What is measured at rest: its points, its limits and how long it takes."""

import collections
import dataclasses
import math

import pytest
from hypothesis import given
from scan_strategies import BENCH, step_maps, step_specs

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.moves import way_s
from aefi_bluesky.domain.spec.excitation import Excitation, ExcitationMode
from aefi_bluesky.domain.spec.fly_spec import Pattern, Zone
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.domain.step.planning import StepPlan, plan_steps
from aefi_bluesky.domain.step.points import step_points
from aefi_bluesky.testing.builders import a_bench, a_plan

NO_NUMBERS = [math.nan, math.inf, -math.inf, True, None, "1"]
AT_REST = {"x_mm": 600.0, "y_mm": 600.0, "n_avg": 10, "excitation": Excitation.off()}
READING_S = 1 / BENCH.detector.reading_rate_hz


def a_step_map(**changes):
    spec = StepMapSpec(
        zone=Zone.of_pixels(600.0, 600.0, 3, 2, 5.0),
        n_x=3,
        n_y=2,
        pattern=Pattern.SERPENTINE,
        fast_axis="x",
        n_avg=10,
        excitation=Excitation.off(),
    )
    return dataclasses.replace(spec, **changes)


def rules(spec, bench=BENCH):
    report = plan_steps(spec, bench)
    assert isinstance(report, FeasibilityReport)
    return [violation.rule for violation in report.violations]


@given(step_maps())
def test_every_pixel_is_measured_once_and_twice_if_differential(spec):
    points = list(step_points(spec))
    assert [point.frame for point in points] == list(range(spec.n_measurements))
    times = collections.Counter((p.ix, p.iy, p.muted) for p in points)
    assert set(times.values()) == {1}
    mutings = {False, True} if spec.differential else {False}
    assert {point.muted for point in points} == mutings
    for point in points:
        assert point.x_mm == spec.centres_mm("x")[point.ix]
        assert point.y_mm == spec.centres_mm("y")[point.iy]
        row = point.ix if spec.slow_axis == "x" else point.iy
        assert point.line == row


@given(step_specs())
def test_points_are_as_many_as_measurements(spec):
    assert len(list(step_points(spec))) == spec.n_measurements


@pytest.mark.parametrize("pattern", Pattern)
@pytest.mark.parametrize("fast_axis", ["x", "y"])
def test_points_have_the_order_of_frames(pattern, fast_axis):
    plan = a_plan(pattern=pattern, fast_axis=fast_axis, n_x=4)
    spec = a_step_map(
        zone=plan.spec.zone, n_x=4, n_y=9, pattern=pattern, fast_axis=fast_axis
    )
    points = list(step_points(spec))
    assert [point.ix for point in points] == plan.frame_ix.tolist()
    assert [point.iy for point in points] == plan.frame_iy.tolist()


def test_differential_point_is_driven_then_muted():
    points = list(step_points(a_step_map(differential=True)))[:4]
    assert [(p.ix, p.muted) for p in points] == [
        *((0, False), (0, True)),
        *((1, False), (1, True)),
    ]


def test_square_pixels_have_one_pitch():
    zone = Zone.of_pixels(600.0, 500.0, 5, 3, 2.5)
    assert zone == Zone(595.0, 605.0, 497.5, 502.5)
    spec = a_step_map(zone=zone, n_x=5, n_y=3)
    assert spec.pitch_mm("x") == spec.pitch_mm("y") == 2.5


@pytest.mark.parametrize("bad", [*NO_NUMBERS, 0.0, -2.5])
def test_pitch_of_pixels_is_a_number_above_zero(bad):
    with pytest.raises(InvalidScanSpecError, match="zone: pitch"):
        Zone.of_pixels(600.0, 600.0, 3, 3, bad)


@pytest.mark.parametrize("bad", [0, 2.0, True])
def test_pixels_are_counted(bad):
    with pytest.raises(InvalidScanSpecError, match="zone: pixels along y"):
        Zone.of_pixels(600.0, 600.0, 3, bad, 1.0)


SPECS = {
    StepMapSpec: a_step_map(),
    PointSpec: PointSpec(**AT_REST),
    TimeSeriesSpec: TimeSeriesSpec(**AT_REST, count=10, period_s=0.1),
    FrequencySequenceSpec: FrequencySequenceSpec(
        **AT_REST, frequencies_hz=(1e3, 2e3, 5e3)
    ),
}


@pytest.mark.parametrize("bad", NO_NUMBERS)
@pytest.mark.parametrize(
    ("kind", "field"),
    [
        *((kind, "settle_s") for kind in SPECS),
        *((kind, "n_avg") for kind in SPECS),
        *((kind, "x_mm") for kind in SPECS if kind is not StepMapSpec),
        (PointSpec, "readings"),
        (StepMapSpec, "readings_per_point"),
        (TimeSeriesSpec, "count"),
        (TimeSeriesSpec, "period_s"),
    ],
)
def test_what_is_no_number_is_refused(kind, field, bad):
    with pytest.raises(InvalidScanSpecError, match="must be"):
        dataclasses.replace(SPECS[kind], **{field: bad})


@pytest.mark.parametrize("bad", [(), (0.5,), (math.nan,), [1e3], None, (1e3, 9e6)])
def test_frequencies_are_those_of_the_generator(bad):
    with pytest.raises(InvalidScanSpecError, match="frequenc"):
        dataclasses.replace(SPECS[FrequencySequenceSpec], frequencies_hz=bad)


def test_frequency_is_replaced_and_the_levels_stay():
    driven = Excitation(ExcitationMode.Y_DIR, 10.0, 20.0, 1000.0)
    spec = dataclasses.replace(SPECS[FrequencySequenceSpec], excitation=driven)
    found = spec.excitation_at(2e3)
    assert found == Excitation(ExcitationMode.Y_DIR, 10.0, 20.0, 2e3)


def test_too_many_measurements_are_refused():
    zone = Zone(0.0, 1.0, 0.0, 1.0)
    with pytest.raises(InvalidScanSpecError, match="10000000 measurements"):
        a_step_map(zone=zone, n_x=3000, n_y=3000, differential=True)


@pytest.mark.parametrize(
    ("duration", "period", "count"), [(1.0, 0.1, 11), (1.05, 0.1, 11), (0.0, 2.0, 1)]
)
def test_series_lasts_as_long_as_is_asked(duration, period, count):
    assert TimeSeriesSpec.lasting(duration, period, **AT_REST).count == count


# -- feasibility ---------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: type(spec).__name__)
def test_usual_spec_is_planned(spec):
    plan = plan_steps(spec, BENCH)
    assert isinstance(plan, StepPlan)
    assert plan.n_measurements == len(list(plan.points()))
    assert 0 < plan.duration_error_s < math.inf
    assert 0 < plan.duration_s < math.inf


def test_all_places_outside_the_travel_are_named():
    far = dataclasses.replace(SPECS[PointSpec], x_mm=-1.0, y_mm=5000.0)
    assert rules(far) == ["travel", "travel"]
    report = plan_steps(far, BENCH)
    assert "axis x: -1 mm is outside 0 to" in str(report)
    along_x = report.violations[0].nearest
    assert along_x.parameter == "x_mm"
    near = dataclasses.replace(far, x_mm=along_x.value[0], y_mm=600.0)
    assert not isinstance(plan_steps(near, BENCH), FeasibilityReport)
    assert rules(a_step_map(zone=Zone(-5.0, 2000.0, 10.0, 20.0))) == ["travel"] * 2
    ends = BENCH.x.travel_min_mm, BENCH.x.travel_max_mm
    assert isinstance(
        plan_steps(a_step_map(zone=Zone(*ends, 10.0, 20.0)), BENCH), StepPlan
    )


def test_single_pixel_is_where_the_zone_begins():
    spec = a_step_map(zone=Zone(600.0, 5000.0, 10.0, 20.0), n_x=1)
    assert isinstance(plan_steps(spec, BENCH), StepPlan)


def test_period_must_be_as_long_as_a_reading():
    series = SPECS[TimeSeriesSpec]
    assert rules(dataclasses.replace(series, period_s=0.01)) == ["period"]
    for period_s in (READING_S, 0.0):
        fine = dataclasses.replace(series, period_s=period_s)
        assert isinstance(plan_steps(fine, BENCH), StepPlan)
    averaged = dataclasses.replace(series, n_avg=127)
    assert rules(averaged) == ["period"]


def test_ramp_of_the_moves_is_the_controllers():
    motion = dataclasses.replace(BENCH.motion, ramp_s=1e-3)
    assert rules(a_step_map(), a_bench(motion=motion)) == ["positioning ramp"]


@pytest.mark.parametrize("place", [(math.nan, 0.0), (0.0, math.inf)])
def test_rest_must_be_a_place(place):
    with pytest.raises(InvalidScanSpecError, match="rest: "):
        plan_steps(a_step_map(), BENCH, rests_at=place)


# -- duration ------------------------------------------------------------------------


def seconds(spec, **options):
    return plan_steps(spec, BENCH, **options).duration_s


def test_duration_is_the_sum_of_its_parts():
    spec = a_step_map(settle_s=0.5, readings_per_point=4)
    there = (spec.zone.x_min_mm, spec.zone.y_min_mm)
    # 32 readings go by in half a second, and a little more.
    move_s = way_s(5.0, BENCH) + BENCH.link.line_overhead_s
    expected = 44 * READING_S + 5 * move_s + 6 * (32 + 4) * READING_S
    assert seconds(spec, rests_at=there) == pytest.approx(expected)
    muted = dataclasses.replace(spec, differential=True)
    expected += 6 * (32 + 4) * READING_S + 11 * 4 * READING_S
    assert seconds(muted, rests_at=there) == pytest.approx(expected)


def test_series_takes_its_periods():
    series, here = SPECS[TimeSeriesSpec], (600.0, 600.0)
    # 36 exchanges set up, 8 switch off.
    setup_s = 44 * READING_S
    assert seconds(series, rests_at=here) == pytest.approx(setup_s + 0.9 + READING_S)
    fast = dataclasses.replace(series, period_s=0.0)
    assert seconds(fast, rests_at=here) == pytest.approx(setup_s + 10 * READING_S)


def test_each_frequency_is_set_and_settles():
    spec = dataclasses.replace(SPECS[FrequencySequenceSpec], settle_s=1.0)
    expected = 44 * READING_S + 3 * (63 + 1) * READING_S + 2 * 4 * READING_S
    assert seconds(spec, rests_at=(600.0, 600.0)) == pytest.approx(expected)


@given(step_specs())
def test_place_of_rest_makes_the_duration_better_known(spec):
    anywhere = plan_steps(spec, BENCH)
    if isinstance(anywhere, FeasibilityReport):
        return
    known = plan_steps(spec, BENCH, rests_at=(600.0, 600.0))
    assert known.duration_error_s < anywhere.duration_error_s
    apart = abs(known.duration_s - anywhere.duration_s)
    assert apart <= anywhere.duration_error_s
