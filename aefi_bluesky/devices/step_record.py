"""What a step-wise scan adds to each measurement: the frame it is, as flights have."""

# ophyd names a dict class of its own here, which its callers do not ask for.
# pyright: reportIncompatibleMethodOverride=false, reportUnknownMemberType=false

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ophyd import Device

from aefi_bluesky.devices.data_keys import numeric_key, text_key
from aefi_bluesky.devices.streams import MapStream
from aefi_bluesky.domain.errors import IllegalTransitionError
from aefi_bluesky.domain.map_image import map_image
from aefi_bluesky.domain.scan_results import FrameState
from aefi_bluesky.domain.step_points import StepPoint
from aefi_bluesky.domain.step_spec import StepMapSpec

_COUNTS = ("frame", "line", "pass")


@dataclass(frozen=True, slots=True)
class StepPixels:
    """Which pixel each measurement of a map belongs to; see `FlightPlan`."""

    spec: StepMapSpec
    frame_ix: npt.NDArray[np.int64]
    frame_iy: npt.NDArray[np.int64]
    frame_muted: npt.NDArray[np.bool_]


class StepRecord(Device):
    """The measurement at hand, and the images of those that were taken.

    Its reading has what ``primary`` of a flight has beside places and voltages:
    ``frame``, ``line``, ``pass``, ``state``, ``late``.

    Parameters
    ----------
    name
        Name of the device.
    """

    def __init__(self, *, name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._point: StepPoint | None = None
        self._rows: dict[int, Mapping[str, Any]] = {}

    def mark(self, point: StepPoint) -> None:
        """Say what is measured next."""
        self._point = point

    def take(self, reading: Mapping[str, Any]) -> None:
        """Keep what was read; again after a pause, and then the last counts."""
        point = self._marked()
        self._rows[point.frame] = {key: each["value"] for key, each in reading.items()}

    def _marked(self) -> StepPoint:
        if self._point is None:
            raise IllegalTransitionError(f"{self.name}: no measurement was begun")
        return self._point

    @property
    def n_taken(self) -> int:
        """Measurements taken."""
        return len(self._rows)

    def images(self, spec: StepMapSpec, points: list[StepPoint]) -> MapStream:
        """Return the stream ``maps`` of what was taken of a map."""
        pixels = StepPixels(
            spec,
            np.array([point.ix for point in points], dtype=np.int64),
            np.array([point.iy for point in points], dtype=np.int64),
            np.array([point.muted for point in points], dtype=np.bool_),
        )
        images = _Images(pixels, self._rows)
        return MapStream(f"{self.name}_maps", self, lambda: images)

    def read(self) -> dict[str, Any]:
        """Return which measurement it is."""
        point, now = self._marked(), time.time()
        values = {
            "frame": point.frame,
            "line": point.line,
            "pass": 0,
            "state": FrameState.OK.value,
            "late": 0.0,
        }
        return {
            key: {"value": value, "timestamp": now} for key, value in values.items()
        }

    def describe(self) -> dict[str, Any]:
        """Return the data keys."""
        counts = {key: numeric_key(f"{self.name}:{key}", key, "") for key in _COUNTS}
        return {
            **counts,
            "state": text_key(f"{self.name}:state"),
            "late": numeric_key(f"{self.name}:late", "late", "s"),
        }

    @property
    def hints(self) -> dict[str, Any]:
        """No fields: places and voltages are what is shown."""
        return {"fields": []}


class _Images:
    """What `MapStream` asks of a flight's log."""

    def __init__(
        self, pixels: StepPixels, rows: Mapping[int, Mapping[str, Any]]
    ) -> None:
        self.plan = pixels
        self._rows = rows

    def map_of(self, column: str, *, muted: bool = False) -> npt.NDArray[np.float64]:
        frames = list(self._rows)
        values = [self._rows[frame][column] for frame in frames]
        return map_image(self.plan, frames, values, muted=muted)
