"""What a flight produced so far, cut at line ends, for the streams to collect.

The flight's thread puts chunks in; the RunEngine's thread takes pages out. A page
holds the frames of one line, whatever the moment of the call: the same flight gives
the same documents.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
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

Row = dict[str, Any]


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
        Rows of ``primary``.
    lines
        Rows of ``lines``: one, or none for what a broken line left.
    samples
        Rows of the sample file that are older than the line's end, by stream.
    """

    frames: list[Row]
    lines: list[Row]
    samples: Mapping[str, int]

    def take_frames(self) -> list[Row]:
        """Return the rows of ``primary``, the first time."""
        rows, self.frames = self.frames, []
        return rows

    def take_lines(self) -> list[Row]:
        """Return the rows of ``lines``, the first time."""
        rows, self.lines = self.lines, []
        return rows


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
        self._open_rows: list[Row] = []
        self._pages: deque[LinePage] = deque()
        self._frames: dict[int, Row] = {}
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
        rows = _rows(frames.data)
        for row in rows:
            row["state"] = FRAME_STATES[row["state"]].value
        with self._lock:
            self._open_rows.extend(rows)
            self._frames.update({row["frame"]: row for row in rows})

    def lines_ended(self, lines: LineChunk) -> None:
        """Make a page of each line that ended."""
        with self._lock:
            for row in _rows(lines.data):
                for share in _SHARES:
                    self._spent[share] += row[share]
                frames = self._cut(row["line"])
                counted = self._count_until(round(row["t_end"] * 1e9))
                self._pages.append(LinePage(frames, [row], counted))

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
            frames, self._open_rows = self._open_rows, []
            before = dict(self._counted)
            counted = self._count_until(None)
            if frames or counted != before:
                self._pages.append(LinePage(frames, [], counted))

    def _store(self, stream: str, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        try:
            self.samples.append(stream, columns)
        except Exception as err:
            # Kept, not logged: the flyer ends the flight for it.
            self.failure = self.failure or err
            return
        with self._lock:
            self._uncounted[stream].extend(columns[_RECEIVED[stream]].tolist())

    def _cut(self, line: int) -> list[Row]:
        page = [row for row in self._open_rows if row["line"] == line]
        self._open_rows = [row for row in self._open_rows if row["line"] != line]
        return page

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
            Whether to take the muted frames; the driven ones unless told.
        total
            Return the sum over repeats instead of the mean: of what counts.

        Returns
        -------
        numpy.ndarray
            Shape (n_y, n_x), the mean of a pixel over its repeats; NaN where none
            is ok.
        """
        good = self._good_frames()
        frames = [row["frame"] for row in good]
        values = [row[column] for row in good]
        return map_image(self.plan, frames, values, muted=muted, total=total)

    def column(self, name: str) -> npt.NDArray[np.float64]:
        """Return a numeric column of the frames that are ok, in order; shape (n,)."""
        return np.array([row[name] for row in self._good_frames()], dtype=np.float64)

    def _good_frames(self) -> list[Row]:
        with self._lock:
            rows = sorted(self._frames.items())
        return [row for _, row in rows if row["state"] == FrameState.OK.value]


def _rows(columns: Mapping[str, npt.NDArray[Any]]) -> list[Row]:
    """Return the rows of a table as plain Python values."""
    names = list(columns)
    plain = (columns[name].tolist() for name in names)
    return [
        dict(zip(names, values, strict=True)) for values in zip(*plain, strict=True)
    ]
