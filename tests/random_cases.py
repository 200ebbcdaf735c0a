"""Random scans on random simulated benches, from a seed; about half can be flown."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.flight.load import HostLimits
from aefi_bluesky.domain.spec.fly_spec import (
    AxisName,
    Excitation,
    FlyScanSpec,
    Pattern,
    Trigger,
    TriggerKind,
    Zone,
)
from aefi_bluesky.session.configuration import (
    BAUD_CODES,
    AcquisitionTable,
    AxisTable,
    BenchConfiguration,
    StageTable,
    WiringTable,
    load_bench,
)
from aefi_bluesky.session.simulated import SimulationSettings

BLOCKS = 10
SPECS = int(os.environ.get("AEFI_SPECS", "1000"))
"""Random specs flown, accepted or not, in so many blocks; a night's worth is 10 000."""

_SHIPPED = load_bench("simulated")

REACH_STEPS: dict[AxisName, int] = {"x": 58_242, "y": 56_320}
"""What the simulated stage travels, from 0: random travels lie in it."""

_MODULATOR_HZ = 4_096_000
"""Conversions of the simulated converter, times its oversampling ratio."""


@dataclass(frozen=True, slots=True)
class Case:
    """A scan, the bench it is for, what that bench's host holds."""

    spec: FlyScanSpec
    configuration: BenchConfiguration
    settings: SimulationSettings
    host: HostLimits

    @property
    def bench(self) -> BenchDescription:
        return self.configuration.description()


def random_cases(seed: int) -> Iterator[Case]:
    """Yield cases without an end, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    while True:
        settings = _settings(rng)
        # The bench file says what line and adapter there are.
        configuration = settings.of_bench(_bench(rng, settings))
        spec = _spec(rng, configuration.description())
        host = HostLimits(_between(rng, 2e4, 1e9), _between(rng, 1.0, 2e3))
        yield Case(spec, configuration, settings, host)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _settings(rng: np.random.Generator) -> SimulationSettings:
    return SimulationSettings(
        seed=int(rng.integers(2**31)),
        stage_baud=int(rng.choice(list(BAUD_CODES))),
        stage_turnaround_us=int(rng.uniform(200, 3000)),
        acquisition_baud=int(rng.choice([115_200, 921_600, 1_500_000])),
        tick_us=int(rng.choice([0, 1000, 16_000])),
    )


def _bench(
    rng: np.random.Generator, settings: SimulationSettings
) -> BenchConfiguration:
    return _SHIPPED.model_copy(
        update={
            "stage": _stage(rng),
            "acquisition": _acquisition(rng, settings),
            "wiring": WiringTable(
                encoder_pulses_per_count=(pulses := float(rng.choice([0.0, 1.0, 4.0]))),
                sync_output=bool(pulses and rng.random() < 0.8),
                digital_output=int(rng.choice([0, 5, 8])),
                latch=bool(rng.random() < 0.5),
            ),
        }
    )


def _stage(rng: np.random.Generator) -> StageTable:
    x, y = _axis(rng, "x"), _axis(rng, "y")
    if rng.random() < 0.5:
        # As on most stages; travels stay inside the shorter way of y then.
        x = y
    return _SHIPPED.stage.model_copy(
        update={
            "x": x,
            "y": y,
            "start_speed_steps_per_s": int(_between(rng, 1, 1500)),
            "ramp_ms": int(_between(rng, 1, 900)),
            "positioning_speed_steps_per_s": int(_between(rng, 1000, 10_000)),
            "min_speed_steps_per_s": int(_between(rng, 20, 200)),
            "max_speed_steps_per_s": int(_between(rng, 2000, 20_000)),
        }
    )


def _axis(rng: np.random.Generator, name: AxisName) -> AxisTable:
    """Draw a travel whose ends need not be whole steps."""
    um_per_step = _between(rng, 2, 50)
    low, high = rng.uniform(0, 15_000), rng.uniform(25_000, REACH_STEPS[name])
    return AxisTable(
        travel_min_mm=low * um_per_step / 1000,
        travel_max_mm=high * um_per_step / 1000,
        um_per_step=um_per_step,
    )


def _acquisition(
    rng: np.random.Generator, settings: SimulationSettings
) -> AcquisitionTable:
    osr = int(rng.choice([4096, 2048, 1024]))
    # As measured with one conversion: 63 bytes are usual.
    shortest_s = osr / _MODULATOR_HZ + 630 / (settings.acquisition_baud or 1)
    if tick_s := settings.tick_us * 1e-6:
        shortest_s = math.ceil(shortest_s / tick_s) * tick_s
    return _SHIPPED.acquisition.model_copy(
        update={
            "osr": osr,
            "conversion_rate_hz": _MODULATOR_HZ / osr,
            "reading_rate_hz": 1 / shortest_s,
        }
    )


def _spec(rng: np.random.Generator, bench: BenchDescription) -> FlyScanSpec:
    pattern = list(Pattern)[rng.integers(len(Pattern))]
    fast: AxisName = "y" if pattern is Pattern.COMB else ("x", "y")[rng.integers(2)]
    motion = bench.motion
    speed = _between(
        rng, motion.min_speed_mm_per_s * 0.8, motion.max_speed_mm_per_s * 1.2
    )
    counts: dict[AxisName, int] = {"x": int(rng.integers(1, 7)), "y": 1}
    counts["y"] = int(rng.integers(1, 7))
    counts[fast] = int(rng.integers(2, 25))
    n_avg = int(rng.choice([1, 2, 5, 10, 20, 50, 127]))
    least = int(rng.integers(1, 4))
    reading_s = max(
        n_avg / bench.detector.conversion_rate_hz, 1 / bench.detector.reading_rate_hz
    )
    # Around what a frame must last for its readings.
    pitch = {axis: bench.axis(axis).um_per_step / 1000 for axis in counts}
    pitch[fast] = speed * reading_s * least * _between(rng, 0.3, 12)
    pitch["y" if fast == "x" else "x"] *= _between(rng, 1, 300)
    zone = {axis: _span(rng, bench, axis, pitch[axis], counts[axis]) for axis in counts}
    return FlyScanSpec(
        zone=Zone(*zone["x"], *zone["y"]),
        n_x=counts["x"],
        n_y=counts["y"],
        pattern=pattern,
        fast_axis=fast,
        speed_mm_per_s=speed,
        n_avg=n_avg,
        excitation=Excitation.off(),
        min_readings_per_frame=least,
        trigger=_trigger(rng, reading_s),
    )


def _span(
    rng: np.random.Generator,
    bench: BenchDescription,
    axis: AxisName,
    pitch_mm: float,
    count: int,
) -> tuple[float, float]:
    """Draw where frames lie: mostly inside the travel."""
    low, high = bench.axis(axis).travel_min_mm, bench.axis(axis).travel_max_mm
    half = min(pitch_mm * (count - 1), 0.9 * (high - low)) / 2
    edge = rng.choice([-0.05, 0.05, 0.05, 0.2]) * (high - low)
    if low + half + edge >= high - half - edge:
        edge = 0.0
    middle = rng.uniform(low + half + edge, high - half - edge)
    return float(middle - half), float(middle + half)


def _trigger(rng: np.random.Generator, reading_s: float) -> Trigger:
    kind = rng.choice(list(TriggerKind), p=[0.55, 0.15, 0.15, 0.06, 0.06, 0.03])
    if kind == TriggerKind.PERIODIC:
        return Trigger(TriggerKind.PERIODIC, reading_s * _between(rng, 0.3, 4))
    return Trigger(TriggerKind(str(kind)))
