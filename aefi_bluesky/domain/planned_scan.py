"""One entry of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from aefi_bluesky.domain.errors import StudyRuleError
from aefi_bluesky.domain.events import ScanId
from aefi_bluesky.domain.scan_spec import FlyScanSpec


class ScanRole(StrEnum):
    """What a scan is for."""

    REFERENCE = "reference"
    """The field without the object."""
    OBJECT = "object"
    """The field with the object."""
    REPETITION = "repetition"
    """Another scan's conditions again, to see how well it repeats."""
    PRE_SCAN = "pre-scan"
    """A quick look that says where to measure."""


class PlannedScanState(StrEnum):
    """Where a planned scan stands; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether the scan holds the bench."""
        return self in (PlannedScanState.RUNNING, PlannedScanState.PAUSED)

    @property
    def is_final(self) -> bool:
        """Whether nothing follows."""
        return not self.is_active and self is not PlannedScanState.PENDING


@dataclass(frozen=True, slots=True)
class PlannedScan:
    """One entry of a study.

    Parameters
    ----------
    id
        Unique in its study; not empty.
    spec
        What to measure.
    role
        What it is for.
    prerequisites
        Scans of the same study that must be completed first.
    state
        Where it stands.
    run_uid
        Uid of its run in the data store; None before, and without a store.
    cause
        Why it failed or was cancelled, in one sentence; else empty.

    Raises
    ------
    StudyRuleError
        If the identifier is empty, a value is of another kind, or the scan waits for
        itself or twice for the same.
    """

    id: ScanId
    spec: FlyScanSpec
    role: ScanRole
    prerequisites: tuple[ScanId, ...] = ()
    state: PlannedScanState = PlannedScanState.PENDING
    run_uid: str | None = None
    cause: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            raise StudyRuleError("every scan has a name: the identifier was empty")
        _require_kinds(self)
        if self.id in self.prerequisites:
            raise StudyRuleError(
                f"no scan waits for itself: {self.id!r} was its own prerequisite"
            )
        if len(set(self.prerequisites)) < len(self.prerequisites):
            raise StudyRuleError(
                f"a scan waits for another once: the prerequisites of {self.id!r} "
                f"were {', '.join(self.prerequisites)}"
            )

    def to_plain(self) -> dict[str, Any]:
        """Return the scan as plain JSON values."""
        return {
            "id": self.id,
            "spec": self.spec.to_plain(),
            "role": self.role.value,
            "prerequisites": list(self.prerequisites),
            "state": self.state.value,
            "run_uid": self.run_uid,
            "cause": self.cause,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the scan that `to_plain` made plain."""
        return cls(
            id=ScanId(plain["id"]),
            spec=FlyScanSpec.from_plain(plain["spec"]),
            role=ScanRole(plain["role"]),
            prerequisites=tuple(ScanId(name) for name in plain["prerequisites"]),
            state=PlannedScanState(plain["state"]),
            run_uid=plain["run_uid"],
            cause=plain["cause"],
        )


def _require_kinds(scan: PlannedScan) -> None:
    """Refuse values of another kind, text for an enum too: `is` would not find it."""
    for name, kind in (
        ("spec", FlyScanSpec),
        ("role", ScanRole),
        ("prerequisites", tuple),
        ("state", PlannedScanState),
    ):
        value: object = getattr(scan, name)
        if not isinstance(value, kind):
            raise StudyRuleError(
                f"every scan is complete: {name} of {scan.id!r} must be of "
                f"type {kind.__name__}, was {value!r}"
            )
