"""What is measured at rest: maps point by point, points, series and sequences."""

# bluesky's stubs ask for its protocols, which ophyd's own types do not meet.
# pyright: reportArgumentType=false

import math
import time
from typing import Any, Literal

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator

from aefi_bluesky.devices import ExcitationSource, FieldSensor, StageAxis, StepRecord
from aefi_bluesky.domain.feasibility import FeasibilityReport
from aefi_bluesky.domain.scan_spec import Pattern, Zone
from aefi_bluesky.domain.spec_format import to_plain
from aefi_bluesky.domain.step_planning import StepPlan, plan_steps
from aefi_bluesky.domain.step_points import StepPoint
from aefi_bluesky.domain.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    StepSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.plans.device_names import DETECTORS, MOVERS, device_names
from aefi_bluesky.plans.parameters import (
    ExcitationName,
    excitation_of,
    plan_arguments,
)

_NAMES = {
    "stage_x": MOVERS,
    "stage_y": MOVERS,
    "sensor": DETECTORS,
    "excitation": MOVERS,
}


@device_names(**_NAMES)
def step_map(
    stage_x: StageAxis,
    stage_y: StageAxis,
    sensor: FieldSensor,
    excitation: ExcitationSource,
    x_min_mm: float,
    x_max_mm: float,
    n_x: int,
    y_min_mm: float,
    y_max_mm: float,
    n_y: int,
    pattern: Literal["serpentine", "raster", "comb"] = "serpentine",
    fast_axis: Literal["x", "y"] = "y",
    n_avg: int = 10,
    readings_per_point: int = 1,
    settle_s: float = 0.05,
    differential: bool = False,
    excitation_mode: ExcitationName = "x-dir",
    level_s1s2_percent: float = 50.0,
    level_s3s4_percent: float = 50.0,
    frequency_hz: float = 1000.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure a map point by point, with the stream keys of a flown one.

    Parameters
    ----------
    stage_x, stage_y
        The axes.
    sensor
        Reads.
    excitation
        On for the plan, off after it.
    x_min_mm, x_max_mm, y_min_mm, y_max_mm
        Centres of the outer pixels, in mm.
    n_x, n_y
        Pixels along each axis; both ends are included.
    pattern
        Order of the points; see `fly_map`.
    fast_axis
        The axis that moves in the lines.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    readings_per_point
        Readings of a measurement.
    settle_s
        Rest before each measurement, in s: readings go by for so long.
    differential
        Measure each point twice, first driven, then with the excitation off.
    excitation_mode
        Phase between the sphere pairs.
    level_s1s2_percent, level_s3s4_percent
        Level of each sphere pair, 0 to 100 %.
    frequency_hz
        Frequency of the excitation, in Hz.
    md
        More for the start document.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    InvalidScanSpecError
        If a number is wrong.
    InfeasibleScanError
        If the bench can't measure it; with every reason. Nothing has moved.
    """
    arguments = plan_arguments(locals())
    spec = StepMapSpec(
        zone=Zone(x_min_mm, x_max_mm, y_min_mm, y_max_mm),
        n_x=n_x,
        n_y=n_y,
        pattern=Pattern(pattern),
        fast_axis=fast_axis,
        n_avg=n_avg,
        excitation=excitation_of(arguments),
        readings_per_point=readings_per_point,
        settle_s=settle_s,
        differential=differential,
    )
    bench = _Bench(stage_x, stage_y, sensor, excitation)
    return (yield from _measure(bench, spec, "step_map", arguments, md))


@device_names(**_NAMES)
def measure_point(
    stage_x: StageAxis,
    stage_y: StageAxis,
    sensor: FieldSensor,
    excitation: ExcitationSource,
    x_mm: float,
    y_mm: float,
    readings: int = 100,
    n_avg: int = 10,
    settle_s: float = 0.05,
    differential: bool = False,
    excitation_mode: ExcitationName = "x-dir",
    level_s1s2_percent: float = 50.0,
    level_s3s4_percent: float = 50.0,
    frequency_hz: float = 1000.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure at one place, once.

    Parameters
    ----------
    stage_x, stage_y, sensor, excitation
        As of `step_map`.
    x_mm, y_mm
        Where, in mm.
    readings
        Readings of the measurement.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    settle_s
        Rest before it, in s.
    differential
        Measure twice, first driven, then with the excitation off.
    excitation_mode, level_s1s2_percent, level_s3s4_percent, frequency_hz
        As of `step_map`.
    md
        More for the start document.

    Returns
    -------
    str
        The run's uid.
    """
    arguments = plan_arguments(locals())
    spec = PointSpec(
        x_mm=x_mm,
        y_mm=y_mm,
        n_avg=n_avg,
        excitation=excitation_of(arguments),
        readings=readings,
        settle_s=settle_s,
        differential=differential,
    )
    bench = _Bench(stage_x, stage_y, sensor, excitation)
    return (yield from _measure(bench, spec, "measure_point", arguments, md))


@device_names(**_NAMES)
def time_series(
    stage_x: StageAxis,
    stage_y: StageAxis,
    sensor: FieldSensor,
    excitation: ExcitationSource,
    x_mm: float,
    y_mm: float,
    count: int,
    period_s: float = 0.0,
    n_avg: int = 10,
    settle_s: float = 0.05,
    excitation_mode: ExcitationName = "x-dir",
    level_s1s2_percent: float = 50.0,
    level_s3s4_percent: float = 50.0,
    frequency_hz: float = 1000.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take readings at one place, one after the other.

    Parameters
    ----------
    stage_x, stage_y, sensor, excitation
        As of `step_map`.
    x_mm, y_mm
        Where, in mm.
    count
        Readings.
    period_s
        Time from one reading to the next, in s; 0: as fast as they come.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    settle_s
        Rest before the first, in s.
    excitation_mode, level_s1s2_percent, level_s3s4_percent, frequency_hz
        As of `step_map`.
    md
        More for the start document.

    Returns
    -------
    str
        The run's uid.
    """
    arguments = plan_arguments(locals())
    spec = TimeSeriesSpec(
        x_mm=x_mm,
        y_mm=y_mm,
        n_avg=n_avg,
        excitation=excitation_of(arguments),
        count=count,
        period_s=period_s,
        settle_s=settle_s,
    )
    bench = _Bench(stage_x, stage_y, sensor, excitation)
    return (yield from _measure(bench, spec, "time_series", arguments, md))


@device_names(**_NAMES)
def frequency_sequence(
    stage_x: StageAxis,
    stage_y: StageAxis,
    sensor: FieldSensor,
    excitation: ExcitationSource,
    x_mm: float,
    y_mm: float,
    frequencies_hz: list[float],
    readings: int = 10,
    n_avg: int = 10,
    settle_s: float = 0.05,
    differential: bool = False,
    excitation_mode: ExcitationName = "x-dir",
    level_s1s2_percent: float = 50.0,
    level_s3s4_percent: float = 50.0,
    md: dict[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure at one place, once for each of several frequencies.

    Parameters
    ----------
    stage_x, stage_y, sensor, excitation
        As of `step_map`.
    x_mm, y_mm
        Where, in mm.
    frequencies_hz
        In the order they are measured, in Hz.
    readings
        Readings of a measurement.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    settle_s
        Rest before each, in s.
    differential
        Measure each twice, first driven, then with the excitation off.
    excitation_mode, level_s1s2_percent, level_s3s4_percent
        As of `step_map`.
    md
        More for the start document.

    Returns
    -------
    str
        The run's uid.
    """
    arguments = plan_arguments(locals())
    spec = FrequencySequenceSpec(
        x_mm=x_mm,
        y_mm=y_mm,
        n_avg=n_avg,
        excitation=excitation_of({**arguments, "frequency_hz": 1000.0}),
        frequencies_hz=tuple(frequencies_hz),
        readings=readings,
        settle_s=settle_s,
        differential=differential,
    )
    bench = _Bench(stage_x, stage_y, sensor, excitation)
    return (yield from _measure(bench, spec, "frequency_sequence", arguments, md))


class _Bench:
    """What measures at rest."""

    def __init__(
        self, x: StageAxis, y: StageAxis, sensor: FieldSensor, source: ExcitationSource
    ) -> None:
        self.x, self.y, self.sensor, self.source = x, y, sensor, source

    def plan(self, spec: StepSpec) -> StepPlan:
        """Return what is measured, or raise every reason why it can't be."""
        plan = plan_steps(spec, self.x.bench)
        if isinstance(plan, FeasibilityReport):
            raise plan.error()
        return plan

    def readings_in(self, span_s: float) -> int:
        """Return the readings that go by in a span, in s; at least so long."""
        return math.ceil(span_s * self.x.bench.detector.reading_rate_hz)

    @property
    def settings(self) -> list[Any]:
        """Settings that a plan changes, and puts back."""
        sensor, source = self.sensor, self.source
        return [
            *(sensor.n_avg, sensor.n_readings, sensor.n_discarded),
            *(source.mode, source.level_s1s2, source.level_s3s4, source.frequency),
        ]


def _measure(
    bench: _Bench,
    spec: StepSpec,
    plan_name: str,
    arguments: dict[str, Any],
    md: dict[str, Any] | None,
) -> MsgGenerator[str]:
    plan = bench.plan(spec)
    record = StepRecord(name="step")
    points = list(plan.points())
    start = {
        "plan_name": plan_name,
        "plan_args": arguments,
        **_start_document(bench, plan),
        **(md or {}),
    }

    def run() -> MsgGenerator[None]:
        yield from _set_up(bench, spec)
        began = time.monotonic()
        for point in points:
            yield from _wait_until_due(spec, point, began)
            yield from _measure_point(bench, record, spec, point)
        if isinstance(spec, StepMapSpec) and record.n_taken:
            yield from _read_maps(record, spec, points)

    return (
        yield from bpp.stage_wrapper(
            bpp.reset_positions_wrapper(
                bpp.run_wrapper(
                    bpp.finalize_wrapper(run(), lambda: bps.mv(bench.source, "off")),
                    md=start,
                ),
                bench.settings,
            ),
            [bench.sensor, bench.source],
        )
    )


def _start_document(bench: _Bench, plan: StepPlan) -> dict[str, Any]:
    spec = plan.spec
    told: dict[str, Any] = {
        "detectors": [bench.sensor.name],
        "motors": [bench.x.name, bench.y.name],
        "num_points": plan.n_measurements,
        "scan_spec": to_plain(spec),
        "estimated_duration_s": plan.duration_s,
        "estimated_duration_error_s": plan.duration_error_s,
        "bench": bench.x.bench.to_plain(),
    }
    if isinstance(spec, StepMapSpec):
        slow, fast = spec.slow_axis, spec.effective_fast_axis
        told |= {
            "shape": [spec.count_along(slow), spec.count_along(fast)],
            "extents": [list(spec.zone.along(slow)), list(spec.zone.along(fast))],
            "hints": {"dimensions": [[[axis], "primary"] for axis in (slow, fast)]},
        }
    return told


def _set_up(bench: _Bench, spec: StepSpec) -> MsgGenerator[None]:
    sensor, source, excitation = bench.sensor, bench.source, spec.excitation
    yield from bps.mv(
        *(sensor.n_avg, spec.n_avg, sensor.n_readings, _readings(spec)),
        *(source.mode, excitation.mode.value),
        *(source.level_s1s2, excitation.level_s1s2_percent),
        *(source.level_s3s4, excitation.level_s3s4_percent),
        *(source.frequency, excitation.frequency_hz),
    )


def _readings(spec: StepSpec) -> int:
    if isinstance(spec, TimeSeriesSpec):
        return 1
    return spec.readings_per_point if isinstance(spec, StepMapSpec) else spec.readings


def _wait_until_due(
    spec: StepSpec, point: StepPoint, began: float
) -> MsgGenerator[None]:
    if isinstance(spec, TimeSeriesSpec) and spec.period_s > 0:
        due = began + point.frame * spec.period_s
        yield from bps.sleep(max(due - time.monotonic(), 0.0))


def _measure_point(
    bench: _Bench, record: StepRecord, spec: StepSpec, point: StepPoint
) -> MsgGenerator[None]:
    sensor, source = bench.sensor, bench.source
    # What follows is done again after a pause: the excitation is on again, too.
    yield from bps.checkpoint()
    yield from bps.mv(bench.x, point.x_mm, bench.y, point.y_mm)
    frequency_hz = _frequency_hz(spec, point)
    if frequency_hz != source.frequency.get():
        yield from bps.mv(source.frequency, frequency_hz)
    yield from bps.mv(source, "off" if point.muted else "on")
    settles = not isinstance(spec, TimeSeriesSpec) or point.frame == 0
    passing_by = bench.readings_in(spec.settle_s) if settles else 0
    if passing_by != sensor.n_discarded.get():
        yield from bps.mv(sensor.n_discarded, passing_by)
    record.mark(point)
    yield from bps.trigger(sensor, wait=True)
    yield from bps.create("primary")
    found: dict[str, Any] = {}
    for device in (bench.x, bench.y, sensor, record):
        # Nothing where nothing is carried out: bluesky's simulators.
        found.update((yield from bps.read(device)) or {})
    # An event that is saved must not be measured again after a pause.
    yield from bpp.rewindable_wrapper(bps.save(), False)
    if found:
        record.take(found)


def _frequency_hz(spec: StepSpec, point: StepPoint) -> float:
    if not isinstance(spec, FrequencySequenceSpec):
        return spec.excitation.frequency_hz
    each = 2 if spec.differential else 1
    return spec.frequencies_hz[point.frame // each]


def _read_maps(
    record: StepRecord, spec: StepMapSpec, points: list[StepPoint]
) -> MsgGenerator[None]:
    yield from bps.create("maps")
    yield from bps.read(record.images(spec, points))
    yield from bps.save()
