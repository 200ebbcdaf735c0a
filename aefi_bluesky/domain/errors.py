"""Every error this package raises on purpose, under one root."""

from __future__ import annotations

from aefi_bluesky.domain.study.rules import StudyRule


class AefiError(Exception):
    """The root of all errors raised on purpose by this package."""


class InvalidScanSpecError(AefiError, ValueError):
    """The caller's numbers are wrong."""


class ConfigurationError(AefiError, ValueError):
    """A bench configuration is unreadable or contradicts itself."""


class InfeasibleScanError(AefiError, ValueError):
    """A valid spec that this bench cannot carry out; the error has every reason.

    Parameters
    ----------
    violations
        One sentence for each reason, with number, limit and unit.
    """

    def __init__(self, violations: tuple[str, ...]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


class IllegalTransitionError(AefiError, RuntimeError):
    """The call is right, but the present state does not allow it."""


class StudyRuleError(AefiError):
    """A rule of the study forbids what was asked.

    Parameters
    ----------
    rule
        The rule; the message begins with it.
    found
        What was asked and what was found, in one sentence.
    """

    def __init__(self, rule: StudyRule, found: str) -> None:
        super().__init__(rule, found)
        self.rule = rule
        self.found = found

    def __str__(self) -> str:
        return f"{self.rule}: {self.found}"


class StudyTransitionError(StudyRuleError, IllegalTransitionError):
    """The state of a study or of its scan does not allow the call."""


class StudyFormatError(AefiError, ValueError):
    """The stored text of a study can't be read, or is not a possible study."""


class StaleStudyError(AefiError, RuntimeError):
    """Another program changed the study after this one had loaded it."""


class StudyBusyError(AefiError, RuntimeError):
    """Another session flies the study."""


class InvalidMetadataError(AefiError, TypeError):
    """Metadata that can't be kept between sessions."""


class SessionBusyError(AefiError, RuntimeError):
    """The data folder is in use by another session or queue server."""


class StudyNotFoundError(AefiError, LookupError):
    """No study has this identifier."""


class StorageError(AefiError, OSError):
    """A folder, a file or the Tiled server refuses what must be stored."""


class QueueServerError(AefiError, RuntimeError):
    """The queue server or its Redis is missing, not reachable, or has ended."""


class ScanPortError(AefiError):
    """What any scan port may raise."""


class PortBusyError(ScanPortError):
    """Another program, session or flight holds the port or the bench."""


class DeviceUnavailableError(ScanPortError):
    """A device is missing, or another device answers in its place."""


class DeviceTimeoutError(ScanPortError, TimeoutError):
    """A device did not answer in time."""


class DeviceProtocolError(ScanPortError):
    """A device sent an answer that its protocol does not allow."""


class MotionFaultError(ScanPortError):
    """A limit, an alarm or a refused move ended the motion."""


class DataLossError(ScanPortError):
    """Measured values were lost and counted."""


class ScanAbortedError(ScanPortError):
    """The scan was stopped or aborted before its last frame."""
