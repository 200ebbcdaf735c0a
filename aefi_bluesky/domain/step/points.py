"""The measurements of a step-wise spec, in their order. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.spec.grid import frame_indices, traverses
from aefi_bluesky.domain.spec.step_spec import StepMapSpec, StepSpec, TimeSeriesSpec


@dataclass(frozen=True, slots=True)
class StepPoint:
    """One measurement at rest.

    Parameters
    ----------
    frame
        Place in the order of measurements, from 0.
    line
        Line of the map, from 0; 0 in a series at one place.
    ix, iy
        Grid indices of the pixel; 0 in a series at one place.
    x_mm, y_mm
        Where, in mm; exact grid values.
    muted
        Whether the excitation is muted.
    """

    frame: int
    line: int
    ix: int
    iy: int
    x_mm: float
    y_mm: float
    muted: bool


@dataclass(frozen=True, slots=True, eq=False)
class StepPixels:
    """Which pixel each measurement of a map belongs to; see `Pixels`.

    Parameters
    ----------
    spec
        The map.
    frame_ix, frame_iy
        Grid indices of each measurement, in their order; shape (n,).
    frame_muted
        Whether the excitation is muted in each; shape (n,).
    """

    spec: StepMapSpec
    frame_ix: npt.NDArray[np.int64]
    frame_iy: npt.NDArray[np.int64]
    frame_muted: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, spec: StepMapSpec) -> Self:
        """Return the pixels of all measurements of a map."""
        points = list(step_points(spec))
        return cls(
            spec,
            np.array([point.ix for point in points], dtype=np.int64),
            np.array([point.iy for point in points], dtype=np.int64),
            np.array([point.muted for point in points], dtype=np.bool_),
        )


def step_points(spec: StepSpec) -> Iterator[StepPoint]:
    """Yield the measurements of `spec` in order.

    A map has the lines of a flown one, and of a differential spec each point comes
    twice: driven, then muted. In a frequency sequence one frequency comes after the
    other; in a time series all are alike.
    """
    if isinstance(spec, StepMapSpec):
        return _of_map(spec)
    if isinstance(spec, TimeSeriesSpec):
        muted: Iterator[bool] = itertools.repeat(False, spec.count)
    else:
        cycle = itertools.cycle(_mutings(spec.differential))
        muted = itertools.islice(cycle, spec.n_measurements)
    return (
        StepPoint(frame, 0, 0, 0, spec.x_mm, spec.y_mm, is_muted)
        for frame, is_muted in enumerate(muted)
    )


def _of_map(spec: StepMapSpec) -> Iterator[StepPoint]:
    indices = frame_indices(spec, tuple(traverses(spec)))
    x_mm, y_mm = spec.centres_mm("x").tolist(), spec.centres_mm("y").tolist()
    n_fast = spec.count_along(spec.effective_fast_axis)
    pixels = zip(indices["x"].tolist(), indices["y"].tolist(), strict=True)
    measured = itertools.product(enumerate(pixels), _mutings(spec.differential))
    for frame, ((visited, (ix, iy)), muted) in enumerate(measured):
        line = visited // n_fast
        yield StepPoint(frame, line, ix, iy, x_mm[ix], y_mm[iy], muted)


def _mutings(differential: bool) -> tuple[bool, ...]:
    return (False, True) if differential else (False,)
