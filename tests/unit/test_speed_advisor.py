"""What noise a speed costs, and which speed a noise or a duration allows."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scan_strategies import BENCH

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.feasibility.speed_advisor import (
    ReadingNoise,
    SpeedAdvice,
    advise_speed,
    cost_of_speed,
)
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.testing.builders import MM_PER_STEP, a_bench, a_spec

NOISE = ReadingNoise((100e-6,))


def test_noise_of_a_frames_mean_is_that_of_a_reading_over_the_root_of_their_number():
    cost = cost_of_speed(a_spec(), BENCH, NOISE)
    assert cost.readings_per_frame == pytest.approx(2.5 * 62.5 / 32.7)
    assert cost.noise_v == pytest.approx([100e-6 / math.sqrt(2.5 * 62.5 / 32.7)])
    assert cost.blur_mm == pytest.approx(32.7 * 0.01)


def test_averaging_quietens_a_reading_until_it_costs_readings():
    for n_avg, factor in ((10, 1.0), (5, math.sqrt(2)), (40, math.sqrt(2.5 / 4))):
        cost = cost_of_speed(a_spec(n_avg=n_avg), BENCH, NOISE)
        expected = 100e-6 / math.sqrt(2.5 * 62.5 / 32.7) * factor
        assert cost.noise_v == pytest.approx([expected]), n_avg


def test_each_channel_has_its_noise_and_the_noisiest_decides():
    noise = ReadingNoise((20e-6, 100e-6, 50e-6))
    both = [
        advise_speed(a_spec(), BENCH, each, target_v=40e-6) for each in (NOISE, noise)
    ]
    assert both[0].speed_mm_per_s == both[1].speed_mm_per_s
    assert len(both[1].noise_v) == 3


def test_target_gives_the_fastest_speed_that_reaches_it():
    advice = advise_speed(a_spec(), BENCH, NOISE, target_v=40e-6)
    assert advice.speed_mm_per_s == pytest.approx(2.5 * 62.5 * 0.4**2)
    assert advice.noise_v == pytest.approx([40e-6])


def test_target_that_any_speed_reaches_gives_the_fastest():
    advice = advise_speed(a_spec(), BENCH, NOISE, target_v=1.0)
    assert advice.speed_mm_per_s == pytest.approx(65.4)


def test_duration_gives_the_slowest_speed_that_keeps_it():
    advice = advise_speed(a_spec(), BENCH, NOISE, longest_s=60.0)
    assert advice.duration.seconds + advice.duration.error_s <= 60.0
    # The controller flies whole steps a second.
    slower = a_spec(speed_mm_per_s=advice.speed_mm_per_s - MM_PER_STEP)
    duration = cost_of_speed(slower, BENCH, NOISE).duration
    assert duration.seconds + duration.error_s > 60.0


def test_target_out_of_reach_is_refused_with_what_is_in_reach():
    report = advise_speed(a_spec(), BENCH, NOISE, target_v=1e-6)
    assert isinstance(report, FeasibilityReport)
    (violation,) = report.violations
    assert violation.rule == "noise"
    assert violation.found == pytest.approx(100e-6 / math.sqrt(2.5 * 62.5 / 1.09))
    assert (violation.limit, violation.unit) == (1e-6, "V")


def test_duration_out_of_reach_is_refused_with_what_is_in_reach():
    report = advise_speed(a_spec(), BENCH, NOISE, longest_s=10.0)
    assert isinstance(report, FeasibilityReport)
    (violation,) = report.violations
    assert violation.rule == "duration"
    allowed = float(violation.suggestion.split()[1])
    better = advise_speed(a_spec(), BENCH, NOISE, longest_s=allowed)
    assert isinstance(better, SpeedAdvice)


def test_quiet_and_quick_at_once_may_be_too_much():
    report = advise_speed(a_spec(), BENCH, NOISE, target_v=20e-6, longest_s=40.0)
    assert isinstance(report, FeasibilityReport)
    assert [each.rule for each in report.violations] == ["duration"]


def test_bench_without_a_usable_speed_says_why():
    report = advise_speed(
        a_spec(min_readings_per_frame=10_000), BENCH, NOISE, target_v=1.0
    )
    assert isinstance(report, FeasibilityReport)
    assert "readings per frame" in [each.rule for each in report.violations]


def test_advice_needs_a_wish():
    with pytest.raises(InvalidScanSpecError, match="had neither"):
        advise_speed(a_spec(), BENCH, NOISE)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_numbers_that_are_none_are_refused(bad):
    with pytest.raises(InvalidScanSpecError, match="noise of a reading"):
        ReadingNoise((bad,))
    for wish in ("target_v", "longest_s"):
        with pytest.raises(
            InvalidScanSpecError, match=r"target noise|longest duration"
        ):
            advise_speed(a_spec(), BENCH, NOISE, **{wish: bad})


@given(
    st.floats(1e-6, 1e-3),
    st.floats(1.0, 2000.0),
    st.sampled_from(["target_v", "longest_s", "both"]),
    st.sampled_from(["serpentine", "raster"]),
    st.floats(1.0, 60.0),
)
def test_advice_is_accepted_and_keeps_its_word(target_v, longest, wish, pattern, start):
    bench = a_bench(
        motion=dataclasses.replace(BENCH.motion, start_speed_mm_per_s=start)
    )
    wishes = {"target_v": target_v, "longest_s": longest}
    if wish != "both":
        wishes = {wish: wishes[wish]}
    spec = a_spec(pattern=type(a_spec().pattern)(pattern))
    advice = advise_speed(spec, bench, NOISE, **wishes)
    if isinstance(advice, FeasibilityReport):
        return
    flown = dataclasses.replace(spec, speed_mm_per_s=advice.speed_mm_per_s)
    assert isinstance(plan_flight(flown, bench), FlightPlan)
    if "target_v" in wishes:
        assert max(advice.noise_v) <= target_v * (1 + 1e-9)
    if "longest_s" in wishes:
        assert advice.duration.seconds + advice.duration.error_s <= longest * (1 + 1e-9)
