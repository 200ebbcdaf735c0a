"""Scanspec's Specs as specs of ours, and back; needs the extra ``scanspec``.

What scanspec 1.0 does not check is checked here, on the frames it really makes:

- No number is checked: NaN, infinity, no length, no duration, counts without end.
- Durations that differ land on the wrong frames of snaked axes (`extract` of
  ``SnakedDimension`` is one off), so they are refused, on every axis.
- The gap of the first frame says what lies between the last frame and the first, and
  is False on any snaked axis; snaked repeats have no gap where they turn. So lines
  are told apart by where the axes are, never by ``gap``.
- A duration array may have another length than the frames.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.excitation import Excitation
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.grid import Pattern
from aefi_bluesky.domain.spec.zone import MOST_FRAMES, AxisName, Zone
from aefi_bluesky.interop.frame_lines import (
    ROUNDING,
    FrameLines,
    Frames,
    Numbers,
    moving_axis,
)

if TYPE_CHECKING:
    from scanspec.core import Dimension
    from scanspec.specs import Spec

_KNOWN = (
    *("Linspace", "Range", "Static", "Product", "Snake", "Fly", "ConstantDuration"),
    *("Concat", "Zip", "Squash"),
)
"""Specs whose frames may be a grid, and whose number of frames is known before."""

_LEAST_PITCH_MM = 1e-3
"""Beside places of up to 1 km, scanspec's sums keep this to a part in a million."""


def from_scanspec(
    spec: Spec[Any],
    *,
    n_avg: int,
    excitation: Excitation,
    x: Hashable = "x",
    y: Hashable = "y",
    **more: Any,
) -> FlyScanSpec:
    """Return the map that a Spec flies.

    The Spec must fly lines of frames on a regular grid at one speed: products of
    lines inside ``Fly`` with one duration, such as ``Fly(0.1 @ (Y * ~X))``. Lines
    that are flown again before the slow axis goes on are repeats.

    Parameters
    ----------
    spec
        What to fly; frames in mm, durations in s.
    n_avg, excitation
        What scanspec knows nothing of; see `FlyScanSpec`.
    x, y
        What the Spec calls the axes.
    more
        Other fields of the spec.

    Raises
    ------
    InvalidScanSpecError
        If the Spec's frames are no such map, or a value is wrong; with what was
        found.
    ModuleNotFoundError
        If scanspec is not installed.
    """
    _scanspec()
    frames = _frames_of(spec, {x: "x", y: "y"})
    fast = moving_axis(frames)
    lines = FrameLines.of(frames, fast)
    low, high = lines.fast_ends_mm()
    rows_mm, repeats = lines.rows()
    pattern = lines.pattern()
    ends = (low, high, rows_mm[0], rows_mm[-1])
    return FlyScanSpec(
        zone=Zone(*ends) if fast == "x" else Zone(*ends[2:], *ends[:2]),
        n_x=lines.n_frames if fast == "x" else len(rows_mm),
        n_y=len(rows_mm) if fast == "x" else lines.n_frames,
        pattern=pattern,
        fast_axis=fast,
        speed_mm_per_s=round(lines.pitch_mm / frames.duration_s, 12),
        n_avg=n_avg,
        excitation=excitation,
        repeats=repeats,
        **more,
    )


def to_scanspec(
    spec: FlyScanSpec, *, x: Hashable = "x", y: Hashable = "y"
) -> Spec[Any]:
    """Return the Spec that flies a map; it has no averaging, excitation or trigger.

    Parameters
    ----------
    spec
        The map.
    x, y
        What the Spec is to call the axes.

    Raises
    ------
    InvalidScanSpecError
        If the map is differential: scanspec knows no muting. If frames lie less than
        1 µm apart: its arithmetic loses them.
    ModuleNotFoundError
        If scanspec is not installed.
    """
    specs = _scanspec()
    if spec.differential:
        raise InvalidScanSpecError(
            "a differential map can't be a Spec of scanspec, which knows no muting"
        )
    for axis in ("x", "y"):
        pitch, count = spec.pitch_mm(axis), spec.count_along(axis)
        if count > 1 and pitch < _LEAST_PITCH_MM:
            raise InvalidScanSpecError(
                f"{count} frames along {axis} lie {pitch:.3g} mm apart: scanspec's "
                f"arithmetic loses what is less than {_LEAST_PITCH_MM:g} mm"
            )
    names = {"x": x, "y": y}

    def centres(axis: AxisName) -> Any:
        low, high = spec.zone.along(axis)
        count = spec.count_along(axis)
        return specs.Linspace(names[axis], low, high if count > 1 else low, count)

    fast = spec.effective_fast_axis
    line = centres(fast)
    if spec.pattern is Pattern.SERPENTINE:
        line = ~line
    if spec.repeats > 1:
        line = spec.repeats * line
    duration_s = spec.pitch_mm(fast) / spec.speed_mm_per_s
    return specs.Fly(duration_s @ (centres(spec.slow_axis) * line))


def _scanspec() -> ModuleType:
    try:
        from scanspec import specs
    except ModuleNotFoundError as err:
        raise ModuleNotFoundError(
            "scanspec is not installed: pip install 'aefi-bluesky[scanspec]'",
            name=err.name,
        ) from err
    return specs


def _frames_of(spec: Spec[Any], names: dict[Hashable, AxisName]) -> Frames:
    _require_known(spec)
    try:
        _require_axes(spec.axes(), names)
        dimensions = spec.calculate()
        count = math.prod(len(dimension) for dimension in dimensions)
        _require_few(count, "frames in all")
        frames = spec.frames()
    except (ValueError, AssertionError, TypeError) as err:
        if isinstance(err, InvalidScanSpecError):
            raise
        raise InvalidScanSpecError(f"scanspec refuses the Spec: {err}") from err

    def along_axes(what: str, arrays: dict[Any, Numbers]) -> dict[AxisName, Numbers]:
        for name, values in arrays.items():
            _require_finite(f"{what} along {names[name]}", values, "mm")
        return {names[name]: values for name, values in arrays.items()}

    return Frames(
        centres=along_axes("centres", frames.midpoints),
        lower=along_axes("lower ends", frames.lower),
        upper=along_axes("upper ends", frames.upper),
        duration_s=_duration_s(frames),
    )


def _require_known(spec: object) -> None:
    """Refuse kinds and counts before any array is made of them."""
    for each in _parts(spec):
        if isinstance(each, int):
            _require_few(each, "frames")
            continue
        kind = type(each).__name__
        if kind not in _KNOWN:
            raise InvalidScanSpecError(
                f"only products of lines make a map, found {kind}; allowed are "
                f"{', '.join(_KNOWN)}"
            )
        if kind == "Range":
            _require_range(each)


def _parts(spec: object) -> Iterator[object]:
    """Yield a Spec, all Specs inside it, and the counts of repeats and frames."""
    yield spec
    if not is_dataclass(spec):
        return
    for field in fields(spec):
        value = getattr(spec, field.name)
        if field.name == "num":
            yield value
        elif field.name in ("spec", "outer", "inner", "left", "right") and value:
            yield from _parts(value)


def _require_range(found: Any) -> None:
    ends = np.array([found.start, found.stop, found.step], dtype=np.float64)
    _require_finite("a Range", ends, "mm")
    count = abs(found.stop - found.start) / abs(found.step)
    if not count < MOST_FRAMES:
        raise InvalidScanSpecError(
            f"a map has at most {MOST_FRAMES} frames, a Range had {count:g}"
        )


def _require_few(count: int, what: str) -> None:
    if not 1 <= count <= MOST_FRAMES:
        raise InvalidScanSpecError(
            f"a map has 1 to {MOST_FRAMES} frames, the Spec had {count} {what}"
        )


def _require_axes(found: list[Any], names: dict[Hashable, AxisName]) -> None:
    if len(found) != 2 or set(found) != set(names):
        wanted = " and ".join(map(repr, names))
        raise InvalidScanSpecError(
            f"a map has the axes {wanted}, the Spec had "
            f"{' and '.join(map(repr, found)) or 'none'}; use Static for an axis that "
            "rests"
        )


def _require_finite(what: str, values: Numbers, unit: str) -> None:
    bad = values[~np.isfinite(values)]
    if bad.size:
        raise InvalidScanSpecError(
            f"{what} must be finite, {bad.size} of {values.size} were not, "
            f"the first was {bad[0]} {unit}"
        )


def _duration_s(frames: Dimension[Any]) -> float:
    durations = frames.duration
    if durations is None:
        raise InvalidScanSpecError(
            "the Spec has no duration, so its speed is not known: give a duration, as "
            "in 0.1 @ spec"
        )
    _require_finite("durations of frames", durations, "s")
    count = len(frames.gap)
    if len(durations) != count:
        raise InvalidScanSpecError(
            f"the Spec has {len(durations)} durations for {count} frames"
        )
    shortest, longest = float(durations.min()), float(durations.max())
    if not shortest > 0:
        raise InvalidScanSpecError(
            f"durations of frames must be above 0 s, the shortest was {shortest:g} s"
        )
    if longest > shortest * (1 + ROUNDING):
        raise InvalidScanSpecError(
            f"all frames must last the same, found {shortest:g} to {longest:g} s "
            "(scanspec 1.0 gives them to the wrong frames of snaked axes)"
        )
    return shortest
