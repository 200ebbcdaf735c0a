"""Lines that are flown again, and with the excitation muted."""

import collections
import dataclasses
import json

import numpy as np
import pytest
from hypothesis import assume, given
from scan_strategies import BENCH, fly_specs

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.flight.duration import flight_duration
from aefi_bluesky.domain.flight.load import HostLimits, document_bytes
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.results.map_image import map_image
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, Pattern, Zone
from aefi_bluesky.testing.builders import a_plan, a_spec

LINE = {
    "from_mm": 590.0,
    "to_mm": 610.0,
    "at_mm": 600.0,
    "n_frames": 9,
    "speed_mm_per_s": 32.7,
    "n_avg": 10,
    "excitation": a_spec().excitation,
}


@given(fly_specs())
def test_every_pixel_appears_once_a_repeat_and_twice_if_differential(spec):
    plan = plan_flight(spec, BENCH)
    assume(isinstance(plan, FlightPlan))
    pixels = zip(plan.frame_ix.tolist(), plan.frame_iy.tolist(), strict=True)
    muted = plan.frame_muted.tolist()
    times = collections.Counter(zip(pixels, muted, strict=True))
    assert set(times.values()) == {spec.repeats}
    assert len(times) == spec.n_x * spec.n_y * (2 if spec.differential else 1)
    assert plan.n_frames == spec.n_frames
    assert len(plan.lines) == spec.n_lines


@given(fly_specs())
def test_lines_are_numbered_through_and_muted_ones_follow_driven_ones(spec):
    plan = plan_flight(spec, BENCH)
    assume(isinstance(plan, FlightPlan))
    assert [line.index for line in plan.lines] == list(range(spec.n_lines))
    n_frames = spec.count_along(spec.effective_fast_axis)
    for line in plan.lines:
        assert line.first_frame == line.index * n_frames
        assert line.muted == (spec.differential and line.index % 2 == 1)
        descends = line.window_stop_mm < line.window_start_mm
        serpentine = spec.pattern is Pattern.SERPENTINE
        assert descends == (serpentine and line.index % 2 == 1)
    rows = [line.slow_mm for line in plan.lines]
    assert rows == np.repeat(rows[:: spec.lines_per_row], spec.lines_per_row).tolist()
    assert rows == sorted(rows)


@given(fly_specs())
def test_plan_made_plain_keeps_what_is_muted(spec):
    plan = plan_flight(spec, BENCH)
    assume(isinstance(plan, FlightPlan))
    again = FlightPlan.from_plain(json.loads(json.dumps(plan.to_plain())))
    assert again.lines == plan.lines
    assert again.frame_ix.tolist() == plan.frame_ix.tolist()
    assert again.digest == plan.digest


def test_digest_tells_what_is_muted():
    twice, muted = a_plan(repeats=2), a_plan(differential=True)
    assert len(twice.lines) == len(muted.lines) == 18
    assert twice.digest != muted.digest
    plain = muted.to_plain()
    plain["lines"][1] = [*plain["lines"][1][:-1], False]
    with pytest.raises(InvalidScanSpecError, match="flight plan has digest"):
        FlightPlan.from_plain(plain)


@pytest.mark.parametrize("pattern", Pattern)
def test_each_repeat_takes_as_long_as_the_next(pattern):
    once, twice, thrice = (
        flight_duration(a_spec(repeats=n, pattern=pattern), BENCH) for n in (1, 2, 3)
    )
    nine_lines_s = twice.seconds - once.seconds
    assert nine_lines_s > 9 * 9 * 2.5 / 32.7
    assert thrice.seconds - twice.seconds == pytest.approx(nine_lines_s)
    assert once.error_s < twice.error_s < thrice.error_s


def test_muting_takes_four_exchanges_or_none():
    twice = flight_duration(a_spec(repeats=2), BENCH)
    muted = flight_duration(a_spec(differential=True), BENCH)
    muting = 17 * 4 / BENCH.detector.reading_rate_hz
    assert muted.seconds - twice.seconds == pytest.approx(muting)
    assert muted.error_s - twice.error_s == pytest.approx(muting)


def test_documents_hold_every_repeat():
    spec = a_spec(repeats=3, differential=True)
    assert document_bytes(spec) == 6 * document_bytes(a_spec())
    host = HostLimits(memory_bytes=document_bytes(spec) / 2)
    (violation,) = plan_flight(spec, BENCH, host=host).violations
    assert "486 frames" in violation.message
    assert violation.suggestion == "fly 4 positions at most along x"
    fewer = dataclasses.replace(spec, n_x=4)
    assert isinstance(plan_flight(fewer, BENCH, host=host), FlightPlan)


def test_calibration_line_goes_there_and_back():
    spec = FlyScanSpec.calibration_line("y", there_and_back=2, **LINE)
    assert spec.zone == Zone(600.0, 600.0, 590.0, 610.0)
    lines = plan_flight(spec, BENCH).lines
    starts = [line.window_start_mm for line in lines]
    assert starts == [588.75, 611.25, 588.75, 611.25]
    assert {line.slow_mm for line in lines} == {600.0}


def test_line_is_a_map_of_one_row():
    spec = FlyScanSpec.line("x", **LINE, gap_fill_passes=1)
    assert spec.zone == Zone(590.0, 610.0, 600.0, 600.0)
    assert (spec.n_x, spec.n_y, spec.n_lines) == (9, 1, 1)
    assert (spec.fast_axis, spec.gap_fill_passes) == ("x", 1)


def test_calibration_line_is_not_differential():
    with pytest.raises(InvalidScanSpecError, match="every way back would be muted"):
        FlyScanSpec.calibration_line("x", differential=True, **LINE)


@pytest.mark.parametrize(
    ("field", "bad", "message"),
    [
        ("repeats", 0, "repeats of a line must be a whole number"),
        ("repeats", 1.0, "repeats of a line must be a whole number"),
        ("repeats", 200_000, "at most 10000000 frames, .* .1800000 lines of 9"),
        ("differential", 1, "differential must be of type bool, was 1"),
        ("differential", None, "differential must be of type bool"),
    ],
)
def test_wrong_repeats_are_refused(field, bad, message):
    with pytest.raises(InvalidScanSpecError, match=message):
        a_spec(**{field: bad})


def test_pixel_is_the_mean_of_its_frames():
    plan = a_plan(n_x=2, repeats=2, differential=True)
    values = np.where(plan.frame_muted, -1.0, 1.0) * np.arange(plan.n_frames)
    for muted in (False, True):
        image = map_image(plan, np.arange(plan.n_frames), values, muted=muted)
        for ix, iy in np.ndindex(2, 9):
            at = (plan.frame_ix == ix) & (plan.frame_iy == iy)
            own = values[at & (plan.frame_muted == muted)]
            assert len(own) == 2
            assert image[iy, ix] == own.mean()


def test_pixel_without_a_frame_has_no_value():
    image = map_image(a_plan(n_x=2), [0], [5.0])
    assert image[0, 0] == 5.0
    assert np.isnan(image).sum() == image.size - 1
    assert np.isnan(map_image(a_plan(n_x=2), [0], [5.0], muted=True)).all()
