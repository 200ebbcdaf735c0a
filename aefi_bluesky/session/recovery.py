"""What a session that died has left: spools to files, open runs closed."""

from __future__ import annotations

import collections
import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aefi_bluesky.devices.data_keys import FRAME_UNITS, SAMPLE_UNITS
from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.domain.scan_results import FRAME_STATES
from aefi_bluesky.engine import SPOOL_SUFFIX, SpooledFlight
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.storage.run_file import RunFile

_LINE_UNITS: Mapping[str, str] = dict.fromkeys(
    (
        *("turnaround_from", "began", "entered", "left", "ended"),
        *("period_p50", "period_p99", "period_max"),
    ),
    "ns",
)
_UNITS: Mapping[str, Mapping[str, str]] = {
    "primary": {name: unit for name, unit in FRAME_UNITS.items() if unit},
    "lines": _LINE_UNITS,
    **SAMPLE_UNITS,
}


@dataclass(frozen=True, slots=True)
class RecoveredSpool:
    """A spool and what became of it.

    Parameters
    ----------
    path
        The spool.
    summary
        What it holds: the note of the flight, ``state`` and ``cause`` of its end,
        frames by state, rows and torn bytes. Empty if it can't be read.
    file
        Where its columns are now; None if nowhere.
    remark
        Why there is no such file, or that it was there before; empty else.
    """

    path: Path
    summary: dict[str, Any]
    file: Path | None
    remark: str = ""


def recover_spools(folders: SessionFolders) -> Iterator[RecoveredSpool]:
    """Write each spool's columns to an HDF5 file, once; spools are left as they are.

    Beside ``<name>.h5`` goes the summary, ``<name>.json``. A flight under way, and a
    spool that can't be read, are told and passed over.

    Parameters
    ----------
    folders
        Where spools are and files go.

    Raises
    ------
    StorageError
        If a file can't be written.
    """
    for path in sorted(folders.spool.glob(f"*{SPOOL_SUFFIX}")):
        try:
            flight = SpooledFlight.read(path)
        except StorageError as err:
            yield RecoveredSpool(path, {}, None, str(err))
            continue
        file = folders.recovered / f"{path.stem}.h5"
        if flight.is_growing:
            yield RecoveredSpool(path, _summary(flight), None, "in flight")
        elif file.exists():
            yield RecoveredSpool(path, _summary(flight), file, "as before")
        else:
            _write(flight, file)
            yield RecoveredSpool(path, _summary(flight), file)


def _summary(flight: SpooledFlight) -> dict[str, Any]:
    states = collections.Counter(flight.tables["primary"]["state"].tolist())
    return {
        "began_utc_ns": flight.began_utc_ns,
        "state": flight.state,
        "cause": flight.cause,
        "frames": {str(FRAME_STATES[code]): n for code, n in sorted(states.items())},
        "rows": {
            name: len(next(iter(table.values())))
            for name, table in flight.tables.items()
        },
        "torn_bytes": flight.torn_bytes,
        "note": dict(flight.note),
    }


def _write(flight: SpooledFlight, file: Path) -> None:
    """Make the file elsewhere and give it its name when it is whole."""
    unfinished = file.parent / "unfinished" / file.name
    columns = {
        stream: {name: values.dtype for name, values in table.items()}
        for stream, table in flight.tables.items()
    }
    try:
        unfinished.unlink(missing_ok=True)
        with RunFile.create(unfinished.parent, file.stem, columns, _UNITS) as run:
            for stream, table in flight.tables.items():
                run.append(stream, table)
        summary = json.dumps(_summary(flight), indent=2) + "\n"
        file.with_suffix(".json").write_text(summary, encoding="utf-8")
        unfinished.rename(file)
        with contextlib.suppress(OSError):
            unfinished.parent.rmdir()
    except OSError as err:
        if isinstance(err, StorageError):
            raise
        raise StorageError(f"{file} cannot be written: {err}") from err
