"""A study of one object: who measures it, on what bench, with which scans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any, Self, cast

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import (
    AefiError,
    StaleStudyError,
    StudyFormatError,
    StudyRuleError,
    StudyTransitionError,
)
from aefi_bluesky.domain.plain_values import (
    differences,
    known_keys,
    member,
    require_member,
)
from aefi_bluesky.domain.results.scan_results import FrameState, ScanResults, ScanState
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.formats import ScanSpec
from aefi_bluesky.domain.study.events import (
    ScanAdded,
    ScanEnded,
    ScanId,
    ScanPaused,
    ScanResumed,
    ScanStarted,
    StudyAborted,
    StudyArchived,
    StudyCompleted,
    StudyConfigured,
    StudyCreated,
    StudyEvent,
    StudyId,
)
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.planned_scan import (
    PlannedScan,
    PlannedScanState,
    ScanRole,
)
from aefi_bluesky.domain.study.programme import ScanProgramme
from aefi_bluesky.domain.study.rules import StudyRule

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

FORMAT = 1
"""Of a study as plain values; a reader refuses every other one by name."""

LOST_CAUSE = "the program that carried this scan out died before the scan's end"
"""Cause of a scan that was found active when no session flew it."""


class StudyState(StrEnum):
    """Where a study stands."""

    CREATED = "created"
    CONFIGURED = "configured"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    ABORTED = "aborted"
    ARCHIVED = "archived"


_OPEN = (StudyState.CREATED, StudyState.CONFIGURED, StudyState.IN_PROGRESS)
_PLANNING = (StudyState.CONFIGURED, StudyState.IN_PROGRESS)
_ACTIVE = (PlannedScanState.RUNNING, PlannedScanState.PAUSED)


class Study:
    """Everything measured about one object.

    Every refusal is a `StudyRuleError` that has its rule, and a `StudyTransitionError`
    where the call comes in the wrong state. A refused call changes nothing.

    Parameters
    ----------
    study_id
        Given from outside; not empty.
    measured_object
        What the study is about.
    operator
        Who measures; not empty.
    """

    def __init__(
        self, study_id: StudyId, measured_object: MeasuredObject, operator: str
    ) -> None:
        for what, name in (("identifier", study_id), ("operator", operator)):
            require_member(f"study: {what}", str, name, error=_refuse)
            if not name:
                raise _refuse(f"study: {what} must not be empty")
        require_member("study: object", MeasuredObject, measured_object, error=_refuse)
        self._id = study_id
        self._object = measured_object
        self._operator = operator
        self._bench: BenchDescription | None = None
        self._state = StudyState.CREATED
        self._scans = ScanProgramme()
        self._version = 0
        self._events: list[StudyEvent] = [
            StudyCreated(study_id, measured_object, operator)
        ]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Study):
            return NotImplemented
        return self.to_plain() == other.to_plain()

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no key

    def __repr__(self) -> str:
        return f"<Study {self._id!r} {self._state}, {len(self.scans)} scans>"

    @property
    def id(self) -> StudyId:
        """The identifier."""
        return self._id

    @property
    def measured_object(self) -> MeasuredObject:
        """What the study is about."""
        return self._object

    @property
    def operator(self) -> str:
        """Who measures."""
        return self._operator

    @property
    def bench(self) -> BenchDescription | None:
        """The bench snapshot; None before the study is configured."""
        return self._bench

    @property
    def state(self) -> StudyState:
        """Where the study stands."""
        return self._state

    @property
    def scans(self) -> tuple[PlannedScan, ...]:
        """All scans in the order they were added."""
        return tuple(self._scans)

    @property
    def active_scan(self) -> PlannedScan | None:
        """The scan that is running or paused, if one is."""
        return self._scans.active

    @property
    def pending_scans(self) -> tuple[PlannedScan, ...]:
        """The scans that may still be started."""
        return self._scans.pending

    def scan(self, scan_id: ScanId) -> PlannedScan:
        """Return the scan called `scan_id`."""
        return self._scans[scan_id]

    def take_events(self) -> tuple[StudyEvent, ...]:
        """Return what happened since the last call, and forget it."""
        events, self._events = tuple(self._events), []
        return events

    def configure(self, bench: BenchDescription) -> None:
        """Keep `bench` as the study's snapshot; it replaces an earlier snapshot.

        Raises
        ------
        StudyRuleError
            If a scan was started: the snapshot is frozen.
        """
        require_member("study: bench", BenchDescription, bench, error=_refuse)
        self._require_state("be configured", *_OPEN)
        if self._state is StudyState.IN_PROGRESS:
            raise StudyRuleError(
                StudyRule.FROZEN_SNAPSHOT,
                f"study {self._id!r} has flown on bench {self._bench_name!r}, the "
                f"snapshot asked for was of bench {bench.name!r}",
            )
        self._bench = bench
        self._state = StudyState.CONFIGURED
        self._events.append(StudyConfigured(self._id, bench))

    def add_scan(
        self,
        scan_id: ScanId,
        spec: ScanSpec,
        role: ScanRole,
        prerequisites: tuple[ScanId, ...] = (),
        *,
        reference: ScanId | None = None,
    ) -> PlannedScan:
        """Plan one more scan and return it; see `PlannedScan`."""
        scan = PlannedScan(scan_id, spec, role, prerequisites, reference)
        self._add(scan)
        return scan

    def retry_scan(self, scan_id: ScanId, retry_id: ScanId) -> PlannedScan:
        """Plan a failed or cancelled scan again, under a new identifier.

        Scans that wait for the old scan now wait for the new one.
        """
        old = self.scan(scan_id)
        retry = PlannedScan(
            retry_id, old.spec, old.role, old.prerequisites, old.reference, old.id
        )
        self._add(retry)
        return retry

    def next_scan(self, scan_id: ScanId | None = None) -> PlannedScan:
        """Return the scan to run next: the first pending one that may run.

        Parameters
        ----------
        scan_id
            The scan that is wanted; the first one if None.

        Raises
        ------
        StudyRuleError
            If one runs already, none is pending, or all wait for prerequisites; of a
            wanted one: if it is over or must wait.
        StudyTransitionError
            If the study is not configured yet or is over.
        """
        self._require_state("run a scan", *_PLANNING)
        if scan_id is None:
            return self._scans.next()
        scan = self.scan(scan_id)
        self._scans.require_startable(scan)
        return scan

    def require_bench(self, bench: BenchDescription) -> None:
        """Refuse a bench that is not the one of the snapshot.

        Raises
        ------
        StudyRuleError
            If the bench differs; the message names every difference.
        StudyTransitionError
            If the study has no snapshot yet or is over.
        """
        self._require_state("be flown", *_PLANNING)
        snapshot = {} if self._bench is None else self._bench.to_plain()
        differing = "; ".join(differences(bench.to_plain(), snapshot))
        if differing:
            raise StudyRuleError(
                StudyRule.ONE_BENCH,
                f"the bench asked for differs from the snapshot of study "
                f"{self._id!r}: {differing}",
            )

    def start_scan(self, scan_id: ScanId) -> None:
        """Take notice that the bench flies `scan_id`, or say why it must not."""
        scan = self.scan(scan_id)
        self._require_state("run a scan", *_PLANNING)
        self._scans.require_startable(scan)
        self._state = StudyState.IN_PROGRESS
        self._scans.replace(replace(scan, state=PlannedScanState.RUNNING))
        self._events.append(ScanStarted(self._id, scan_id))

    def pause_scan(self, scan_id: ScanId) -> None:
        """Take notice that the running scan holds."""
        scan = self._in_state(scan_id, "paused", PlannedScanState.RUNNING)
        self._scans.replace(replace(scan, state=PlannedScanState.PAUSED))
        self._events.append(ScanPaused(self._id, scan_id))

    def resume_scan(self, scan_id: ScanId) -> None:
        """Take notice that the paused scan goes on."""
        scan = self._in_state(scan_id, "resumed", PlannedScanState.PAUSED)
        self._scans.replace(replace(scan, state=PlannedScanState.RUNNING))
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

    def fail_lost_scan(self) -> PlannedScan | None:
        """End the active scan as failed, because no session flies it any more.

        Call this only if that is certain: the study itself can't know. Returns the
        scan; None if no scan is active.
        """
        active = self.active_scan
        if active is None:
            return None
        self.fail_scan(active.id, f"{LOST_CAUSE}; it was {active.state}")
        return self.scan(active.id)

    def cancel_scan(self, scan_id: ScanId, cause: str) -> None:
        """Give up a scan that was not started, because of `cause`."""
        scan = self._in_state(scan_id, "cancelled", PlannedScanState.PENDING)
        self._end(scan, PlannedScanState.CANCELLED, None, cause)

    def complete(self) -> None:
        """Close the study: every scan must have ended."""
        self._require_state("be completed", StudyState.IN_PROGRESS)
        self._scans.require_none_active()
        pending = [scan.id for scan in self._scans.pending]
        if pending:
            raise StudyRuleError(
                StudyRule.NOTHING_PENDING,
                f"{', '.join(pending)} must be run or cancelled first",
            )
        self._state = StudyState.COMPLETED
        self._events.append(StudyCompleted(self._id))

    def abort(self, cause: str) -> None:
        """Give the study up because of `cause`; cancels what is pending."""
        self._require_state("be aborted", *_OPEN)
        self._scans.require_none_active()
        for scan in self._scans.pending:
            self._end(scan, PlannedScanState.CANCELLED, None, cause)
        self._state = StudyState.ABORTED
        self._events.append(StudyAborted(self._id, cause))

    def archive(self) -> None:
        """Close the study for good: an archived study is immutable."""
        self._require_state("be archived", StudyState.COMPLETED, StudyState.ABORTED)
        self._state = StudyState.ARCHIVED
        self._events.append(StudyArchived(self._id))

    # What a repository needs: plain values, and whether somebody else was faster.

    @property
    def version(self) -> int:
        """How often the study was saved until it was loaded; 0 if it never was."""
        return self._version

    def require_version(self, stored: int) -> None:
        """Refuse to replace what somebody else stored since this one was loaded.

        Raises
        ------
        StaleStudyError
            If `stored`, the version in the store, is not this one's.
        """
        if stored != self._version:
            raise StaleStudyError(
                f"study {self._id!r} was changed by somebody else: version "
                f"{self._version} was loaded, version {stored} is stored"
            )

    def mark_stored(self, version: int) -> None:
        """Take notice that the store has this study as `version`."""
        self._version = version

    def to_plain(self) -> dict[str, Any]:
        """Return the study as plain JSON values, without its version and events."""
        return {
            "format": FORMAT,
            "id": self._id,
            "object": self._object.to_plain(),
            "operator": self._operator,
            "bench": None if self._bench is None else self._bench.to_plain(),
            "state": self._state.value,
            "scans": [scan.to_plain() for scan in self._scans],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the study that `to_plain` made plain; nothing new happened to it.

        Raises
        ------
        StudyFormatError
            If its format is another one, a key is unknown or missing, a value is
            wrong, or no sequence of calls leads to such a study.
        """
        try:
            return cls._read(plain)
        except StudyFormatError:
            raise
        except AefiError as err:
            raise StudyFormatError(f"study {plain['id']!r}: {err}") from err

    @classmethod
    def _read(cls, plain: Any) -> Self:
        # The format first: another one may have other keys.
        is_mapping = isinstance(plain, Mapping)
        found = cast("Mapping[str, Any]", plain).get("format") if is_mapping else None
        if type(found) is not int or found != FORMAT:
            raise StudyFormatError(f"a study's format must be {FORMAT}, was {found!r}")
        values = known_keys("study", plain, _KEYS, error=StudyFormatError)
        study = cls(
            values["id"],
            MeasuredObject.from_plain(values["object"]),
            values["operator"],
        )
        if values["bench"] is not None:
            study._bench = BenchDescription.from_plain(values["bench"])
        require_member("study: scans", list, values["scans"], error=StudyFormatError)
        study._scans = ScanProgramme(map(PlannedScan.from_plain, values["scans"]))
        study._state = member("state", StudyState, values["state"], error=_refuse)
        study._require_legal()
        study._events = []
        return study

    def _require_legal(self) -> None:
        """Refuse a state that its snapshot or its scans contradict."""
        started = any(s.state not in _NEVER_STARTED for s in self._scans)
        is_over = self._state not in _OPEN
        contradicted = {
            "it has scans": self._state is StudyState.CREATED and any(self._scans),
            "it has a bench": self._state is StudyState.CREATED
            and self._bench is not None,
            "it has no bench": self._bench is None
            and (self._state in _PLANNING or any(self._scans)),
            "no scan was started": len(self._scans.pending) == len(self.scans)
            and self._state in (StudyState.IN_PROGRESS, StudyState.COMPLETED),
            "a scan was started": started and self._state is StudyState.CONFIGURED,
            "scans are not over": is_over
            and any(not scan.state.is_final for scan in self._scans),
        }
        for found, contradicts in contradicted.items():
            if contradicts:
                raise StudyTransitionError(
                    StudyRule.STUDY_STATES, f"the study is {self._state}, but {found}"
                )

    @property
    def _bench_name(self) -> str:
        return "" if self._bench is None else self._bench.name

    def _add(self, scan: PlannedScan) -> None:
        self._require_state("get a scan", *_PLANNING)
        self._scans.add(scan)
        self._events.append(ScanAdded(self._id, scan.id, scan.retry_of))

    def _end(
        self,
        scan: PlannedScan,
        state: PlannedScanState,
        run_uid: str | None,
        cause: str,
    ) -> None:
        self._scans.replace(replace(scan, state=state, run_uid=run_uid, cause=cause))
        self._events.append(ScanEnded(self._id, scan.id, state.value, run_uid, cause))

    def _in_state(
        self, scan_id: ScanId, done: str, *allowed: PlannedScanState
    ) -> PlannedScan:
        scan = self.scan(scan_id)
        self._require_mutable()
        if scan.state not in allowed:
            raise StudyTransitionError(
                StudyRule.SCAN_STATES,
                f"scan {scan_id!r} must be {' or '.join(allowed)} to be {done}, "
                f"was {scan.state}",
            )
        return scan

    def _require_state(self, what: str, *allowed: StudyState) -> None:
        self._require_mutable()
        if self._state not in allowed:
            raise StudyTransitionError(
                StudyRule.STUDY_STATES,
                f"study {self._id!r} must be {' or '.join(allowed)} to {what}, "
                f"was {self._state}",
            )

    def _require_mutable(self) -> None:
        if self._state is StudyState.ARCHIVED:
            raise StudyRuleError(
                StudyRule.ARCHIVED_IS_IMMUTABLE, f"study {self._id!r} is archived"
            )


_KEYS = ("format", "id", "object", "operator", "bench", "state", "scans")

_NEVER_STARTED = (PlannedScanState.PENDING, PlannedScanState.CANCELLED)
"""States of scans before a study is in progress."""

_refuse = partial(StudyRuleError, StudyRule.COMPLETE_VALUES)


def _outcome(spec: ScanSpec, results: ScanResults) -> tuple[PlannedScanState, str]:
    """Return what a flight's end means for its scan, and why."""
    if results.state in (ScanState.STOPPED, ScanState.ABORTED):
        return PlannedScanState.CANCELLED, results.cause or str(results.state)
    if results.state is not ScanState.COMPLETED:
        return PlannedScanState.FAILED, results.cause or str(results.state)
    bad = sum(n for state, n in results.frames.items() if state is not FrameState.OK)
    allowed = spec.allowed_bad_frames if isinstance(spec, FlyScanSpec) else 0
    if bad > allowed:
        return (
            PlannedScanState.FAILED,
            f"{bad} of {sum(results.frames.values())} frames were not ok, "
            f"{allowed} were allowed",
        )
    return PlannedScanState.COMPLETED, ""
