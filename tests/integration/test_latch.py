"""Where in its turnaround the controller latches, and what estimates make of it."""

import math

from aefi_bluesky.cli.bench.benches import LINKS, fly_virtually, shuttle
from aefi_bluesky.cli.bench.estimator import SPEED_MM_PER_S, judge
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.views.recorder import Recorder


def bench(jitter_us, seed=5):
    return SimulationSettings(
        seed=seed,
        tick_us=0,
        stage_baud=LINKS["115200"].stage_baud,
        stage_jitter_us=jitter_us,
    )


def latch(settings):
    spec = shuttle(150.0, SPEED_MM_PER_S, n_x=4)
    return fly_virtually(settings, spec, Recorder()).latch


def test_a_turnaround_that_varies_tells_where_the_counter_is_latched():
    """The simulated controller reads its counter when the request has arrived."""
    for seed in range(5):
        fraction, error = latch(bench(jitter_us=100, seed=seed))
        assert error < 0.15
        assert abs(fraction) < 3 * error


def test_a_turnaround_that_does_not_vary_tells_nothing():
    fraction, error = latch(bench(jitter_us=0))
    assert math.isnan(fraction)
    assert math.isnan(error)


def test_estimates_move_and_intervals_do_not():
    known = judge(bench(jitter_us=100))
    unknown = judge(bench(jitter_us=0))
    assert known["rms_of_floor"] <= 1.05 < unknown["rms_of_floor"]
    assert abs(known["offset_steps"]) < 0.3 < abs(unknown["offset_steps"])
    assert known["inside_percent"] == unknown["inside_percent"] == 100.0
    # The turnaround itself is longer by 0.05 ms.
    assert abs(known["width_steps"] - unknown["width_steps"]) < 0.1
