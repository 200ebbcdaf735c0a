"""One entry of a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import NoneType
from typing import Any, Self, get_args

from aefi_bluesky.domain.errors import StudyFormatError, StudyRuleError
from aefi_bluesky.domain.plain_values import known_fields, member, require_member
from aefi_bluesky.domain.spec import formats
from aefi_bluesky.domain.spec.formats import ScanSpec
from aefi_bluesky.domain.study.events import ScanId
from aefi_bluesky.domain.study.rules import StudyRule


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
        What to measure, in flight or at rest, and with what excitation.
    role
        What it is for.
    prerequisites
        Scans of the same study that must be completed first.
    reference
        The reference scan that it is compared with, another prerequisite: an object
        scan has one, a repetition may have one, the other roles have none.
    retry_of
        The scan that it repeats because that did not complete; None if it is the first.
    state
        Where it stands.
    run_uid
        Uid of its run in the data store; None before, and without a store.
    cause
        Why it failed or was cancelled, in one sentence; else empty.

    Raises
    ------
    StudyRuleError
        If the identifier is empty, a value is of another kind, the scan waits for
        itself or twice for the same, or its role has no or needs a reference scan.
    """

    id: ScanId
    spec: ScanSpec
    role: ScanRole
    prerequisites: tuple[ScanId, ...] = ()
    reference: ScanId | None = None
    retry_of: ScanId | None = None
    state: PlannedScanState = PlannedScanState.PENDING
    run_uid: str | None = None
    cause: str = ""

    def __post_init__(self) -> None:
        self._require_kinds()
        if self.id in self.waits_for:
            raise StudyRuleError(
                StudyRule.PREREQUISITES_ONCE,
                f"scan {self.id!r} was its own prerequisite",
            )
        if len(set(self.prerequisites)) < len(self.prerequisites):
            raise StudyRuleError(
                StudyRule.PREREQUISITES_ONCE,
                f"the prerequisites of scan {self.id!r} were "
                f"{', '.join(self.prerequisites)}",
            )
        self._require_role()

    def _require_kinds(self) -> None:
        """Refuse values of another kind, as what comes from outside may have."""
        for name, kinds in _KINDS.items():
            value: object = getattr(self, name)
            if not isinstance(value, kinds):
                allowed = " or ".join(kind.__name__ for kind in kinds)
                raise StudyRuleError(
                    StudyRule.COMPLETE_VALUES,
                    f"{name} of scan {self.id!r} must be of type {allowed}, "
                    f"was {value!r}",
                )
        for name in self.prerequisites:
            require_member(
                f"a prerequisite of scan {self.id!r}", str, name, error=_refuse
            )
        if not self.id:
            raise _refuse("the identifier of a scan was empty")

    def _require_role(self) -> None:
        if self.role is ScanRole.OBJECT and self.reference is None:
            raise StudyRuleError(
                StudyRule.MATCHING_REFERENCE,
                f"object scan {self.id!r} named no reference scan",
            )
        compared = (ScanRole.OBJECT, ScanRole.REPETITION)
        if self.reference is not None and self.role not in compared:
            raise StudyRuleError(
                StudyRule.MATCHING_REFERENCE,
                f"{self.role} scan {self.id!r} must name no reference scan, "
                f"named {self.reference!r}",
            )

    @property
    def waits_for(self) -> tuple[ScanId, ...]:
        """The scans that must be completed first: prerequisites and reference."""
        if self.reference is None or self.reference in self.prerequisites:
            return self.prerequisites
        return (*self.prerequisites, self.reference)

    def to_plain(self) -> dict[str, Any]:
        """Return the scan as plain JSON values."""
        plain: dict[str, Any] = {
            each.name: getattr(self, each.name) for each in dataclasses.fields(self)
        }
        return plain | {
            "spec": formats.to_plain(self.spec),
            "role": self.role.value,
            "prerequisites": list(self.prerequisites),
            "state": self.state.value,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the scan that `to_plain` made plain.

        Raises
        ------
        StudyFormatError, StudyRuleError, InvalidScanSpecError
            If a key is unknown or missing, or a value is wrong.
        """
        values = known_fields("scan", cls, plain, error=StudyFormatError)
        values["spec"] = formats.from_plain(values["spec"])
        values["role"] = member("role", ScanRole, values["role"], error=_refuse)
        if "state" in values:
            values["state"] = member(
                "state", PlannedScanState, values["state"], error=_refuse
            )
        if isinstance(values.get("prerequisites"), list):
            values["prerequisites"] = tuple(values["prerequisites"])
        return cls(**values)


_refuse = partial(StudyRuleError, StudyRule.COMPLETE_VALUES)

_KINDS: dict[str, tuple[type, ...]] = {
    "id": (str,),
    "spec": get_args(ScanSpec),
    "role": (ScanRole,),
    "prerequisites": (tuple,),
    "reference": (str, NoneType),
    "retry_of": (str, NoneType),
    "state": (PlannedScanState,),
    "run_uid": (str, NoneType),
    "cause": (str,),
}
