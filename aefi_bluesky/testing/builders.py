"""Valid values for tests; each test overrides what it is about."""

from __future__ import annotations

import dataclasses
from typing import Any

from aefi_bluesky.domain.bench.description import (
    AxisDescription,
    BenchDescription,
    DetectorDescription,
    LinkDescription,
    MotionDescription,
)
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import Excitation, FlyScanSpec, Pattern, Zone
from aefi_bluesky.domain.spec.step_spec import StepMapSpec
from aefi_bluesky.domain.study.events import ScanId, StudyId
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.study import ScanRole, Study

MM_PER_STEP = 0.0218
"""Way of a step of both axes of `a_bench`, in mm."""


def a_bench(**overrides: Any) -> BenchDescription:
    """Return the bench of the standard map; `overrides` are its fields."""
    bench = BenchDescription(
        name="test bench",
        x=AxisDescription(0.0, 58242 * MM_PER_STEP, MM_PER_STEP * 1000),
        y=AxisDescription(0.0, 56320 * MM_PER_STEP, MM_PER_STEP * 1000),
        motion=MotionDescription(
            start_speed_mm_per_s=1000 * MM_PER_STEP,
            ramp_s=0.3,
            positioning_speed_mm_per_s=3000 * MM_PER_STEP,
            min_speed_mm_per_s=50 * MM_PER_STEP,
            max_speed_mm_per_s=3000 * MM_PER_STEP,
        ),
        detector=DetectorDescription(
            reading_rate_hz=62.5,
            vref_v=2.442,
            gain=1,
            osr=4096,
            conversion_rate_hz=1000.0,
        ),
        link=LinkDescription(
            fix_rate_hz=200.0, fix_line_limit_hz=400.0, line_overhead_s=0.1
        ),
    )
    return dataclasses.replace(bench, **overrides)


def a_spec(**overrides: Any) -> FlyScanSpec:
    """Return a small serpentine map, 9 x 9 frames; `overrides` are its fields."""
    spec = FlyScanSpec(
        zone=Zone.centred(600.0, 600.0, 20.0, 20.0),
        n_x=9,
        n_y=9,
        pattern=Pattern.SERPENTINE,
        fast_axis="y",
        speed_mm_per_s=32.7,
        n_avg=10,
        excitation=Excitation.off(),
    )
    return dataclasses.replace(spec, **overrides)


def a_step_spec(**overrides: Any) -> StepMapSpec:
    """Return a map at rest, 2 x 3 points of one reading; `overrides` are its fields."""
    spec = StepMapSpec(
        zone=Zone.centred(600.0, 600.0, 4.0, 8.0),
        n_x=2,
        n_y=3,
        pattern=Pattern.SERPENTINE,
        fast_axis="y",
        n_avg=10,
        excitation=Excitation.off(),
    )
    return dataclasses.replace(spec, **overrides)


def a_plan(bench: BenchDescription | None = None, **overrides: Any) -> FlightPlan:
    """Return the plan of `a_spec` with `overrides`, for `a_bench` unless told.

    Raises
    ------
    InfeasibleScanError
        If the bench cannot fly it.
    """
    planned = plan_flight(a_spec(**overrides), bench or a_bench())
    if isinstance(planned, FeasibilityReport):
        raise planned.error()
    return planned


def a_long_plan(bench: BenchDescription | None = None) -> FlightPlan:
    """Return a plan whose flight does not end before somebody waits for it.

    In virtual time too: it has more fixes than may wait for their observer, who gets
    them in `ScanInFlight.wait`, and virtual time waits with them.
    """
    zone = Zone(x_min_mm=535.0, x_max_mm=735.0, y_min_mm=510.0, y_max_mm=710.0)
    return a_plan(bench, zone=zone, n_x=81, n_y=81)


def a_study(study_id: str = "study-1", *, scans: tuple[str, ...] = ()) -> Study:
    """Return a configured study with reference scans so called, without events."""
    study = Study(StudyId(study_id), an_object(), "an operator")
    study.configure(a_bench())
    for name in scans:
        study.add_scan(ScanId(name), a_spec(), ScanRole.REFERENCE)
    study.take_events()
    return study


def an_object(**overrides: Any) -> MeasuredObject:
    """Return a small sphere in sand; `overrides` are its fields."""
    sphere = MeasuredObject(
        "a sphere",
        size_mm=(20.0, 20.0, 20.0),
        depth_mm=15.0,
        medium="dry sand",
        lift_off_mm=5.0,
    )
    return dataclasses.replace(sphere, **overrides)
