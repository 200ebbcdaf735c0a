"""What noise a speed costs, and which speed a noise or a duration allows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.checks import keep_count, require_count, require_number
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.feasibility.flight_rules import (
    fix_limit_mm_per_s,
    reading_limit_mm_per_s,
)
from aefi_bluesky.domain.feasibility.reading_rates import (
    frame_s,
    integration_s,
    reading_rate_hz,
)
from aefi_bluesky.domain.feasibility.report import Change, FeasibilityReport, Violation
from aefi_bluesky.domain.feasibility.speed_rules import flyable_speeds
from aefi_bluesky.domain.feasibility.speed_spans import SpeedSpans
from aefi_bluesky.domain.flight.duration import DurationEstimate, flight_duration
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec

_TRIES = 200
"""Speeds of a span that are tried: duration falls with speed, but for a short line
whose longer run-up takes more time than it saves."""

_HALVINGS = 50
"""Of the way between two of them."""

_A_LITTLE = 1 + 1e-5
"""So that what is suggested still fits when it is rounded."""


@dataclass(frozen=True, slots=True)
class ReadingNoise:
    """Noise of one reading, as measured with the excitation on and nothing moving.

    Parameters
    ----------
    volts
        Standard deviation of a reading, in V: of the noisiest channel, or of each.
    n_avg
        Conversions averaged into the readings that were measured, 1 to 127.
    """

    volts: tuple[float, ...]
    n_avg: int = 10

    def __post_init__(self) -> None:
        require_count("noise: channels", len(self.volts), 1)
        what = "noise of a reading"
        volts = (require_number(what, each, "V", 1e-12, 1e3) for each in self.volts)
        object.__setattr__(self, "volts", tuple(volts))
        keep_count(self, "n_avg", "noise: conversions averaged", 1, 127)

    def of_reading(self, n_avg: int) -> tuple[float, ...]:
        """Return the noise of a reading of another average: white, so 1/sqrt(n)."""
        scale = math.sqrt(self.n_avg / n_avg)
        return tuple(value * scale for value in self.volts)


@dataclass(frozen=True, slots=True)
class SpeedAdvice:
    """A speed, and what it costs.

    Parameters
    ----------
    speed_mm_per_s
        The speed in the windows, in mm/s.
    readings_per_frame
        Readings averaged in a frame, on average.
    noise_v
        Standard deviation of a frame's mean, in V, for each channel given.
    blur_mm
        Way that the stage moves while one reading integrates, in mm.
    duration
        Of the whole flight.
    """

    speed_mm_per_s: float
    readings_per_frame: float
    noise_v: tuple[float, ...]
    blur_mm: float
    duration: DurationEstimate


def cost_of_speed(
    spec: FlyScanSpec, bench: BenchDescription, noise: ReadingNoise
) -> SpeedAdvice:
    """Return what flying `spec` at its speed costs.

    ``n = pitch * rate / v`` readings meet a frame, their mean has the noise
    ``sigma(n_avg) / sqrt(n)`` with ``sigma(n_avg) = sigma(m) * sqrt(m / n_avg)``, and
    each is blurred over ``v * n_avg / conversion rate``.

    Assumed is that noise is white: independent from conversion to conversion. Drift
    and hum are not, and no speed averages them away. The blur is the integration's
    alone: a lock-in before the converter lags by its own time constant beside it.
    The frames at hand may have one reading fewer than the mean.
    """
    readings = frame_s(spec) * reading_rate_hz(spec, bench)
    # A frame of next to no length may meet none.
    scale = 1 / math.sqrt(readings) if readings else math.inf
    return SpeedAdvice(
        speed_mm_per_s=spec.speed_mm_per_s,
        readings_per_frame=readings,
        noise_v=tuple(each * scale for each in noise.of_reading(spec.n_avg)),
        blur_mm=spec.speed_mm_per_s * integration_s(spec, bench),
        duration=flight_duration(spec, bench),
    )


def advise_speed(
    spec: FlyScanSpec,
    bench: BenchDescription,
    noise: ReadingNoise,
    *,
    target_v: float | None = None,
    longest_s: float | None = None,
) -> SpeedAdvice | FeasibilityReport:
    """Return the speed that suits a noise, a duration, or both.

    With a target the fastest speed that reaches it; with a duration alone the slowest
    that keeps it, which is the least noisy one.

    Parameters
    ----------
    spec
        What to measure; its speed is replaced.
    bench
        What it is measured with.
    noise
        Of one reading.
    target_v
        Noise that a frame's mean may have in the noisiest channel, in V.
    longest_s
        What the flight may take, in s, its error included.

    Returns
    -------
    SpeedAdvice or FeasibilityReport
        The speed, which `plan_flight` accepts; or what can't be reached, by how much.
    """
    _require_a_wish(target_v, longest_s)
    speeds = _usable_speeds(spec, bench)
    if not speeds.spans:
        return _refused(spec, bench)
    if target_v is not None:
        chosen = _fastest_below(target_v, speeds, spec, bench, noise)
    else:
        chosen = _slowest_within(longest_s or 0.0, speeds, spec, bench)
    if isinstance(chosen, Violation):
        return FeasibilityReport((chosen,))
    flown = _at(spec, chosen)
    if longest_s is not None and _longest_s(flown, bench) > longest_s:
        return FeasibilityReport((_too_long(longest_s, flown, bench),))
    planned = plan_flight(flown, bench)
    if isinstance(planned, FeasibilityReport):
        return planned
    return cost_of_speed(flown, bench, noise)


def _require_a_wish(target_v: float | None, longest_s: float | None) -> None:
    if target_v is None and longest_s is None:
        raise InvalidScanSpecError(
            "advice on a speed needs a target noise or a longest duration, had neither"
        )
    if target_v is not None:
        require_number("target noise", target_v, "V", 1e-12, 1e3)
    if longest_s is not None:
        require_number("longest duration", longest_s, "s", 1e-3, 1e9)


def _usable_speeds(spec: FlyScanSpec, bench: BenchDescription) -> SpeedSpans:
    limits = reading_limit_mm_per_s(spec, bench), fix_limit_mm_per_s(spec, bench)
    return flyable_speeds(spec, bench).within(0.0, min(limits))


def _refused(spec: FlyScanSpec, bench: BenchDescription) -> FeasibilityReport:
    """Return why no speed can be used: that of the slowest one."""
    motion = bench.motion_along(spec.effective_fast_axis)
    report = plan_flight(_at(spec, motion.min_speed_mm_per_s), bench)
    if isinstance(report, FeasibilityReport):
        return report
    raise InvalidScanSpecError(f"no speed of bench {bench.name!r} suits the scan")


def _fastest_below(
    target_v: float,
    speeds: SpeedSpans,
    spec: FlyScanSpec,
    bench: BenchDescription,
    noise: ReadingNoise,
) -> float | Violation:
    # The noise of a mean grows with the root of the speed.
    now_v = max(cost_of_speed(spec, bench, noise).noise_v)
    chosen = speeds.highest_up_to(spec.speed_mm_per_s * (target_v / now_v) ** 2)
    if chosen is not None:
        return chosen
    lowest = speeds.spans[0][0]
    least_v = max(cost_of_speed(_at(spec, lowest), bench, noise).noise_v)
    return Violation(
        "noise",
        least_v,
        target_v,
        "V",
        f"a frame's mean has {least_v:.3g} V of noise at the slowest speed, "
        f"{lowest:g} mm/s; at most {target_v:.3g} V are asked for",
        Change(
            "target_v",
            least_v * _A_LITTLE,
            "V",
            "ask for {:.6g} V, or use fewer frames",
        ),
    )


def _slowest_within(
    longest_s: float, speeds: SpeedSpans, spec: FlyScanSpec, bench: BenchDescription
) -> float | Violation:
    def fits(speed: float) -> bool:
        return _longest_s(_at(spec, speed), bench) <= longest_s

    for low, high in speeds.spans:
        tried = [low + (high - low) * step / _TRIES for step in range(_TRIES)] + [high]
        first = next((at for at, speed in enumerate(tried) if fits(speed)), None)
        if first is not None:
            return _least(tried[max(first - 1, 0)], tried[first], fits)
    return _too_long(longest_s, _at(spec, speeds.spans[-1][1]), bench)


def _least(low: float, high: float, fits: Callable[[float], bool]) -> float:
    """Return about the lowest speed that fits, of a span whose upper end does."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _too_long(
    longest_s: float, spec: FlyScanSpec, bench: BenchDescription
) -> Violation:
    found = _longest_s(spec, bench)
    return Violation(
        "duration",
        found,
        longest_s,
        "s",
        f"the flight takes up to {found:.4g} s at the fastest suitable speed, "
        f"{spec.speed_mm_per_s:.4g} mm/s; at most {longest_s:g} s are allowed",
        Change(
            "longest_s", found * _A_LITTLE, "s", "allow {:.6g} s, or use fewer lines"
        ),
    )


def _at(spec: FlyScanSpec, speed_mm_per_s: float) -> FlyScanSpec:
    return dataclasses.replace(spec, speed_mm_per_s=speed_mm_per_s)


def _longest_s(spec: FlyScanSpec, bench: BenchDescription) -> float:
    duration = flight_duration(spec, bench)
    return duration.seconds + duration.error_s
