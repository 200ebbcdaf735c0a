"""The duration that is planned is the duration that is flown, in virtual time."""

import numpy as np
import pytest

from aefi_bluesky.cli.bench.benches import bench_of, fly_virtually
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import Excitation, FlyScanSpec, Pattern, Zone
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
    require_duration_flown(spec, settings)


def require_duration_flown(spec, settings):
    bench, recorder = bench_of(settings).description(), Recorder()
    flown_s = fly_virtually(settings, spec, recorder).flight_s
    known = plan_flight(spec, bench, rests_at=(middle(bench.x), middle(bench.y)))
    assert known.duration_s == pytest.approx(flown_s, rel=0.02)
    for plan in (known, plan_flight(spec, bench)):
        assert abs(plan.duration_s - flown_s) <= plan.duration_error_s
    return recorder


@pytest.mark.parametrize("baud", [115200, 9600])
@pytest.mark.parametrize("pattern", [Pattern.SERPENTINE, Pattern.RASTER])
@pytest.mark.parametrize("repeats", [2, 3])
def test_planned_duration_of_repeats_is_flown(repeats, pattern, baud):
    spec = FlyScanSpec(
        zone=Zone.centred(635.0, 610.0, 60.0, 60.0),
        n_x=7,
        n_y=21,
        pattern=pattern,
        fast_axis="y",
        speed_mm_per_s=32.7,
        n_avg=10,
        excitation=Excitation.off(),
        repeats=repeats,
    )
    settings = SimulationSettings(stage_baud=baud, keep_conversions=False)
    recorder = require_duration_flown(spec, settings)
    lines = recorder.columns("lines")
    assert lines["line"].tolist() == list(range(7 * repeats))
    rows = np.repeat(spec.centres_mm("x"), repeats)
    assert lines["slow"] == pytest.approx(rows, abs=0.0218)
    frames = recorder.columns("frames")
    assert sorted(frames["frame"].tolist()) == list(range(spec.n_frames))


@pytest.mark.parametrize("baud", [115200, 9600])
@pytest.mark.parametrize("times", [1, 20])
def test_calibration_line_is_flown_there_and_back(times, baud):
    spec = FlyScanSpec.calibration_line(
        "x",
        there_and_back=times,
        from_mm=600.0,
        to_mm=660.0,
        at_mm=610.0,
        n_frames=25,
        speed_mm_per_s=32.7,
        n_avg=10,
        excitation=Excitation.off(),
    )
    settings = SimulationSettings(stage_baud=baud, keep_conversions=False)
    frames = require_duration_flown(spec, settings).columns("frames")
    order = np.argsort(frames["frame"])
    x_mm = frames["x"][order].reshape(2 * times, 25)
    assert (np.diff(x_mm[::2]) > 0).all()
    assert (np.diff(x_mm[1::2]) < 0).all()
    assert x_mm[1::2, ::-1] == pytest.approx(x_mm[::2], abs=1.25)
