"""Checks of bare numbers, with one way of saying what is wrong with them.

Numbers enter here: what comes out is Python's own float or int, whoever wrote 610,
610.0 or one of numpy's, so that no digest, file or table depends on it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from aefi_bluesky.domain.errors import AefiError, InvalidScanSpecError

_LARGEST = sys.float_info.max

ErrorType = Callable[[str], AefiError]


def require_number(
    what: str,
    value: object,
    unit: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    error: ErrorType = InvalidScanSpecError,
) -> float:
    """Return a number as a float; refuse what is not from `low` to `high`, ends too."""
    number = _number(value, Real)
    # NaN is in no range; a whole number may be too large for a float.
    if number is None or not (low <= number <= high and abs(number) <= _LARGEST):
        raise error(f"{what} must be {_range(low, high)} {unit}, was {value!r}".strip())
    return float(number)


def require_count(
    what: str,
    value: object,
    low: int,
    high: int | None = None,
    *,
    error: ErrorType = InvalidScanSpecError,
) -> int:
    """Return a whole number as an int; refuse what is not from `low` to `high`."""
    number = _number(value, Integral)
    if number is None or not (low <= number and (high is None or number <= high)):
        allowed = f"from {low} to {high}" if high is not None else f"at least {low}"
        raise error(f"{what} must be a whole number, {allowed}, was {value!r}")
    return int(number)


def keep_number(
    owner: object,
    field: str,
    what: str,
    unit: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    error: ErrorType = InvalidScanSpecError,
) -> None:
    """Make a field of a frozen record what `require_number` returns."""
    value = require_number(what, getattr(owner, field), unit, low, high, error=error)
    object.__setattr__(owner, field, value)


def keep_count(
    owner: object,
    field: str,
    what: str,
    low: int,
    high: int | None = None,
    *,
    error: ErrorType = InvalidScanSpecError,
) -> None:
    """Make a field of a frozen record what `require_count` returns."""
    value = require_count(what, getattr(owner, field), low, high, error=error)
    object.__setattr__(owner, field, value)


def _number(value: Any, kind: type[Real] | type[Integral]) -> Any:
    """Return a number of a kind; None if it is none, as a truth value is not.

    An array without axes, numpy's or xarray's of a run, is the number that it holds.
    """
    bare = value.item() if getattr(value, "shape", None) == () else value
    return None if isinstance(bare, bool) or not isinstance(bare, kind) else bare


def _range(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return "a finite number in"
    if math.isinf(high):
        return f"at least {low:g}"
    return f"from {low:g} to {high:g}"
