"""The rules of a study by name."""

from __future__ import annotations

from enum import StrEnum


class StudyRule(StrEnum):
    """What a study never lets happen; a refusal begins with the rule's text."""

    COMPLETE_VALUES = "every study and every scan has valid values"
    """Names are text and not empty, values are of their kind and in range."""
    UNIQUE_STUDY = "every study has its own name"
    STUDY_STATES = "a study changes its state in a fixed order"
    """created, configured, in-progress, completed or aborted, archived."""
    SCAN_STATES = "a scan changes its state in a fixed order"
    """pending, running and paused, completed or failed or cancelled."""
    FROZEN_SNAPSHOT = "the bench snapshot is frozen after the first scan"
    ONE_BENCH = "a study is flown on the bench of its snapshot"
    PLANNED_SCANS = "only scans of the study can be asked for"
    """What is asked for by name must have been added."""
    PENDING_SCANS = "only a pending scan can be run"
    """There is a next scan only while one is pending."""
    ONE_AT_A_TIME = "one scan at a time"
    """A running or paused scan holds the bench."""
    PREREQUISITES_FIRST = "prerequisites are completed first"
    """Completed, not just over; a named reference scan is one of them."""
    PREREQUISITES_ONCE = "a scan waits for other scans, once for each"
    MATCHING_REFERENCE = "every object scan names a matching reference scan"
    RETRY_IS_NEW = "a retry is a new scan"
    """An identifier is used once; what is over does not start again."""
    RETRY_OF_INCOMPLETE = "only what did not complete is retried"
    RETRY_OF_LATEST = "only the last attempt is retried"
    NOTHING_PENDING = "a complete study has no pending scan"
    ARCHIVED_IS_IMMUTABLE = "an archived study is immutable"
