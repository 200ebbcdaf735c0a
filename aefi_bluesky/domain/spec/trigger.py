"""What decides when a reading is taken in flight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from aefi_bluesky.domain.checks import keep_number
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.plain_values import (
    from_known_fields,
    member_of,
    require_member,
)


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
            keep_number(self, "period_s", "trigger: period", "s", 1e-6, 60)
            return
        if self.period_s != 0:
            raise InvalidScanSpecError(
                f"trigger: only 'periodic' has a period, but {self.kind.value!r} was "
                f"given a period of {self.period_s!r} s"
            )
        keep_number(self, "period_s", "trigger: period", "s")

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the trigger that was made plain."""
        readers = {"kind": member_of("trigger", TriggerKind)}
        return from_known_fields("trigger", cls, plain, readers)
