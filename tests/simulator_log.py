"""What the simulated bench wrote of what it really did."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass
class SimulatorLog:
    """Motion of each axis, stops received and outputs that came on, in order.

    Whole until `until_ns` of the bench's clock.
    """

    segments: dict[str, list[dict]]
    stops: list[dict]
    rises: list[dict]
    until_ns: int = 0

    @classmethod
    def read(cls, path: Path):
        segments, stops, rises, until_ns = {}, [], [], 0
        for line in path.read_text().splitlines(keepends=True):
            if not line.endswith("\n"):
                break  # torn
            entry = json.loads(line)
            if "p0" in entry:
                segments.setdefault(entry["axis"], {})[entry["t0_ns"]] = entry
            elif "command" in entry:
                stops.append(entry)
            elif "output" in entry:
                rises.append(entry)
            elif "until_ns" in entry:
                until_ns = entry["until_ns"]
        ordered = {
            axis: [rows[start] for start in sorted(rows)]
            for axis, rows in segments.items()
        }
        return cls(ordered, stops, rises, until_ns)

    @classmethod
    def whole(cls, path: Path, patience_s: float = 5.0):
        """Read when the simulator has written all that happened before this call."""
        called_ns = time.monotonic_ns()
        while (log := cls.read(path)).until_ns < called_ns:
            assert time.monotonic_ns() - called_ns < patience_s * 1e9, "no truth"
            time.sleep(0.02)
        return log

    @property
    def moved(self):
        return any(
            segment["v"] != 0 or segment["a"] != 0
            for rows in self.segments.values()
            for segment in rows
        )

    def cruises(self, axis, steps_per_s):
        """How often an axis reached a speed, and whether it has that speed now."""
        at_speed = [
            abs(abs(row["v"]) - steps_per_s) < 1 and row["a"] == 0
            for row in self.segments.get(axis, ())
        ]
        return sum(at_speed), bool(at_speed) and at_speed[-1]

    @property
    def at_rest(self):
        last = [rows[-1] for rows in self.segments.values()]
        return all(segment["v"] == 0 and segment["a"] == 0 for segment in last)

    def position(self, axis, time_ns):
        """Where an axis was at a time, in steps."""
        before = [row for row in self.segments[axis] if row["t0_ns"] <= time_ns]
        row = (before or self.segments[axis])[-1]
        seconds = (time_ns - row["t0_ns"]) * 1e-9
        return row["p0"] + row["v"] * seconds + row["a"] * seconds**2 / 2

    def way_after(self, time_ns):
        """The longest way that an axis went after a time, in steps."""
        return max(
            abs(rows[-1]["p0"] - self.position(axis, time_ns))
            for axis, rows in self.segments.items()
        )
