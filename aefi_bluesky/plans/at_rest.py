"""How plans measure at rest: point by point, in a run of their own."""

# bluesky's stubs ask for its protocols, which ophyd's own types do not meet.
# pyright: reportArgumentType=false

import time
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.utils import MsgGenerator

from aefi_bluesky.devices import ExcitationSource, FieldSensor, StageAxis, StepRecord
from aefi_bluesky.devices.setting import Setting
from aefi_bluesky.domain.feasibility.reading_rates import passing_readings
from aefi_bluesky.domain.feasibility.report import FeasibilityReport
from aefi_bluesky.domain.spec.formats import to_plain
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    StepMapSpec,
    StepSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.domain.step.planning import StepPlan, plan_steps
from aefi_bluesky.domain.step.points import StepPoint
from aefi_bluesky.plans.stubs import by_name


class AtRest:
    """What measures at rest.

    Parameters
    ----------
    x, y
        The axes.
    sensor
        The field sensor.
    source
        The source of the excitation.
    """

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

    def settling_readings(self, spec: StepSpec) -> int:
        """Return the readings that go by while the lock-in settles."""
        return passing_readings(spec, self.x.bench, spec.settle_s)

    @property
    def settings(self) -> list[Setting]:
        """Settings that a plan changes, and puts back."""
        sensor, source = self.sensor, self.source
        return [
            *(sensor.n_avg, sensor.n_readings, sensor.n_discarded),
            *(source.mode, source.level_s1s2, source.level_s3s4, source.frequency),
        ]


def measure(
    bench: AtRest,
    plan: StepPlan,
    plan_name: str,
    arguments: dict[str, Any] | None,
    md: dict[str, Any] | None,
    record: StepRecord | None = None,
) -> MsgGenerator[str]:
    """Measure all points of a plan, as a run of its own.

    However the run ends, the settings of sensor and excitation are put back, and the
    excitation is off. A measurement that a pause interrupted is measured again.

    Parameters
    ----------
    bench
        The devices that measure.
    plan
        What to measure; `AtRest.plan` makes it from a spec.
    plan_name, arguments
        The plan and its arguments by name, for the start document; without arguments
        the start document has the spec only.
    md
        More metadata for the start document.
    record
        Keeps what was measured, for later use.
    """
    spec = plan.spec
    taken = record or StepRecord(plan, name="step")
    points = list(plan.points())
    start = {
        "plan_name": plan_name,
        **({} if arguments is None else {"plan_args": arguments}),
        **_start_document(bench, plan),
        **(md or {}),
    }

    def run() -> MsgGenerator[None]:
        yield from _set_up(bench, spec)
        began = time.monotonic()
        for point in points:
            yield from _wait_until_due(spec, point, began)
            yield from _measure_point(bench, taken, spec, point)
        if isinstance(spec, StepMapSpec) and taken.n_taken:
            yield from _read_maps(taken, spec)

    def dark() -> MsgGenerator[None]:
        yield from bps.mv(bench.source, "off")

    measured = bpp.finalize_wrapper(by_name(run()), dark)
    in_a_run = bpp.run_wrapper(measured, md=start)
    put_back = _with_settings_put_back(in_a_run, bench.settings)
    return (yield from bpp.stage_wrapper(put_back, [bench.sensor, bench.source, taken]))


def _with_settings_put_back(
    plan: MsgGenerator[str], settings: list[Setting]
) -> MsgGenerator[str]:
    """Carry out a plan, then set settings to what they were before.

    bluesky's own wrapper sets what it does not know to 0, as where nothing is carried
    out, which `check_limits` then refuses.
    """
    before: list[Any] = []
    for setting in settings:
        # Nothing where nothing is carried out.
        value = yield from bps.rd(setting, default_value=None)
        before += [] if value is None else [setting, value]

    def put_back() -> MsgGenerator[None]:
        if before:
            yield from bps.mv(*before)

    return (yield from bpp.finalize_wrapper(plan, put_back))


def _start_document(bench: AtRest, plan: StepPlan) -> dict[str, Any]:
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


def _set_up(bench: AtRest, spec: StepSpec) -> MsgGenerator[None]:
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
    bench: AtRest, record: StepRecord, spec: StepSpec, point: StepPoint
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
    passing_by = bench.settling_readings(spec) if settles else 0
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


def _read_maps(record: StepRecord, spec: StepMapSpec) -> MsgGenerator[None]:
    yield from bps.create("maps")
    yield from bps.read(record.images(spec))
    yield from bps.save()
