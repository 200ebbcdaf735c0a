"""Recovers what a dead session has left: spools to files, runs closed and stored."""

from __future__ import annotations

import collections
import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aefi_bluesky.devices.data_keys import (
    FRAME_UNITS,
    LINE_UNITS,
    SAMPLE_UNITS,
    described,
    frame_keys,
)
from aefi_bluesky.devices.flight_log import FlightLog
from aefi_bluesky.devices.streams import MapStream
from aefi_bluesky.domain.errors import AefiError, StorageError
from aefi_bluesky.domain.results.scan_results import FRAME_STATES
from aefi_bluesky.engine import SPOOL_SUFFIX, SpooledFlight
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.storage.runs.asset_documents import external_data_key
from aefi_bluesky.storage.runs.closing import (
    Documents,
    abandoned_journals,
    close_journal,
    rows_told,
)
from aefi_bluesky.storage.runs.completion import (
    EventRows,
    RecoveredRun,
    SampleRows,
    completed,
)
from aefi_bluesky.storage.runs.sample_file import RunFile
from aefi_bluesky.storage.runs.upload import kept_journals, upload_journal
from aefi_bluesky.storage.tiled.client import connect
from aefi_bluesky.storage.tiled.server import TiledServer

logger = logging.getLogger(__name__)

_UNITS: Mapping[str, Mapping[str, str]] = {
    "primary": {name: unit for name, unit in FRAME_UNITS.items() if unit},
    "lines": {name: unit for name, unit in LINE_UNITS.items() if unit},
    **SAMPLE_UNITS,
}
_DEVICE = "flyer"
"""The device that a stream without a descriptor is said to come from."""


# -- spools --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecoveredSpool:
    """A spool and what became of it.

    Parameters
    ----------
    path
        The spool.
    summary
        What it holds: run and plan of the flight, ``state`` and ``cause`` of its end,
        frames by state, rows and torn bytes. Empty if it can't be read.
    file
        Where its columns are now; None if nowhere.
    remark
        Why there is no such file, or that it was there before; empty else.
    failed
        Whether the spool has data that are nowhere else.
    """

    path: Path
    summary: dict[str, Any]
    file: Path | None
    remark: str = ""
    failed: bool = False

    @property
    def run_uid(self) -> str | None:
        """Uid of the run that the flight belongs to, if that is known."""
        return self.summary.get("run", {}).get("uid")


def recover_spools(folders: SessionFolders) -> Iterator[RecoveredSpool]:
    """Write each spool's columns to an HDF5 file, once; spools are left as they are.

    The summary is written to ``<name>.json`` beside ``<name>.h5``. A flight under way
    is reported and not recovered, as is a spool that can't be read or written to a
    file.

    Parameters
    ----------
    folders
        Where spools are and files go.
    """
    for path in sorted(folders.spool.glob(f"*{SPOOL_SUFFIX}")):
        summary: dict[str, Any] = {}
        try:
            flight = SpooledFlight.read(path)
            summary = _summary(flight)
            file, remark = _recovered(flight, folders.recovered / f"{path.stem}.h5")
        except Exception as err:
            yield RecoveredSpool(path, summary, None, _told(path, err), failed=True)
        else:
            yield RecoveredSpool(path, summary, file, remark)


def _recovered(flight: SpooledFlight, file: Path) -> tuple[Path | None, str]:
    if flight.is_growing:
        return None, "in flight"
    if file.exists():
        return file, "as before"
    _write(flight, file)
    return file, ""


def _told(path: Path, err: Exception) -> str:
    """Return an error of one item in one sentence: the others must go on after it."""
    if isinstance(err, AefiError):
        return str(err)
    logger.error("%s cannot be recovered", path, exc_info=err)
    return f"it cannot be understood ({type(err).__name__}: {err})"


def _summary(flight: SpooledFlight) -> dict[str, Any]:
    states = collections.Counter(flight.frames["state"].tolist())
    return {
        "run": dict(flight.run),
        "began_utc_ns": flight.began_utc_ns,
        "state": flight.state,
        "cause": flight.cause,
        "frames": {str(FRAME_STATES[code]): n for code, n in sorted(states.items())},
        "frames_planned": flight.plan.n_frames,
        "rows": {
            name: len(next(iter(table.values())))
            for name, table in flight.tables.items()
        },
        "torn_bytes": flight.torn_bytes,
        "plan_digest": flight.plan.digest,
        "scan_spec": flight.plan.spec.to_plain(),
        "frame_states": [str(state) for state in FRAME_STATES],
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
        with contextlib.suppress(OSError):  # another recovery is at work in it
            unfinished.parent.rmdir()
    except OSError as err:
        if isinstance(err, StorageError):
            raise
        raise StorageError(f"{file} cannot be written: {err}") from err


# -- runs ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClosedRun:
    """A run that had no end and has one now.

    Parameters
    ----------
    journal
        Where its documents were.
    uid, kept
        Uid of the run and where its documents are; None if it can't be closed.
    added
        Rows that its documents lacked, by stream.
    remark
        What could not be done; empty else.
    failed
        Whether the run has no end yet, or lacks what a spool has.
    """

    journal: Path
    uid: str | None
    kept: Path | None
    added: Mapping[str, int] = field(default_factory=dict[str, int])
    remark: str = ""
    failed: bool = False


def close_runs(
    folders: SessionFolders, spools: Sequence[RecoveredSpool]
) -> Iterator[ClosedRun]:
    """Complete the runs whose process died from their spools, and close them.

    Parameters
    ----------
    folders
        Where journals are.
    spools
        What `recover_spools` yielded.
    """
    for journal in abandoned_journals(folders.backup):
        completion = _Completion(spools)
        try:
            uid, kept = close_journal(journal, completion)
        except Exception as err:
            remark = _told(journal, err)
            yield ClosedRun(journal, None, None, remark=remark, failed=True)
        else:
            yield ClosedRun(
                journal,
                uid,
                kept,
                completion.added,
                completion.remark,
                failed=completion.failed,
            )


class _Completion:
    """Completes the documents of one run, or tells why it can't.

    Parameters
    ----------
    spools
        Those of all runs.
    """

    def __init__(self, spools: Sequence[RecoveredSpool]) -> None:
        self._spools = spools
        self.added: Mapping[str, int] = {}
        self.remark = ""
        self.failed = False

    def __call__(self, documents: Documents) -> Documents:
        """Return the documents, with what they lack."""
        uid = documents[0][1]["uid"]
        own = [
            (each.path, each.file)
            for each in self._spools
            if each.run_uid == uid and each.file is not None
        ]
        if len(own) != 1:
            # Frames of two flights have the same names: which are the run's?
            count = len(own) or "no"
            self.failed = bool(own)
            self.remark = (
                f"there are {count} spools of this run, one is needed to complete it: "
                "its documents are as they were"
            )
            return documents
        ((spool, file),) = own
        try:
            flight = SpooledFlight.read(spool)
            whole = completed(documents, _recovered_run(flight, file, documents))
        except Exception as err:
            self.remark, self.failed = _told(spool, err), True
            return documents
        before, after = rows_told(documents), rows_told(whole)
        self.added = {name: n - before.get(name, 0) for name, n in after.items()}
        return whole


def _recovered_run(
    flight: SpooledFlight, file: Path, documents: Documents
) -> RecoveredRun:
    log = FlightLog(flight.plan, _NoFile())
    flight.replay(log)
    log.close_page()
    began_s, last_s = flight.began_utc_ns * 1e-9, _last_s(flight)
    pages = [
        (began_s + float(page.lines["t_end"][0]) if page.lines else last_s, page)
        for page in iter(log.take_page, None)
    ]
    events = {
        "primary": EventRows(
            frame_keys(_DEVICE),
            ("frame",),
            [(at, _rows(page.frames)) for at, page in pages],
        ),
        "lines": EventRows(
            described(f"{_DEVICE}_lines", LINE_UNITS),
            ("line", "pass"),
            [(at, _rows(page.lines)) for at, page in pages],
        ),
    }
    described_streams = {doc["name"] for name, doc in documents if name == "descriptor"}
    if "maps" not in described_streams:
        maps = MapStream(f"{_DEVICE}_maps", None, lambda: log)
        images = {name: value["value"] for name, value in maps.read().items()}
        events["maps"] = EventRows(maps.describe(), (), [(last_s, [images])])
    samples = {
        stream: _sample_rows(flight, stream, file) for stream in ("readings", "fixes")
    }
    return RecoveredRun(_DEVICE, events, samples)


def _rows(table: Mapping[str, npt.NDArray[Any]]) -> list[dict[str, Any]]:
    """Return the rows of a table as plain values: documents are completed by row."""
    columns = {name: values.tolist() for name, values in table.items()}
    return [
        dict(zip(columns, values, strict=True))
        for values in zip(*columns.values(), strict=True)
    ]


def _last_s(flight: SpooledFlight) -> float:
    """Return when the last record of a flight was taken, in s of UTC."""
    taken = [flight.readings["t_end"], flight.fixes["t_received"]]
    last_ns = int(np.concatenate(taken).max(initial=0))
    return (flight.began_utc_ns + last_ns) * 1e-9


def _sample_rows(flight: SpooledFlight, stream: str, file: Path) -> SampleRows:
    columns = flight.tables[stream]
    units = SAMPLE_UNITS[stream]
    keys = {
        name: external_data_key(
            f"{file}#{stream}/{name}", values.dtype, units.get(name)
        )
        for name, values in columns.items()
    }
    return SampleRows(keys, file, columns)


class _NoFile:
    """Takes samples that are in a file already."""

    uri = ""

    def append(self, stream: str, columns: Mapping[str, Any]) -> None:
        """Do nothing."""

    def describe(self, stream: str, *, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Return nothing."""
        return {}

    def asset_documents(
        self, stream: str, *, prefix: str = "", upto: int | None = None
    ) -> Any:
        """Return nothing."""
        return ()

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


# -- Tiled ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run that was kept in a journal.

    Parameters
    ----------
    journal
        Where its documents are, or were.
    uid
        Uid of the run that is in Tiled now; None if it is not.
    remark
        Why it is not; empty else.
    """

    journal: Path
    uid: str | None
    remark: str = ""


def store_runs(folders: SessionFolders) -> Iterator[StoredRun]:
    """Store all runs that journals keep in the Tiled of the data folder.

    If there is such a run, a Tiled server is started. A run that can't be stored stays
    in its journal and is reported.

    Parameters
    ----------
    folders
        Where journals and Tiled's own data are.
    """
    journals = kept_journals(folders.backup)
    if not journals:
        return
    try:
        with TiledServer(folders.tiled, folders.raw) as server:
            for journal in journals:
                yield _stored(journal, server)
    except StorageError as err:
        for journal in journals:
            if journal.exists():
                yield StoredRun(journal, None, str(err))


def _stored(journal: Path, server: TiledServer) -> StoredRun:
    try:
        uid = upload_journal(journal, lambda: connect(server.uri, server.api_key))
    except Exception as err:
        return StoredRun(journal, None, _told(journal, err))
    return StoredRun(journal, uid)
