"""What is measured at rest: maps point by point, points, series and sequences."""

# bluesky's stubs ask for its protocols, which ophyd's own types do not meet.
# pyright: reportArgumentType=false

from typing import Any, Literal

from bluesky.utils import MsgGenerator

from aefi_bluesky.devices import ExcitationSource, FieldSensor, StageAxis
from aefi_bluesky.domain.spec.fly_spec import Pattern, Zone
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.plans.at_rest import AtRest, measure
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
    """Measure a map point by point; its data keys are those of a flown map.

    Parameters
    ----------
    stage_x, stage_y
        The axes.
    sensor
        The field sensor.
    excitation
        The source of the excitation: on for the plan, off after it.
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
        Number of readings in a measurement.
    settle_s
        Rest before each measurement, in s; readings during this time are not used.
    differential
        Measure each point twice, first driven, then with the excitation off.
    excitation_mode
        Phase between the sphere pairs.
    level_s1s2_percent, level_s3s4_percent
        Level of each sphere pair, 0 to 100 %.
    frequency_hz
        Frequency of the excitation, in Hz.
    md
        More metadata for the start document.

    Returns
    -------
    str
        The run's uid.

    Raises
    ------
    InvalidScanSpecError
        If a number is wrong.
    InfeasibleScanError
        If the bench can't measure it; the error has every reason. Nothing has moved.
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
    bench = AtRest(stage_x, stage_y, sensor, excitation)
    return (yield from measure(bench, bench.plan(spec), "step_map", arguments, md))


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
        As in `step_map`.
    x_mm, y_mm
        The place, in mm.
    readings
        Number of readings in the measurement.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    settle_s
        Rest before the measurement, in s.
    differential
        Measure twice, first driven, then with the excitation off.
    excitation_mode, level_s1s2_percent, level_s3s4_percent, frequency_hz
        As in `step_map`.
    md
        More metadata for the start document.

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
    bench = AtRest(stage_x, stage_y, sensor, excitation)
    return (yield from measure(bench, bench.plan(spec), "measure_point", arguments, md))


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
        As in `step_map`.
    x_mm, y_mm
        The place, in mm.
    count
        Number of readings.
    period_s
        Time from one reading to the next, in s; 0 for readings as fast as possible.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    settle_s
        Rest before the first reading, in s.
    excitation_mode, level_s1s2_percent, level_s3s4_percent, frequency_hz
        As in `step_map`.
    md
        More metadata for the start document.

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
    bench = AtRest(stage_x, stage_y, sensor, excitation)
    return (yield from measure(bench, bench.plan(spec), "time_series", arguments, md))


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
        As in `step_map`.
    x_mm, y_mm
        The place, in mm.
    frequencies_hz
        The frequencies in the order they are measured, in Hz.
    readings
        Number of readings in a measurement.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    settle_s
        Rest before each measurement, in s.
    differential
        Measure each twice, first driven, then with the excitation off.
    excitation_mode, level_s1s2_percent, level_s3s4_percent
        As in `step_map`.
    md
        More metadata for the start document.

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
    bench = AtRest(stage_x, stage_y, sensor, excitation)
    plan = bench.plan(spec)
    return (yield from measure(bench, plan, "frequency_sequence", arguments, md))
