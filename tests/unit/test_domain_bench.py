"""A bench description refuses to exist when it is wrong."""

import dataclasses
import math

import pytest

from aefi_bluesky.domain.bench.description import AxisDescription, WiringDescription
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.testing.builders import a_bench


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (part, field.name)
        for part in ("x", "y", "motion", "detector", "link")
        for field in dataclasses.fields(getattr(a_bench(), part))
    ],
)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, True, None, "1"])
def test_part_refuses_what_is_no_number(part, field, bad):
    with pytest.raises(ConfigurationError, match=str(bad)):
        dataclasses.replace(getattr(a_bench(), part), **{field: bad})


WIRED = WiringDescription(
    encoder_pulses_per_count=0.390625, sync_output=True, digital_output=5, latch=True
)


@pytest.mark.parametrize("field", ["encoder_pulses_per_count", "digital_output"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, True, False, None, "1"])
def test_wiring_refuses_what_is_no_number(field, bad):
    with pytest.raises(ConfigurationError, match=str(bad)):
        dataclasses.replace(WIRED, **{field: bad})


@pytest.mark.parametrize("field", ["sync_output", "latch"])
@pytest.mark.parametrize("bad", [math.nan, 1, 0, None, "true"])
def test_wiring_refuses_what_is_neither_true_nor_false(field, bad):
    with pytest.raises(ConfigurationError, match=f"{field} must be true or false"):
        dataclasses.replace(WIRED, **{field: bad})


@pytest.mark.parametrize(
    ("field", "bad", "message"),
    [
        ("encoder_pulses_per_count", -1.0, "steps for each encoder count must be from"),
        ("encoder_pulses_per_count", 1e-4, "steps for each encoder count must be from"),
        ("encoder_pulses_per_count", 0.0, "sync_output needs encoders"),
        ("digital_output", 4, "digital output must be a whole number, from 5 to 8"),
        ("digital_output", 9, "digital output must be a whole number, from 5 to 8"),
    ],
)
def test_wiring_that_cannot_be_is_named(field, bad, message):
    with pytest.raises(ConfigurationError, match=message):
        dataclasses.replace(WIRED, **{field: bad})


@pytest.mark.parametrize(
    ("part", "field", "bad", "message"),
    [
        ("x", "um_per_step", 0.0, "micrometres per step"),
        ("x", "travel_max_mm", -1.0, "travel max must be above 0 mm"),
        ("x", "travel_min_mm", 2000.0, "travel max must be above 2000 mm"),
        ("motion", "ramp_s", 0.0, r"ramp_s must be at least|ramp_s must be from"),
        ("motion", "min_speed_mm_per_s", 66.0, "must not be above the maximum"),
        ("detector", "gain", 3, "gain must be 1, 2, 4, 8 or 16, was 3"),
        ("detector", "osr", 4096.0, "oversampling ratio must be a whole number"),
        ("detector", "osr", 1000, "oversampling ratio must be one of 4096"),
        ("detector", "reading_rate_hz", 0.0, "reading rate"),
        ("link", "fix_rate_hz", 0.0, "fix rate"),
        ("link", "line_overhead_s", -0.1, "overhead"),
    ],
)
def test_wrong_number_is_named(part, field, bad, message):
    with pytest.raises(ConfigurationError, match=message):
        dataclasses.replace(getattr(a_bench(), part), **{field: bad})


def test_axis_is_found_by_its_name():
    bench = a_bench(y=AxisDescription(0.0, 10.0, 5.0))
    assert bench.axis("x") is bench.x
    assert bench.axis("y").um_per_step == 5.0


def test_ramp_is_the_mean_speed_times_its_duration():
    motion = a_bench().motion
    assert motion.ramp_length_mm(32.7) == pytest.approx((32.7 + 21.8) / 2 * 0.3)


def test_slow_line_has_no_ramp():
    assert a_bench().motion.ramp_length_mm(21.8) == 0.0


def test_bench_without_a_name_is_refused():
    with pytest.raises(ConfigurationError, match="name must not be empty"):
        a_bench(name="")


def test_description_is_plain():
    assert a_bench().to_plain()["detector"]["osr"] == 4096
