"""The planned scans of a study, in order, and the rules between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aefi_bluesky.domain.errors import StudyRuleError
from aefi_bluesky.domain.plain_values import differences
from aefi_bluesky.domain.spec.formats import ScanSpec, to_plain
from aefi_bluesky.domain.spec.grid import Grid
from aefi_bluesky.domain.study.events import ScanId
from aefi_bluesky.domain.study.planned_scan import (
    PlannedScan,
    PlannedScanState,
    ScanRole,
)
from aefi_bluesky.domain.study.rules import StudyRule

_ACCEPTANCE = ("min_readings_per_frame", "allowed_bad_frames", "gap_fill_passes")
"""What a spec says of the quality it takes, not of how the field is measured."""


class ScanProgramme:
    """The planned scans of a study; scans that end stay in it.

    Parameters
    ----------
    scans
        What is planned already, in the order it was added.

    Raises
    ------
    StudyRuleError
        If the scans break a rule among each other.
    """

    def __init__(self, scans: Iterable[PlannedScan] = ()) -> None:
        self._scans: dict[ScanId, PlannedScan] = {}
        for scan in scans:
            self.add(scan)
        for scan in self:
            self._require_legal(scan)

    def __iter__(self) -> Iterator[PlannedScan]:
        return iter(tuple(self._scans.values()))

    def __getitem__(self, scan_id: ScanId) -> PlannedScan:
        if scan_id not in self._scans:
            planned = ", ".join(map(repr, self._scans)) or "none"
            raise StudyRuleError(
                StudyRule.PLANNED_SCANS,
                f"there is no scan {scan_id!r}, the planned scans are {planned}",
            )
        return self._scans[scan_id]

    @property
    def active(self) -> PlannedScan | None:
        """The scan that holds the bench, running or paused; None if none does."""
        return next((scan for scan in self if scan.state.is_active), None)

    @property
    def pending(self) -> tuple[PlannedScan, ...]:
        """The scans that may still be started."""
        return tuple(s for s in self if s.state is PlannedScanState.PENDING)

    def add(self, scan: PlannedScan) -> None:
        """Plan one more scan.

        Raises
        ------
        StudyRuleError
            If its identifier is taken, it waits for a scan that is not planned, its
            reference scan does not match, or it repeats what may not be repeated.
        """
        if scan.id in self._scans:
            raise StudyRuleError(
                StudyRule.RETRY_IS_NEW,
                f"identifier {scan.id!r} was taken by a scan that is "
                f"{self._scans[scan.id].state}",
            )
        for name in scan.waits_for:
            _ = self[name]
        if scan.reference is not None:
            _require_match(scan, self[scan.reference])
        if scan.retry_of is not None:
            self._require_retriable(self[scan.retry_of])
        self._scans[scan.id] = scan

    def replace(self, scan: PlannedScan) -> None:
        """Put `scan` in the place of the one with its identifier."""
        self._scans[scan.id] = scan

    def next(self) -> PlannedScan:
        """Return the first pending scan that may start.

        Raises
        ------
        StudyRuleError
            If one is active, none is pending, or all wait for others.
        """
        self.require_none_active()
        if not self.pending:
            states = ", ".join(f"{s.id!r} {s.state}" for s in self) or "no scans"
            raise StudyRuleError(
                StudyRule.PENDING_SCANS, f"no scan was pending, found {states}"
            )
        for scan in self.pending:
            if not self._missing(scan):
                return scan
        raise StudyRuleError(
            StudyRule.PREREQUISITES_FIRST,
            "; ".join(self._waiting(scan) for scan in self.pending),
        )

    def require_startable(self, scan: PlannedScan) -> None:
        """Refuse to start `scan` if it is over, another is active, or it must wait."""
        self.require_none_active()
        if scan.state.is_final:
            raise StudyRuleError(
                StudyRule.RETRY_IS_NEW, f"scan {scan.id!r} is {scan.state} already"
            )
        if self._missing(scan):
            raise StudyRuleError(StudyRule.PREREQUISITES_FIRST, self._waiting(scan))

    def require_none_active(self) -> None:
        """Refuse what needs the bench while a scan holds it."""
        if self.active is not None:
            raise StudyRuleError(
                StudyRule.ONE_AT_A_TIME,
                f"scan {self.active.id!r} is {self.active.state}",
            )

    def _require_retriable(self, scan: PlannedScan) -> None:
        if scan.state not in (PlannedScanState.FAILED, PlannedScanState.CANCELLED):
            raise StudyRuleError(
                StudyRule.RETRY_OF_INCOMPLETE, f"scan {scan.id!r} was {scan.state}"
            )
        latest = self._latest_attempt(scan.id)
        if latest.id != scan.id:
            raise StudyRuleError(
                StudyRule.RETRY_OF_LATEST,
                f"scan {scan.id!r} has the retry {latest.id!r}, which is "
                f"{latest.state}",
            )

    def _require_legal(self, scan: PlannedScan) -> None:
        """Refuse a state that no sequence of calls leads to."""
        if scan.state.is_active and scan != self.active:
            self.require_none_active()
        flown = scan.state not in (PlannedScanState.PENDING, PlannedScanState.CANCELLED)
        if flown and self._missing(scan):
            raise StudyRuleError(StudyRule.PREREQUISITES_FIRST, self._waiting(scan))

    def _latest_attempt(self, scan_id: ScanId) -> PlannedScan:
        """Return the last retry of a scan, or the scan itself if it has none."""
        latest = self[scan_id]
        for scan in self:
            if scan.retry_of == latest.id:
                latest = scan
        return latest

    def _missing(self, scan: PlannedScan) -> list[PlannedScan]:
        """Return what `scan` waits for: the last attempt at each, if not completed."""
        required = [self._latest_attempt(name) for name in scan.waits_for]
        return [s for s in required if s.state is not PlannedScanState.COMPLETED]

    def _waiting(self, scan: PlannedScan) -> str:
        missing = ", ".join(f"{s.id!r} ({s.state})" for s in self._missing(scan))
        return f"scan {scan.id!r} waits for {missing}"


def measuring_conditions(spec: ScanSpec) -> dict[str, Any]:
    """Return what must be equal for two scans to be compared frame by frame.

    For a flight zone, counts, order and direction of the lines, how often each is
    flown, speed, averaging, excitation and whether it is muted, and trigger. How many
    readings a frame needs, how many frames may be bad and how often gaps are filled is
    not: it says what is taken for a success. At rest everything counts; and a scan at
    rest is not compared with a flight.
    """
    plain = to_plain(spec)
    conditions = {key: plain[key] for key in plain if key not in _ACCEPTANCE}
    if isinstance(spec, Grid):
        conditions["fast_axis"] = spec.effective_fast_axis
    return conditions


def _require_match(scan: PlannedScan, reference: PlannedScan) -> None:
    if reference.role is not ScanRole.REFERENCE:
        raise StudyRuleError(
            StudyRule.MATCHING_REFERENCE,
            f"scan {scan.id!r} named {reference.id!r}, which is no reference scan: "
            f"its role is {reference.role}",
        )
    asked, found = (measuring_conditions(each.spec) for each in (scan, reference))
    if asked["kind"] != found["kind"]:
        asked = {"kind": asked["kind"]}  # nothing else can be compared
    differing = "; ".join(differences(asked, found))
    if differing:
        raise StudyRuleError(
            StudyRule.MATCHING_REFERENCE,
            f"scan {scan.id!r} differs from its reference {reference.id!r}: "
            f"{differing}",
        )
