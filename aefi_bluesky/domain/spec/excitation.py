"""What the spheres are driven with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from aefi_bluesky.domain.checks import keep_number
from aefi_bluesky.domain.plain_values import (
    from_known_fields,
    member_of,
    require_member,
)


class ExcitationMode(StrEnum):
    """Phase of the second generator channel against the first."""

    X_DIR = "x-dir"
    Y_DIR = "y-dir"
    CIRCULAR_PLUS = "circular-plus"
    CIRCULAR_MINUS = "circular-minus"


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
            field = f"level_{pair}_percent"
            keep_number(self, field, f"excitation: level {pair}", "%", 0, 100)
        keep_number(self, "frequency_hz", "excitation: frequency", "Hz", 1, 8e6)

    @classmethod
    def off(cls) -> Self:
        """Return no excitation."""
        return cls(ExcitationMode.X_DIR, 0.0, 0.0, 1000.0)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the excitation that was made plain."""
        readers = {"mode": member_of("excitation mode", ExcitationMode)}
        return from_known_fields("excitation", cls, plain, readers)
