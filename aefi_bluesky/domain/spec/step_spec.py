"""What is measured at rest: maps step by step, and series at one place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from aefi_bluesky.domain.checks import (
    keep_count,
    keep_number,
    require_count,
    require_number,
)
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.plain_values import require_member
from aefi_bluesky.domain.spec.excitation import Excitation
from aefi_bluesky.domain.spec.grid import Grid
from aefi_bluesky.domain.spec.zone import FARTHEST_MM, MOST_FRAMES

_MOST_READINGS = 1_000_000
"""No measurement has more readings than this."""

_LONGEST_SETTLE_S = 3600.0


@dataclass(frozen=True, slots=True)
class StepMapSpec(Grid):
    """A map measured at rest, point by point.

    Parameters
    ----------
    zone
        Centres of the outer pixels, in mm.
    n_x, n_y
        Pixels along each axis.
    pattern
        Order and direction of the lines.
    fast_axis
        The axis that moves in the lines; `COMB` always takes y.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    excitation
        What the spheres are driven with.
    readings_per_point
        Readings of a measurement.
    settle_s
        Rest before each measurement, after a move and after muting, 0 to 3600 s.
    differential
        Whether each point is measured twice, first driven, then with the excitation
        muted.

    Raises
    ------
    InvalidScanSpecError
        If a value has the wrong type, is out of range, or makes more than ten
        million measurements.
    """

    n_avg: int
    excitation: Excitation
    readings_per_point: int = 1
    settle_s: float = 0.0
    differential: bool = False

    def __post_init__(self) -> None:
        # super() does not find a class that slots made anew.
        Grid.__post_init__(self)
        _keep_reading(self)
        _keep_readings(self, "readings_per_point")
        require_member("differential", bool, self.differential)
        _require_measurements(self.n_measurements)

    @property
    def n_measurements(self) -> int:
        """Measurements in all, muted ones included."""
        return self.n_x * self.n_y * (2 if self.differential else 1)


@dataclass(frozen=True, slots=True)
class _AtRest:
    """What is measured at one place.

    Parameters
    ----------
    x_mm, y_mm
        Where, in mm.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    excitation
        What the spheres are driven with.
    """

    x_mm: float
    y_mm: float
    n_avg: int
    excitation: Excitation

    def _keep_place(self) -> None:
        for axis in ("x", "y"):
            what = f"place: {axis}"
            keep_number(self, f"{axis}_mm", what, "mm", -FARTHEST_MM, FARTHEST_MM)
        _keep_reading(self)


@dataclass(frozen=True, slots=True)
class PointSpec(_AtRest):
    """One measurement at one place.

    Parameters
    ----------
    x_mm, y_mm
        Where, in mm.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    excitation
        What the spheres are driven with.
    readings
        Readings of the measurement.
    settle_s
        Rest before it, 0 to 3600 s.
    differential
        Whether it is taken twice, first driven, then with the excitation muted.

    Raises
    ------
    InvalidScanSpecError
        If a value has the wrong type or is out of range.
    """

    readings: int = 1
    settle_s: float = 0.0
    differential: bool = False

    def __post_init__(self) -> None:
        self._keep_place()
        _keep_readings(self, "readings")
        require_member("differential", bool, self.differential)

    @property
    def n_measurements(self) -> int:
        """Measurements in all."""
        return 2 if self.differential else 1


@dataclass(frozen=True, slots=True)
class TimeSeriesSpec(_AtRest):
    """Readings at one place, one after the other.

    Parameters
    ----------
    x_mm, y_mm
        Where, in mm.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    excitation
        What the spheres are driven with.
    count
        Readings, one to ten million.
    period_s
        Time from one reading to the next, to 86 400 s; 0: as fast as they come.
    settle_s
        Rest before the first, 0 to 3600 s.

    Raises
    ------
    InvalidScanSpecError
        If a value has the wrong type or is out of range.
    """

    count: int
    period_s: float = 0.0
    settle_s: float = 0.0

    def __post_init__(self) -> None:
        self._keep_place()
        keep_count(self, "count", "time series: readings", 1, MOST_FRAMES)
        keep_number(self, "period_s", "time series: period", "s", 0, 86_400)

    @classmethod
    def lasting(cls, duration_s: float, period_s: float, **more: Any) -> Self:
        """Return the series with as many readings as are due in a duration.

        Parameters
        ----------
        duration_s
            From the first reading to the last one at most, in s.
        period_s
            Time from one reading to the next, in s; above zero.
        more
            The other fields.
        """
        require_number("time series: period", period_s, "s", 1e-6, 86_400)
        require_number("time series: duration", duration_s, "s", 0, 1e9)
        # A little more, so that 1 s is ten periods of 0.1 s.
        count = int(duration_s / period_s * (1 + 1e-12)) + 1
        return cls(count=count, period_s=period_s, **more)

    @property
    def n_measurements(self) -> int:
        """Measurements in all."""
        return self.count


@dataclass(frozen=True, slots=True)
class FrequencySequenceSpec(_AtRest):
    """One measurement at one place for each of several frequencies.

    Parameters
    ----------
    x_mm, y_mm
        Where, in mm.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    excitation
        Mode and levels; its frequency is replaced by each of the sequence.
    frequencies_hz
        One to ten thousand frequencies in the order they are measured, in Hz.
    readings
        Readings of a measurement.
    settle_s
        Rest before each, after the frequency was set, 0 to 3600 s.
    differential
        Whether each is taken twice, first driven, then with the excitation muted.

    Raises
    ------
    InvalidScanSpecError
        If a value has the wrong type or is out of range.
    """

    frequencies_hz: tuple[float, ...]
    readings: int = 1
    settle_s: float = 0.0
    differential: bool = False

    def __post_init__(self) -> None:
        self._keep_place()
        _keep_readings(self, "readings")
        require_member("differential", bool, self.differential)
        require_member("frequencies", tuple, self.frequencies_hz)
        require_count("number of frequencies", len(self.frequencies_hz), 1, 10_000)
        frequencies = (self.excitation_at(f).frequency_hz for f in self.frequencies_hz)
        object.__setattr__(self, "frequencies_hz", tuple(frequencies))

    def excitation_at(self, frequency_hz: float) -> Excitation:
        """Return the excitation at one of the frequencies, in Hz."""
        return dataclasses.replace(self.excitation, frequency_hz=frequency_hz)

    @property
    def n_measurements(self) -> int:
        """Measurements in all, muted ones included."""
        return len(self.frequencies_hz) * (2 if self.differential else 1)


StepSpec = StepMapSpec | PointSpec | TimeSeriesSpec | FrequencySequenceSpec
"""What is measured at rest."""


def _keep_reading(spec: Any) -> None:
    keep_count(spec, "n_avg", "conversions averaged", 1, 127)
    require_member("excitation", Excitation, spec.excitation)
    keep_number(spec, "settle_s", "settling", "s", 0, _LONGEST_SETTLE_S)


def _keep_readings(spec: object, field: str) -> None:
    keep_count(spec, field, "readings of a measurement", 1, _MOST_READINGS)


def _require_measurements(count: int) -> None:
    if count > MOST_FRAMES:
        raise InvalidScanSpecError(
            f"a scan has at most {MOST_FRAMES} measurements, was {count}"
        )
