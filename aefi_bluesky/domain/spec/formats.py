"""Specs of all kinds as plain JSON values, told apart by their ``kind``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, cast

from aefi_bluesky.domain import plain_values
from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.plain_values import Reader, from_known_fields, known_keys
from aefi_bluesky.domain.spec.excitation import Excitation
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.grid import GRID_READERS
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    StepSpec,
    TimeSeriesSpec,
)

ScanSpec = FlyScanSpec | StepSpec
"""What is measured, of any kind."""


class SpecKind(StrEnum):
    """What a spec is a spec of."""

    FLY_MAP = "fly-map"
    """Maps and lines that are flown."""
    STEP_MAP = "step-map"
    """A map measured at rest, point by point."""
    POINT = "point"
    """One measurement at one place."""
    TIME_SERIES = "time-series"
    """Readings at one place, one after the other."""
    FREQUENCY_SEQUENCE = "frequency-sequence"
    """One measurement at one place for each of several frequencies."""


_CLASSES: dict[SpecKind, type[ScanSpec]] = {
    SpecKind.FLY_MAP: FlyScanSpec,
    SpecKind.STEP_MAP: StepMapSpec,
    SpecKind.POINT: PointSpec,
    SpecKind.TIME_SERIES: TimeSeriesSpec,
    SpecKind.FREQUENCY_SEQUENCE: FrequencySequenceSpec,
}


def kind_of(spec: ScanSpec) -> SpecKind:
    """Return the kind of a spec."""
    return next(kind for kind, cls in _CLASSES.items() if type(spec) is cls)


def to_plain(spec: ScanSpec) -> dict[str, Any]:
    """Return a spec as plain JSON values, with its ``kind``."""
    return {"kind": kind_of(spec).value, **plain_values.to_plain(spec)}


def from_plain(plain: Mapping[str, Any]) -> ScanSpec:
    """Return the spec that `to_plain` made plain; without ``kind`` a map to fly.

    Raises
    ------
    InvalidScanSpecError
        If a key is unknown or missing, or a value is wrong.
    """
    cls = _CLASSES[_kind_in(plain)]
    keys = ["kind", *(field.name for field in dataclasses.fields(cls))]
    # Here for what is misspelt, "kind" too; what is missing is named by the class.
    values = known_keys("scan spec", plain, keys, optional=keys)
    values.pop("kind", None)
    if cls is FlyScanSpec:
        return FlyScanSpec.from_plain(values)
    return from_known_fields("scan spec", cls, values, _READERS)


def _kind_in(plain: Any) -> SpecKind:
    if not isinstance(plain, Mapping) or "kind" not in plain:
        return SpecKind.FLY_MAP
    kind = cast("Mapping[str, Any]", plain)["kind"]
    return plain_values.member("kind of a scan spec", SpecKind, kind)


def _numbers(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise InvalidScanSpecError(f"frequencies must be a list in Hz, was {value!r}")
    return tuple(cast("list[Any]", value))


_READERS: dict[str, Reader] = {
    **GRID_READERS,
    "excitation": Excitation.from_plain,
    "frequencies_hz": _numbers,
}
