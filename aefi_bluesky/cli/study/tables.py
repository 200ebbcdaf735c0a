"""Studies as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.spec.formats import ScanSpec, kind_of
from aefi_bluesky.domain.spec.grid import Grid
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.planned_scan import PlannedScan, PlannedScanState
from aefi_bluesky.domain.study.study import Study


def studies_table(studies: Iterable[Study]) -> str:
    """Return a row a study: state, scans completed and planned, object, operator."""
    head = ("study", "state", "scans", "object", "operator")
    return _table(head, [_study_row(study) for study in studies])


def study_page(study: Study) -> str:
    """Return a study with a row a scan."""
    rows = {
        "study": f"{study.id}, {study.state}",
        "object": _object(study.measured_object),
        "operator": study.operator,
        "bench": study.bench.name if study.bench else "not configured yet",
    }
    head = ("scan", "role", "state", "waits for", "run", "cause")
    facts = "\n".join(f"{name:<10}{value}" for name, value in rows.items())
    if not study.scans:
        return f"{facts}\nNo scans are planned."
    return f"{facts}\n\n{_table(head, [_scan_row(scan) for scan in study.scans])}"


def scan_line(scan: PlannedScan) -> str:
    """Return a scan as one line: what it is, where, and how fast or of what kind."""
    return f"{scan.id} ({scan.role}): {_where(scan.spec)}, {_how(scan.spec)}"


def _where(spec: ScanSpec) -> str:
    if not isinstance(spec, Grid):
        return f"x {spec.x_mm:g} mm, y {spec.y_mm:g} mm"
    zone = spec.zone
    return (
        f"{spec.n_x} x {spec.n_y} frames, "
        f"x {zone.x_min_mm:g} to {zone.x_max_mm:g} mm, "
        f"y {zone.y_min_mm:g} to {zone.y_max_mm:g} mm"
    )


def _how(spec: ScanSpec) -> str:
    if isinstance(spec, FlyScanSpec):
        return f"{spec.speed_mm_per_s:g} mm/s"
    return f"{kind_of(spec)}, {spec.n_measurements} measurements"


def _study_row(study: Study) -> tuple[str, ...]:
    done = sum(scan.state is PlannedScanState.COMPLETED for scan in study.scans)
    return (
        *(study.id, str(study.state), f"{done}/{len(study.scans)}"),
        *(study.measured_object.reference, study.operator),
    )


def _scan_row(scan: PlannedScan) -> tuple[str, ...]:
    role = f"{scan.role}, retry of {scan.retry_of}" if scan.retry_of else str(scan.role)
    waits_for = ", ".join(scan.waits_for)
    return scan.id, role, str(scan.state), waits_for, scan.run_uid or "", scan.cause


def _object(measured: MeasuredObject) -> str:
    words = [measured.reference]
    if measured.size_mm is not None:
        words.append(" x ".join(f"{extent:g}" for extent in measured.size_mm) + " mm")
    if measured.depth_mm is not None:
        words.append(f"{measured.depth_mm:g} mm deep")
    if measured.medium:
        words.append(f"in {measured.medium}")
    if measured.lift_off_mm is not None:
        words.append(f"sensor {measured.lift_off_mm:g} mm above")
    return ", ".join(words)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{n}}" for cell, n in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )
