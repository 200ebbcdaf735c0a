"""Names, units and meaning of the columns in the run's streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aefi_bluesky.domain.results.scan_results import CHANNELS

_PLACE_UNITS = dict.fromkeys(("x", "x_lo", "x_hi", "y", "y_lo", "y_hi"), "mm")

FRAME_UNITS: Mapping[str, str] = {
    "frame": "",
    "line": "",
    "pass": "",
    "x_nominal": "mm",
    "y_nominal": "mm",
    **_PLACE_UNITS,
    "t": "s",
    "late": "s",
    "count": "",
    **{f"{channel}{kind}": "V" for channel in CHANNELS for kind in ("", "_std")},
}
"""Numeric columns of ``primary`` and their units; ``state`` is text beside them."""

LINE_UNITS: Mapping[str, str] = {
    "line": "",
    "pass": "",
    "slow": "mm",
    **dict.fromkeys(
        (
            *("t_start", "t_end", "run_up", "window", "run_down", "turnaround"),
            *("link", "host"),
        ),
        "s",
    ),
    **dict.fromkeys(("n_ok", "n_not_ok", "n_readings", "n_fixes"), ""),
    **dict.fromkeys(("reading_rate", "fix_rate", "loop_rate"), "Hz"),
    **dict.fromkeys(("period_p50", "period_p99", "period_max"), "ms"),
}
"""Columns of ``lines`` and their units."""

INTEGERS = frozenset(
    {"frame", "line", "pass", "count", "n_ok", "n_not_ok", "n_readings", "n_fixes"}
)
"""Columns that count or name."""

SAMPLE_COLUMNS: Mapping[str, Mapping[str, np.dtype[Any]]] = {
    "readings": {
        **dict.fromkeys(("t_start", "t_end"), np.dtype("<i8")),
        **dict.fromkeys(_PLACE_UNITS, np.dtype("<f8")),
        **{f"code_{number}": np.dtype("<i4") for number in range(1, 9)},
        **dict.fromkeys(("frame", "flags"), np.dtype("<i8")),
    },
    "fixes": {
        name: np.dtype("<i8")
        for name in ("t_sent", "t_received", "axis", "counts", "flags")
    },
}
"""Columns of the sample file's streams and their types."""

SAMPLE_UNITS: Mapping[str, Mapping[str, str]] = {
    "readings": {"t_start": "ns", "t_end": "ns", **_PLACE_UNITS},
    "fixes": {"t_sent": "ns", "t_received": "ns", "counts": "steps"},
}
"""Units of the sample file's columns, where there are any."""


def numeric_key(source: str, name: str, unit: str) -> dict[str, Any]:
    """Return the data key of one scalar column."""
    is_integer = name in INTEGERS
    key: dict[str, Any] = {
        "source": source,
        "dtype": "integer" if is_integer else "number",
        "dtype_numpy": "<i8" if is_integer else "<f8",
        "shape": [],
    }
    if unit:
        key["units"] = unit
    return key


def text_key(source: str) -> dict[str, Any]:
    """Return the data key of one text column."""
    return {"source": source, "dtype": "string", "shape": []}


def described(source: str, units: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the data keys of numeric columns."""
    return {
        name: numeric_key(f"{source}:{name}", name, unit)
        for name, unit in units.items()
    }


def frame_keys(source: str) -> dict[str, dict[str, Any]]:
    """Return the data keys of a row of ``primary``."""
    return {**described(source, FRAME_UNITS), "state": text_key(f"{source}:state")}
