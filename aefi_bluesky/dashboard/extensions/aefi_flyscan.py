"""The extension ``AEFI flyscan``: a shell around the view, and nothing else."""

# pyright: basic, reportMissingImports=false

from pymodaq.extensions.utils import CustomExt

from aefi_bluesky.dashboard.shared_bench import BENCH
from aefi_bluesky.views.pymodaq.closing import EndOnSignals
from aefi_bluesky.views.pymodaq.handover import PortHandover
from aefi_bluesky.views.pymodaq.view import PyMoDAQView

EXTENSION_NAME = "AEFI flyscan"
CLASS_NAME = "AefiFlyscan"


class AefiFlyscan(CustomExt):
    """Plans, flies and shows scans of the AEFI bench.

    Building it opens nothing: the button "Open the bench" does, on a thread of its own.
    """

    def __init__(self, parent, dashboard):
        super().__init__(parent, dashboard)
        self.setup_ui()

    def setup_docks_and_widgets(self):
        """Build the view, with the ports handed over by the Dashboard's modules."""
        manager = self.dashboard.modules_manager
        BENCH.use_lease(
            PortHandover(
                lambda: manager.modules_all,
                lambda module: manager.on_hardware_initialization(True, module),
                BENCH.ports,
            )
        )
        BENCH.has_window = True
        self.view = PyMoDAQView(
            self.dockarea, BENCH.client(), BENCH.presenter, BENCH.first_spec
        )
        self._signals = EndOnSignals(self.view.close)

    def setup_menus_and_toolbars(self, menubar=None):
        """Show the Dashboard's own buttons."""
        self.create_dashboard_toolbar()

    def stop(self):
        """Stop what is under way."""
        self.view.client.stop()

    def _quit_fun(self):
        self._signals.forget()
        self.view.close()
        BENCH.use_lease(None)
        BENCH.has_window = False
        return True
