"""Checks of bare numbers, with one way of saying what is wrong with them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

from aefi_bluesky.domain.errors import AefiError, InvalidScanSpecError

ErrorType = Callable[[str], AefiError]


def require_number(
    what: str,
    value: object,
    unit: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    error: ErrorType = InvalidScanSpecError,
) -> None:
    """Refuse what is no finite number from `low` to `high`, ends included."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        # NaN is in no range; a whole number may be too large for a float.
        or not (low <= value <= high and abs(value) <= sys.float_info.max)
    ):
        raise error(f"{what} must be {_range(low, high)} {unit}, was {value!r}".strip())


def require_count(
    what: str,
    value: object,
    low: int,
    high: int | None = None,
    *,
    error: ErrorType = InvalidScanSpecError,
) -> None:
    """Refuse what is no whole number from `low` to `high`, ends included."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not (low <= value and (high is None or value <= high))
    ):
        allowed = f"from {low} to {high}" if high is not None else f"at least {low}"
        raise error(f"{what} must be a whole number, {allowed}, was {value!r}")


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return "a finite number in"
    if math.isinf(high):
        return f"at least {low:g}"
    return f"from {low:g} to {high:g}"
