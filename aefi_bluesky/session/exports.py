"""A stored run, read from Tiled for an export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.domain.results.voltage import code_to_volts
from aefi_bluesky.views.presenter import Presenter, Snapshot
from aefi_bluesky.views.run_follower import Columns, RunFollower


@dataclass(frozen=True, slots=True, eq=False)
class StoredRun:
    """A run of a scan as it is exported.

    Parameters
    ----------
    start
        The start document.
    shown
        The maps.
    readings
        ``x`` and ``y`` in mm and the six channels in V, a row a reading; at rest, a
        row a measurement.
    """

    start: Mapping[str, Any]
    shown: Snapshot
    readings: Columns


def stored_run(client: Any, uid: str) -> StoredRun:
    """Return a run that Tiled has.

    Parameters
    ----------
    client
        Tiled's client of the runs.
    uid
        Uid of the run, or its beginning.

    Raises
    ------
    StorageError
        If there is no such run, or it is no scan of ours.
    """
    run = _run(client, uid)
    start = run.metadata["start"]
    presenter = Presenter()
    follower = RunFollower(presenter)
    if not follower.started(start):
        raise StorageError(f"run {start['uid']} is no scan of this package")
    frames = table_of(run, "primary")
    for rows, take in (
        (frames, follower.frames_taken),
        (table_of(run, "lines"), follower.lines_taken),
    ):
        if rows is not None:
            take(rows)
    if (stop := run.metadata.get("stop")) is not None:
        follower.ended(stop)
    return StoredRun(start, presenter.snapshot(), _readings(run, start, frames))


def table_of(run: Any, stream: str, first: int = 0) -> Columns | None:
    """Return rows of a stream as columns; None if there is none.

    Parameters
    ----------
    run
        Tiled's client of a run.
    stream
        Name of the stream.
    first
        Number of the first row that is wanted.
    """
    if stream not in run or "internal" not in run[stream].base:
        return None
    table = run[stream].base["internal"].read()
    if len(table) <= first:
        return None
    return {name: table[name].to_numpy()[first:] for name in table.columns}


def _run(client: Any, uid: str) -> Any:
    try:
        return client[uid]
    except KeyError as err:
        raise StorageError(f"Tiled has no run {uid!r}") from err


def _readings(run: Any, start: Mapping[str, Any], frames: Columns | None) -> Columns:
    if "readings" in run:
        readings = run["readings"]
        detector = BenchDescription.from_plain(start["bench"]).detector
        codes = np.column_stack(
            [np.asarray(readings[f"code_{n + 1}"].read()) for n in range(len(CHANNELS))]
        )
        volts = code_to_volts(codes, detector.vref_v, detector.gain)
        places = {axis: np.asarray(readings[axis].read()) for axis in "xy"}
        return {**places, **dict(zip(CHANNELS, volts.T, strict=True))}
    names = ("x", "y", *CHANNELS)
    return {name: np.zeros(0) if frames is None else frames[name] for name in names}
