"""A table of the lines of a flown run, a row a line.

BestEffortCallback plots ``lines`` but fills its table from ``primary`` only.
"""

from __future__ import annotations

from typing import Any

from bluesky.callbacks import LiveTable

COLUMNS = ["line", "n_ok", "n_not_ok", "reading_rate", "fix_rate", "period_p99"]


class LineTable(LiveTable):
    """Prints each line of a flown run, and nothing of a run that has none."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, stream_name="lines", separator_lines=False)
        self._has_lines = False

    def start(self, doc: Any) -> None:
        """Begin a run."""
        self._has_lines = False
        super().start(doc)

    def descriptor(self, doc: Any) -> None:
        """Print the head once there will be lines."""
        self._has_lines = self._has_lines or doc["name"] == "lines"
        super().descriptor(doc)

    def stop(self, doc: Any) -> None:
        """Print the foot below lines only."""
        if self._has_lines:
            super().stop(doc)
