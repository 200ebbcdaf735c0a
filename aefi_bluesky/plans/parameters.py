"""What the plans' plain parameters mean in a spec."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    ExcitationMode,
    Trigger,
    TriggerKind,
)

ExcitationName = Literal["x-dir", "y-dir", "circular-plus", "circular-minus"]
"""Values of `ExcitationMode`: a plan's signature has native types only."""

TriggerName = Literal[
    "free-running",
    "periodic",
    "positions",
    "sync-output",
    "digital-output",
    "latch",
]
"""Values of `TriggerKind`."""

_AS_GIVEN = (
    "speed_mm_per_s",
    "n_avg",
    "min_readings_per_frame",
    "allowed_bad_frames",
    "gap_fill_passes",
)


def plan_arguments(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan's arguments as the start document has them.

    Parameters
    ----------
    parameters
        The plan's ``locals()``, before it has any other: a device is told by its
        name, ``md`` is not told.
    """
    return {name: _told(value) for name, value in parameters.items() if name != "md"}


def _told(value: Any) -> Any:
    """Return a device's name, and numpy's numbers as Python's: documents are JSON."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return getattr(value, "name", value)


def how_to_fly(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a spec has beside zone, counts, pattern and axis.

    Parameters
    ----------
    arguments
        Of the plan, by name.

    Raises
    ------
    InvalidScanSpecError
        If a number is wrong.
    """
    return {
        **{name: arguments[name] for name in _AS_GIVEN},
        "excitation": excitation_of(arguments),
        "trigger": Trigger(
            TriggerKind(arguments["trigger"]), arguments["trigger_period_s"]
        ),
    }


def excitation_of(arguments: Mapping[str, Any]) -> Excitation:
    """Return what a plan's arguments say that the spheres are driven with.

    Raises
    ------
    InvalidScanSpecError
        If a number is wrong.
    """
    return Excitation(
        ExcitationMode(arguments["excitation_mode"]),
        arguments["level_s1s2_percent"],
        arguments["level_s3s4_percent"],
        arguments["frequency_hz"],
    )
