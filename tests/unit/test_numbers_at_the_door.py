"""No plan, digest or file depends on whether somebody wrote 610, 610.0 or numpy's."""

import dataclasses
import json
import sys
from enum import Enum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aefi_bluesky.domain.bench.calibration import Calibration
from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.checks import require_count, require_number
from aefi_bluesky.domain.errors import AefiError, InvalidScanSpecError
from aefi_bluesky.domain.feasibility.speed_advisor import ReadingNoise
from aefi_bluesky.domain.flight.load import HostLimits
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    ExcitationMode,
    FlyScanSpec,
    Pattern,
    Trigger,
    TriggerKind,
    Zone,
)
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.testing.builders import a_bench, a_spec

WRITTEN = (int, float, np.int64, np.int32, np.float64, np.float32, np.array)
"""Ways to write a whole number where a float is meant."""
COUNTED = (int, np.int64, np.uint16, np.array)
"""Ways to write a count."""


def rewritten(value, number, count):
    """Return a record with all its numbers written otherwise."""
    if dataclasses.is_dataclass(value):
        changed = {
            field.name: rewritten(getattr(value, field.name), number, count)
            for field in dataclasses.fields(value)
        }
        return type(value)(**changed)
    if isinstance(value, tuple):
        return tuple(rewritten(each, number, count) for each in value)
    if isinstance(value, bool | str | Enum) or value is None:
        return value
    if isinstance(value, float):
        return number(value) if value.is_integer() else np.float64(value)
    if isinstance(value, int):
        return count(value)
    return value


EXCITATION = Excitation(ExcitationMode.X_DIR, 50.0, 20.0, 1000.0)
RECORDS = [
    a_spec(zone=Zone(600.0, 620.0, 590.0, 610.0), speed_mm_per_s=20.0, repeats=2),
    a_spec(trigger=Trigger(TriggerKind.PERIODIC, 1.0)),
    StepMapSpec(Zone(1.0, 2.0, 3.0, 4.0), 2, 3, Pattern.COMB, "x", 10, EXCITATION),
    PointSpec(600.0, 610.0, 10, EXCITATION, settle_s=1.0),
    TimeSeriesSpec(600.0, 610.0, 10, EXCITATION, count=5, period_s=1.0),
    FrequencySequenceSpec(600.0, 610.0, 10, EXCITATION, frequencies_hz=(100.0, 1e3)),
    a_bench(),
    HostLimits(memory_bytes=1e6, stall_s=2.0),
    ReadingNoise((1.0, 2.0), 10),
    MeasuredObject("ball", size_mm=(1.0, 2.0, 3.0), depth_mm=4.0),
    Calibration("bench", lag_s=1.0, fix_rate_hz=400.0, noise_v=(1.0,), noise_n_avg=4),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("count", COUNTED)
@pytest.mark.parametrize("number", WRITTEN)
def test_records_are_the_same_however_their_numbers_are_written(record, number, count):
    assert repr(rewritten(record, number, count)) == repr(record)


WHOLE = st.integers(300, 900)


@given(
    st.tuples(WHOLE, WHOLE, WHOLE),
    st.sampled_from(["x", "y"]),
    st.integers(2, 60),
    st.sampled_from(WRITTEN),
    st.sampled_from(COUNTED),
)
def test_a_plan_has_one_digest_and_survives_its_file(
    places, axis, speed, number, count
):
    at, low, way = places

    def plan(number, count):
        spec = FlyScanSpec.line(
            axis,
            from_mm=number(low),
            to_mm=number(low + way // 4),
            at_mm=number(at),
            n_frames=count(9),
            speed_mm_per_s=number(speed),
            n_avg=count(10),
            excitation=Excitation(
                ExcitationMode.X_DIR, number(50), number(50), number(1000)
            ),
        )
        return plan_flight(spec, rewritten(a_bench(), number, count))

    one, other = plan(float, int), plan(number, count)
    if not isinstance(one, FlightPlan):
        assert not isinstance(other, FlightPlan)
        return
    assert isinstance(other, FlightPlan)
    assert other.digest == one.digest
    assert json.dumps(other.to_plain()) == json.dumps(one.to_plain())
    again = FlightPlan.from_plain(json.loads(json.dumps(other.to_plain())))
    assert again.digest == one.digest
    assert repr(again.lines) == repr(one.lines)


@pytest.mark.parametrize(
    "value", [True, np.bool_(True), "600", None, [600], np.array([600]), 1j, np.nan]
)
def test_what_is_no_number_is_none_whoever_wrote_it(value):
    with pytest.raises(AefiError):
        Zone(value, 610.0, 600.0, 610.0)
    with pytest.raises(AefiError):
        a_spec(n_x=value)


def test_a_bench_is_told_with_floats_where_floats_are_meant():
    plain = a_bench().to_plain()
    plain["x"] = {"travel_min_mm": 0, "travel_max_mm": 1200, "um_per_step": 22}
    bench = BenchDescription.from_plain(plain)
    assert repr(bench.to_plain()["x"]) == repr(
        {"travel_min_mm": 0.0, "travel_max_mm": 1200.0, "um_per_step": 22.0}
    )


@pytest.mark.parametrize("value", [-2.0, 0, 5])
def test_both_ends_of_a_range_are_in_it(value):
    assert require_number("n", value, "mm", -2, 5) == value
    assert require_count("n", int(value), -2, 5) == value


@pytest.mark.parametrize("value", [-2.0000001, 5.0000001, 1e400, -1e400, 10**400])
def test_what_is_beyond_an_end_is_not(value):
    with pytest.raises(InvalidScanSpecError, match="n must be from -2 to 5 mm, was"):
        require_number("n", value, "mm", -2, 5)


@pytest.mark.parametrize("value", [-3, 6])
def test_a_count_beyond_an_end_is_refused(value):
    with pytest.raises(InvalidScanSpecError, match=r"whole number, from -2 to 5, was"):
        require_count("n", value, -2, 5)
    with pytest.raises(InvalidScanSpecError, match=r"whole number, at least 7, was"):
        require_count("n", value, 7)


def test_the_largest_float_is_one_and_more_is_none():
    assert require_number("n", sys.float_info.max, "V") == sys.float_info.max
    with pytest.raises(InvalidScanSpecError, match="a finite number in V"):
        require_number("n", 2 * int(sys.float_info.max), "V")
