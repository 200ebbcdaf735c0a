"""Reports as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.rounds import Row, Spread

_WIDTH = 88

_HEADS = {
    "rate_hz": "rate /s",
    "fixes_hz": "fixes /s",
    "readings_hz": "readings /s",
    "of_limit": "of line limit",
    "kept": "readings kept",
    "rms_of_floor": "rms / floor",
    "width_steps": "full width steps",
    "held_of_floor": "last reply held",
    "inside_percent": "inside %",
    "missed_percent": "missed %",
}
"""Heads of columns whose name and unit would not do."""


def text_of(report: Report) -> str:
    """Return one report as text: what it is, its rows and its targets."""
    parts = [f"== {report.name} ==", wrapped(report.about)]
    targets = map(_target, report.targets)
    parts.append(f"{_rounds(report.rows)}\n{_rows(report.rows)}")
    if report.targets:
        parts.append("\n".join([*_disturbance(report.rows), *targets]))
    return "\n\n".join(parts)


def wrapped(text: str, indent: str = "") -> str:
    """Return text in lines of a terminal."""
    return textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def machine_line(machine: dict[str, Any]) -> str:
    """Return what was measured on, in a line."""
    loads = machine["load_average"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, governor {machine['governor']}, "
        f"load {loads if loads else 'not told'}"
    )


def _rounds(rows: Sequence[Row]) -> str:
    counts = {spread.rounds for row in rows for spread in row.values.values()}
    return f"rounds: {' and '.join(map(str, sorted(counts)))}"


def _rows(rows: Sequence[Row]) -> str:
    labels = _in_order(row.labels for row in rows)
    quantities = _in_order(row.values for row in rows)
    has_ratio = any(row.ratio for row in rows)
    heads = [*labels, *map(_head, quantities), *(["engine is"] if has_ratio else [])]
    table = [[*heads, "foreign CPU"]]
    for row in rows:
        if not row.values:
            continue
        line = [row.labels.get(name, "") for name in labels]
        line += [_spread(row.values.get(name)) for name in quantities]
        if has_ratio:
            line.append(row.ratio.verdict() if row.ratio else "")
        table.append([*line, _foreign(row)])
    notes = [
        f"{', '.join(filter(None, row.labels.values()))}: {row.note}"
        for row in rows
        if row.note
    ]
    return "\n".join([*_aligned(table), *notes])


def _in_order(groups: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))


def _head(quantity: str) -> str:
    return _HEADS.get(quantity, quantity.replace("_", " "))


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in table
    ]


def number(value: float) -> str:
    """Return a number with three digits, or all of them before its point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    if spread.rounds == 1 or spread.low == spread.high:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.low)}..{number(spread.high)})"


def _foreign(row: Row) -> str:
    if row.foreign is None:
        return "not told"
    return f"{row.foreign * 100:.0f} %{' UNQUIET' if row.is_unquiet else ''}"


def _disturbance(rows: Iterable[Row]) -> list[str]:
    """Return what a reader of the targets must know of the machine."""
    most = max((row.foreign or 0.0 for row in rows if row.is_unquiet), default=None)
    if most is None:
        return []
    return [f"UNQUIET: others took up to {most * 100:.0f} % of the machine meanwhile."]


def _target(target: Target) -> str:
    sign = ">=" if target.at_least else "<="
    unit = f" {target.unit}" if target.unit else ""
    said = (
        f"target  {target.name}: {_spread(target.spread)}{unit}, "
        f"{sign} {number(target.bar)}{unit}: {target.verdict()}"
    )
    if target.is_met:
        return said
    why = wrapped(f"why: {target.why}", " " * 8)
    return f"{said}\n{why}"
