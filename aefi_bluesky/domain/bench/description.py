"""What planning and recalibration must know of a bench."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from aefi_bluesky.domain.checks import keep_count, keep_number, require_number
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.domain.plain_values import known_fields, require_member
from aefi_bluesky.domain.spec.zone import AxisName

OVERSAMPLING_RATIOS = (
    *(4096, 2048, 1024, 800, 768, 512, 400, 384),
    *(256, 200, 192, 128, 96, 64, 48, 32),
)
"""What the converter (ADS131A04) can be set to, by its register code."""

WHOLE_STEP = 1e-6
"""An end of the travel that should be a whole step may miss it by this, in steps."""


def _keep(
    owner: object,
    field: str,
    what: str,
    unit: str,
    low: float = 0,
    high: float = 1e12,
) -> None:
    keep_number(owner, field, what, unit, low, high, error=ConfigurationError)


@dataclass(frozen=True, slots=True)
class AxisDescription:
    """One axis of the stage.

    Parameters
    ----------
    travel_min_mm, travel_max_mm
        Ends of the travel, in mm.
    um_per_step
        Way of one motor step, in um.
    """

    travel_min_mm: float
    travel_max_mm: float
    um_per_step: float

    def __post_init__(self) -> None:
        _keep(self, "um_per_step", "axis: micrometres per step", "um", 1e-3, 1e4)
        _keep(self, "travel_min_mm", "axis: travel min", "mm", -1e6, 1e6)
        _keep(self, "travel_max_mm", "axis: travel max", "mm", -1e6, 1e6)
        if not self.travel_min_mm < self.travel_max_mm:
            raise ConfigurationError(
                f"axis: travel max must be above {self.travel_min_mm:g} mm, "
                f"was {self.travel_max_mm!r} mm"
            )

    def require_inside(self, what: str, position_mm: object) -> float:
        """Return a position in mm as a float; refuse what is outside the travel.

        Raises
        ------
        InvalidScanSpecError
            With the travel.
        """
        ends_mm = self.travel_min_mm, self.travel_max_mm
        return require_number(what, position_mm, "mm", *ends_mm)

    @property
    def mm_per_step(self) -> float:
        """Way of one motor step, in mm."""
        return self.um_per_step / 1000

    def step_mm(self, position_mm: float) -> float:
        """Return the place of the step next to a position, in mm."""
        return round(position_mm / self.mm_per_step) * self.mm_per_step

    def stop_mm(self, position_mm: float) -> float:
        """Return where the axis stops that is sent to a position, in mm.

        The place of a step; an end of the travel where that is all but the same.
        """
        stop_mm = self.step_mm(position_mm)
        for end_mm in (self.travel_min_mm, self.travel_max_mm):
            if abs(stop_mm - end_mm) <= WHOLE_STEP * self.mm_per_step:
                return end_mm
        return stop_mm

    def holds(self, position_mm: float) -> bool:
        """Return whether a position in mm is inside the travel."""
        return self.travel_min_mm <= position_mm <= self.travel_max_mm


@dataclass(frozen=True, slots=True)
class MotionDescription:
    """How an axis moves; of a bench, how y does: see `BenchDescription.motion_along`.

    Parameters
    ----------
    start_speed_mm_per_s
        Speed at which every ramp starts and stops, in mm/s.
    ramp_s
        Duration of a ramp, in s.
    positioning_speed_mm_per_s
        Speed between lines, in mm/s.
    min_speed_mm_per_s, max_speed_mm_per_s
        Range of speeds in lines, in mm/s.
    """

    start_speed_mm_per_s: float
    ramp_s: float
    positioning_speed_mm_per_s: float
    min_speed_mm_per_s: float
    max_speed_mm_per_s: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            unit = "s" if field.name == "ramp_s" else "mm/s"
            _keep(self, field.name, f"motion: {field.name}", unit, 1e-6)
        if self.min_speed_mm_per_s > self.max_speed_mm_per_s:
            raise ConfigurationError(
                f"motion: minimum speed must not be above the maximum, was "
                f"{self.min_speed_mm_per_s:g} above {self.max_speed_mm_per_s:g} mm/s"
            )

    def scaled(self, factor: float) -> Self:
        """Return the same in steps of another length: all speeds times `factor`."""
        if factor == 1:
            return self
        speeds = {
            field.name: getattr(self, field.name) * factor
            for field in dataclasses.fields(self)
            if field.name != "ramp_s"
        }
        return dataclasses.replace(self, **speeds)

    def ramp_length_mm(self, speed_mm_per_s: float) -> float:
        """Return the way of a ramp to a speed, in mm.

        ``(v + v_start) / 2 * t`` (Arcus reference §6.3); zero where the start speed
        is not below the speed: the axis then starts at speed.
        """
        if speed_mm_per_s <= self.start_speed_mm_per_s:
            return 0.0
        return (speed_mm_per_s + self.start_speed_mm_per_s) / 2 * self.ramp_s


@dataclass(frozen=True, slots=True)
class DetectorDescription:
    """The acquisition.

    Parameters
    ----------
    reading_rate_hz
        Readings a second that really arrive, as measured.
    vref_v
        Reference voltage of the converter, in V.
    gain
        Digital gain: 1, 2, 4, 8 or 16.
    osr
        Oversampling ratio of the converter.
    conversion_rate_hz
        Conversions a second: n of them are averaged into a reading.
    lag_s
        What a reading shows is so much older than its integration, in s: the lag of
        the lock-in and of whatever else lies before the converter; 0 to 10.
    exchange_s
        Time of a reading's bytes on the line at most, in s; 0 if it is not known.
    latency_tick_s
        Replies reach the host at multiples of this only, in s; 0 if it is not known.
    setup_s
        Time that setting up and switching off takes, in s; 0 if it is not known.
    """

    reading_rate_hz: float
    vref_v: float
    gain: int
    osr: int
    conversion_rate_hz: float
    lag_s: float = 0.0
    exchange_s: float = 0.0
    latency_tick_s: float = 0.0
    setup_s: float = 0.0

    def __post_init__(self) -> None:
        _keep(self, "exchange_s", "detector: exchange", "s", 0, 60)
        _keep(self, "latency_tick_s", "detector: latency tick", "s", 0, 60)
        _keep(self, "setup_s", "detector: set-up", "s", 0, 600)
        _keep(self, "reading_rate_hz", "detector: reading rate", "Hz", 1e-3)
        _keep(self, "vref_v", "detector: reference voltage", "V", 1e-3, 10)
        _keep(self, "conversion_rate_hz", "detector: conversion rate", "Hz", 1)
        _keep(self, "lag_s", "detector: lag", "s", 0, 10)
        error = ConfigurationError
        keep_count(self, "gain", "detector: gain", 1, 16, error=error)
        keep_count(self, "osr", "detector: oversampling ratio", 1, error=error)
        if self.osr not in OVERSAMPLING_RATIOS:
            raise ConfigurationError(
                f"detector: oversampling ratio must be one of "
                f"{', '.join(map(str, OVERSAMPLING_RATIOS))}, was {self.osr!r}"
            )
        if self.gain not in (1, 2, 4, 8, 16):
            raise ConfigurationError(
                f"detector: gain must be 1, 2, 4, 8 or 16, was {self.gain!r}"
            )


@dataclass(frozen=True, slots=True)
class LinkDescription:
    """The link to the stage controller.

    Parameters
    ----------
    fix_rate_hz
        Position fixes a second that really arrive, as measured.
    fix_line_limit_hz
        Position fixes a second that the line allows at best.
    line_overhead_s
        Time a move between two places of measurement takes beyond its way: commands,
        confirmations, in s. What a line takes is counted (`domain.flight.exchanges`).
    setup_s
        Time that setting up takes before anything moves, in s; 0 if it is not known.
    byte_s
        Time of a byte on the line, in s; 0 if it is not known: each exchange is then
        taken to be as long as a fix's.
    """

    fix_rate_hz: float
    fix_line_limit_hz: float
    line_overhead_s: float
    setup_s: float = 0.0
    byte_s: float = 0.0

    def __post_init__(self) -> None:
        _keep(self, "byte_s", "link: byte", "s", 0, 1)
        _keep(self, "setup_s", "link: set-up", "s", 0, 600)
        _keep(self, "fix_rate_hz", "link: fix rate", "Hz", 1e-3)
        _keep(self, "fix_line_limit_hz", "link: line limit", "Hz", 1e-3)
        _keep(self, "line_overhead_s", "link: overhead of a line", "s", 0, 60)


@dataclass(frozen=True, slots=True)
class WiringDescription:
    """What the stage controller is wired to beside its motors; nothing by default.

    Parameters
    ----------
    encoder_pulses_per_count
        Motor steps for each count of the encoders on both axes; 0 for no encoders.
    sync_output
        Whether another detector reads on the edge of DO1 (x) and DO2 (y); takes
        encoders.
    digital_output
        The output, 5 to 8, on whose edge another detector reads; 0 for none.
    latch
        Whether another detector's edge reaches the latch inputs DI4 (x) and DI6 (y).
    """

    encoder_pulses_per_count: float = 0.0
    sync_output: bool = False
    digital_output: int = 0
    latch: bool = False

    def __post_init__(self) -> None:
        pulses, output = "encoder_pulses_per_count", "digital_output"
        # Zero is for none.
        least = 1e-3 if self.encoder_pulses_per_count != 0 else 0
        _keep(self, pulses, "wiring: steps for each encoder count", "", least, 1e4)
        lowest = 5 if self.digital_output != 0 else 0
        what, error = "wiring: digital output", ConfigurationError
        keep_count(self, output, what, lowest, 8, error=error)
        for name in ("sync_output", "latch"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(
                    f"wiring: {name} must be true or false, was {getattr(self, name)!r}"
                )
        if self.sync_output and not self.has_encoders:
            raise ConfigurationError(
                "wiring: sync_output needs encoders, but encoder_pulses_per_count is 0"
            )

    @property
    def has_encoders(self) -> bool:
        """Whether there is an encoder on each axis."""
        return self.encoder_pulses_per_count > 0


@dataclass(frozen=True, slots=True)
class BenchDescription:
    """One bench.

    Parameters
    ----------
    name
        What people call it; not empty.
    x, y
        The axes.
    motion, detector, link
        How y moves, and how it measures and talks.
    wiring
        What else the controller is wired to.
    """

    name: str
    x: AxisDescription
    y: AxisDescription
    motion: MotionDescription
    detector: DetectorDescription
    link: LinkDescription
    wiring: WiringDescription = WiringDescription()

    def __post_init__(self) -> None:
        require_member("bench: its name", str, self.name, error=ConfigurationError)
        if not self.name:
            raise ConfigurationError("bench: its name must not be empty")

    def axis(self, name: AxisName) -> AxisDescription:
        """Return the axis called `name`."""
        return self.x if name == "x" else self.y

    def motion_along(self, name: AxisName) -> MotionDescription:
        """Return how the axis called `name` moves, in its own mm/s.

        The controller has one set of speeds, in steps/s (Arcus reference §6): on an
        axis with larger steps they are faster.
        """
        return self.motion.scaled(self.axis(name).um_per_step / self.y.um_per_step)

    def to_plain(self) -> dict[str, Any]:
        """Return the description as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the description that `to_plain` made plain.

        Raises
        ------
        ConfigurationError
            If a key is unknown or missing, or a value is wrong.
        """
        values = known_fields("bench", cls, plain, error=ConfigurationError)
        for name, kind in _PARTS.items():
            if name not in values:
                continue
            part = values[name]
            values[name] = kind(
                **known_fields(f"bench: {name}", kind, part, error=ConfigurationError)
            )
        return cls(**values)


_PARTS: dict[str, type] = {
    "x": AxisDescription,
    "y": AxisDescription,
    "motion": MotionDescription,
    "detector": DetectorDescription,
    "link": LinkDescription,
    "wiring": WiringDescription,
}
