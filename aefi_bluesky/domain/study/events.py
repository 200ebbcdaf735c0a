"""What happened to a study, told after the study was stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.study.measured_object import MeasuredObject

StudyId = NewType("StudyId", str)
"""Identifier of a study; given from outside, never made by the domain."""

ScanId = NewType("ScanId", str)
"""Identifier of a planned scan, unique in its study."""


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """Something that happened to a study.

    Parameters
    ----------
    study_id
        The study it happened to.
    """

    study_id: StudyId


@dataclass(frozen=True, slots=True)
class StudyCreated(StudyEvent):
    """A study exists.

    Parameters
    ----------
    measured_object
        What it is about.
    operator
        Who measures.
    """

    measured_object: MeasuredObject
    operator: str


@dataclass(frozen=True, slots=True)
class StudyConfigured(StudyEvent):
    """A study got its bench snapshot, the first one or another.

    Parameters
    ----------
    bench
        The snapshot.
    """

    bench: BenchDescription


@dataclass(frozen=True, slots=True)
class ScanAdded(StudyEvent):
    """A scan was planned.

    Parameters
    ----------
    scan_id
        The new scan.
    retry_of
        The scan that it repeats because it did not complete, if any.
    """

    scan_id: ScanId
    retry_of: ScanId | None = None


@dataclass(frozen=True, slots=True)
class ScanStarted(StudyEvent):
    """A planned scan is about to fly."""

    scan_id: ScanId


@dataclass(frozen=True, slots=True)
class ScanPaused(StudyEvent):
    """The running scan holds."""

    scan_id: ScanId


@dataclass(frozen=True, slots=True)
class ScanResumed(StudyEvent):
    """The paused scan goes on."""

    scan_id: ScanId


@dataclass(frozen=True, slots=True)
class ScanEnded(StudyEvent):
    """A scan reached a final state.

    Parameters
    ----------
    scan_id
        The scan.
    state
        ``"completed"``, ``"failed"`` or ``"cancelled"``.
    run_uid
        Uid of its run in the data store; None if it has none.
    cause
        Why it did not complete, in one sentence; empty after completion.
    """

    scan_id: ScanId
    state: str
    run_uid: str | None
    cause: str


@dataclass(frozen=True, slots=True)
class StudyCompleted(StudyEvent):
    """Every scan of the study ended and nothing is to follow."""


@dataclass(frozen=True, slots=True)
class StudyAborted(StudyEvent):
    """The study was given up.

    Parameters
    ----------
    cause
        Why, in one sentence.
    """

    cause: str


@dataclass(frozen=True, slots=True)
class StudyArchived(StudyEvent):
    """The study can no longer change."""
