"""The studies of a data folder, without a bench."""

from __future__ import annotations

from pathlib import Path

from aefi_bluesky.application.flight_control import FlightControl
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.errors import DeviceUnavailableError, StorageError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import RunRecord, ScanObserver
from aefi_bluesky.domain.results.scan_results import ScanResults
from aefi_bluesky.session.calibrations import measured_bench
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository


class Grounded:
    """A `ScanExecutor` that flies nothing: studies are planned without a bench."""

    control = FlightControl(lambda: None)

    def execute_scan(
        self,
        flight_plan: FlightPlan,
        observer: ScanObserver,
        run: RunRecord | None = None,
    ) -> ScanResults:
        """Refuse.

        Raises
        ------
        DeviceUnavailableError
            Always.
        """
        raise DeviceUnavailableError("no bench is open here: use 'aefi study run'")


def has_studies(folder: Path) -> bool:
    """Return whether studies are kept in a data folder."""
    return SessionFolders(folder.absolute()).studies.exists()


def planning(
    folder: Path, *, bench: str = "aefi", create: bool = False
) -> StudyService:
    """Return the service over the studies of a data folder.

    Parameters
    ----------
    folder
        The data folder.
    bench
        Path of a bench file, or name of a shipped bench; only
        `StudyService.configure_study` uses it.
    create
        Whether the file of the studies is made if there is none.

    Raises
    ------
    ConfigurationError
        If the bench file is wrong.
    StorageError
        If there are no studies, or their file can't be read or written.
    """
    file = SessionFolders(folder.absolute()).studies
    if not create and not has_studies(folder):
        raise StorageError(
            f"data folder {file.parent} has no studies; 'aefi study create' makes one"
        )
    repository = SqliteStudyRepository(file)
    folders = SessionFolders(folder.absolute())
    description = measured_bench(load_bench(bench), folders)
    return StudyService(repository, Grounded(), description)
