"""The duration that is planned is the duration that is flown, in virtual time."""

import pytest

from aefi_bluesky.cli.bench.benches import bench_of, fly_virtually
from aefi_bluesky.domain.planning import plan_flight
from aefi_bluesky.domain.scan_spec import Excitation, FlyScanSpec, Pattern, Zone
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.views.recorder import Recorder

MAPS = [(9, 20.0), (9, 100.0), (21, 60.0), (81, 200.0)]
"""Frames along each axis, and the side in mm."""


def middle(axis):
    """Where a simulated bench rests before."""
    return (axis.travel_min_mm + axis.travel_max_mm) / 2


@pytest.mark.parametrize("baud", [115200, 9600])
@pytest.mark.parametrize("pattern", [Pattern.SERPENTINE, Pattern.RASTER])
@pytest.mark.parametrize("speed", [10.0, 32.7, 50.0])
@pytest.mark.parametrize(("count", "side"), MAPS)
def test_planned_duration_is_flown(count, side, speed, pattern, baud):
    settings = SimulationSettings(stage_baud=baud, keep_conversions=False)
    bench = bench_of(settings).description()
    spec = FlyScanSpec(
        zone=Zone.centred(635.0, 610.0, side, side),
        n_x=count,
        n_y=count,
        pattern=pattern,
        fast_axis="y",
        speed_mm_per_s=speed,
        n_avg=10,
        excitation=Excitation.off(),
    )
    flown_s = fly_virtually(settings, spec, Recorder()).flight_s
    known = plan_flight(spec, bench, rests_at=(middle(bench.x), middle(bench.y)))
    assert known.duration_s == pytest.approx(flown_s, rel=0.02)
    for plan in (known, plan_flight(spec, bench)):
        assert abs(plan.duration_s - flown_s) <= plan.duration_error_s
