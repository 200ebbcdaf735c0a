"""Settings of devices: signals whose values are what their data keys say."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ophyd import Signal

from aefi_bluesky.domain.checks import require_count, require_number

Taken = Callable[[str, Any], Any]
"""Returns the value that a setting of a name keeps of what it is given, or refuses."""


def number(unit: str, low: float = -math.inf, high: float = math.inf) -> Taken:
    """Return what takes numbers of a unit, as floats."""
    return lambda name, value: require_number(name, value, unit, low, high)


def count(low: int, high: int | None = None) -> Taken:
    """Return what takes whole numbers, as ints."""
    return lambda name, value: require_count(name, value, low, high)


class Setting(Signal):
    """A setting of a device, refused before it changes where it can't be.

    Its type is the same for its whole life: bluesky describes a column by its first
    value, and Tiled can't store 0.5 in a column that began with an integer.

    Parameters
    ----------
    take
        Returns what is kept of a new value; raises `InvalidScanSpecError` if it can't
        be.
    **options
        As ophyd's own signal has them.
    """

    def __init__(self, *args: Any, take: Taken, **options: Any) -> None:
        self._take = take
        super().__init__(*args, **options)

    def check_value(self, value: Any, **kwargs: Any) -> None:
        """Refuse what the setting can't be.

        Raises
        ------
        InvalidScanSpecError
            With what was asked and what is allowed.
        """
        self._take(self.name, value)

    def put(self, value: Any, **kwargs: Any) -> None:
        """Take a value over.

        Raises
        ------
        InvalidScanSpecError
            If the setting can't be that; nothing has changed.
        """
        super().put(self._take(self.name, value), **kwargs)

    def set(self, value: Any, **kwargs: Any) -> Any:
        """Take a value over in a thread of its own; refused here, by name."""
        return super().set(self._take(self.name, value), **kwargs)

    def locate(self) -> dict[str, Any]:
        """Return the value, where a setting was sent and where it is."""
        value = self.get()
        return {"setpoint": value, "readback": value}
