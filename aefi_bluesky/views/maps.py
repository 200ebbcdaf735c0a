"""The six maps of a run as a picture, at its end or while it grows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from bluesky.callbacks.mpl_plotting import QtAwareCallback
from matplotlib.figure import Figure

from aefi_bluesky.domain.results.scan_results import CHANNELS, FrameState
from aefi_bluesky.domain.spec.formats import SpecKind

Extent = tuple[float, float, float, float]
Pixels = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


class MapFigure:
    """Six images of one map on one figure.

    Parameters
    ----------
    figure
        Where they are drawn.
    shape
        Frames along y and x.
    zone
        x min, x max, y min, y max of the outer frames' centres, in mm.
    """

    def __init__(self, figure: Figure, shape: tuple[int, int], zone: Extent) -> None:
        self.figure = figure
        self.values = {channel: np.full(shape, np.nan) for channel in CHANNELS}
        self._sums = {channel: np.zeros(shape) for channel in CHANNELS}
        self._counts = np.zeros(shape, dtype=np.int64)
        axes = figure.subplots(2, 3, sharex=True, sharey=True)
        # In-phase above quadrature, a component a column.
        places = dict(zip(CHANNELS, axes.T.ravel(), strict=True))
        self._images = {
            channel: self._image(places[channel], channel, zone) for channel in CHANNELS
        }
        for place in axes[1]:
            place.set_xlabel("x (mm)")
        for place in axes[:, 0]:
            place.set_ylabel("y (mm)")

    def _image(self, axes: Any, channel: str, zone: Extent) -> Any:
        n_y, n_x = self.values[channel].shape
        half_x = (zone[1] - zone[0]) / max(n_x - 1, 1) / 2 or 0.5
        half_y = (zone[3] - zone[2]) / max(n_y - 1, 1) / 2 or 0.5
        image = axes.imshow(
            self.values[channel],
            origin="lower",
            extent=(
                zone[0] - half_x,
                zone[1] + half_x,
                zone[2] - half_y,
                zone[3] + half_y,
            ),
            aspect="equal",
            interpolation="nearest",
        )
        axes.set_title(channel.replace("_", " "))
        self.figure.colorbar(image, ax=axes, label="V", shrink=0.8)
        return image

    def add(self, at: Pixels, channels: Mapping[str, npt.ArrayLike]) -> None:
        """Take frames in; a pixel shows the mean of all its frames.

        Parameters
        ----------
        at
            Indices along y and x of each frame.
        channels
            Values of each frame, in V, by channel.
        """
        np.add.at(self._counts, at, 1)
        for channel, sums in self._sums.items():
            np.add.at(sums, at, channels[channel])
            means = self.values[channel]
            means[at] = sums[at] / self._counts[at]

    def draw(self) -> None:
        """Show the values as they are now; no value, no colour."""
        for channel, image in self._images.items():
            values = self.values[channel]
            image.set_data(values)
            if np.isfinite(values).any():
                image.set_clim(np.nanmin(values), np.nanmax(values))


def save_maps(
    path: Path, maps: dict[str, npt.NDArray[np.float64]], zone: Extent, title: str
) -> None:
    """Write the six maps as a PNG.

    Parameters
    ----------
    path
        The file.
    maps
        Channel to image of shape (n_y, n_x), in V; NaN where there is no value.
    zone
        x min, x max, y min, y max of the outer frames' centres, in mm.
    title
        Above the maps.
    """
    figure = Figure(figsize=(13, 8), layout="constrained")
    figure.suptitle(title)
    drawn = MapFigure(figure, maps[CHANNELS[0]].shape, zone)
    drawn.values.update(maps)
    drawn.draw()
    figure.savefig(path, dpi=110)


class LiveMap(QtAwareCallback):
    """A callback that lets the maps of a run grow in a window.

    A flown map grows by a page a time, one measured at rest by a point. Runs that make
    no map, as a time series, open no window.

    The RunEngine calls back on its own thread, where no window system may be touched:
    bluesky's base class carries the call to Qt's.
    """

    def __init__(self) -> None:
        super().__init__()
        self._map: MapFigure | None = None
        self._primary: str | None = None
        self._spec: dict[str, Any] = {}

    def start(self, doc: Any) -> None:
        """Look whether the run makes a map."""
        self._map = self._primary = None
        spec = doc.get("scan_spec") or {}
        self._spec = spec if "zone" in spec else {}

    def descriptor(self, doc: Any) -> None:
        """Find the stream of frames, and open a figure for them."""
        if doc["name"] == "primary" and self._spec and "x_nominal" in doc["data_keys"]:
            self._primary = doc["uid"]
            self._open()

    def _open(self) -> None:
        from matplotlib import pyplot  # opens a window system: only where wanted

        zone = self._spec["zone"]
        figure = pyplot.figure("aefi map", figsize=(13, 8), layout="constrained")
        figure.clear()
        self._map = MapFigure(
            figure,
            (self._spec["n_y"], self._spec["n_x"]),
            (zone["x_min_mm"], zone["x_max_mm"], zone["y_min_mm"], zone["y_max_mm"]),
        )
        figure.show()

    def event(self, doc: Any) -> Any:
        """Draw a point that was measured at rest."""
        if doc["descriptor"] == self._primary:
            self._draw({name: [value] for name, value in doc["data"].items()})
        return doc

    def event_page(self, doc: Any) -> Any:
        """Draw a line's frames, all at once."""
        if doc["descriptor"] == self._primary:
            self._draw(doc["data"])
        return doc

    def _draw(self, data: Any) -> None:
        if self._map is None:
            return
        zone = self._spec["zone"]
        shown = self._is_shown(data)
        data = {name: np.asarray(column)[shown] for name, column in data.items()}
        ix = _index(
            data["x_nominal"], zone["x_min_mm"], zone["x_max_mm"], self._spec["n_x"]
        )
        iy = _index(
            data["y_nominal"], zone["y_min_mm"], zone["y_max_mm"], self._spec["n_y"]
        )
        self._map.add((iy, ix), data)
        self._map.draw()
        self._map.figure.canvas.draw_idle()

    def _is_shown(self, data: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
        """Return which frames are driven, and ok: as the images of the run have it."""
        shown = np.ones(len(data["x_nominal"]), dtype=np.bool_)
        if "state" in data:
            shown &= np.asarray(data["state"]) == FrameState.OK.value
        if self._spec.get("differential"):
            # Of each pair the second is muted: of lines, or of points at rest.
            paired = "frame" if self._spec.get("kind") == SpecKind.STEP_MAP else "line"
            shown &= np.asarray(data[paired]) % 2 == 0
        return shown


def _index(
    centres: npt.ArrayLike, low: float, high: float, count: int
) -> npt.NDArray[np.int64]:
    pitch = (high - low) / (count - 1) if count > 1 else 1.0
    return np.rint((np.asarray(centres) - low) / pitch).astype(np.int64)


def has_display() -> bool:
    """Return whether windows can grow here: bluesky draws live with Qt only."""
    return "qt" in mpl.get_backend().lower()
