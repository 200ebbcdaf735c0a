"""What a flight produced so far, cut at line ends, for the streams to collect.

The flight's thread puts chunks in; the RunEngine's thread takes pages out. A page
holds the frames of one line, whatever the moment of the call: the same flight gives
the same documents.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.flight.plan import FlightPlan
from aefi_bluesky.domain.results.map_image import map_image
from aefi_bluesky.domain.results.scan_results import (
    FRAME_STATES,
    FixChunk,
    FrameChunk,
    FrameState,
    LineChunk,
    ReadingChunk,
    ScanResults,
    ScanState,
)

Table = Mapping[str, npt.NDArray[Any]]
"""Columns of the same length; none at all is a table without rows."""

_WORDS = np.array([state.value for state in FRAME_STATES], dtype=object)


class SampleFile(Protocol):
    """One file a run for the samples; see `aefi_bluesky.storage.runs.sample_file`."""

    @property
    def uri(self) -> str:
        """Where the file is, as Tiled reads it."""
        ...

    def append(self, stream: str, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Append rows to a stream."""
        ...

    def describe(self, stream: str, *, prefix: str = "") -> dict[str, dict[str, Any]]:
        """Return the data keys of a stream."""
        ...

    def asset_documents(
        self, stream: str, *, prefix: str = "", upto: int | None = None
    ) -> Any:
        """Yield the documents of rows not announced yet, up to a number of rows."""
        ...

    def flush(self) -> None:
        """Hand all rows to the system."""
        ...

    def close(self) -> None:
        """Flush and close; nothing if it is closed."""
        ...


@dataclass(slots=True)
class LinePage:
    """What one line adds to the streams; rows are handed out once.

    Parameters
    ----------
    frames
        Columns of ``primary``.
    lines
        Columns of ``lines``: one row, or none for what a broken line left.
    samples
        Rows of the sample file that are older than the line's end, by stream.
    """

    frames: Table
    lines: Table
    samples: Mapping[str, int]

    def take_frames(self) -> Table:
        """Return the columns of ``primary``, the first time; no column else."""
        table, self.frames = self.frames, {}
        return table

    def take_lines(self) -> Table:
        """Return the columns of ``lines``, the first time; no column else."""
        table, self.lines = self.lines, {}
        return table


_SHARES = ("turnaround", "run_up", "window", "run_down")

_RECEIVED = {"readings": "t_end", "fixes": "t_received"}


class FlightLog:
    """Observer of one flight that keeps what the streams hand on.

    Parameters
    ----------
    plan
        What is flown.
    samples
        Takes readings and fixes.
    """

    def __init__(self, plan: FlightPlan, samples: SampleFile) -> None:
        self.plan = plan
        self.samples = samples
        self.results: ScanResults | None = None
        self.failure: Exception | None = None
        self.state = ScanState.PREPARING
        self._lock = threading.Lock()
        # Frames that no line has claimed yet, and all there are.
        self._open: list[Table] = []
        self._pages: deque[LinePage] = deque()
        self._frames: list[Table] = []
        self._spent = dict.fromkeys(_SHARES, 0.0)
        # Receive times of samples that no page counts yet, and rows counted so far.
        self._uncounted = {stream: deque[int]() for stream in _RECEIVED}
        self._counted = dict.fromkeys(_RECEIVED, 0)

    def flight_started(self, plan: FlightPlan) -> None:
        """Nothing to keep: the plan is known."""

    def state_changed(self, state: ScanState) -> None:
        """Keep where the flight stands."""
        self.state = state

    def frames_ended(self, frames: FrameChunk) -> None:
        """Keep frames until their line ends."""
        table = {**frames.data, "state": _WORDS[frames.data["state"]]}
        with self._lock:
            self._open.append(table)
            self._frames.append(table)

    def lines_ended(self, lines: LineChunk) -> None:
        """Make one page for each line that ended."""
        with self._lock:
            for place in range(len(lines)):
                row = _where(lines.data, slice(place, place + 1))
                for share in _SHARES:
                    self._spent[share] += float(row[share][0])
                frames = self._cut(int(row["line"][0]))
                counted = self._count_until(round(float(row["t_end"][0]) * 1e9))
                self._pages.append(LinePage(frames, row, counted))

    def readings_taken(self, readings: ReadingChunk) -> None:
        """Store readings in the sample file."""
        self._store("readings", readings.data)

    def fixes_taken(self, fixes: FixChunk) -> None:
        """Store position replies in the sample file."""
        self._store("fixes", fixes.data)

    def flight_ended(self, results: ScanResults) -> None:
        """Make a page of what the last line left, keep the outcome, end the file.

        Raises
        ------
        Exception
            What kept any sample out of the file: the port must know that it is not
            the only one who has it.
        """
        self.close_page()
        self.results = results
        try:
            self.samples.close()
        except Exception as err:
            self.failure = self.failure or err
        if self.failure is not None:
            raise self.failure

    def close_page(self) -> None:
        """Make a page of what no line has claimed, if there is anything."""
        with self._lock:
            frames, self._open = _joined(self._open), []
            before = dict(self._counted)
            counted = self._count_until(None)
            if frames or counted != before:
                self._pages.append(LinePage(frames, {}, counted))

    def _store(self, stream: str, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        try:
            self.samples.append(stream, columns)
        except Exception as err:
            # Kept, not logged: the flyer ends the flight for it.
            self.failure = self.failure or err
            return
        with self._lock:
            self._uncounted[stream].extend(columns[_RECEIVED[stream]].tolist())

    def _cut(self, line: int) -> Table:
        if not self._open:
            return {}
        frames = _joined(self._open)
        claimed = frames["line"] == line
        left = _where(frames, ~claimed)
        self._open = [left] if left else []
        return _where(frames, claimed)

    def _count_until(self, time_ns: int | None) -> Mapping[str, int]:
        """Count samples received by a time (None: all); the same whenever asked."""
        for stream, times in self._uncounted.items():
            while times and (time_ns is None or times[0] <= time_ns):
                times.popleft()
                self._counted[stream] += 1
        return dict(self._counted)

    @property
    def pages_waiting(self) -> int:
        """Pages made and not taken."""
        return len(self._pages)

    def take_page(self) -> LinePage | None:
        """Return the oldest page, if there is one."""
        with self._lock:
            return self._pages.popleft() if self._pages else None

    def budget_s(self) -> dict[str, float]:
        """Return what the flight's bench time was spent on, in s; the sum is all.

        ``other`` is what no line that was flown to its end claims: lines broken off,
        the way to rest and the end of the flight. The set-up is part of the first
        turnaround.
        """
        with self._lock:
            spent: dict[str, float] = {**self._spent}
        total = self.results.flight_s if self.results else 0.0
        spent["other"] = total - sum(spent.values())
        return {f"budget_{share}_s": seconds for share, seconds in spent.items()}

    def map_of(
        self, column: str, *, muted: bool = False, total: bool = False
    ) -> npt.NDArray[np.float64]:
        """Return a column of the frames that are ok as an image.

        Parameters
        ----------
        column
            Name of a numeric column of ``primary``.
        muted
            Whether to take the muted frames; by default the driven ones.
        total
            Whether to return the sum over repeats (for counts) instead of the mean.

        Returns
        -------
        numpy.ndarray
            Shape (n_y, n_x), the mean of a pixel over its repeats; NaN where none
            is ok.
        """
        frames, values = self._good("frame"), self._good(column)
        return map_image(self.plan, frames, values, muted=muted, total=total)

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """Return a numeric column of the frames that are ok, in order; shape (n,)."""
        return self._good(name).astype(np.float64)

    def _good(self, name: str) -> npt.NDArray[Any]:
        """Return a column of the frames that are ok, by their identifiers."""
        with self._lock:
            tables = list(self._frames)
        if not tables:
            return np.empty(0, dtype=np.int64)
        frame, state, values = (
            np.concatenate([table[column] for table in tables])
            for column in ("frame", "state", name)
        )
        # A frame that was flown again has the state of the last time.
        _, from_the_end = np.unique(frame[::-1], return_index=True)
        last = len(frame) - 1 - from_the_end
        return values[last[state[last] == FrameState.OK.value]]


def _joined(tables: Sequence[Table]) -> Table:
    if len(tables) < 2:
        return tables[0] if tables else {}
    return {
        name: np.concatenate([table[name] for table in tables]) for name in tables[0]
    }


def _where(table: Table, which: slice | npt.NDArray[np.bool_]) -> Table:
    """Return some rows of a table; no column where there are none."""
    some = {name: values[which] for name, values in table.items()}
    return some if some and len(next(iter(some.values()))) else {}
