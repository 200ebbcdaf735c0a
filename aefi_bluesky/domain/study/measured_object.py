"""What a study is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, cast

from aefi_bluesky.domain.checks import keep_number, require_number
from aefi_bluesky.domain.errors import StudyFormatError, StudyRuleError
from aefi_bluesky.domain.plain_values import known_fields, require_member
from aefi_bluesky.domain.study.rules import StudyRule

LARGEST_MM = 1e6
"""No object is larger or deeper than this, in mm."""

_refuse = partial(StudyRuleError, StudyRule.COMPLETE_VALUES)


@dataclass(frozen=True, slots=True)
class MeasuredObject:
    """The one object of a study, and how it lies.

    Parameters
    ----------
    reference
        What it is found by: its name or its number in a catalogue; not empty.
    size_mm
        Extents along x, y and z, in mm, each above zero; None if not known.
    depth_mm
        From the surface of the medium down to its top, in mm; None if not known.
    medium
        What it lies in, as ``"air"`` or ``"dry sand"``; empty if not known.
    lift_off_mm
        From the surface of the medium up to the sensor, in mm; None if not known.

    Raises
    ------
    StudyRuleError
        If a value has the wrong type or is out of range.
    """

    reference: str
    size_mm: tuple[float, float, float] | None = None
    depth_mm: float | None = None
    medium: str = ""
    lift_off_mm: float | None = None

    def __post_init__(self) -> None:
        for name in ("reference", "medium"):
            require_member(f"object: {name}", str, getattr(self, name), error=_refuse)
        if not self.reference:
            raise _refuse("object: reference must not be empty")
        self._keep_size()
        for name in ("depth", "lift_off"):
            field, what = f"{name}_mm", f"object: {name}"
            if getattr(self, field) is not None:
                keep_number(self, field, what, "mm", 0, LARGEST_MM, error=_refuse)

    def _keep_size(self) -> None:
        if self.size_mm is None:
            return
        require_member("object: size", tuple, self.size_mm, error=_refuse)
        if len(self.size_mm) != 3:
            raise _refuse(f"object: size must be three extents, was {self.size_mm!r}")
        size = (
            require_number(
                f"object: size along {axis}",
                extent,
                "mm",
                1e-6,
                LARGEST_MM,
                error=_refuse,
            )
            for axis, extent in zip("xyz", self.size_mm, strict=True)
        )
        object.__setattr__(self, "size_mm", tuple(size))

    def to_plain(self) -> dict[str, Any]:
        """Return the object as plain JSON values."""
        plain = dataclasses.asdict(self)
        plain["size_mm"] = None if self.size_mm is None else list(self.size_mm)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the object that `to_plain` made plain.

        Raises
        ------
        StudyFormatError, StudyRuleError
            If a key is unknown or missing, or a value is wrong.
        """
        values = known_fields("object", cls, plain, error=StudyFormatError)
        size = values.get("size_mm")
        if isinstance(size, list):
            size = tuple(cast("list[Any]", size))
        values["size_mm"] = size
        return cls(**values)
