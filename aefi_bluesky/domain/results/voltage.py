"""Raw codes to volts (ADS131A04; acquisition reference §3.1)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aefi_bluesky.domain.checks import require_count, require_number
from aefi_bluesky.domain.errors import InvalidScanSpecError

FULL_SCALE_CODE = 2**23
"""Codes run from minus this to this minus one: 24 bits, two's complement."""

GAINS = (1, 2, 4, 8, 16)
"""Digital gains of the converter (acquisition reference §3.2)."""


def volts_per_code(vref_v: float, gain: int) -> float:
    """Return the voltage of one code, in V: Vref / gain / 2^23."""
    require_number("reference voltage", vref_v, "V", 1e-3, 10)
    require_count("gain", gain, 1, 16)
    if gain not in GAINS:
        raise InvalidScanSpecError(f"gain must be 1, 2, 4, 8 or 16, was {gain}")
    return vref_v / gain / FULL_SCALE_CODE


def code_to_volts(
    codes: npt.ArrayLike, vref_v: float, gain: int
) -> npt.NDArray[np.float64]:
    """Return the voltages of raw codes.

    Parameters
    ----------
    codes
        Codes of any shape, -8388608 to 8388607.
    vref_v
        Reference voltage, in V.
    gain
        Digital gain of the channel: 1, 2, 4, 8 or 16.

    Returns
    -------
    numpy.ndarray
        Volts, same shape.

    Raises
    ------
    InvalidScanSpecError
        If a code is outside 24 bits or no number, or a constant makes no sense.
    """
    values = np.asarray(codes, dtype=np.float64)
    # So written, NaN is outside too.
    outside = ~((values >= -FULL_SCALE_CODE) & (values < FULL_SCALE_CODE))
    if outside.any():
        found = values[outside].flat[0]
        raise InvalidScanSpecError(
            f"a code must be from {-FULL_SCALE_CODE} to {FULL_SCALE_CODE - 1}, "
            f"was {found:g}"
        )
    return values * volts_per_code(vref_v, gain)
