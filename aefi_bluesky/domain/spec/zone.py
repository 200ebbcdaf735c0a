"""Rectangles of the stage's travel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from aefi_bluesky.domain.checks import keep_number, require_count, require_number
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.plain_values import from_known_fields

AxisName = Literal["x", "y"]

OTHER_AXIS: dict[AxisName, AxisName] = {"x": "y", "y": "x"}
"""The slow axis of each fast one."""

FARTHEST_MM = 1e6
"""No stage reaches further than this from its origin."""

MOST_FRAMES = 10_000_000
"""No scan has more frames than this."""


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
            for end in ("min", "max"):
                field, what = f"{axis}_{end}_mm", f"zone: {axis} {end}"
                keep_number(self, field, what, "mm", -FARTHEST_MM, FARTHEST_MM)
            low, high = self.along(axis)
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

    @classmethod
    def of_pixels(
        cls, x_mm: float, y_mm: float, n_x: int, n_y: int, pitch_mm: float
    ) -> Self:
        """Return the zone of `n_x` by `n_y` square pixels around a centre.

        Parameters
        ----------
        x_mm, y_mm
            The centre, in mm.
        n_x, n_y
            Pixels along each axis.
        pitch_mm
            Side of a pixel and distance of neighbours, in mm; above zero.
        """
        require_count("zone: pixels along x", n_x, 1, MOST_FRAMES)
        require_count("zone: pixels along y", n_y, 1, MOST_FRAMES)
        require_number("zone: pitch", pitch_mm, "mm", 1e-6, FARTHEST_MM)
        return cls.centred(x_mm, y_mm, (n_x - 1) * pitch_mm, (n_y - 1) * pitch_mm)

    def along(self, axis: AxisName) -> tuple[float, float]:
        """Return both ends along `axis`, in mm."""
        if axis == "x":
            return self.x_min_mm, self.x_max_mm
        return self.y_min_mm, self.y_max_mm

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the zone that was made plain."""
        return from_known_fields("zone", cls, plain)
