"""A study of one object: its planned scans and the rules of their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, Self

from aefi_bluesky.domain.errors import IllegalTransitionError, StudyRuleError
from aefi_bluesky.domain.events import (
    ScanAdded,
    ScanEnded,
    ScanId,
    ScanPaused,
    ScanResumed,
    ScanStarted,
    StudyAborted,
    StudyArchived,
    StudyCompleted,
    StudyCreated,
    StudyEvent,
    StudyId,
)
from aefi_bluesky.domain.planned_scan import (
    PlannedScan,
    PlannedScanState,
    ScanRole,
)
from aefi_bluesky.domain.scan_results import FrameState, ScanResults, ScanState
from aefi_bluesky.domain.scan_spec import FlyScanSpec

__all__ = [
    "PlannedScan",
    "PlannedScanState",
    "ScanId",
    "ScanRole",
    "Study",
    "StudyEvent",
    "StudyId",
    "StudyState",
]


class StudyState(StrEnum):
    """Where a study stands."""

    CREATED = "created"
    CONFIGURED = "configured"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    ABORTED = "aborted"
    ARCHIVED = "archived"

    @property
    def is_open(self) -> bool:
        """Whether scans may still be added."""
        return self in (
            StudyState.CREATED,
            StudyState.CONFIGURED,
            StudyState.IN_PROGRESS,
        )


class Study:
    """Everything measured about one object.

    Every refusal is a `StudyRuleError` that begins with the rule's name, or an
    `IllegalTransitionError` where the call comes in the wrong state.

    Parameters
    ----------
    study_id
        Given from outside; not empty.
    object_name
        What the study is about; not empty.
    """

    def __init__(self, study_id: StudyId, object_name: str) -> None:
        if not study_id or not object_name:
            raise StudyRuleError(
                "every study has a name: identifier and object name must not be "
                f"empty, were {study_id!r} and {object_name!r}"
            )
        self._id = study_id
        self._object_name = object_name
        self._state = StudyState.CREATED
        self._scans: dict[ScanId, PlannedScan] = {}
        self._events: list[StudyEvent] = [StudyCreated(study_id, object_name)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Study):
            return NotImplemented
        return self.to_plain() == other.to_plain()

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no key

    def __repr__(self) -> str:
        return f"<Study {self._id!r} {self._state}, {len(self._scans)} scans>"

    @property
    def id(self) -> StudyId:
        """The identifier."""
        return self._id

    @property
    def object_name(self) -> str:
        """What the study is about."""
        return self._object_name

    @property
    def state(self) -> StudyState:
        """Where the study stands."""
        return self._state

    @property
    def scans(self) -> tuple[PlannedScan, ...]:
        """All scans in the order they were added."""
        return tuple(self._scans.values())

    def scan(self, scan_id: ScanId) -> PlannedScan:
        """Return the scan called `scan_id`."""
        if scan_id not in self._scans:
            raise StudyRuleError(
                f"only planned scans: study {self._id!r} has no scan {scan_id!r}"
            )
        return self._scans[scan_id]

    def take_events(self) -> tuple[StudyEvent, ...]:
        """Return what happened since the last call, and forget it."""
        events, self._events = tuple(self._events), []
        return events

    def add_scan(
        self,
        scan_id: ScanId,
        spec: FlyScanSpec,
        role: ScanRole,
        prerequisites: tuple[ScanId, ...] = (),
    ) -> PlannedScan:
        """Plan one more scan and return it; the first configures the study."""
        scan = PlannedScan(scan_id, spec, role, prerequisites)
        self._add(scan, retry_of=None)
        return scan

    def retry_scan(self, scan_id: ScanId, retry_id: ScanId) -> PlannedScan:
        """Plan a failed or cancelled scan again, under a new identifier.

        Pending scans that waited for the old one wait for the new one.
        """
        old = self.scan(scan_id)
        if old.state not in (PlannedScanState.FAILED, PlannedScanState.CANCELLED):
            raise StudyRuleError(
                f"only what did not complete is retried: scan {scan_id!r} was "
                f"{old.state}"
            )
        retry = PlannedScan(retry_id, old.spec, old.role, old.prerequisites)
        self._add(retry, retry_of=scan_id)
        self._wait_for(retry_id, instead_of=scan_id)
        return retry

    def next_scan(self) -> PlannedScan:
        """Return the scan to run next: the first pending one that may run.

        Raises
        ------
        StudyRuleError
            If one runs already, none is pending, or all wait for prerequisites.
        IllegalTransitionError
            If the study has no scan yet or is over.
        """
        self._require_state("run a scan", StudyState.CONFIGURED, StudyState.IN_PROGRESS)
        self._require_none_active()
        pending = [s for s in self.scans if s.state is PlannedScanState.PENDING]
        if not pending:
            raise StudyRuleError(f"only pending scans: study {self._id!r} has none")
        for scan in pending:
            if not self._missing(scan):
                return scan
        raise StudyRuleError("; ".join(self._waiting(scan) for scan in pending))

    def start_scan(self, scan_id: ScanId) -> None:
        """Take notice that the bench flies `scan_id`, or say why it must not."""
        scan = self.scan(scan_id)
        self._require_state("run a scan", StudyState.CONFIGURED, StudyState.IN_PROGRESS)
        self._require_none_active()
        if scan.state.is_final:
            raise StudyRuleError(
                f"a retry is a new scan: scan {scan_id!r} is {scan.state} already"
            )
        if self._missing(scan):
            raise StudyRuleError(self._waiting(scan))
        self._state = StudyState.IN_PROGRESS
        self._scans[scan_id] = replace(scan, state=PlannedScanState.RUNNING)
        self._events.append(ScanStarted(self._id, scan_id))

    def pause_scan(self, scan_id: ScanId) -> None:
        """Take notice that the running scan holds."""
        scan = self._in_state(scan_id, "paused", PlannedScanState.RUNNING)
        self._scans[scan_id] = replace(scan, state=PlannedScanState.PAUSED)
        self._events.append(ScanPaused(self._id, scan_id))

    def resume_scan(self, scan_id: ScanId) -> None:
        """Take notice that the paused scan goes on."""
        scan = self._in_state(scan_id, "resumed", PlannedScanState.PAUSED)
        self._scans[scan_id] = replace(scan, state=PlannedScanState.RUNNING)
        self._events.append(ScanResumed(self._id, scan_id))

    def record_results(
        self, scan_id: ScanId, results: ScanResults, run_uid: str | None = None
    ) -> None:
        """End the active scan as its flight ended.

        A flight that was stopped or aborted is cancelled; one that was completed
        with more bad frames than its spec allows has failed.
        """
        scan = self._in_state(scan_id, "ended", *_ACTIVE)
        state, cause = _outcome(scan.spec, results)
        self._end(scan, state, run_uid, cause)

    def fail_scan(
        self, scan_id: ScanId, cause: str, run_uid: str | None = None
    ) -> None:
        """End the active scan as failed, because of `cause`."""
        scan = self._in_state(scan_id, "failed", *_ACTIVE)
        self._end(scan, PlannedScanState.FAILED, run_uid, cause)

    def cancel_scan(self, scan_id: ScanId, cause: str) -> None:
        """Give up a scan that was not started, because of `cause`."""
        scan = self._in_state(scan_id, "cancelled", PlannedScanState.PENDING)
        self._end(scan, PlannedScanState.CANCELLED, None, cause)

    def complete(self) -> None:
        """Close the study: every scan must have ended."""
        self._require_state("complete", StudyState.IN_PROGRESS)
        self._require_none_active()
        pending = [s.id for s in self.scans if not s.state.is_final]
        if pending:
            raise StudyRuleError(
                f"a complete study has no pending scan: {', '.join(pending)} "
                "must be run or cancelled first"
            )
        self._state = StudyState.COMPLETED
        self._events.append(StudyCompleted(self._id))

    def abort(self, cause: str) -> None:
        """Give the study up because of `cause`; cancels what is pending."""
        self._require_open("abort")
        self._require_none_active()
        for scan in self.scans:
            if scan.state is PlannedScanState.PENDING:
                self._end(scan, PlannedScanState.CANCELLED, None, cause)
        self._state = StudyState.ABORTED
        self._events.append(StudyAborted(self._id, cause))

    def archive(self) -> None:
        """Close the study for good: an archived study is immutable."""
        self._require_state("archive", StudyState.COMPLETED, StudyState.ABORTED)
        self._state = StudyState.ARCHIVED
        self._events.append(StudyArchived(self._id))

    def to_plain(self) -> dict[str, Any]:
        """Return the study without its events as plain JSON values."""
        return {
            "id": self._id,
            "object_name": self._object_name,
            "state": self._state.value,
            "scans": [scan.to_plain() for scan in self.scans],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the study that `to_plain` made plain; nothing new happened to it."""
        study = cls(StudyId(plain["id"]), plain["object_name"])
        scans = [PlannedScan.from_plain(scan) for scan in plain["scans"]]
        study._state = StudyState(plain["state"])
        study._scans = {scan.id: scan for scan in scans}
        study._events = []
        return study

    def _add(self, scan: PlannedScan, *, retry_of: ScanId | None) -> None:
        self._require_open("add a scan to")
        if scan.id in self._scans:
            raise StudyRuleError(
                f"a retry is a new scan: identifier {scan.id!r} is taken in "
                f"study {self._id!r}"
            )
        for name in scan.prerequisites:
            self.scan(name)
        if self._state is StudyState.CREATED:
            self._state = StudyState.CONFIGURED
        self._scans[scan.id] = scan
        self._events.append(ScanAdded(self._id, scan.id, retry_of))

    def _wait_for(self, new: ScanId, *, instead_of: ScanId) -> None:
        for scan in self.scans:
            if scan.state is PlannedScanState.PENDING:
                names = tuple(new if n == instead_of else n for n in scan.prerequisites)
                self._scans[scan.id] = replace(scan, prerequisites=names)

    def _end(
        self,
        scan: PlannedScan,
        state: PlannedScanState,
        run_uid: str | None,
        cause: str,
    ) -> None:
        self._scans[scan.id] = replace(scan, state=state, run_uid=run_uid, cause=cause)
        self._events.append(ScanEnded(self._id, scan.id, state.value, run_uid, cause))

    def _missing(self, scan: PlannedScan) -> list[PlannedScan]:
        required = [self._scans[name] for name in scan.prerequisites]
        return [s for s in required if s.state is not PlannedScanState.COMPLETED]

    def _waiting(self, scan: PlannedScan) -> str:
        missing = ", ".join(f"{s.id!r} ({s.state})" for s in self._missing(scan))
        return (
            f"prerequisites are completed first: scan {scan.id!r} waits for {missing}"
        )

    def _in_state(
        self, scan_id: ScanId, done: str, *allowed: PlannedScanState
    ) -> PlannedScan:
        scan = self.scan(scan_id)
        self._require_mutable()
        if scan.state not in allowed:
            raise IllegalTransitionError(
                f"scan {scan_id!r} must be {' or '.join(allowed)} to be {done}, "
                f"was {scan.state}"
            )
        return scan

    def _require_state(self, what: str, *allowed: StudyState) -> None:
        self._require_mutable()
        if self._state not in allowed:
            raise IllegalTransitionError(
                f"study {self._id!r} must be {' or '.join(allowed)} to {what}, "
                f"was {self._state}"
            )

    def _require_open(self, what: str) -> None:
        self._require_mutable()
        if not self._state.is_open:
            raise IllegalTransitionError(
                f"to {what} study {self._id!r} it must not be over, was {self._state}"
            )

    def _require_mutable(self) -> None:
        if self._state is StudyState.ARCHIVED:
            raise StudyRuleError(
                f"an archived study is immutable: study {self._id!r} is archived"
            )

    def _require_none_active(self) -> None:
        for scan in self.scans:
            if scan.state.is_active:
                raise StudyRuleError(
                    f"one scan at a time: scan {scan.id!r} is {scan.state}"
                )


_ACTIVE = (PlannedScanState.RUNNING, PlannedScanState.PAUSED)


def _outcome(spec: FlyScanSpec, results: ScanResults) -> tuple[PlannedScanState, str]:
    """Return what a flight's end means for its scan, and why."""
    if results.state in (ScanState.STOPPED, ScanState.ABORTED):
        return PlannedScanState.CANCELLED, results.cause or str(results.state)
    if results.state is not ScanState.COMPLETED:
        return PlannedScanState.FAILED, results.cause or str(results.state)
    bad = sum(n for state, n in results.frames.items() if state is not FrameState.OK)
    if bad > spec.allowed_bad_frames:
        return (
            PlannedScanState.FAILED,
            f"{bad} of {sum(results.frames.values())} frames were not ok, "
            f"{spec.allowed_bad_frames} were allowed",
        )
    return PlannedScanState.COMPLETED, ""
