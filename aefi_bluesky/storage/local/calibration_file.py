"""Calibrations of benches, a JSON file each."""

from __future__ import annotations

import json
import re
from pathlib import Path

from aefi_bluesky.domain.bench.calibration import Calibration
from aefi_bluesky.domain.errors import ConfigurationError, StorageError


class CalibrationFile:
    """Keeps the calibration of one bench.

    Parameters
    ----------
    folder
        Where the file is.
    bench
        Name of the bench.
    """

    def __init__(self, folder: Path, bench: str) -> None:
        self._bench = bench
        self.path = folder / f"{re.sub(r'[^A-Za-z0-9-]+', '-', bench)}.json"

    def load(self) -> Calibration:
        """Return what was saved last; nothing measured if nothing was.

        Raises
        ------
        ConfigurationError
            If the file is of another bench or no calibration.
        StorageError
            If it can't be read.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return Calibration(self._bench)
        except (OSError, UnicodeDecodeError) as err:
            raise StorageError(
                f"calibration {self.path} cannot be read: {err}"
            ) from err
        try:
            calibration = Calibration.from_plain(json.loads(text))
        except (ValueError, TypeError) as err:
            raise ConfigurationError(f"calibration {self.path}: {err}") from err
        if calibration.bench != self._bench:
            raise ConfigurationError(
                f"calibration {self.path} is of bench {calibration.bench!r}, "
                f"but this bench is {self._bench!r}"
            )
        return calibration

    def save(self, calibration: Calibration) -> None:
        """Replace what was saved; either all of it is or nothing.

        Raises
        ------
        StorageError
            If it can't be written.
        """
        beside = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(calibration.to_plain(), indent=1) + "\n")
            beside.replace(self.path)
        except OSError as err:
            raise StorageError(
                f"calibration {self.path} cannot be written: {err}"
            ) from err
