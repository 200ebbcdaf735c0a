"""The bench as it was measured in a data folder."""

from __future__ import annotations

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.session.configuration import BenchConfiguration
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.storage.local.calibration_file import CalibrationFile


def measured_bench(
    configuration: BenchConfiguration, folders: SessionFolders
) -> BenchDescription:
    """Return a bench's description, with what was measured of it in a data folder.

    Parameters
    ----------
    configuration
        The bench file.
    folders
        Where sessions keep what they measured; it need not exist.

    Raises
    ------
    ConfigurationError
        If what is kept is of another bench or no calibration.
    StorageError
        If it can't be read.
    """
    described = configuration.description()
    file = CalibrationFile(folders.calibrations, described.name)
    return file.load().applied_to(described)
