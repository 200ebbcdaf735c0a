"""Scan specs as parameter trees, made from the classes of the specs.

A tree is a list of the dictionaries that pyqtgraph's (and PyMoDAQ's) parameters are
made of. Nothing of theirs is imported: what a class has as a field, a window has as a
row.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.formats import (
    ScanSpec,
    SpecKind,
    from_plain,
    to_plain,
)

Row = dict[str, Any]
"""One parameter: ``name``, ``title``, ``type``, ``value``, and what the type needs."""

KIND = "kind"
"""The row that says what the spec is a spec of."""

_UNITS = {
    "_mm_per_s": "mm/s",
    "_mm": "mm",
    "_s": "s",
    "_hz": "Hz",
    "_percent": "%",
}
"""Endings of names, the longest first, and their units."""

_DIGITS = 12
"""Significant digits that a window shows: more than anybody measures."""


def tree_of(spec: ScanSpec) -> list[Row]:
    """Return the rows of a spec, its kind first."""
    plain = to_plain(spec)
    kinds = [kind.value for kind in SpecKind]
    kind = {**_row(KIND, "list", plain.pop(KIND)), "limits": kinds}
    return [kind, *_rows(type(spec), plain)]


def values_of(tree: Sequence[Row]) -> dict[str, Any]:
    """Return the values of a tree by name; those of a group are a dictionary."""
    return {
        row["name"]: values_of(row["children"]) if "children" in row else row["value"]
        for row in tree
    }


def spec_of(values: Mapping[str, Any]) -> ScanSpec:
    """Return the spec of a tree's values; see `values_of`.

    Raises
    ------
    InvalidScanSpecError
        If a value is wrong; the message has the value, the unit and the range.
    """
    plain = dict(values)
    if "frequencies_hz" in plain:
        plain["frequencies_hz"] = _numbers(plain["frequencies_hz"])
    return from_plain(plain)


def _rows(cls: type, plain: Mapping[str, Any]) -> list[Row]:
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    return [_row_of(each.name, hints[each.name], plain[each.name]) for each in fields]


def _row_of(name: str, hint: Any, value: Any) -> Row:
    if dataclasses.is_dataclass(hint):
        group = {"name": name, "title": _title(name), "type": "group"}
        return {**group, "children": _rows(typing.cast("type", hint), value)}
    if choices := _choices(hint):
        return {**_row(name, "list", value), "limits": choices}
    if get_origin(hint) is tuple:
        return _row(name, "str", ", ".join(map(repr, value)))
    if hint is float:
        return {**_row(name, "float", value), "decimals": _DIGITS}
    return _row(name, {bool: "bool", int: "int"}[hint], value)


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return [member.value for member in hint]
    return []


def _row(name: str, kind: str, value: Any) -> Row:
    unit = _unit(name)
    suffix = {"suffix": unit} if unit and kind == "float" else {}
    return {
        "name": name,
        "title": _title(name),
        "type": kind,
        "value": value,
        **suffix,
    }


def _unit(name: str) -> str:
    endings = (ending for ending in _UNITS if name.endswith(ending))
    return _UNITS.get(next(endings, ""), "")


def _title(name: str) -> str:
    """Return a name as words; the unit stands beside the value, or in brackets."""
    unit = _unit(name)
    words = re.sub(rf"({'|'.join(_UNITS)})$", "", name).replace("_", " ")
    return f"{words} ({unit})" if words == "frequencies" else words


def _numbers(text: Any) -> list[float]:
    words = [word for word in re.split(r"[,;\s]+", str(text).strip()) if word]
    try:
        return [float(word) for word in words]
    except ValueError:
        raise InvalidScanSpecError(
            f"frequencies must be numbers in Hz with commas between, was {text!r}"
        ) from None
