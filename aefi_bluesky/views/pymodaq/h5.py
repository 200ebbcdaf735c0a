"""A run as a file that PyMoDAQ's browser opens and plots; without Qt.

The record of a run is what Tiled has; this is a copy for other programs.
"""

# pyright: basic, reportMissingImports=false

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pymodaq_data.data import Axis, DataRaw, DataToExport
from pymodaq_data.h5modules.data_saving import DataToExportSaver
from pymodaq_data.h5modules.saving import H5SaverLowLevel

from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.domain.spec.grid import Grid
from aefi_bluesky.views.presenter import Image, Snapshot

OLDEST_BROWSER = "5.3.0"
"""What the file says of PyMoDAQ's version where none is installed: the browser refuses
files without."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Readings and where they were taken.

    Parameters
    ----------
    x_mm, y_mm
        Places in mm; shape (n,).
    volts
        Voltages by channel, in V; shape (n,) each.
    """

    x_mm: npt.NDArray[np.float64]
    y_mm: npt.NDArray[np.float64]
    volts: Mapping[str, npt.NDArray[np.float64]]


def write_h5(
    path: Path, start: Mapping[str, Any], shown: Snapshot, samples: Samples
) -> None:
    """Write a run into a new file.

    Parameters
    ----------
    path
        The file; it is replaced.
    start
        The run's start document; its uid, plan and spec go into the metadata.
    shown
        Has the maps of the run; see `RunFollower`.
    samples
        The readings of the run.
    """
    file = H5SaverLowLevel(save_type="scan")
    file.init_file(path, new_file=True)
    try:
        file.root().attrs["pymodaq_version"] = _pymodaq_version()
        group = file.add_scan_group(
            "/RawData", f"aefi {start['uid'][:8]}", metadata=_metadata(start)
        )
        DataToExportSaver(file).add_data(group, _data(start["uid"], shown, samples))
    finally:
        file.close_file()


def _metadata(start: Mapping[str, Any]) -> dict[str, str]:
    plain = ("scan_spec", "plan_args", "study")
    return {
        "run_uid": start["uid"],
        "plan_name": str(start.get("plan_name", "")),
        **{
            name: json.dumps(start[name], default=str)
            for name in plain
            if name in start
        },
    }


def _data(uid: str, shown: Snapshot, samples: Samples) -> DataToExport:
    data = []
    if shown.grid is not None:
        data.append(_map("map", shown.images, shown.grid))
        if shown.muted:
            data.append(_map("map muted", shown.muted, shown.grid))
        uncertainties = {c: shown.image(f"uncertainty {c}") for c in CHANNELS}
        data.append(_map("uncertainty", uncertainties, shown.grid))
    if len(samples.x_mm):
        data.append(_spread(samples))
    return DataToExport(f"run {uid}", data=data)


def _map(name: str, images: Mapping[str, Image], grid: Grid) -> DataRaw:
    """Return images on the centres of their frames."""
    axes = [
        Axis(axis, units="mm", data=grid.centres_mm(axis), index=index)
        for index, axis in enumerate(("y", "x"))
    ]
    return DataRaw(
        name,
        data=[images[channel] for channel in CHANNELS],
        labels=list(CHANNELS),
        units="V",
        dim="DataND",
        axes=axes,
        nav_indexes=(0, 1),
    )


def _spread(samples: Samples) -> DataRaw:
    places = {"x": samples.x_mm, "y": samples.y_mm}
    axes = [
        Axis(axis, units="mm", data=place, index=0, spread_order=order)
        for order, (axis, place) in enumerate(places.items())
    ]
    return DataRaw(
        "samples",
        data=[samples.volts[channel] for channel in CHANNELS],
        labels=list(CHANNELS),
        units="V",
        dim="DataND",
        axes=axes,
        distribution="spread",
        nav_indexes=(0,),
    )


def _pymodaq_version() -> str:
    try:
        return version("pymodaq")
    except PackageNotFoundError:
        return OLDEST_BROWSER
