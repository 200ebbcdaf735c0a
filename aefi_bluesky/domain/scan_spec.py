"""What to measure, in the user's units."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

from aefi_bluesky.domain.checks import require_count, require_number
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.plain_values import known_fields, member, require_member

AxisName = Literal["x", "y"]

FARTHEST_MM = 1e6
"""No stage reaches further than this from its origin."""

MOST_FRAMES = 10_000_000
"""No map has more frames than this."""


class Pattern(StrEnum):
    """The order and direction in which lines are flown."""

    SERPENTINE = "serpentine"
    """Even lines ascend, odd ones descend."""
    RASTER = "raster"
    """All lines ascend."""
    COMB = "comb"
    """`RASTER` with fast axis y, whatever axis is given."""


class TriggerKind(StrEnum):
    """What decides when a reading is taken.

    The last three are by wire, for another detector in the same run: beside it ours
    takes one reading after the other.
    """

    FREE_RUNNING = "free-running"
    """One reading after the other, as fast as they come."""
    PERIODIC = "periodic"
    """One reading a period."""
    POSITIONS = "positions"
    """At predicted positions spaced evenly in each frame, the lead compensated."""
    SYNC_OUTPUT = "sync-output"
    """A pulse a frame, by the controller's compare on an encoder (Arcus §7 A)."""
    DIGITAL_OUTPUT = "digital-output"
    """A pulse a frame, by an output that the host sets on the controller (§7 C)."""
    LATCH = "latch"
    """The other detector's edge latches the controller's position (§7 F)."""


class ExcitationMode(StrEnum):
    """Phase of the second generator channel against the first."""

    X_DIR = "x-dir"
    Y_DIR = "y-dir"
    CIRCULAR_PLUS = "circular-plus"
    CIRCULAR_MINUS = "circular-minus"


@dataclass(frozen=True, slots=True)
class Zone:
    """A rectangle of the stage's travel, in mm.

    Parameters
    ----------
    x_min_mm, x_max_mm, y_min_mm, y_max_mm
        Centres of the outer frames; within 1 km of the origin, min not above max.

    Raises
    ------
    InvalidScanSpecError
        If a number is out of range or a minimum is above its maximum.
    """

    x_min_mm: float
    x_max_mm: float
    y_min_mm: float
    y_max_mm: float

    def __post_init__(self) -> None:
        for axis in ("x", "y"):
            low, high = self.along(axis)
            for end, value in (("min", low), ("max", high)):
                require_number(
                    f"zone: {axis} {end}", value, "mm", -FARTHEST_MM, FARTHEST_MM
                )
            if low > high:
                raise InvalidScanSpecError(
                    f"zone: {axis} min must not be above {axis} max, "
                    f"was {low:g} mm above {high:g} mm"
                )

    @classmethod
    def centred(
        cls, x_mm: float, y_mm: float, width_mm: float, height_mm: float
    ) -> Self:
        """Return the zone of this width (x) and height (y) around a centre, in mm."""
        for axis, value in (("x", x_mm), ("y", y_mm)):
            require_number(
                f"zone: centre {axis}", value, "mm", -FARTHEST_MM, FARTHEST_MM
            )
        require_number("zone: width", width_mm, "mm", 0, 2 * FARTHEST_MM)
        require_number("zone: height", height_mm, "mm", 0, 2 * FARTHEST_MM)
        half_width, half_height = width_mm / 2, height_mm / 2
        return cls(
            x_mm - half_width, x_mm + half_width, y_mm - half_height, y_mm + half_height
        )

    def along(self, axis: AxisName) -> tuple[float, float]:
        """Return both ends along `axis`, in mm."""
        if axis == "x":
            return self.x_min_mm, self.x_max_mm
        return self.y_min_mm, self.y_max_mm


@dataclass(frozen=True, slots=True)
class Excitation:
    """What the spheres are driven with.

    Parameters
    ----------
    mode
        Phase between the sphere pairs.
    level_s1s2_percent, level_s3s4_percent
        Level of each sphere pair, 0 to 100 %.
    frequency_hz
        1 Hz to 8 MHz, common to all channels.
    """

    mode: ExcitationMode
    level_s1s2_percent: float
    level_s3s4_percent: float
    frequency_hz: float

    def __post_init__(self) -> None:
        require_member("excitation mode", ExcitationMode, self.mode)
        for pair in ("s1s2", "s3s4"):
            level = getattr(self, f"level_{pair}_percent")
            require_number(f"excitation: level {pair}", level, "%", 0, 100)
        require_number("excitation: frequency", self.frequency_hz, "Hz", 1, 8e6)

    @classmethod
    def off(cls) -> Self:
        """Return no excitation."""
        return cls(ExcitationMode.X_DIR, 0.0, 0.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Trigger:
    """When readings are taken.

    Parameters
    ----------
    kind
        What decides.
    period_s
        Time from one reading to the next, 1 us to 60 s; only for `PERIODIC`, else 0.
    """

    kind: TriggerKind = TriggerKind.FREE_RUNNING
    period_s: float = 0.0

    def __post_init__(self) -> None:
        require_member("trigger", TriggerKind, self.kind)
        if self.kind is TriggerKind.PERIODIC:
            require_number("trigger: period", self.period_s, "s", 1e-6, 60)
        elif self.period_s != 0:
            raise InvalidScanSpecError(
                f"trigger: only 'periodic' has a period, {self.kind.value!r} was given "
                f"{self.period_s!r} s"
            )


@dataclass(frozen=True, slots=True)
class FlyScanSpec:
    """A map flown line by line.

    Parameters
    ----------
    zone
        Centres of the outer frames, in mm.
    n_x, n_y
        Frames along each axis, at least two along the fast one; ten million in all.
    pattern
        Order and direction of the lines.
    fast_axis
        The axis that moves in the lines; `COMB` always flies y.
    speed_mm_per_s
        Speed in the windows, in mm/s.
    n_avg
        Conversions averaged into a reading, 1 to 127.
    excitation
        What the spheres are driven with.
    min_readings_per_frame
        Readings a frame needs to be ok.
    allowed_bad_frames
        Frames in another state than ok that a success may have.
    gap_fill_passes
        Extra passes over frames that are not ok, at most; 0 to 10.
    trigger
        When readings are taken.

    Raises
    ------
    InvalidScanSpecError
        If a value has the wrong type, is out of range, or makes no line.
    """

    zone: Zone
    n_x: int
    n_y: int
    pattern: Pattern
    fast_axis: AxisName
    speed_mm_per_s: float
    n_avg: int
    excitation: Excitation
    min_readings_per_frame: int = 1
    allowed_bad_frames: int = 0
    gap_fill_passes: int = 0
    trigger: Trigger = field(default_factory=Trigger)

    def __post_init__(self) -> None:
        require_member("zone", Zone, self.zone)
        require_member("pattern", Pattern, self.pattern)
        require_member("excitation", Excitation, self.excitation)
        require_member("trigger", Trigger, self.trigger)
        require_number("speed", self.speed_mm_per_s, "mm/s", 1e-6, 1e6)
        require_count("conversions averaged", self.n_avg, 1, 127)
        require_count("readings per frame", self.min_readings_per_frame, 1, 1_000_000)
        require_count("allowed bad frames", self.allowed_bad_frames, 0, MOST_FRAMES)
        require_count("gap fill passes", self.gap_fill_passes, 0, 10)
        self._require_frames()
        if self.fast_axis not in ("x", "y"):
            raise InvalidScanSpecError(
                f"fast axis must be 'x' or 'y', was {self.fast_axis!r}"
            )
        self._require_lines()

    def _require_frames(self) -> None:
        require_count("frames along x", self.n_x, 1, MOST_FRAMES)
        require_count("frames along y", self.n_y, 1, MOST_FRAMES)
        if self.n_x * self.n_y > MOST_FRAMES:
            raise InvalidScanSpecError(
                f"a map has at most {MOST_FRAMES} frames, {self.n_x} along x by "
                f"{self.n_y} along y were {self.n_x * self.n_y}"
            )

    def _require_lines(self) -> None:
        for axis in ("x", "y"):
            low, high = self.zone.along(axis)
            count = self.count_along(axis)
            if low == high and count > 1:
                raise InvalidScanSpecError(
                    f"{count} frames along {axis} need {axis} min below {axis} max, "
                    f"both were {low:g} mm"
                )
        fast = self.effective_fast_axis
        if self.count_along(fast) < 2:
            raise InvalidScanSpecError(
                f"a line needs at least 2 frames along its fast axis {fast}, "
                f"had {self.count_along(fast)}"
            )

    @property
    def effective_fast_axis(self) -> AxisName:
        """The axis that is really flown."""
        return "y" if self.pattern is Pattern.COMB else self.fast_axis

    def count_along(self, axis: AxisName) -> int:
        """Return the number of frames along `axis`."""
        return self.n_x if axis == "x" else self.n_y

    def pitch_mm(self, axis: AxisName) -> float:
        """Return the distance of neighbours along `axis` in mm; zero for one frame."""
        low, high = self.zone.along(axis)
        count = self.count_along(axis)
        return (high - low) / (count - 1) if count > 1 else 0.0

    @classmethod
    def standard(
        cls, centre_x_mm: float, centre_y_mm: float, excitation: Excitation
    ) -> Self:
        """Return the bench's standard map: 200 mm x 200 mm, 81 x 81 frames."""
        return cls(
            zone=Zone.centred(centre_x_mm, centre_y_mm, 200.0, 200.0),
            n_x=81,
            n_y=81,
            pattern=Pattern.SERPENTINE,
            fast_axis="y",
            speed_mm_per_s=32.7,
            n_avg=10,
            excitation=excitation,
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the spec as plain JSON values."""
        plain = dataclasses.asdict(self)
        plain["pattern"] = self.pattern.value
        plain["excitation"]["mode"] = self.excitation.mode.value
        plain["trigger"]["kind"] = self.trigger.kind.value
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the spec that `to_plain` made plain.

        Raises
        ------
        InvalidScanSpecError
            If a key is unknown or missing, or a value is wrong.
        """
        values = known_fields("scan spec", cls, plain)
        values["zone"] = Zone(**known_fields("zone", Zone, values["zone"]))
        excitation = known_fields("excitation", Excitation, values["excitation"])
        mode = member("excitation mode", ExcitationMode, excitation["mode"])
        levels = {key: excitation[key] for key in excitation if key != "mode"}
        values["excitation"] = Excitation(mode=mode, **levels)
        if "trigger" in values:
            trigger = known_fields("trigger", Trigger, values["trigger"])
            kind = member("trigger", TriggerKind, trigger.get("kind", "free-running"))
            values["trigger"] = Trigger(kind, trigger.get("period_s", 0.0))
        values["pattern"] = member("pattern", Pattern, values["pattern"])
        return cls(**values)
