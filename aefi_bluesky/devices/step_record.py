"""What a step-wise scan adds to each measurement: the frame it is, as flights have."""

# ophyd names a dict class of its own here, which its callers do not ask for.
# pyright: reportIncompatibleMethodOverride=false

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from ophyd import Device

from aefi_bluesky.devices.data_keys import numeric_key, text_key
from aefi_bluesky.devices.streams import MapStream
from aefi_bluesky.domain.errors import IllegalTransitionError
from aefi_bluesky.domain.ports import StepObserver
from aefi_bluesky.domain.results.map_image import map_image
from aefi_bluesky.domain.results.scan_results import (
    FrameState,
    ScanProgress,
    ScanResults,
    ScanState,
)
from aefi_bluesky.domain.spec.step_spec import StepMapSpec
from aefi_bluesky.domain.step.planning import StepPlan
from aefi_bluesky.domain.step.points import StepPixels, StepPoint

logger = logging.getLogger(__name__)

_COUNTS = ("frame", "line", "pass")


class StepRecord(Device):
    """The present measurement, and the images of the measurements already taken.

    Its reading has what ``primary`` of a flight has beside places and voltages:
    ``frame``, ``line``, ``pass``, ``state``, ``late``.

    Parameters
    ----------
    plan
        What is measured.
    observer
        Is told how the measurements go; None for no observer.
    name
        Name of the device.
    """

    def __init__(
        self,
        plan: StepPlan,
        observer: StepObserver | None = None,
        *,
        name: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._plan = plan
        self._observer = observer
        self._point: StepPoint | None = None
        self._rows: dict[int, Mapping[str, Any]] = {}

    def stage(self) -> list[Any]:
        """Tell the observer that the measurements begin."""
        self._tell_measured()
        return super().stage()

    def _tell_measured(self) -> None:
        if self._observer is not None:
            self._observer.measured(self.n_taken, self._plan)

    def pause(self) -> None:
        """Tell the observer of a pause; the axes and the excitation stop."""
        self._tell_state(ScanState.PAUSED)

    def resume(self) -> None:
        """Tell the observer that the measurements go on."""
        self._tell_state(ScanState.FLYING)

    def _tell_state(self, state: ScanState) -> None:
        if self._observer is None:
            return
        try:
            self._observer.state_changed(state)
        except Exception:
            # The RunEngine takes no error here, and what was measured is not lost.
            logger.exception(
                "%s: the observer could not be told of %s", self.name, state
            )

    def mark(self, point: StepPoint) -> None:
        """Say what is measured next."""
        self._point = point

    def take(self, reading: Mapping[str, Any]) -> None:
        """Keep a reading. After a pause it may come again: then the last one counts."""
        point = self._marked()
        self._rows[point.frame] = {key: each["value"] for key, each in reading.items()}
        self._tell_measured()

    def _marked(self) -> StepPoint:
        if self._point is None:
            raise IllegalTransitionError(f"{self.name}: no measurement was begun")
        return self._point

    @property
    def n_taken(self) -> int:
        """Measurements taken."""
        return len(self._rows)

    @cached_property
    def _n_lines(self) -> int:
        return 1 + max(point.line for point in self._plan.points())

    def progress(self, state: ScanState) -> ScanProgress:
        """Return how far the measurements are; `state` is that of their run."""
        point = self._point
        t_s = max((row["t"] for row in list(self._rows.values())), default=0.0)
        began = point is not None or state is ScanState.PAUSED
        return ScanProgress(
            state=state if began else ScanState.PREPARING,
            lines_done=0 if point is None else point.line,
            lines_planned=self._n_lines,
            frames_done=self.n_taken,
            frames_planned=self._plan.n_measurements,
            elapsed_s=t_s,
        )

    def results(self, state: ScanState, *, excitation_off: bool) -> ScanResults:
        """Return results as of a flight, where each measurement is a frame.

        Parameters
        ----------
        state
            The state at the end.
        excitation_off
            Whether the excitation is known to be off.
        """
        rows = self._rows.values()
        frames = dict.fromkeys(FrameState, 0)
        frames[FrameState.OK] = self.n_taken
        frames[FrameState.NOT_REACHED] = self._plan.n_measurements - self.n_taken
        return ScanResults(
            state=state,
            cause="" if state is ScanState.COMPLETED else "stop requested",
            frames=frames,
            n_readings=sum(row["count"] for row in rows),
            n_fixes=0,
            n_lost={},
            flight_s=max((row["t"] for row in rows), default=0.0),
            position_suspect=False,
            excitation_off=excitation_off,
        )

    def images(self, spec: StepMapSpec) -> MapStream:
        """Return the stream ``maps`` of what was taken of a map."""
        images = _Images(StepPixels.of(spec), self._rows)
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
