"""The engine's spools: files that keep what a flight records, whatever dies."""

from __future__ import annotations

import dataclasses
import datetime
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.ports import ScanObserver
from aefi_bluesky.domain.results.scan_results import (
    Chunk,
    FixChunk,
    FrameChunk,
    LineChunk,
    ReadingChunk,
)
from aefi_bluesky.engine import _native
from aefi_bluesky.engine.chunks import ChunkConverter, Scales, Table

SPOOL_SUFFIX = ".spool"


class SpoolKeeper(Protocol):
    """Knows to which run a flight belongs, and until when its spool is needed."""

    def current_run(self) -> Mapping[str, Any]:
        """Return ``uid`` and more of the run under way; empty if there is none."""
        ...

    def let_go(self, spool: Path) -> None:
        """Remove the spool of a flight whose observer has all that it holds.

        At once, or when that is stored elsewhere.

        Raises
        ------
        OSError
            If the file can't be removed.
        """
        ...


class NoRuns:
    """Keeps no spool longer than its flight."""

    def current_run(self) -> Mapping[str, Any]:
        """See `SpoolKeeper`."""
        return {}

    def let_go(self, spool: Path) -> None:
        """See `SpoolKeeper`."""
        spool.unlink(missing_ok=True)


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


def spool_note(plan: FlightPlan, scales: Scales, run: Mapping[str, Any]) -> str:
    """Return what a reader of the spool needs to know, as JSON.

    Parameters
    ----------
    plan
        What is flown.
    scales
        Those of the bench that flies it.
    run
        The run that the flight belongs to; empty if there is none.
    """
    note = {"run": run, "plan": plan.to_plain(), "scales": dataclasses.asdict(scales)}
    return json.dumps(note)


@dataclass(frozen=True, slots=True, eq=False)
class SpooledFlight:
    """What a spool holds, up to its first record that is not whole.

    Parameters
    ----------
    run
        The run that the flight belongs to: ``uid``, ``scan_id`` and ``study`` as in
        its start document; empty if there was none.
    plan
        What was flown.
    began_utc_ns
        Start of the flight, in ns since 1970.
    torn_bytes
        Bytes at the end that are no whole record.
    is_growing
        Whether its flight is under way.
    state, cause
        How the flight ended; None if the spool ends before.
    frames, lines, readings, fixes
        What an observer of the flight was handed, or would have been.
    """

    run: Mapping[str, Any]
    plan: FlightPlan
    began_utc_ns: int
    torn_bytes: int
    is_growing: bool
    state: str | None
    cause: str | None
    frames: FrameChunk
    lines: LineChunk
    readings: ReadingChunk
    fixes: FixChunk

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
            run, plan = note["run"], FlightPlan.from_plain(note["plan"])
            convert = ChunkConverter(plan, Scales(**note["scales"]))
            frames = convert.frames(spool["frames"])
            lines = convert.lines(spool["lines"])
            readings = convert.readings(spool["readings"])
            fixes = convert.fixes(spool["fixes"])
        except OSError as err:
            raise StorageError(f"spool {path} cannot be read: {err}") from err
        except (ValueError, LookupError, TypeError) as err:
            raise StorageError(f"spool {path} cannot be understood: {err}") from err
        return cls(
            run=run,
            plan=plan,
            began_utc_ns=spool["began_utc_ns"],
            torn_bytes=spool["torn_bytes"],
            is_growing=spool["is_growing"],
            state=spool["state"],
            cause=spool["cause"],
            frames=frames,
            lines=lines,
            readings=readings,
            fixes=fixes,
        )

    @property
    def tables(self) -> Mapping[str, Table]:
        """Columns of each stream, with names and units as in a run.

        But for ``state`` of ``primary``: the code of `FRAME_STATES`.
        """
        return {
            "primary": self.frames.data,
            "lines": self.lines.data,
            "readings": self.readings.data,
            "fixes": self.fixes.data,
        }

    def replay(self, observer: ScanObserver) -> None:
        """Hand all chunks to `observer`, in the order of a flight; it ends with none.

        Frames come with the line that claims them, as they did in flight; those that
        no line has claimed come last.
        """
        observer.flight_started(self.plan)
        observer.fixes_taken(self.fixes)
        observer.readings_taken(self.readings)
        waiting = np.ones(len(self.frames), dtype=np.bool_)
        for place in range(len(self.lines)):
            line = LineChunk(_rows(self.lines, slice(place, place + 1)))
            claimed = waiting & (self.frames["line"] == line["line"])
            claimed &= self.frames["pass"] <= line["pass"]
            waiting &= ~claimed
            observer.frames_ended(FrameChunk(_rows(self.frames, claimed)))
            observer.lines_ended(line)
        observer.frames_ended(FrameChunk(_rows(self.frames, waiting)))


def _rows(chunk: Chunk, which: Any) -> Table:
    return {name: column[which] for name, column in chunk.data.items()}
