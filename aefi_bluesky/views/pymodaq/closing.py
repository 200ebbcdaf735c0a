"""What a person sees while a session ends."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from types import FrameType
from typing import Any

from qtpy import QtCore, QtGui, QtWidgets

_LOOK_MS = 20


def serve_until(ended: Future[Any]) -> None:
    """Serve Qt's events until something is over; for the thread of the windows."""
    loop, look = QtCore.QEventLoop(), QtCore.QTimer()
    look.timeout.connect(lambda: ended.done() and loop.quit())
    look.start(_LOOK_MS)
    while not ended.done():
        loop.exec()
        # A program that quits serves no further loop.
        QtWidgets.QApplication.processEvents()
        time.sleep(_LOOK_MS / 1000)
    look.stop()  # by itself it would go on, if a traceback keeps this frame


class ClosingDialog(QtWidgets.QDialog):
    """Stays until something is over; the windows stay alive meanwhile.

    Parameters
    ----------
    parent
        The window that closes.
    ended
        Done when it is over.
    """

    def __init__(self, parent: QtWidgets.QWidget | None, ended: Future[None]) -> None:
        super().__init__(parent)
        self._ended = ended
        self.setWindowTitle("The bench is left")
        text = QtWidgets.QLabel(
            "The motion and the excitation end, and the run is stored.\n"
            "This window closes when that is done."
        )
        busy = QtWidgets.QProgressBar()
        busy.setRange(0, 0)
        layout = QtWidgets.QVBoxLayout(self)
        layout.addWidget(text)
        layout.addWidget(busy)
        self.setModal(True)

    def wait(self) -> None:
        """Return when it is over; Qt's events are served."""
        self.show()
        serve_until(self._ended)
        self.accept()

    def reject(self) -> None:
        """Do not close on Escape: nothing can be called off."""

    def closeEvent(self, event: QtGui.QCloseEvent) -> None:
        """Do not close by the window's X either."""
        event.setAccepted(self._ended.done())


class EndOnSignals:
    """Signals that would end the process leave the bench first.

    Those that somebody else takes already are left alone. For the main thread, which
    must see Python code from time to time, as a timer's.

    Parameters
    ----------
    close
        Leaves the bench, and returns when that is over.
    signals
        That end a program.
    """

    def __init__(
        self, close: Callable[[], object], signals: Iterable[signal.Signals]
    ) -> None:
        self._close = close
        self._is_closing = False
        self._before = {
            number: handler
            for number in signals
            if (handler := signal.getsignal(number))
            in (signal.SIG_DFL, signal.default_int_handler)
        }
        for number in self._before:
            signal.signal(number, self._take)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        # Not in the handler: it may interrupt anything.
        QtCore.QTimer.singleShot(0, lambda: self._end(number))

    def _end(self, number: int) -> None:
        if self._is_closing:
            return  # a second signal is no reason to leave the bench as it is
        self._is_closing = True
        self._close()
        self.forget()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def forget(self) -> None:
        """Let the signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
