"""The extension ``AEFI flyscan``: a shell around the view, and nothing else."""

# pyright: basic, reportMissingImports=false

import signal

from pymodaq.extensions.utils import CustomExt
from qtpy import QtCore, QtWidgets

from aefi_bluesky.dashboard.shared_bench import BENCH
from aefi_bluesky.session.signals import ending_signals
from aefi_bluesky.views.pymodaq.closing import EndOnSignals

EXTENSION_NAME = "AEFI flyscan"
CLASS_NAME = "AefiFlyscan"


class AefiFlyscan(CustomExt):
    """Plans, flies and shows scans of the AEFI bench.

    Building it opens nothing: the button "Open the bench" does, on a thread of its own.
    A second window beside an open one has nothing to show.
    """

    def __init__(self, parent, dashboard):
        super().__init__(parent, dashboard)
        self.setup_ui()

    def setup_docks_and_widgets(self):
        """Build the view; the window's X and the program's end leave the bench."""
        self.view = BENCH.new_view(self.dockarea, self.dashboard.modules_manager)
        if self.view is not None:
            signals = signal.SIGINT, *ending_signals()
            self._signals = EndOnSignals(self._quit_fun, signals)
            self.mainwindow.installEventFilter(self)
            QtWidgets.QApplication.instance().aboutToQuit.connect(self._quit_fun)

    def setup_menus_and_toolbars(self, menubar=None):
        """Show the Dashboard's own buttons."""
        self.create_dashboard_toolbar()

    def eventFilter(self, watched, event):
        """Take the window's X, of which PyMoDAQ takes no notice."""
        if event.type() == QtCore.QEvent.Type.Close:
            self._quit_fun()
        return super().eventFilter(watched, event)

    def stop(self):
        """Stop what is under way."""
        if self.view is not None:
            self.view.client.stop()

    def _quit_fun(self):
        if self.view is not None:
            BENCH.close_view(self.view)
            self._signals.forget()
        return True
