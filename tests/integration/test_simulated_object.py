"""What the simulated bench has to be measured can be taken away."""

import numpy as np
import pytest
from flyer_bench import MAP

from aefi_bluesky.session.simulated import SimulationSettings


def test_object_stands_out_of_the_noise_and_its_absence_does_not(make_bench):
    images = {}
    for name, has_object in (("ball", True), ("empty", False), ("again", False)):
        settings = SimulationSettings(seed=len(images), has_object=has_object)
        bench = make_bench(simulation=settings)
        bench.fly(**MAP)
        images[name] = bench.flyer.map_of("x_I")
    noise = np.std(images["again"] - images["empty"])
    assert np.std(images["ball"] - images["empty"]) > 20 * noise


@pytest.mark.parametrize("has_object", [True, False])
def test_process_is_told(has_object):
    options = SimulationSettings(has_object=has_object).options()
    assert ("--no-object" in options) is not has_object
