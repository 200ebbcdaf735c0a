"""From a spec to lines and frames, or to every reason why there are none."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scan_strategies import BENCH, SPEEDS, specs

from aefi_bluesky.domain.bench.description import WiringDescription
from aefi_bluesky.domain.errors import InfeasibleScanError, InvalidScanSpecError
from aefi_bluesky.domain.feasibility.reading_rates import reading_rate_hz
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.geometry import approach_mm
from aefi_bluesky.domain.flight.moves import move_duration_s
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    FlyScanSpec,
    Pattern,
    Trigger,
    TriggerKind,
    Zone,
)
from aefi_bluesky.testing.builders import a_bench, a_plan, a_spec


def test_standard_map_has_81_lines_of_81_frames():
    spec = FlyScanSpec.standard(600.0, 600.0, Excitation.off())
    plan = plan_flight(spec, BENCH)
    assert isinstance(plan, FlightPlan)
    assert plan.n_frames == 6561
    assert len(plan.lines) == 81
    assert {line.n_frames for line in plan.lines} == {81}
    assert plan.fast_axis == "y"
    assert plan.lines[0].slow_mm == 500.0
    assert plan.lines[-1].slow_mm == 700.0
    assert 81 * 200 / 32.7 < plan.duration_s < 1000


@pytest.mark.parametrize("pattern", Pattern)
def test_plan_made_plain_is_read_again_to_the_bit(pattern):
    plan = a_plan(n_x=7, pattern=pattern, gap_fill_passes=2)
    again = FlightPlan.from_plain(json.loads(json.dumps(plan.to_plain())))
    for field in dataclasses.fields(FlightPlan):
        ours, other = getattr(plan, field.name), getattr(again, field.name)
        if isinstance(ours, np.ndarray):
            assert (ours.dtype, ours.tobytes()) == (other.dtype, other.tobytes())
        else:
            assert ours == other


def test_plan_that_was_changed_is_refused():
    plain = a_plan().to_plain()
    plain["x_mm"][3] += 1e-9
    with pytest.raises(InvalidScanSpecError, match="flight plan has digest"):
        FlightPlan.from_plain(plain)


def test_frames_are_numbered_in_the_order_of_flight():
    plan = a_plan()
    assert [line.first_frame for line in plan.lines] == list(range(0, 81, 9))
    assert [line.index for line in plan.lines] == list(range(9))


def test_window_ends_half_a_pitch_outside_the_frames():
    up, down = a_plan().lines[:2]
    assert (up.window_start_mm, up.window_stop_mm) == (588.75, 611.25)
    assert (down.window_start_mm, down.window_stop_mm) == (611.25, 588.75)


def test_run_up_and_run_down_hold_the_ramp():
    plan, ramp = a_plan(), BENCH.motion.ramp_length_mm(32.7)
    for line in plan.lines:
        assert abs(line.window_start_mm - line.start_mm) > ramp
        assert abs(line.end_mm - line.window_stop_mm) > ramp


def test_serpentine_turns_where_it_ended():
    lines = a_plan(pattern=Pattern.SERPENTINE).lines
    for before, after in itertools.pairwise(lines):
        assert after.start_mm == before.end_mm


@pytest.mark.parametrize("pattern", [Pattern.RASTER, Pattern.COMB])
def test_raster_and_comb_always_ascend(pattern):
    for line in a_plan(pattern=pattern).lines:
        assert line.start_mm < line.window_start_mm < line.window_stop_mm < line.end_mm


def test_comb_flies_y_whatever_axis_is_given():
    comb = a_plan(pattern=Pattern.COMB, fast_axis="x")
    raster = a_plan(pattern=Pattern.RASTER, fast_axis="y")
    assert comb.digest == raster.digest


def test_averaging_limits_the_reading_rate():
    assert reading_rate_hz(a_spec(n_avg=10), BENCH) == 62.5
    assert reading_rate_hz(a_spec(n_avg=100), BENCH) == 10.0


def test_digest_depends_on_what_is_flown():
    assert a_plan().digest == a_plan().digest
    assert a_plan().digest != a_plan(speed_mm_per_s=32.6).digest


def test_arrays_of_a_plan_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        a_plan().frame_x_mm[0] = 0.0


def test_all_violations_come_at_once():
    spec = a_spec(
        zone=Zone(-5.0, 2000.0, 0.0, 1227.0), n_y=2000, n_x=2, speed_mm_per_s=100.0
    )
    report = plan_flight(spec, BENCH)
    assert isinstance(report, FeasibilityReport)
    rules = [violation.rule for violation in report.violations]
    few = ["readings per frame", "fixes per frame"]
    assert rules == ["speed", *["travel"] * 4, *few]
    for axis in ("x", "y"):
        assert sum(f"axis {axis}:" in str(v) for v in report.violations) == 2


def test_report_is_an_error_with_every_reason():
    report = plan_flight(a_spec(speed_mm_per_s=100.0), BENCH)
    assert isinstance(report, FeasibilityReport)
    with pytest.raises(InfeasibleScanError, match="100 mm/s is outside") as caught:
        raise report.error()
    assert len(caught.value.violations) == len(report.violations)


def test_limit_may_be_flown_as_it_is_written():
    highest = f"{SPEEDS[1]:g}"
    assert isinstance(
        plan_flight(a_spec(speed_mm_per_s=float(highest)), BENCH), FlightPlan
    )


def test_too_few_readings_per_frame_says_how_fast_at_most():
    report = plan_flight(a_spec(min_readings_per_frame=5), BENCH)
    assert isinstance(report, FeasibilityReport)
    (violation,) = report.violations
    assert violation.limit == 5
    assert violation.suggestion == "fly at 30.95 mm/s at most"


@pytest.mark.parametrize("kind", ["sync-output", "digital-output", "latch"])
def test_trigger_without_its_wiring_is_refused_by_name(kind):
    report = plan_flight(a_spec(trigger=Trigger(TriggerKind(kind))), BENCH)
    assert isinstance(report, FeasibilityReport)
    (violation,) = report.violations
    assert violation.rule == "trigger"
    assert f"triggered by {kind} need wiring that bench 'test bench'" in str(violation)
    assert f"({kind.replace('-', '_')})" in str(violation)
    assert violation.suggestion == "use one of free-running, periodic, positions"


WIRINGS = {
    "sync-output": {"encoder_pulses_per_count": 0.390625, "sync_output": True},
    "digital-output": {"digital_output": 5},
    "latch": {"latch": True},
}


@pytest.mark.parametrize("wired", WIRINGS)
@pytest.mark.parametrize("asked", WIRINGS)
def test_trigger_is_flown_on_a_bench_with_its_wiring_and_on_no_other(wired, asked):
    bench = a_bench(wiring=WiringDescription(**WIRINGS[wired]))
    planned = plan_flight(a_spec(trigger=Trigger(TriggerKind(asked))), bench)
    if wired == asked:
        assert isinstance(planned, FlightPlan)
    else:
        assert isinstance(planned, FeasibilityReport)
        (violation,) = planned.violations
        assert violation.suggestion.endswith(f"positions, {wired}")


def test_an_encoder_alone_is_no_sync_output():
    bench = a_bench(wiring=WiringDescription(encoder_pulses_per_count=1.0))
    report = plan_flight(a_spec(trigger=Trigger(TriggerKind.SYNC_OUTPUT)), bench)
    assert isinstance(report, FeasibilityReport)
    assert "(sync_output)" in str(report)
    assert "encoder_pulses_per_count" not in str(report)


@pytest.mark.parametrize(
    ("kind", "exchanges", "seen_steps"),
    # 117 whole counts of a frame's 45.9 steps, less three steps and half a count.
    [("sync-output", 9, 116.5 * 0.390625 - 3), ("digital-output", 3, 1.0 / 0.0218)],
)
def test_frames_too_short_for_their_pulses_say_how_fast_at_most(
    kind, exchanges, seen_steps
):
    link = dataclasses.replace(BENCH.link, fix_rate_hz=8.233 * exchanges)
    bench = a_bench(wiring=WiringDescription(**WIRINGS[kind]), link=link)
    trigger = Trigger(TriggerKind(kind))
    spec = a_spec(trigger=trigger, n_y=21, speed_mm_per_s=22.2)
    report = plan_flight(spec, bench)
    assert isinstance(report, FeasibilityReport)
    violation = next(v for v in report.violations if v.rule == "time for pulses")
    # 22.2 mm/s are flown as 1018 steps/s.
    assert violation.found == pytest.approx(seen_steps / 1018)
    assert violation.limit == pytest.approx(1 / 8.233)
    assert f"needs {violation.limit:.3g} s on the link" in str(violation)
    speed = float(violation.suggestion.split()[2])
    slower = dataclasses.replace(spec, speed_mm_per_s=speed)
    assert isinstance(plan_flight(slower, bench), FlightPlan)


def test_period_shorter_than_a_reading_is_refused():
    trigger = Trigger(TriggerKind.PERIODIC, 0.01)
    report = plan_flight(a_spec(trigger=trigger), BENCH)
    assert isinstance(report, FeasibilityReport)
    assert [v.rule for v in report.violations] == ["trigger period"]
    assert report.violations[0].limit == pytest.approx(1 / 62.5)


def test_period_decides_how_many_readings_meet_a_frame():
    # A frame less a step takes 75.8 ms.
    for period_s, is_met in ((0.075, True), (0.076, False)):
        spec = a_spec(trigger=Trigger(TriggerKind.PERIODIC, period_s))
        planned = plan_flight(spec, BENCH)
        assert isinstance(planned, FlightPlan) is is_met


def on_a_tick(**changes):
    """Plan a map of 75.8 ms a frame, less a step, with replies at ticks of 16 ms."""
    detector = dataclasses.replace(
        BENCH.detector, exchange_s=0.0006, latency_tick_s=0.016
    )
    return plan_flight(a_spec(**changes), a_bench(detector=detector))


@pytest.mark.parametrize(
    ("readings", "kind", "period_s", "needed_s"),
    [
        # One of them loses a tick; a single one is then half a tick late.
        (1, "free-running", 0.0, 0.024),
        (4, "free-running", 0.0, 0.080),
        # Half of what a reply waits for a tick; the adapter's clock is another one.
        (2, "periodic", 0.040, (0.080 + 0.096) / 2),
        (2, "periodic", 0.041, (0.082 + 0.096) / 2),
        # 10 ms, its bytes, a tick, half a tick: but for a quarter that may be late.
        (4, "positions", 0.0, 4 * 0.0346 / 1.25),
    ],
)
def test_readings_of_a_frame_come_at_ticks(readings, kind, period_s, needed_s):
    trigger = Trigger(TriggerKind(kind), period_s)
    report = on_a_tick(
        min_readings_per_frame=readings,
        trigger=trigger,
        zone=Zone(590.0, 610.0, 600.0, 602.0),
        speed_mm_per_s=32.7,
    )
    assert isinstance(report, FeasibilityReport)
    few = next(each for each in report.violations if each.rule == "readings per frame")
    # What is aimed at is known to a step, beside the edges of the frame.
    steps = 1 + (readings if kind == "positions" else 0)
    room_s = (0.25 - steps * 0.0218) / 32.7
    assert few.found == pytest.approx(readings * room_s / needed_s, rel=1e-3)
    assert few.limit == readings


def test_ramp_that_the_controller_would_shorten_is_refused():
    report = plan_flight(a_spec(speed_mm_per_s=22.0), BENCH)
    assert isinstance(report, FeasibilityReport)
    (violation,) = report.violations
    # 1000 steps/s and 50 steps/s2 for 0.3 s more.
    assert violation.limit == pytest.approx(1015 * 0.0218)
    assert violation.suggestion == "fly at 22.127 mm/s"


@pytest.mark.parametrize("steps_per_s", [900, 1000, 1015])
def test_speed_without_a_ramp_or_with_a_steep_one_is_flown(steps_per_s):
    spec = a_spec(speed_mm_per_s=steps_per_s * 0.0218)
    assert isinstance(plan_flight(spec, BENCH), FlightPlan)


def test_ramp_beyond_the_highest_speed_is_left_out():
    motion = dataclasses.replace(BENCH.motion, max_speed_mm_per_s=22.1)
    report = plan_flight(a_spec(speed_mm_per_s=22.0), a_bench(motion=motion))
    assert isinstance(report, FeasibilityReport)
    assert report.violations[0].suggestion == "fly at 21.8 mm/s"


def test_no_speed_above_the_highest_is_suggested_for_more_readings():
    report = plan_flight(a_spec(speed_mm_per_s=100.0, min_readings_per_frame=2), BENCH)
    assert isinstance(report, FeasibilityReport)
    # A frame at 62.5 readings/s allows 77.4 mm/s for two, which the stage cannot fly.
    suggestions = [violation.suggestion for violation in report.violations]
    assert suggestions == ["fly at 65.4 mm/s", "fly at 65.4 mm/s at most"]


def test_speed_is_not_lowered_into_a_ramp_that_is_refused():
    pitch_mm = 22.0 / 62.5 + 0.0218
    zone = Zone(590.0, 610.0, 600.0, 600.0 + 8 * pitch_mm)
    report = plan_flight(a_spec(zone=zone), BENCH)
    assert isinstance(report, FeasibilityReport)
    assert report.violations[0].suggestion == "fly at 21.8 mm/s at most"


def test_no_speed_is_suggested_that_the_bench_cannot_fly():
    report = plan_flight(a_spec(min_readings_per_frame=10_000), BENCH)
    assert isinstance(report, FeasibilityReport)
    assert "no speed is slow enough" in report.violations[0].suggestion


def test_line_of_next_to_no_length_is_reported():
    report = plan_flight(a_spec(zone=Zone(0.0, 1.0, 600.0, 600.0 + 2e-13)), BENCH)
    assert "no speed is slow enough" in str(report)
    report = plan_flight(a_spec(zone=Zone(0.0, 1.0, 0.0, 5e-324)), BENCH)
    assert "no speed is slow enough" in str(report)


def test_no_zone_is_suggested_where_none_fits():
    bench = a_bench(y=dataclasses.replace(BENCH.y, travel_max_mm=10.0))
    report = plan_flight(a_spec(), bench)
    assert isinstance(report, FeasibilityReport)
    assert "no zone fits along y" in str(report)


def test_move_is_a_trapezium_or_a_triangle():
    motion = BENCH.motion
    ramp = motion.ramp_length_mm(65.4)
    assert move_duration_s(0.0, 65.4, motion) == 0.0
    assert move_duration_s(2 * ramp + 65.4, 65.4, motion) == pytest.approx(1.6)
    assert move_duration_s(-2 * ramp, 65.4, motion) == pytest.approx(0.6)
    assert 0 < move_duration_s(1.0, 65.4, motion) < 1.0 / 21.8
    assert move_duration_s(10.0, 10.0, motion) == 1.0


@given(specs())
def test_plan_stays_within_travel(spec):
    plan = plan_flight(spec, BENCH)
    assume(isinstance(plan, FlightPlan))
    fast, slow = BENCH.axis(plan.fast_axis), BENCH.axis(plan.slow_axis)
    for line in plan.lines:
        assert slow.travel_min_mm <= line.slow_mm <= slow.travel_max_mm
        for place in (line.start_mm, line.end_mm):
            assert fast.travel_min_mm <= place <= fast.travel_max_mm


@given(specs())
def test_frames_lie_in_the_window_of_their_line(spec):
    plan = plan_flight(spec, BENCH)
    assume(isinstance(plan, FlightPlan))
    fast_mm = plan.frame_x_mm if plan.fast_axis == "x" else plan.frame_y_mm
    for line in plan.lines:
        passed = fast_mm[line.first_frame : line.first_frame + line.n_frames]
        sign = math.copysign(1.0, line.window_stop_mm - line.window_start_mm)
        assert (np.diff(passed) * sign > 0).all()
        assert sign * (passed[0] - line.window_start_mm) > 0
        assert sign * (line.window_stop_mm - passed[-1]) > 0
    cells = set(zip(plan.frame_ix.tolist(), plan.frame_iy.tolist(), strict=True))
    assert len(cells) == plan.n_frames == spec.n_x * spec.n_y


def test_steps_are_the_same_speed_on_both_axes():
    """The stage has one positioning speed in steps: a coarser axis goes farther."""
    x = dataclasses.replace(BENCH.x, um_per_step=2 * BENCH.x.um_per_step)
    bench = a_bench(x=x)
    rests_at = 100.0, 588.0
    fine, coarse = (plan_flight(a_spec(), b, rests_at=rests_at) for b in (BENCH, bench))
    assert isinstance(fine, FlightPlan)
    assert isinstance(coarse, FlightPlan)
    way_s = 490.0 / BENCH.motion.positioning_speed_mm_per_s
    assert fine.duration_s - coarse.duration_s == pytest.approx(way_s / 2, rel=0.1)


def test_setting_up_takes_as_long_as_the_slower_link():
    quick = dataclasses.replace(BENCH.detector, setup_s=0.04)
    link = dataclasses.replace(BENCH.link, setup_s=0.4)
    # Not known, it is guessed from the readings: 36 exchanges, and 8 to switch off.
    for changes, setup_s in (
        ({}, 44 / 62.5),
        ({"detector": quick, "link": link}, 0.4 + 0.2 * 0.04),
    ):
        plan = plan_flight(a_spec(), a_bench(**changes), rests_at=(600.0, 600.0))
        moves_only = dataclasses.replace(link, setup_s=1e-9)
        tiny = dataclasses.replace(quick, setup_s=1e-9)
        bare = plan_flight(
            a_spec(), a_bench(detector=tiny, link=moves_only), rests_at=(600.0, 600.0)
        )
        assert isinstance(plan, FlightPlan)
        assert isinstance(bare, FlightPlan)
        assert plan.duration_s - bare.duration_s == pytest.approx(setup_s)


def test_aimed_lines_have_run_up_for_a_prediction():
    aimed = a_spec(trigger=Trigger(TriggerKind.POSITIONS))
    more = approach_mm(aimed, BENCH) - approach_mm(a_spec(), BENCH)
    assert more == pytest.approx(14 * 32.7 / 200)


@given(st.floats(*SPEEDS))
def test_approach_grows_with_the_speed(speed):
    slow, fast = a_spec(speed_mm_per_s=speed / 2), a_spec(speed_mm_per_s=speed)
    assert 0 < approach_mm(slow, BENCH) < approach_mm(fast, BENCH)
