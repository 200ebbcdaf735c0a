"""Every rule names number, limit and nearest change; what is changed so, flies."""

import dataclasses
import math
import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from scan_strategies import ANY_SPEED, ANYWHERE, BENCH, TRIGGERS, benches, specs

from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.domain.feasibility import FeasibilityReport
from aefi_bluesky.domain.flight_load import HostLimits, flight_load
from aefi_bluesky.domain.flight_plan import FlightPlan
from aefi_bluesky.domain.planning import plan_flight
from aefi_bluesky.domain.scan_spec import FlyScanSpec, Trigger, TriggerKind
from aefi_bluesky.domain.speed_spans import WINDOWS, controller_speeds
from aefi_bluesky.testing.builders import a_bench, a_spec

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
    # 2.5 mm in 76 ms; 10 ms of a reading's 16 are its integration; 0.95 * 25 fixes/s.
    found = violation_of(
        "fixes per frame", a_spec(), with_link(fix_rate_hz=25.0, fix_line_limit_hz=25.0)
    )
    assert found.found == pytest.approx((2.5 / 32.7 - 0.006) * 0.95 * 25)
    assert (found.limit, found.unit) == (2, "fixes")
    assert found.suggestion == "fly at 27.71 mm/s at most"


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
    assert "which takes 0.002 to 10 s" in found.message
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
    assert "no scan spec changes that" in found.suggestion


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


def _numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+\.?\d*(?:e[+-]\d+)?", text)]


def _in_zone(spec: FlyScanSpec, suggestion: str) -> FlyScanSpec | None:
    axis, room = suggestion[-1], _numbers(suggestion)
    low, high = (min(max(end, room[0]), room[1]) for end in spec.zone.along(axis))
    if low == high:
        return None
    ends = {f"{axis}_min_mm": low, f"{axis}_max_mm": high}
    return dataclasses.replace(spec, zone=dataclasses.replace(spec.zone, **ends))


def _applied(case: Case, suggestion: str) -> Case | None:
    """Return what is suggested, or None where only a person can choose."""
    spec, bench = case
    if suggestion.startswith("no "):
        return None
    if suggestion.startswith("keep the zone"):
        better = _in_zone(spec, suggestion)
        return better and (better, bench)
    (number,) = _numbers(suggestion)
    if suggestion.startswith("fly at"):
        return dataclasses.replace(spec, speed_mm_per_s=number), bench
    if suggestion.startswith("set the ramp"):
        motion = dataclasses.replace(bench.motion, ramp_s=number)
        return spec, dataclasses.replace(bench, motion=motion)
    if suggestion.startswith("fly "):
        axis = suggestion[-1]
        return dataclasses.replace(spec, **{f"n_{axis}": int(number)}), bench
    assert suggestion.startswith(("read periodically", "use a period"))
    trigger = Trigger(TriggerKind.PERIODIC, number)
    return dataclasses.replace(spec, trigger=trigger), bench


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
        better = _applied((spec, bench), violation.suggestion)
        if better is not None:
            left = [_rule(each) for each in _violations(better)]
            assert _rule(violation) not in left, violation


def _followed(case: Case) -> Case | None:
    """Return what following the last suggestion again and again leads to, if any."""
    for _ in range(12):
        violations = _violations(case)
        if not violations:
            return case
        better = _applied(case, violations[-1].suggestion)
        if better is None:
            return None
        case = better
    pytest.fail(f"no end of suggestions: {violations}")


@settings(max_examples=300)
@given(any_specs)
def test_following_the_suggestions_ends_in_a_plan(spec):
    _followed((spec, BENCH))


@settings(max_examples=500, suppress_health_check=[HealthCheck.filter_too_much])
@given(any_specs, benches())
def test_accepted_plan_stays_inside_all_limits(spec, bench):
    # Few random scans suit a random bench as they are.
    case = _followed((spec, bench))
    assume(case is not None)
    spec, bench = case
    plan = plan_flight(spec, bench, host=HOST)
    fast, slow = bench.axis(plan.fast_axis), bench.axis(plan.slow_axis)
    for line in plan.lines:
        assert slow.travel_min_mm <= line.slow_mm <= slow.travel_max_mm
        for place in (line.start_mm, line.end_mm):
            assert fast.travel_min_mm <= place <= fast.travel_max_mm
    motion, load = bench.motion, flight_load(spec, bench)
    assert plan.speed_mm_per_s >= motion.min_speed_mm_per_s * (1 - 1e-8)
    assert plan.speed_mm_per_s <= motion.max_speed_mm_per_s * (1 + 1e-8)
    assert load.readings_per_frame >= spec.min_readings_per_frame
    assert load.fixes_per_frame >= 2 * (1 - 1e-8)
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
