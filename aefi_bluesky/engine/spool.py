"""The engine's spools: files that keep what a flight records, whatever dies."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.bench import BenchDescription
from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.domain.flight_plan import FlightPlan
from aefi_bluesky.domain.scan_results import CHANNELS
from aefi_bluesky.domain.voltage import volts_per_code
from aefi_bluesky.engine import _native
from aefi_bluesky.engine.native_plan import mm_per_step

SPOOL_SUFFIX = ".spool"

Table = dict[str, npt.NDArray[Any]]


def new_spool(folder: Path | None) -> Path | None:
    """Return an unused path in `folder`, named by the present in UTC.

    Raises
    ------
    StorageError
        If there is no such folder and it can't be made.
    """
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise StorageError(f"folder {folder} cannot be made: {err.strerror}") from err
    now = datetime.datetime.now(datetime.UTC)
    name = f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
    return folder / f"{name}{SPOOL_SUFFIX}"


def spool_note(plan: FlightPlan, bench: BenchDescription) -> str:
    """Return what a reader of the spool needs to know of plan and bench, as JSON."""
    detector = bench.detector
    return json.dumps(
        {
            "plan_digest": plan.digest,
            "frames_planned": plan.n_frames,
            "lines_planned": len(plan.lines),
            "mm_per_step": {axis: mm_per_step(bench, axis) for axis in ("x", "y")},
            "volts_per_code": volts_per_code(detector.vref_v, detector.gain),
        }
    )


@dataclass(frozen=True, slots=True, eq=False)
class SpooledFlight:
    """What a spool holds, up to its first record that is not whole.

    Parameters
    ----------
    note
        See `spool_note`.
    began_utc_ns
        Start of the flight, in ns since 1970.
    torn_bytes
        Bytes at the end that are no whole record.
    is_growing
        Whether its flight is under way.
    state, cause
        How the flight ended; None if the spool ends before.
    tables
        ``primary`` (frames), ``lines``, ``readings``, ``fixes``: column name to
        array. Places in mm, voltages in V, ``t`` in s; all other times in ns, since
        the flight began; counts in steps.
    """

    note: Mapping[str, Any]
    began_utc_ns: int
    torn_bytes: int
    is_growing: bool
    state: str | None
    cause: str | None
    tables: Mapping[str, Table]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what the file at `path` holds.

        Raises
        ------
        StorageError
            If it can't be read, or is no spool of an adapter's.
        """
        try:
            spool = _native.read_spool(path)
            note = json.loads(spool["note"])
            tables = {
                "primary": _scaled_frames(spool["frames"], note),
                "lines": spool["lines"],
                "readings": _in_mm(spool["readings"], note),
                "fixes": spool["fixes"],
            }
        except OSError as err:
            raise StorageError(f"spool {path} cannot be read: {err}") from err
        except (ValueError, KeyError, TypeError) as err:
            raise StorageError(f"spool {path} cannot be understood: {err}") from err
        return cls(
            note=note,
            began_utc_ns=spool["began_utc_ns"],
            torn_bytes=spool["torn_bytes"],
            is_growing=spool["is_growing"],
            state=spool["state"],
            cause=spool["cause"],
            tables=tables,
        )


def _in_mm(table: Table, note: Mapping[str, Any]) -> Table:
    scale = note["mm_per_step"]
    return {
        name: values * scale[name[0]] if name[:2] in ("x", "y", "x_", "y_") else values
        for name, values in table.items()
    }


def _scaled_frames(table: Table, note: Mapping[str, Any]) -> Table:
    """Return frames with the names and units of ``primary``; `state` is its code."""
    frames = _in_mm(table, note)
    frames["t"] = frames["t"].astype(np.float64) * 1e-9
    for number, channel in enumerate(CHANNELS, start=1):
        for kind, suffix in (("mean", ""), ("std", "_std")):
            codes = frames.pop(f"{kind}_{number}")
            frames[f"{channel}{suffix}"] = codes * note["volts_per_code"]
    return frames
