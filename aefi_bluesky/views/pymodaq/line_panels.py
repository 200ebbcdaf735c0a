"""The last line as curves, and how well a scan goes as a table."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import math

from pymodaq_data.data import Axis, DataRaw
from pymodaq_gui.plotting.data_viewers.viewer1D import Viewer1D
from qtpy import QtWidgets

from aefi_bluesky.domain.results.scan_results import CHANNELS, FrameState
from aefi_bluesky.views.presenter import Snapshot, Trace


class TracePanel(QtWidgets.QWidget):
    """Draws the channels of the last line that belong to the chosen image."""

    def __init__(self) -> None:
        super().__init__()
        self.viewer = Viewer1D(self)

    def show_trace(self, trace: Trace | None, name: str) -> None:
        """Draw a line; nothing if there is none.

        Parameters
        ----------
        trace
            The line.
        name
            The image that is shown; see `channels_of`.
        """
        if trace is None or len(trace.along) < 2:
            return
        channels = channels_of(name)
        axis = Axis(trace.label, units=trace.unit, data=trace.along, index=0)
        self.viewer.show_data(
            DataRaw(
                "line",
                data=[trace.volts[channel] for channel in channels],
                labels=channels,
                units="V",
                axes=[axis],
            )
        )


def channels_of(name: str) -> list[str]:
    """Return the channels that an image is made of."""
    of = name.rpartition(" ")[2]
    return [channel for channel in CHANNELS if channel.startswith(of)]


class HealthPanel(QtWidgets.QTableWidget):
    """How well a scan goes, a number a row."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.setHorizontalHeaderLabels(["", "value"])
        self.verticalHeader().hide()
        self.horizontalHeader().setStretchLastSection(True)
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)

    def show_snapshot(self, shown: Snapshot) -> None:
        """Show the numbers of a snapshot."""
        rows = health_rows(shown)
        self.setRowCount(len(rows))
        for row, words in enumerate(rows):
            for column, word in enumerate(words):
                self.setItem(row, column, QtWidgets.QTableWidgetItem(word))


def health_rows(shown: Snapshot) -> list[tuple[str, str]]:
    """Return names and numbers of how well a scan goes."""
    health, results = shown.health, shown.results
    of = health.frames
    rows = [
        ("readings", _number(health.reading_rate_hz, "Hz")),
        ("positions", _number(health.fix_rate_hz, "Hz")),
        ("width of the interval", _number(health.interval_mm * 1000, "um")),
        *((f"frames {state}", str(of.get(state, 0))) for state in _COUNTED),
        ("time left", _number(shown.time_left_s, "s")),
    ]
    if results is None:
        return rows
    suspect = "yes: reference the axes" if results.position_suspect else "no"
    return [
        *rows,
        ("records lost", str(sum(results.n_lost.values()))),
        ("position suspect", suspect),
        ("excitation off", "yes" if results.excitation_off else "NOT KNOWN"),
    ]


_COUNTED = (FrameState.OK, FrameState.LATE, FrameState.MISSED)


def _number(value: float, unit: str) -> str:
    return "" if math.isnan(value) else f"{value:.1f} {unit}"
