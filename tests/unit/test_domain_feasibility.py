"""Every rule names number, limit and nearest change; what is changed so, flies."""

import dataclasses
import math
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from nearest_changes import changed, followed, leaves_a_line
from scan_strategies import ANY_SPEED, ANYWHERE, BENCH, TRIGGERS, benches, specs

from aefi_bluesky.domain.bench.description import (
    AxisDescription,
    BenchDescription,
    WiringDescription,
)
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.domain.feasibility.reading_rates import detector_rate_hz
from aefi_bluesky.domain.feasibility.report import Change, FeasibilityReport
from aefi_bluesky.domain.feasibility.speed_rules import flown_mm_per_s
from aefi_bluesky.domain.feasibility.speed_spans import (
    WINDOWS,
    controller_speeds,
    ramp_range_s,
)
from aefi_bluesky.domain.feasibility.travel_rules import travel_violations
from aefi_bluesky.domain.flight.load import (
    RING_SAMPLES,
    STATUS_SHARE,
    HostLimits,
    flight_load,
)
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, Trigger, TriggerKind, Zone
from aefi_bluesky.testing.builders import MM_PER_STEP, a_bench, a_spec

HOST = HostLimits(memory_bytes=1e6, stall_s=20.0)
"""Little enough for random scans to ask for more."""

Case = tuple[FlyScanSpec, BenchDescription]


def violation_of(rule, spec, bench=BENCH, host=None):
    report = plan_flight(spec, bench, host=host)
    assert isinstance(report, FeasibilityReport)
    (found,) = [each for each in report.violations if each.rule == rule]
    return found


def with_motion(**changes):
    return a_bench(motion=dataclasses.replace(BENCH.motion, **changes))


def with_link(**changes):
    return a_bench(link=dataclasses.replace(BENCH.link, **changes))


def test_fixes_must_tell_a_readings_frame():
    # 2.5 mm less two steps in 75 ms; 10 ms of a reading's 16 are its integration;
    # 10 fixes/s.
    found = violation_of(
        "fixes per frame", a_spec(), with_link(fix_rate_hz=10.0, fix_line_limit_hz=10.0)
    )
    room_mm = 2.5 - 2 * 0.0218
    assert found.found == pytest.approx((room_mm / 32.7 - 0.006) * 10)
    assert (found.limit, found.unit) == (1, "fixes")
    assert found.suggestion == "fly at 23.17 mm/s at most"
    assert found.nearest == Change(
        "speed_mm_per_s", 23.17, "mm/s", "fly at {:.12g} mm/s at most"
    )


@pytest.mark.parametrize(
    ("start", "ramp_s", "speed", "allowed"),
    [
        # Ranges of the manual's own examples (Arcus reference 6.2).
        (10_000, 200.0, 20_000, True),
        (10_000, 200.1, 20_000, False),
        (9_000, 594.0, 900_000, True),
        (9_000, 594.1, 900_000, False),
        (10, 29.8, 1_500, True),
        (10, 29.9, 1_500, False),
        (10, 0.001, 1_500, False),
        (10, 0.001, 100_000, True),
        (1, 0.3, 100_000, False),
        # Without a ramp there is the start speed alone.
        (1, 0.001, 1, True),
        (1, 0.001, 1.001, False),
        (10, 0.3, 6_000_001, False),
        (10, 0.3, 0.5, False),
    ],
)
def test_controller_takes_ramps_in_its_windows_only(start, ramp_s, speed, allowed):
    motion = dataclasses.replace(
        BENCH.motion, start_speed_mm_per_s=float(start), ramp_s=ramp_s
    )
    assert (speed in controller_speeds(motion, 1.0)) is allowed


def test_windows_rise_without_a_gap():
    tops = [window.top for window in WINDOWS]
    assert tops == sorted(set(tops))


def test_ramp_too_steep_for_the_controller_is_refused():
    found = violation_of("ramp", a_spec(), with_motion(ramp_s=0.001))
    assert "which allows 0.002 to 10 s" in found.message
    assert found.suggestion == "fly at 21.8 mm/s"


def test_ramp_between_lines_must_be_one_the_controller_has():
    found = violation_of(
        "positioning ramp", a_spec(), with_motion(positioning_speed_mm_per_s=22.0)
    )
    assert found.limit == pytest.approx((1009 - 1000) / 50)
    assert found.suggestion in [
        f"set the ramp of the bench to {ramp} s" for ramp in ("0.18", "0.1799")
    ]


def test_rings_must_bear_a_stalled_consumer():
    found = violation_of("stalled fixes", a_spec(), with_link(fix_rate_hz=30_000.0))
    assert found.found == pytest.approx(262_144 / 30_000)
    assert (found.limit, found.unit) == (10.0, "s")
    assert "no change of the scan spec helps" in found.suggestion


def test_rings_are_as_large_as_the_engines():
    """A ring cannot be filled in a flight of a test: virtual time waits for room."""
    shell = Path(__file__).parents[2] / "rust/aefi-scan-engine/src/shell/mod.rs"
    text = shell.read_text(encoding="utf-8")
    (samples,) = re.findall(r"const SAMPLES: usize = ([\d_]+);", text)
    assert int(samples) == RING_SAMPLES
    assert text.count("ring(SAMPLES)") == 2
    for stall_s, is_refused in ((RING_SAMPLES / 200 + 1, True), (1310.0, False)):
        planned = plan_flight(a_spec(), BENCH, host=HostLimits(stall_s=stall_s))
        assert isinstance(planned, FeasibilityReport) is is_refused


@pytest.mark.parametrize(
    ("n_avg", "rate_hz"),
    [(1, 62.5), (10, 62.5), (15, 62.5), (16, 31.25), (127, 7.8125)],
)
def test_readings_come_at_the_ticks_of_the_adapter(n_avg, rate_hz):
    detector = dataclasses.replace(
        BENCH.detector, exchange_s=0.0006, latency_tick_s=0.016
    )
    spec, bench = a_spec(n_avg=n_avg), a_bench(detector=detector)
    assert detector_rate_hz(spec, bench) == pytest.approx(rate_hz)


def test_period_must_bear_a_tick_that_was_just_missed():
    detector = dataclasses.replace(
        BENCH.detector, exchange_s=0.0006, latency_tick_s=0.016
    )
    spec = a_spec(trigger=Trigger(TriggerKind.PERIODIC, 0.02))
    found = violation_of("trigger period", spec, a_bench(detector=detector))
    assert found.limit == pytest.approx(0.010 + 0.0006 + 0.016)
    # A reading of ten conversions takes a tick at least: this one may do.
    assert found.guard == pytest.approx(found.limit - 0.016)
    assert not found.fails_for_certain
    assert "within the guard band" in str(found)


def test_frame_narrower_than_a_step_is_refused():
    spec = a_spec(zone=Zone(590.0, 610.0, 600.0, 600.16), speed_mm_per_s=1.1)
    assert violation_of("fixes per frame", spec).found < 0


def test_travel_ends_at_a_whole_step():
    # Nine tenths of a step are no room: the axis would stop at the step beyond.
    y = AxisDescription(0.0, (28_394 + 0.9) * 0.0218, 21.8)
    spec = a_spec(zone=Zone(590.0, 610.0, 600.0, 610.0))
    bench = a_bench(y=y)
    over = violation_of("travel", spec, bench)
    assert over.limit == pytest.approx(28_394 * 0.0218)
    assert over.found / 0.0218 == pytest.approx(round(over.found / 0.0218))
    better = changed(spec, bench, over.nearest)
    assert isinstance(plan_flight(*better), FlightPlan)


def test_places_to_aim_at_lie_steps_apart():
    zone = Zone(590.0, 610.0, 600.0, 601.0)
    spec = a_spec(
        zone=zone,
        speed_mm_per_s=1.1,
        min_readings_per_frame=2,
        trigger=Trigger(TriggerKind.POSITIONS),
    )
    found = violation_of("aim", spec)
    assert (found.found, found.limit) == (pytest.approx(1 / 16), 4 * 0.0218)
    assert found.suggestion == "use 6 frames at most in a line along y"
    assert found.nearest.value == 6


def test_numbers_beyond_the_guard_band_fail_for_certain():
    # 4.7 readings of 16 ms fit into a frame less a step.
    near = violation_of("readings per frame", a_spec(min_readings_per_frame=5))
    assert near.found == pytest.approx((2.5 - 0.0218) / 32.7 * 62.5)
    assert not near.fails_for_certain
    far = violation_of("readings per frame", a_spec(min_readings_per_frame=20))
    assert far.fails_for_certain
    assert "guard band" not in str(far)


def test_speed_is_judged_as_it_is_flown():
    # Less than half a step/s too fast is flown as the limit itself.
    limit = BENCH.motion.max_speed_mm_per_s
    nearly = a_spec(speed_mm_per_s=limit + 0.4 * 0.0218, min_readings_per_frame=1)
    rules = [each.rule for each in _violations((nearly, BENCH))]
    assert "speed" not in rules
    over = violation_of("speed", a_spec(speed_mm_per_s=limit + 0.6 * 0.0218))
    assert over.fails_for_certain
    assert over.found == pytest.approx(limit + 0.0218)


def test_documents_must_fit_into_memory():
    found = violation_of(
        "memory", a_spec(n_x=600, n_y=40), host=HostLimits(memory_bytes=2**20)
    )
    assert found.found == 600 * 40 * 2048
    assert found.suggestion == "fly 12 lines at most along x"


def test_no_number_of_lines_is_suggested_where_a_line_is_too_long():
    found = violation_of("memory", a_spec(), host=HostLimits(memory_bytes=1000))
    assert found.suggestion.startswith("no number of lines fits")


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
@pytest.mark.parametrize("name", ["memory_bytes", "stall_s"])
def test_limits_of_a_host_are_positive_numbers(name, bad):
    with pytest.raises(ConfigurationError, match="host: "):
        HostLimits(**{name: bad})


def test_load_of_the_small_map():
    load = flight_load(a_spec(), BENCH)
    assert load.readings_per_frame == pytest.approx(2.5 / 32.7 * 62.5)
    assert load.fixes_per_frame == pytest.approx(2.5 / 32.7 * 190)
    assert load.memory_bytes == 81 * 2048
    assert load.bearable_stall_s == pytest.approx(262_144 / 200)


def test_a_period_thins_the_readings_out():
    periodic = a_spec(trigger=Trigger(TriggerKind.PERIODIC, 0.1))
    assert flight_load(periodic, BENCH).readings_per_frame == pytest.approx(25 / 32.7)


def _violations(case: Case):
    planned = plan_flight(*case, host=HOST)
    return [] if isinstance(planned, FlightPlan) else planned.violations


def _rule(violation):
    """Return the rule, that of travel by its axis."""
    return violation.rule, violation.message[:6]


any_specs = specs(speeds=ANY_SPEED, ends=ANYWHERE, triggers=TRIGGERS)


@settings(max_examples=500)
@given(any_specs, benches())
def test_suggestion_is_accepted_when_applied(spec, bench):
    violations = _violations((spec, bench))
    for violation in violations:
        change = violation.nearest
        if isinstance(change, Change) and leaves_a_line(spec, change):
            left = [_rule(each) for each in _violations(changed(spec, bench, change))]
            assert _rule(violation) not in left, violation


@settings(max_examples=300)
@given(any_specs)
def test_following_the_suggestions_ends_in_a_plan(spec):
    followed(spec, BENCH, HOST)


def _is_in_travel(place_mm: float, axis: AxisDescription) -> bool:
    """Whether the whole step next to a place, where the axis stops, is."""
    steps, per_mm = round(place_mm * 1000 / axis.um_per_step), 1000 / axis.um_per_step
    low, high = axis.travel_min_mm * per_mm, axis.travel_max_mm * per_mm
    return low - 1e-6 <= steps <= high + 1e-6


@settings(max_examples=500, suppress_health_check=[HealthCheck.filter_too_much])
@given(any_specs, benches())
def test_accepted_plan_stays_inside_all_limits(spec, bench):
    # Few random scans suit a random bench as they are.
    case = followed(spec, bench, HOST)
    assume(case is not None)
    spec, bench = case
    plan = plan_flight(spec, bench, host=HOST)
    for line in plan.lines:
        assert _is_in_travel(line.slow_mm, bench.axis(plan.slow_axis))
        for place in (line.start_mm, line.end_mm):
            assert _is_in_travel(place, bench.axis(plan.fast_axis))
    motion, load = bench.motion_along(plan.fast_axis), flight_load(spec, bench)
    speed = flown_mm_per_s(spec, bench)
    assert speed >= motion.min_speed_mm_per_s * (1 - 1e-8)
    assert speed <= motion.max_speed_mm_per_s * (1 + 1e-8)
    # What is asked for is flown as whole steps/s.
    asked = plan.speed_mm_per_s / speed
    assert load.readings_per_frame * asked >= spec.min_readings_per_frame * (1 - 1e-8)
    assert load.fixes_per_frame * asked >= (1 - STATUS_SHARE) * (1 - 1e-8)
    assert load.memory_bytes <= HOST.memory_bytes
    assert load.bearable_stall_s >= HOST.stall_s * (1 - 1e-8)
    assert 0 < plan.duration_error_s < math.inf
    assert 0 < plan.duration_s < math.inf


@settings(max_examples=300)
@given(any_specs, benches())
def test_violation_has_its_numbers_and_a_change(spec, bench):
    for violation in _violations((spec, bench)):
        assert violation.found == violation.found
        assert violation.rule
        assert violation.message
        assert violation.suggestion


# -- figures of the controller ----------------------------------------------------


# Top of the window and least start speed in steps/s, and least ramp in ms (Arcus
# reference, section 6.2), written once more here.
CONTROLLER = [
    (65_000, 1, 2),
    (130_000, 2, 1),
    (325_000, 5, 1),
    (650_000, 10, 1),
    (1_300_000, 20, 1),
    (3_200_000, 50, 1),
    (6_000_000, 100, 1),
]


def test_the_windows_are_those_of_the_controller():
    found = [(each.top, each.lowest_start, each.shortest_ramp_ms) for each in WINDOWS]
    assert found == CONTROLLER


@pytest.mark.parametrize(
    ("high", "low", "longest_s"),
    [
        # The first two are the manual's own examples, the third is the bench's.
        *((20_000, 10_000, 200.0), (900_000, 9_000, 594.0), (1500, 10, 29.8)),
        *((100_000, 1000, 990.0), (300_000, 1000, 1495.0), (600_000, 1000, 748.75)),
        *((2_000_000, 3800, 525.3157894737), (5_000_000, 5000, 666.0)),
    ],
)
def test_the_longest_ramp_is_that_of_the_speeds_window(high, low, longest_s):
    """(HS - LS) by the window's figure, in s (Arcus reference, section 6.2)."""
    motion = dataclasses.replace(BENCH.motion, start_speed_mm_per_s=low * MM_PER_STEP)
    allowed = ramp_range_s(high * MM_PER_STEP, motion, MM_PER_STEP)
    assert allowed[1] == pytest.approx(longest_s, rel=1e-9)


@pytest.mark.parametrize(
    ("kind", "exchanges"),
    [(TriggerKind.SYNC_OUTPUT, 9), (TriggerKind.DIGITAL_OUTPUT, 3)],
)
def test_a_pulse_takes_its_exchanges_on_the_link(kind, exchanges):
    """A frame that is passed in less is refused, one in a little more is not."""
    wiring = WiringDescription(
        encoder_pulses_per_count=1.0, sync_output=True, digital_output=5
    )
    link = dataclasses.replace(BENCH.link, fix_rate_hz=40.0)
    bench = a_bench(wiring=wiring, link=link)

    def needs_s(speed_mm_per_s):
        spec = a_spec(trigger=Trigger(kind), speed_mm_per_s=speed_mm_per_s)
        planned = plan_flight(spec, bench)
        rules = getattr(planned, "violations", ())
        return [each.limit for each in rules if each.rule == "time for pulses"]

    assert needs_s(60.0) == [pytest.approx(exchanges / 40.0)]
    assert needs_s(0.9 * 2.3 / (exchanges / 40.0)) == []


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("steps", [(0, 40_000), (3, 7), (-5, 20_001)])
def test_a_place_may_be_at_the_very_ends_of_a_travel_of_whole_steps(axis, steps):
    ends_mm = [step * MM_PER_STEP for step in steps]
    travel = AxisDescription(*ends_mm, MM_PER_STEP * 1000)
    bench = a_bench(**{axis: travel})

    def found(place_mm):
        return list(travel_violations(axis, (place_mm, place_mm), bench, is_place=True))

    for place_mm, outwards in zip(ends_mm, (-1, 1), strict=True):
        assert found(place_mm) == []
        assert found(place_mm + outwards * 0.49 * MM_PER_STEP) == []
        (violation,) = found(place_mm + outwards * 0.51 * MM_PER_STEP)
        assert violation.limit == pytest.approx(place_mm)
