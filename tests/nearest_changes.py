"""Does what a feasibility report suggests, by its numbers and not by its words."""

from __future__ import annotations

import dataclasses
from typing import Any

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.feasibility.report import Change, FeasibilityReport
from aefi_bluesky.domain.flight.load import HostLimits
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec, Trigger, TriggerKind

Planned = tuple[FlyScanSpec, BenchDescription]

ROUNDS = 12
"""One change may ask for another, but not without an end."""


def changed(spec: FlyScanSpec, bench: BenchDescription, change: Change) -> Planned:
    """Return spec and bench with one value changed."""
    path, value = change.parameter.split("."), change.value
    if path[0] == "bench":
        return spec, _replaced(bench, path[1:], value)
    if path[0] == "zone":
        value = _cut(spec.zone.along(path[1]), value)
        ends = dict(zip((f"{path[1]}_min_mm", f"{path[1]}_max_mm"), value, strict=True))
        return _with(spec, zone=dataclasses.replace(spec.zone, **ends)), bench
    if change.parameter == "trigger.period_s":
        return _with(spec, trigger=Trigger(TriggerKind.PERIODIC, value)), bench
    if change.parameter == "trigger.kind":
        return _with(spec, trigger=Trigger(TriggerKind(value[0]))), bench
    return _replaced(spec, path, value), bench


def leaves_a_line(spec: FlyScanSpec, change: Change) -> bool:
    """Return whether a zone that is cut so is still one; else a person must choose."""
    if not change.parameter.startswith("zone."):
        return True
    low, high = _cut(spec.zone.along(change.parameter[-1]), change.value)
    return low < high or spec.count_along(change.parameter[-1]) == 1


def all_changed(
    spec: FlyScanSpec, bench: BenchDescription, report: FeasibilityReport
) -> Planned | None:
    """Return what all changes of a report make; None where one is left to a person.

    Of several speeds the lowest is taken.
    """
    changes = [each.nearest for each in report.violations]
    for change in sorted(changes, key=_by_speed):
        if not isinstance(change, Change) or not leaves_a_line(spec, change):
            return None
        spec, bench = changed(spec, bench, change)
    return spec, bench


def followed(
    spec: FlyScanSpec, bench: BenchDescription, host: HostLimits | None = None
) -> Planned | None:
    """Follow all suggestions again and again; return what they lead to, if to a plan.

    Raises
    ------
    AssertionError
        If they have no end.
    """
    for _ in range(ROUNDS):
        planned = plan_flight(spec, bench, host=host)
        if not isinstance(planned, FeasibilityReport):
            return spec, bench
        better = all_changed(spec, bench, planned)
        if better is None:
            return None
        spec, bench = better
    raise AssertionError(f"no end of suggestions: {planned}")


def _by_speed(change: Change | str) -> float:
    if isinstance(change, Change) and change.parameter == "speed_mm_per_s":
        return -float(change.value)
    return -1e12


def _cut(ends: tuple[float, float], room: tuple[float, float]) -> tuple[float, float]:
    low, high = (min(max(end, room[0]), room[1]) for end in ends)
    return low, high


def _with(spec: FlyScanSpec, **values: Any) -> FlyScanSpec:
    return dataclasses.replace(spec, **values)


def _replaced(whole: Any, path: list[str], value: Any) -> Any:
    """Return a dataclass with the value at a path of names replaced."""
    if len(path) > 1:
        value = _replaced(getattr(whole, path[0]), path[1:], value)
    return dataclasses.replace(whole, **{path[0]: value})
