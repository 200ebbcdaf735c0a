"""Raw codes to volts (vectors: acquisition reference §8.2)."""

import math

import numpy as np
import pytest

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.results.voltage import code_to_volts, volts_per_code


@pytest.mark.parametrize(
    ("code", "at_2442_mv", "at_4_v"),
    [
        (0, 0.0, 0.0),
        (1, 2.9110908508e-7, 4.76837158203125e-7),
        (3789, 1.1030123233795167e-3, 1.8067359924316406e-3),
        (-1722, -5.012898445129395e-4, -8.211135864257812e-4),
        (-875448, -2.5485086631774906e-1, -4.174461364746094e-1),
        (8388607, 2.441999708890915, 3.9999995231628418),
        (-8388608, -2.442, -4.0),
    ],
)
def test_code_becomes_volts(code, at_2442_mv, at_4_v):
    assert code_to_volts(code, 2.442, 1) == pytest.approx(at_2442_mv, rel=1e-10)
    assert code_to_volts(code, 4.0, 1) == pytest.approx(at_4_v, rel=1e-10)


def test_gain_divides():
    assert code_to_volts(3789, 2.442, 16) == pytest.approx(6.89382702112198e-5)
    assert volts_per_code(4.0, 4) == volts_per_code(4.0, 1) / 4


@pytest.mark.parametrize("code", [8388608, -8388609, 2**31, math.nan])
def test_code_outside_24_bits_is_refused(code):
    with pytest.raises(InvalidScanSpecError, match="from -8388608 to 8388607"):
        code_to_volts([0, code], 2.442, 1)


@pytest.mark.parametrize("gain", [0, 3, 32, 1.5, True, math.nan])
def test_gain_is_one_the_converter_has(gain):
    with pytest.raises(InvalidScanSpecError, match="gain must be"):
        volts_per_code(2.442, gain)


def test_shape_is_kept():
    volts = code_to_volts(np.zeros((3, 6), dtype=np.int32), 2.442, 1)
    assert volts.shape == (3, 6)
    assert volts.dtype == np.float64


@pytest.mark.parametrize("vref", [0.0, -2.442, math.nan, math.inf, True, 11.0])
def test_reference_voltage_must_make_sense(vref):
    with pytest.raises(InvalidScanSpecError, match="reference voltage"):
        volts_per_code(vref, 1)
