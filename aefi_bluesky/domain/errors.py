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
    """A valid spec that this bench cannot fly; carries every reason.

    Parameters
    ----------
    violations
        One sentence a reason, each with number, limit and unit.
    """

    def __init__(self, violations: tuple[str, ...]) -> None:
        super().__init__("; ".join(violations))
        self.violations = violations


class IllegalTransitionError(AefiError, RuntimeError):
    """The right call in the wrong state."""


class StudyRuleError(AefiError):
    """A rule of the study forbids it.

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
    """The right call in the wrong state of a study or of its scan."""


class StudyFormatError(AefiError, ValueError):
    """What is stored of a study can't be read, or is no legal study."""


class StaleStudyError(AefiError, RuntimeError):
    """A study was changed by somebody else since it was loaded."""


class StudyBusyError(AefiError, RuntimeError):
    """Somebody else flies the study."""


class InvalidMetadataError(AefiError, TypeError):
    """Metadata that can't be kept between sessions."""


class SessionBusyError(AefiError, RuntimeError):
    """Another session works in the data folder."""


class StudyNotFoundError(AefiError, LookupError):
    """No study has this identifier."""


class StorageError(AefiError, OSError):
    """A folder, a file or the Tiled server refuses what must be stored."""


class QueueServerError(AefiError, RuntimeError):
    """The queue server or its Redis is missing, not reachable, or has ended."""


class ScanPortError(AefiError):
    """What any scan port may raise."""


class PortBusyError(ScanPortError):
    """A port or the bench is held by somebody else."""


class DeviceUnavailableError(ScanPortError):
    """A device is missing or answers with another identity."""


class DeviceTimeoutError(ScanPortError, TimeoutError):
    """A device did not answer in time."""


class DeviceProtocolError(ScanPortError):
    """A device answered with what its protocol does not allow."""


class MotionFaultError(ScanPortError):
    """A limit, an alarm or a refused move ended the motion."""


class DataLossError(ScanPortError):
    """Measured values were lost and counted."""


class ScanAbortedError(ScanPortError):
    """The scan was stopped or aborted before its last frame."""
