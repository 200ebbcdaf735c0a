"""How well the voltages of a map are known."""

import numpy as np
import pytest

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.results.uncertainty import voltage_uncertainty

FLAT = np.zeros((5, 4))
COUNTS = np.full((5, 4), 4.0)
NARROW = np.full((5, 4), 0.1)
NOISE_V = 60e-6


def test_a_flat_map_knows_noise_only():
    found = voltage_uncertainty(FLAT, COUNTS, NARROW, 2.5, NOISE_V, along=0)
    assert found == pytest.approx(np.full((5, 4), 2 * NOISE_V / 2))


@pytest.mark.parametrize("along", [0, 1])
def test_a_slope_along_the_line_adds_what_the_place_is_uncertain_by(along):
    slope = 1e-3
    ramp = slope * 2.5 * np.arange(FLAT.shape[along])
    voltages = ramp[:, None] + FLAT if along == 0 else ramp[None, :] + FLAT
    found = voltage_uncertainty(voltages, COUNTS, NARROW, 2.5, 0.0, along=along)
    assert found == pytest.approx(np.full((5, 4), slope * 0.1))
    across = voltage_uncertainty(voltages, COUNTS, NARROW, 2.5, 0.0, along=1 - along)
    assert across == pytest.approx(FLAT)


def test_a_curve_adds_what_the_mean_over_a_frame_misses():
    x = 2.5 * np.arange(5)
    voltages = (1e-4 * x**2)[:, None] + FLAT
    found = voltage_uncertainty(voltages, COUNTS, 0 * NARROW, 2.5, 0.0, along=0)
    # The mean of a parabola over a pitch p is a p^2 / 12 above its middle.
    assert found[2] == pytest.approx(1e-4 * 2.5**2 / 12)


def test_drift_is_added():
    found = voltage_uncertainty(FLAT, COUNTS, NARROW, 2.5, 0.0, along=0, drift_v=3e-5)
    assert found == pytest.approx(np.full((5, 4), 3e-5))


@pytest.mark.parametrize("none", [np.nan, 0.0])
def test_a_pixel_without_a_reading_has_none(none):
    voltages, counts = FLAT.copy(), COUNTS.copy()
    voltages[2, 2], counts[2, 2] = np.nan, none
    found = voltage_uncertainty(voltages, counts, NARROW, 2.5, NOISE_V, along=0)
    # Its neighbours have theirs all the same.
    assert np.argwhere(np.isnan(found)).tolist() == [[2, 2]]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"noise_v": -1.0}, "noise of a reading"),
        ({"pitch_mm": 0.0}, "pitch"),
        ({"drift_v": float("nan")}, "drift"),
        ({"drift_v": -1e-6}, "drift"),
    ],
)
def test_what_is_no_number_of_its_kind_is_refused(changed, words):
    numbers = {"pitch_mm": 2.5, "noise_v": NOISE_V, "drift_v": 0.0, **changed}
    with pytest.raises(InvalidScanSpecError, match=words):
        voltage_uncertainty(FLAT, COUNTS, NARROW, along=0, **numbers)
