"""The lag of readings, from a line that was flown both ways. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.errors import InvalidScanSpecError

LONGEST_LAG_S = 0.5
"""Lags are looked for up to this much beside the one corrected already, in s."""

WORST_ERROR_S = 0.005
"""A lag with a larger standard error than this, in s, is none: noise alone has one."""

_LEAST_FRAMES = 8
"""Frames in each direction below which nothing is estimated."""

_HALVINGS = 40
_COARSE = 101
_MOST_TERMS = 24

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LagEstimate:
    """How much older than its place a reading is.

    Parameters
    ----------
    lag_s
        What readings show is so much older than where they were placed, in s; below
        zero if it is younger.
    error_s
        Standard error, in s, from how well both ways agree.
    zigzag_mm
        By how much lines of opposite directions are shifted against each other, in
        mm, if nothing is corrected: twice the way of the lag.
    """

    lag_s: float
    error_s: float
    zigzag_mm: float


def estimate_lag(
    positions_mm: Floats, voltages_v: Floats, velocities_mm_per_s: Floats
) -> LagEstimate:
    """Estimate the lag with which both ways along a line show the same field.

    A frame placed at x by a reading that is older by t shows the field at x - v t.
    For a trial lag the voltages of all frames are put to these places and a smooth
    curve (Chebyshev polynomials) is fitted to each channel; the lag with the least
    sum of squares is the estimate, and the curvature there gives its error.

    Parameters
    ----------
    positions_mm
        Where the frames were placed along the line, in mm; shape (n,).
    voltages_v
        Their voltages, in V; shape (n, channels).
    velocities_mm_per_s
        Velocity along the line in each frame, in mm/s, with its sign; shape (n,).

    Raises
    ------
    InvalidScanSpecError
        If there are too few frames in one of the directions, a number is not finite,
        or the field changes too little along the line to say anything.
    """
    _require_two_ways(positions_mm, voltages_v, velocities_mm_per_s)
    problem = _Fit(positions_mm, voltages_v, velocities_mm_per_s)
    trials: list[float] = np.linspace(-LONGEST_LAG_S, LONGEST_LAG_S, _COARSE).tolist()
    best = int(np.argmin([problem.misfit(trial) for trial in trials]))
    width = trials[1] - trials[0]
    lag = _minimum(problem.misfit, trials[best] - width, trials[best] + width)
    error = problem.error_s(lag)
    speed = float(np.abs(velocities_mm_per_s).mean())
    if not error < WORST_ERROR_S or abs(lag) >= LONGEST_LAG_S:
        raise InvalidScanSpecError(
            f"calibration line: the lag must be less than {LONGEST_LAG_S * 1e3:g} ms "
            f"and its standard error less than {WORST_ERROR_S * 1e3:g} ms, the lag was "
            f"{lag * 1e3:.3g} ms with an error of {error * 1e3:.3g} ms: the field "
            "changes too little along the line, or the lag is longer"
        )
    return LagEstimate(lag, error, 2 * speed * lag)


def _require_two_ways(positions: Floats, voltages: Floats, velocities: Floats) -> None:
    for name, values in (
        ("positions", positions),
        ("voltages", voltages),
        ("velocities", velocities),
    ):
        if not np.isfinite(values).all():
            raise InvalidScanSpecError(
                f"calibration line: {name} must be finite numbers, "
                f"{int((~np.isfinite(values)).sum())} were not"
            )
    there, back = int((velocities > 0).sum()), int((velocities < 0).sum())
    if min(there, back) < _LEAST_FRAMES:
        raise InvalidScanSpecError(
            f"calibration line: at least {_LEAST_FRAMES} frames are needed in each "
            f"direction, had {there} and {back}"
        )


class _Fit:
    """Sum of squares about a smooth curve, for any lag."""

    def __init__(self, positions: Floats, voltages: Floats, velocities: Floats) -> None:
        self._positions = positions
        self._velocities = velocities
        self._voltages = voltages - voltages.mean(axis=0)
        each_way = min(int((velocities > 0).sum()), int((velocities < 0).sum()))
        self._terms = min(max(each_way // 3, 3), _MOST_TERMS)

    def misfit(self, lag_s: float) -> float:
        """Return the sum of squares with a trial lag."""
        places = self._positions - self._velocities * lag_s
        low, high = places.min(), places.max()
        scaled = 2 * (places - low) / (high - low) - 1
        basis = _chebyshev(scaled, self._terms)
        rest = self._voltages - basis @ _least_squares(basis, self._voltages)
        return float((rest**2).sum())

    def error_s(self, lag_s: float) -> float:
        """Return the standard error from the curvature of the sum of squares."""
        step = 1e-3
        here = self.misfit(lag_s)
        bend = self.misfit(lag_s + step) + self.misfit(lag_s - step) - 2 * here
        curvature = bend / step**2
        freedom = self._voltages.size - self._terms * self._voltages.shape[1] - 1
        if curvature <= 0 or freedom < 1:
            return math.inf
        return math.sqrt(2 * here / freedom / curvature)


def _minimum(call: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function has its only minimum between two places."""
    ratio = (math.sqrt(5) - 1) / 2  # golden section: one new value a step
    inner_low, inner_high = high - ratio * (high - low), low + ratio * (high - low)
    at_low, at_high = call(inner_low), call(inner_high)
    for _ in range(_HALVINGS):
        if at_low < at_high:
            high, inner_high, at_high = inner_high, inner_low, at_low
            inner_low = high - ratio * (high - low)
            at_low = call(inner_low)
        else:
            low, inner_low, at_low = inner_low, inner_high, at_high
            inner_high = low + ratio * (high - low)
            at_high = call(inner_high)
    return (low + high) / 2


def _chebyshev(scaled: Floats, terms: int) -> Floats:
    """Return the first Chebyshev polynomials at places from -1 to 1."""
    polynomials: Any = np.polynomial.chebyshev  # which numpy leaves without types
    return polynomials.chebvander(scaled, terms - 1)


def _least_squares(basis: Floats, values: Floats) -> Floats:
    """Return the coefficients of a basis that come nearest to values."""
    algebra: Any = np.linalg
    return algebra.lstsq(basis, values, rcond=None)[0]
