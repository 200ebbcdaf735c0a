"""Which speeds the controller flies with the ramp it was given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from aefi_bluesky.domain.bench.description import MotionDescription

_ROUNDING = 1e-9
"""Relative difference of speeds that mean the same."""

_WHOLE = 1e-6
"""The controller takes whole steps/s; a sum that should be whole may miss by this."""


class SpeedWindow(NamedTuple):
    """One row of the controller's ranges; speeds in steps/s, ramps in ms."""

    top: int
    lowest_start: int
    shortest_ramp_ms: int
    gain_per_s: int
    """The gentlest ramp gains so many steps/s a second."""


WINDOWS = (
    SpeedWindow(65_000, 1, 2, 50),
    SpeedWindow(130_000, 2, 1, 100),
    SpeedWindow(325_000, 5, 1, 200),
    SpeedWindow(650_000, 10, 1, 800),
    SpeedWindow(1_300_000, 20, 1, 1500),
    SpeedWindow(3_200_000, 50, 1, 3800),
    SpeedWindow(6_000_000, 100, 1, 7500),
)
"""Ranges of the PMX-4EX-SA by the top of their speeds (Arcus reference §6.2).

What is out of them the controller changes, without a word: the ramp flown would not
be the ramp planned.
"""


@dataclass(frozen=True, slots=True)
class SpeedSpans:
    """Speeds that can be flown, as spans in rising order.

    Parameters
    ----------
    spans
        Lowest and highest speed of each, in mm/s.
    """

    spans: tuple[tuple[float, float], ...]

    def __contains__(self, speed_mm_per_s: float) -> bool:
        # A limit as it is written may differ from the limit in its last bits.
        return any(
            low * (1 - _ROUNDING) <= speed_mm_per_s <= high * (1 + _ROUNDING)
            for low, high in self.spans
        )

    def within(self, low_mm_per_s: float, high_mm_per_s: float) -> SpeedSpans:
        """Return what of the spans lies within two speeds."""
        cut = (
            (max(low, low_mm_per_s), min(high, high_mm_per_s))
            for low, high in self.spans
        )
        return SpeedSpans(tuple((low, high) for low, high in cut if low <= high))

    def nearest(self, speed_mm_per_s: float) -> float | None:
        """Return the speed that can be flown next to this one, None if none can."""
        inside = (min(max(speed_mm_per_s, low), high) for low, high in self.spans)
        return min(inside, key=lambda it: abs(it - speed_mm_per_s), default=None)

    def highest_up_to(self, speed_mm_per_s: float) -> float | None:
        """Return the highest speed not above this one, None if there is none."""
        below = self.within(0.0, speed_mm_per_s).spans
        return below[-1][1] if below else None


def ramp_range_s(
    speed_mm_per_s: float, motion: MotionDescription, mm_per_step: float
) -> tuple[float, float] | None:
    """Return the shortest and longest ramp that the controller takes to a speed.

    The longest is ``(HS - LS) / gain`` (Arcus reference §6.2).

    Returns
    -------
    tuple or None
        Both in s; None if the controller has no such speed, or the bench's start
        speed is below what it takes.
    """
    speed = speed_mm_per_s / mm_per_step
    start = _start_steps_per_s(motion, mm_per_step)
    window = next((each for each in WINDOWS if speed <= each.top), None)
    if window is None or start < window.lowest_start:
        return None
    gained = max(math.floor(speed + _WHOLE) - start, 0.0)
    return window.shortest_ramp_ms / 1000, gained / window.gain_per_s


def whole_speed(speed_mm_per_s: float, mm_per_step: float) -> float:
    """Return the speed of whole steps/s that is flown for this one, in mm/s."""
    return round(speed_mm_per_s / mm_per_step) * mm_per_step


def flown_speed(speed_mm_per_s: float, mm_per_step: float) -> float:
    """Return the same, one step/s at least: slower ones are flown as it."""
    return max(whole_speed(speed_mm_per_s, mm_per_step), mm_per_step)


def _start_steps_per_s(motion: MotionDescription, mm_per_step: float) -> int:
    return round(motion.start_speed_mm_per_s / mm_per_step)


def controller_speeds(motion: MotionDescription, mm_per_step: float) -> SpeedSpans:
    """Return all speeds that the controller flies as told.

    Up to the start speed there is no ramp; above it the ramp must be one that the
    window of the speed allows.

    Parameters
    ----------
    motion
        Start speed and ramp of the bench.
    mm_per_step
        Way of a step, in mm.
    """
    start = _start_steps_per_s(motion, mm_per_step)
    spans, bottom = [(1.0, min(start, float(WINDOWS[-1].top)))], 1
    for window in WINDOWS:
        gentlest = math.ceil(start + window.gain_per_s * motion.ramp_s - _WHOLE)
        is_steep = motion.ramp_s * 1000 < window.shortest_ramp_ms * (1 - _ROUNDING)
        if not is_steep and start >= window.lowest_start * (1 - _ROUNDING):
            spans.append((float(max(bottom, gentlest)), float(window.top)))
        bottom = window.top
    return SpeedSpans(
        tuple(
            (low * mm_per_step, high * mm_per_step)
            for low, high in spans
            if low <= high
        )
    )
