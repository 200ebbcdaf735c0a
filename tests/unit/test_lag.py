"""The lag that makes both ways along a line agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.results.lag import LONGEST_LAG_S, estimate_lag

FRAMES = np.linspace(-100.0, 100.0, 81)
NOISE_V = 30e-6


def field(x_mm):
    """Six voltages along a line over an object."""
    hill = 0.02 * np.exp(-((x_mm / 45) ** 2))
    return np.stack([0.3 + hill, x_mm / 60 * hill, *(0 * x_mm for _ in range(4))], 1)


def both_ways(lag_s, speed_mm_per_s, *, passes=4, shape=field, seed=0):
    noise = np.random.default_rng(seed)
    positions, voltages, velocities = [], [], []
    for number in range(passes):
        velocity = speed_mm_per_s if number % 2 == 0 else -speed_mm_per_s
        seen = shape(FRAMES - velocity * lag_s)
        positions.append(FRAMES)
        voltages.append(seen + noise.normal(0, NOISE_V, seen.shape))
        velocities.append(np.full(len(FRAMES), velocity))
    return tuple(map(np.concatenate, (positions, voltages, velocities)))


@settings(max_examples=20, deadline=None)
@given(
    lag_s=st.floats(-0.2, 0.2),
    speed=st.floats(10, 65),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_lag_is_found_within_its_error(lag_s, speed, seed):
    found = estimate_lag(*both_ways(lag_s, speed, seed=seed))
    # Five standard errors: one of two million draws is further off.
    assert abs(found.lag_s - lag_s) < 5 * found.error_s
    assert found.error_s < 2e-3
    assert found.zigzag_mm == pytest.approx(2 * speed * found.lag_s)


def test_a_field_that_does_not_change_tells_nothing():
    def flat(x_mm):
        return np.zeros((len(x_mm), 6))

    with pytest.raises(InvalidScanSpecError, match="changes too little"):
        estimate_lag(*both_ways(0.02, 32.7, shape=flat))


def test_a_lag_beyond_the_range_is_not_believed():
    with pytest.raises(
        InvalidScanSpecError, match=r"less than 500 ms and .* was 5\d\d ms"
    ):
        estimate_lag(*both_ways(2 * LONGEST_LAG_S, 32.7))


def test_one_way_is_not_enough():
    x, v, velocity = both_ways(0.02, 32.7)
    with pytest.raises(InvalidScanSpecError, match="had 324 and 0"):
        estimate_lag(x, v, np.abs(velocity))


def test_a_frame_without_readings_is_refused_by_its_number():
    x, v, velocity = both_ways(0.02, 32.7)
    v[5, 2] = np.nan
    with pytest.raises(
        InvalidScanSpecError, match=r"voltages must be finite.*1 were not"
    ):
        estimate_lag(x, v, velocity)
