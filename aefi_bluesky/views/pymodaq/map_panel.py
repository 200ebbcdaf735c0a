"""The drawn map: a chooser above PyMoDAQ's own viewer of images."""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pymodaq_data.data import Axis, DataRaw
from pymodaq_gui.plotting.data_viewers.viewer2D import Viewer2D
from qtpy import QtCore, QtWidgets

from aefi_bluesky.domain.spec.grid import Grid
from aefi_bluesky.domain.spec.zone import AxisName
from aefi_bluesky.views.presenter import SHOWN, Snapshot, unit_of


def shown_axis(grid: Grid, axis: AxisName, index: int) -> Axis:
    """Return an axis of a map for `Viewer2D`, in mm.

    That viewer puts the corner of a pixel on the axis value; so the axis lies half a
    pitch before the centres. Files have the centres.
    """
    centres = grid.centres_mm(axis)
    pitch = grid.pitch_mm(axis) or 1.0  # mm: a single frame has no neighbour
    return Axis(
        axis,
        units="mm",
        index=index,
        scaling=pitch,
        offset=float(centres[0]) - pitch / 2,
        size=len(centres),
    )


def shown_map(shown: Snapshot, name: str, *, muted: bool = False) -> DataRaw:
    """Return an image of a snapshot as `Viewer2D` draws it; see `shown_axis`."""
    grid = shown.grid
    assert grid is not None, "only a map is drawn"  # noqa: S101
    axes = [shown_axis(grid, "y", 0), shown_axis(grid, "x", 1)]
    image = shown.image(name, muted=muted)
    return DataRaw(name, data=[image], labels=[name], units=unit_of(name), axes=axes)


class MapPanel(QtWidgets.QWidget):
    """Draws one of the images of a map."""

    place_chosen = QtCore.Signal(float, float)
    """A double-click, in mm."""

    region_chosen = QtCore.Signal(float, float, float, float)
    """Ends of a region: x min, x max, y min, y max, in mm."""

    def __init__(self) -> None:
        super().__init__()
        self.chooser = QtWidgets.QComboBox()
        self.chooser.addItems(SHOWN)
        self.muted = QtWidgets.QCheckBox("muted frames")
        self.take_region = QtWidgets.QPushButton("Region becomes the zone")
        self.take_region.setToolTip(
            "Shows a region on the map; pressed again, it becomes the zone of the scan"
        )
        self.take_region.setCheckable(True)
        bar = QtWidgets.QHBoxLayout()
        for widget in (self.chooser, self.muted, self.take_region):
            bar.addWidget(widget)
        bar.addStretch(1)
        host = QtWidgets.QWidget()
        self.viewer = Viewer2D(host)
        self.viewer.view.get_action("autolevels").trigger()
        layout = QtWidgets.QVBoxLayout(self)
        layout.addLayout(bar)
        layout.addWidget(host, 1)
        self._shown: Snapshot | None = None
        self._grid: Grid | None = None
        self.chooser.currentTextChanged.connect(lambda _: self._draw())
        self.muted.toggled.connect(lambda _: self._draw())
        self.take_region.toggled.connect(self._toggle_region)
        self.viewer.sig_double_clicked.connect(self._choose_place)

    def show_snapshot(self, shown: Snapshot) -> None:
        """Draw a snapshot; nothing if it has no map."""
        self._shown = shown
        self.muted.setEnabled(bool(shown.muted))
        self._draw()

    def _draw(self) -> None:
        shown = self._shown
        if shown is None or shown.grid is None:
            return
        muted = bool(shown.muted) and self.muted.isChecked()
        image = shown_map(shown, self.chooser.currentText(), muted=muted)
        if not np.isfinite(image.data[0]).any():
            # The viewer's levels need a number: an empty map is drawn as zeros.
            image.data[0] = np.zeros_like(image.data[0])
        self.viewer.show_data(image)
        if shown.grid != self._grid:
            self._grid = shown.grid
            self.viewer.view.plotitem.autoRange()

    def _choose_place(self, x_mm: float, y_mm: float) -> None:
        """Tell of a place; a mouse that shows the middle of a frame means its centre.

        It shows whole pixels of the screen, which may be more than the stage's steps.
        """
        if self._grid is None:
            return  # without a map the viewer counts pixels, not mm
        width, height = self.viewer.view.image_widget.view.viewPixelSize()
        x_mm = _meant(x_mm, self._grid.centres_mm("x"), width)
        y_mm = _meant(y_mm, self._grid.centres_mm("y"), height)
        self.place_chosen.emit(x_mm, y_mm)

    def _toggle_region(self, wanted: bool) -> None:
        view = self.viewer.view
        (x, y), (width, height) = view.ROIselect.pos(), view.ROIselect.size()
        if view.is_action_checked("ROIselect") != wanted:
            view.get_action("ROIselect").trigger()  # which puts the region anew
        if not wanted:
            self.region_chosen.emit(x, x + width, y, y + height)


def _meant(
    place_mm: float, centres_mm: npt.NDArray[np.float64], width_mm: float
) -> float:
    """Return the centre that is less than a screen's pixel away, else the place."""
    nearest = float(centres_mm[np.argmin(np.abs(centres_mm - place_mm))])
    return nearest if abs(nearest - place_mm) <= width_mm else place_mm
