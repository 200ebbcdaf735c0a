"""Maps and lines that are flown, in the user's units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from aefi_bluesky.domain.checks import keep_count, keep_number, require_count
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.plain_values import from_known_fields, require_member, to_plain
from aefi_bluesky.domain.spec.excitation import Excitation, ExcitationMode
from aefi_bluesky.domain.spec.grid import GRID_READERS, Grid, Pattern
from aefi_bluesky.domain.spec.trigger import Trigger, TriggerKind
from aefi_bluesky.domain.spec.zone import FARTHEST_MM, MOST_FRAMES, AxisName, Zone

__all__ = [
    "FARTHEST_MM",
    "MOST_FRAMES",
    "AxisName",
    "Excitation",
    "ExcitationMode",
    "FlyScanSpec",
    "Pattern",
    "Trigger",
    "TriggerKind",
    "Zone",
]


@dataclass(frozen=True, slots=True)
class FlyScanSpec(Grid):
    """A map flown line by line.

    Parameters
    ----------
    zone
        Centres of the outer frames, in mm.
    n_x, n_y
        Frames along each axis, at least two along the fast one.
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
    repeats
        How often each line is flown before the slow axis goes on; with `SERPENTINE`
        there and back in turn.
    differential
        Whether each line is flown twice, first driven, then with the excitation
        muted. With `SERPENTINE` the driven ones ascend and the muted ones descend.

    Raises
    ------
    InvalidScanSpecError
        If a value has the wrong type, is out of range, makes no line, or more than
        ten million frames.
    """

    speed_mm_per_s: float
    n_avg: int
    excitation: Excitation
    min_readings_per_frame: int = 1
    allowed_bad_frames: int = 0
    gap_fill_passes: int = 0
    trigger: Trigger = field(default_factory=Trigger)
    repeats: int = 1
    differential: bool = False

    def __post_init__(self) -> None:
        # super() does not find a class that slots made anew.
        Grid.__post_init__(self)
        require_member("excitation", Excitation, self.excitation)
        require_member("trigger", Trigger, self.trigger)
        keep_number(self, "speed_mm_per_s", "speed", "mm/s", 1e-6, 1e6)
        for name, what, least, most in (
            ("n_avg", "conversions averaged", 1, 127),
            ("min_readings_per_frame", "readings per frame", 1, 1_000_000),
            ("allowed_bad_frames", "allowed bad frames", 0, MOST_FRAMES),
            ("gap_fill_passes", "gap fill passes", 0, 10),
            ("repeats", "repeats of a line", 1, MOST_FRAMES),
        ):
            keep_count(self, name, what, least, most)
        require_member("differential", bool, self.differential)
        fast = self.effective_fast_axis
        if self.count_along(fast) < 2:
            raise InvalidScanSpecError(
                f"a line needs at least 2 frames along its fast axis {fast}, "
                f"had {self.count_along(fast)}"
            )
        if self.n_frames > MOST_FRAMES:
            raise InvalidScanSpecError(
                f"a map has at most {MOST_FRAMES} frames, was {self.n_frames} "
                f"({self.n_lines} lines of {self.count_along(fast)} frames)"
            )

    @property
    def lines_per_row(self) -> int:
        """Lines that are flown at each position of the slow axis."""
        return self.repeats * (2 if self.differential else 1)

    @property
    def n_lines(self) -> int:
        """Lines that are flown, repeats and muted ones included."""
        return self.count_along(self.slow_axis) * self.lines_per_row

    @property
    def n_frames(self) -> int:
        """Frames that are flown, repeats and muted ones included."""
        return self.n_lines * self.count_along(self.effective_fast_axis)

    @classmethod
    def standard(
        cls, centre_x_mm: float, centre_y_mm: float, excitation: Excitation
    ) -> Self:
        """Return the bench's standard map: 200 mm x 200 mm, 81 x 81 frames."""
        return cls(
            zone=Zone.of_pixels(centre_x_mm, centre_y_mm, 81, 81, 2.5),
            n_x=81,
            n_y=81,
            pattern=Pattern.SERPENTINE,
            fast_axis="y",
            speed_mm_per_s=32.7,
            n_avg=10,
            excitation=excitation,
        )

    @classmethod
    def line(
        cls,
        axis: AxisName,
        *,
        from_mm: float,
        to_mm: float,
        at_mm: float,
        n_frames: int,
        speed_mm_per_s: float,
        n_avg: int,
        excitation: Excitation,
        pattern: Pattern = Pattern.RASTER,
        repeats: int = 1,
        **more: Any,
    ) -> Self:
        """Return a single line.

        Parameters
        ----------
        axis
            The axis that moves.
        from_mm, to_mm
            Centres of the first and the last frame, in mm, ascending.
        at_mm
            Where the other axis rests, in mm.
        n_frames
            Frames in the line, at least two.
        speed_mm_per_s
            Speed in the window, in mm/s.
        n_avg
            Conversions averaged into a reading, 1 to 127.
        excitation
            What the spheres are driven with.
        pattern, repeats
            How often the line is flown, and whether there and back in turn.
        more
            Other fields of the spec.
        """
        ends = (from_mm, to_mm, at_mm, at_mm)
        return cls(
            zone=Zone(*ends) if axis == "x" else Zone(*ends[2:], *ends[:2]),
            n_x=n_frames if axis == "x" else 1,
            n_y=1 if axis == "x" else n_frames,
            pattern=pattern,
            fast_axis=axis,
            speed_mm_per_s=speed_mm_per_s,
            n_avg=n_avg,
            excitation=excitation,
            repeats=repeats,
            **more,
        )

    @classmethod
    def calibration_line(
        cls, axis: AxisName, *, there_and_back: int = 1, **line: Any
    ) -> Self:
        """Return a line that is flown there and back; both ways tell the lag.

        Parameters
        ----------
        axis
            The axis that moves.
        there_and_back
            How often it is flown there and back.
        line
            As in `line`. It can't be differential: the way back would be muted.

        Raises
        ------
        InvalidScanSpecError
            If it is differential, or a value is wrong.
        """
        require_count("flown there and back", there_and_back, 1, MOST_FRAMES)
        if line.get("differential"):
            raise InvalidScanSpecError(
                "a calibration line can't be differential: every way back would be "
                "muted"
            )
        return cls.line(
            axis, pattern=Pattern.SERPENTINE, repeats=2 * there_and_back, **line
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the spec as plain JSON values."""
        return to_plain(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the spec that `to_plain` made plain.

        Raises
        ------
        InvalidScanSpecError
            If a key is unknown or missing, or a value is wrong.
        """
        return from_known_fields("scan spec", cls, plain, _READERS)


_READERS = {
    **GRID_READERS,
    "excitation": Excitation.from_plain,
    "trigger": Trigger.from_plain,
}
