"""A window by itself, and its event loop."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from pymodaq_gui.qt_utils import mkQApp
from pymodaq_gui.utils import DockArea
from qtpy import QtCore, QtGui, QtWidgets


class Closes(Protocol):
    """What a window shows."""

    def close(self) -> None:
        """End what is under way; Qt's events are served meanwhile."""
        ...


class ViewWindow(QtWidgets.QMainWindow):
    """A window for a view; its X ends the view first.

    Parameters
    ----------
    build
        Returns the view in a dock area.
    title
        Of the window.
    """

    def __init__(self, build: Callable[[DockArea], Closes], title: str) -> None:
        super().__init__()
        area = DockArea()
        self.setCentralWidget(area)
        self.setWindowTitle(title)
        self.resize(1400, 900)
        self.view = build(area)
        self._is_closing = False

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """End the view, and close then."""
        if self._is_closing:
            event.ignore()
            return
        self._is_closing = True
        self.view.close()
        event.accept()


def run_window(
    build: Callable[[DockArea], Closes], title: str, signals: Iterable[signal.Signals]
) -> int:
    """Show a view in a window until that is closed; return Qt's exit status.

    Parameters
    ----------
    build, title
        As `ViewWindow` has them.
    signals
        Close the window, as its X does.
    """
    app = mkQApp(title)
    window = ViewWindow(build, title)

    def close(*_signal: Any) -> None:
        # Not in the handler: it may interrupt anything.
        QtCore.QTimer.singleShot(0, window.close)

    for number in signals:
        signal.signal(number, close)
    window.show()
    return app.exec()
