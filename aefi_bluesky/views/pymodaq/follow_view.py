"""The window of a run that another process measures: it only looks."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

from typing import Protocol

from pymodaq_gui.utils import Dock, DockArea
from qtpy import QtCore, QtWidgets

from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.shown_docks import ShownDocks
from aefi_bluesky.views.pymodaq.view import REFRESH_MS


class Follows(Protocol):
    """Tells a presenter of runs from elsewhere."""

    notice: str
    """What it follows, in words."""

    def start(self) -> None:
        """Begin."""
        ...

    def close(self) -> None:
        """End."""
        ...


class FollowView(QtCore.QObject):
    """Shows what somebody else measures.

    Parameters
    ----------
    dockarea
        Gets the docks.
    runs
        Tells the presenter.
    presenter
        Has what is shown.
    """

    def __init__(self, dockarea: DockArea, runs: Follows, presenter: Presenter) -> None:
        super().__init__()
        self._runs = runs
        self.notice = QtWidgets.QLabel()
        self.shown = ShownDocks(dockarea, presenter)
        dock = Dock("Run", size=(1, 1))
        dock.addWidget(self.notice)
        dockarea.addDock(dock, "top")
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self._timer.start()
        runs.start()

    def refresh(self) -> None:
        """Show what changed."""
        self.notice.setText(self._runs.notice)
        self.shown.refresh()

    def close(self) -> None:
        """Follow no longer."""
        self._timer.stop()
        self._runs.close()
