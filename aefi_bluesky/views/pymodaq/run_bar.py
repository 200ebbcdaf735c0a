"""The buttons of a scan, and how far it is."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import math

from qtpy import QtCore, QtWidgets

from aefi_bluesky.domain.results.scan_results import ScanProgress, ScanState
from aefi_bluesky.views.pymodaq.client import ClientState, ClientStatus

_BUTTONS = {
    "open": ("Open the bench", "Opens the session: the devices and the storage"),
    "run": ("Run", "Plans this scan in the chosen study, and carries it out"),
    "next": ("Run the next", "Carries the study's next pending scan out"),
    "pause": ("Pause", "Comes to rest with a ramp; nothing measured is lost"),
    "resume": ("Resume", "Goes on with what is not measured yet"),
    "stop": ("Stop", "Ends the scan with a ramp and keeps its data"),
    "abort": ("Abort", "Ends the scan without a ramp: positions are suspect"),
}

_UNDER_WAY = (ScanState.PREPARING, ScanState.FLYING)
_HELD = (ScanState.PAUSING, ScanState.PAUSED)


class RunBar(QtWidgets.QWidget):
    """A button for each thing that can be asked for; only those that can are enabled.

    Attributes
    ----------
    buttons
        ``open``, ``run``, ``next``, ``pause``, ``resume``, ``stop``, ``abort``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QtWidgets.QPushButton] = {}
        grid = QtWidgets.QGridLayout()
        places = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (1, 3))
        for (name, (text, tip)), (row, column) in zip(
            _BUTTONS.items(), places, strict=True
        ):
            button = QtWidgets.QPushButton(text)
            button.setToolTip(tip)
            button.setEnabled(False)
            self.buttons[name] = button
            grid.addWidget(button, row, column)
        self.bar = QtWidgets.QProgressBar()
        self.where = QtWidgets.QLabel()
        self.notice = QtWidgets.QLabel()
        self.notice.setWordWrap(True)
        self.notice.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(grid)
        for widget in (self.bar, self.where, self.notice):
            layout.addWidget(widget)

    def show_status(
        self,
        status: ClientStatus,
        progress: ScanProgress | None,
        time_left_s: float,
        *,
        takes_scans: bool,
        has_pending: bool,
    ) -> None:
        """Enable what can be asked for, and say how it stands.

        Parameters
        ----------
        status
            How the client stands.
        progress
            How far the scan is; None if there is none.
        time_left_s
            Of the scan, in s.
        takes_scans
            Whether the chosen study can get this scan.
        has_pending
            Whether the chosen study has a scan to run.
        """
        ready = status.state is ClientState.READY
        feasible = status.verdict is not None and status.verdict.is_feasible
        state = None if progress is None else progress.state
        enabled = {
            "open": status.state is ClientState.CLOSED,
            "run": ready and feasible and takes_scans,
            "next": ready and has_pending,
            "pause": state in _UNDER_WAY,
            "resume": state in _HELD,
            "stop": status.state is ClientState.BUSY or state is not None,
            "abort": state is not None,
        }
        for name, button in self.buttons.items():
            button.setEnabled(enabled[name])
        self._show_progress(progress, time_left_s)
        self._show_words(status, state)

    def _show_progress(self, progress: ScanProgress | None, left_s: float) -> None:
        if progress is None:
            return
        self.bar.setMaximum(max(progress.frames_planned, 1))
        self.bar.setValue(progress.frames_done)
        line = f"line {progress.lines_done} of {progress.lines_planned}"
        left = "" if math.isnan(left_s) else f", {left_s:.0f} s left"
        at = f", x {progress.x_mm:.2f} mm, y {progress.y_mm:.2f} mm"
        self.where.setText(line + left + ("" if math.isnan(progress.x_mm) else at))

    def _show_words(self, status: ClientStatus, state: ScanState | None) -> None:
        doing = status.doing or str(status.state)
        text = f"{doing}: {state}" if state is not None else doing
        words = f"{text}\n{status.notice}" if status.notice else text
        if self.notice.text() != words:
            self.notice.setText(words)
            self.notice.setStyleSheet("color: #c0392b" if status.failed else "")
