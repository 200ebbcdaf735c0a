"""The docks of what is measured: map, line and health."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import math

from pymodaq_gui.utils import Dock, DockArea

from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.line_panels import HealthPanel, TracePanel
from aefi_bluesky.views.pymodaq.map_panel import MapPanel


class ShownDocks:
    """Draws what a presenter has.

    Parameters
    ----------
    dockarea
        Gets the docks.
    presenter
        Has what is shown.
    """

    def __init__(self, dockarea: DockArea, presenter: Presenter) -> None:
        self._presenter = presenter
        self._drawn = -1
        self.time_left_s = math.nan
        self.map, self.trace, self.health = MapPanel(), TracePanel(), HealthPanel()
        panels = {"Map": self.map, "Line": self.trace, "Health": self.health}
        self.docks = {name: Dock(name) for name in panels}
        for name, panel in panels.items():
            self.docks[name].addWidget(panel)
        dockarea.addDock(self.docks["Map"], "right")
        dockarea.addDock(self.docks["Line"], "bottom", self.docks["Map"])
        dockarea.addDock(self.docks["Health"], "right", self.docks["Line"])
        self.map.chooser.currentTextChanged.connect(lambda _: self._draw_again())

    def _draw_again(self) -> None:
        self._drawn = -1

    def refresh(self) -> None:
        """Draw what changed since the last time."""
        if self._presenter.version == self._drawn:
            return
        shown = self._presenter.snapshot()
        self._drawn, self.time_left_s = shown.version, shown.time_left_s
        self.map.show_snapshot(shown)
        self.trace.show_trace(shown.trace, self.map.chooser.currentText())
        self.health.show_snapshot(shown)
