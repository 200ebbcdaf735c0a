"""Specs of scanspec become maps, or are refused by what was found in them."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from scan_strategies import fly_specs
from scanspec.specs import (
    Concat,
    Ellipse,
    Fly,
    Linspace,
    Product,
    Range,
    Spec,
    Spiral,
    Squash,
    Static,
)

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.grid import Pattern
from aefi_bluesky.domain.spec.zone import Zone
from aefi_bluesky.interop.scanspec_adapter import from_scanspec, to_scanspec
from aefi_bluesky.testing.builders import a_bench, a_plan, a_spec

X, Y = Linspace("x", 600.0, 610.0, 5), Linspace("y", 580.0, 583.0, 4)
REST = {"n_avg": a_spec().n_avg, "excitation": a_spec().excitation}


def flown(spec):
    return from_scanspec(spec, **REST)


def refused(spec):
    with pytest.raises(InvalidScanSpecError) as caught:
        flown(spec)
    return str(caught.value)


@pytest.mark.parametrize(
    ("spec", "pattern", "repeats"),
    [
        (Fly(0.1 @ (Y * X)), Pattern.RASTER, 1),
        (Fly(0.1 @ (Y * ~X)), Pattern.SERPENTINE, 1),
        (0.1 @ Fly(Y * ~X), Pattern.SERPENTINE, 1),
        (Y * Fly(0.1 @ ~X), Pattern.SERPENTINE, 1),
        (Fly(0.1 @ Squash(Y * ~X)), Pattern.SERPENTINE, 1),
        (Fly(0.1 @ (Y * (4 * ~X))), Pattern.SERPENTINE, 4),
        (Fly(0.1 @ (Y * (3 * X))), Pattern.RASTER, 3),
        (Fly(0.1 @ (Y * Range("x", 600.0, 610.0, 2.5))), Pattern.RASTER, 1),
        (Fly(0.1 @ (~Y * X)), Pattern.RASTER, 1),
    ],
)
def test_products_of_lines_are_maps(spec, pattern, repeats):
    found = flown(spec)
    assert found.zone == Zone(600.0, 610.0, 580.0, 583.0)
    assert (found.n_x, found.n_y, found.fast_axis) == (5, 4, "x")
    assert (found.pattern, found.repeats) == (pattern, repeats)
    assert found.speed_mm_per_s == 25.0


def test_fast_axis_is_the_inner_one():
    found = flown(Fly(0.1 @ (X * ~Y)))
    assert (found.fast_axis, found.speed_mm_per_s) == ("y", 10.0)


def test_axes_may_have_other_names():
    spec = Fly(0.1 @ (Linspace("stage_y", 0, 3, 4) * Linspace("stage_x", 0, 1, 2)))
    found = from_scanspec(spec, x="stage_x", y="stage_y", **REST)
    assert found.zone == Zone(0.0, 1.0, 0.0, 3.0)
    assert "'x' and 'y', the Spec had 'stage_y' and 'stage_x'" in refused(spec)


def test_frames_of_a_plan_are_the_frames_of_the_spec():
    spec = Fly(0.1 @ (Y * (2 * ~X)))
    plan = plan_flight(flown(spec), a_bench())
    frames = spec.frames()
    np.testing.assert_allclose(plan.frame_x_mm, frames.midpoints["x"], atol=1e-9)
    np.testing.assert_allclose(plan.frame_y_mm, frames.midpoints["y"], atol=1e-9)


@given(fly_specs(differential=[False]))
def test_map_survives_a_spec_made_plain(spec):
    counts = {axis: spec.count_along(axis) for axis in ("x", "y")}
    if any(n > 1 and spec.pitch_mm(axis) < 1e-3 for axis, n in counts.items()):
        with pytest.raises(InvalidScanSpecError, match=r"mm apart: .* 0\.001 mm"):
            to_scanspec(spec)
        return
    made = Spec.deserialize(to_scanspec(spec).serialize())
    again = from_scanspec(
        made,
        n_avg=spec.n_avg,
        excitation=spec.excitation,
        min_readings_per_frame=spec.min_readings_per_frame,
    )
    assert (again.n_x, again.n_y) == (spec.n_x, spec.n_y)
    assert again.repeats == spec.repeats
    assert again.fast_axis == spec.effective_fast_axis
    assert again.speed_mm_per_s == pytest.approx(spec.speed_mm_per_s, rel=1e-9)
    for axis in ("x", "y"):
        centres = spec.centres_mm(axis)
        assert again.centres_mm(axis) == pytest.approx(centres, abs=1e-8)
    if spec.n_lines > 1:
        is_serpentine = spec.pattern is Pattern.SERPENTINE
        assert (again.pattern is Pattern.SERPENTINE) == is_serpentine


def test_differential_map_is_no_spec_of_scanspec():
    with pytest.raises(InvalidScanSpecError, match="no muting"):
        to_scanspec(a_spec(differential=True))


# -- the traps of scanspec -------------------------------------------------------------

UNEVEN = Concat(0.1 @ Linspace("x", 0, 2, 3), 0.2 @ Linspace("x", 3, 4, 2))


def test_scanspec_gives_uneven_durations_to_the_wrong_frames():
    frames = (Y * ~UNEVEN).frames()
    slow = np.isin(frames.midpoints["x"], [3.0, 4.0])
    # As long as this fails to be equal, varying durations must be refused.
    assert frames.duration[:5].tolist() == np.where(slow, 0.2, 0.1)[:5].tolist()
    assert frames.duration[5:10].tolist() != np.where(slow, 0.2, 0.1)[5:10].tolist()


@pytest.mark.parametrize("line", [UNEVEN, ~UNEVEN])
def test_uneven_durations_are_refused(line):
    assert "all frames must last the same, found 0.1 to 0.2 s" in refused(Fly(Y * line))


def test_first_gap_is_not_believed():
    raster, snaked = Fly(0.1 @ (Y * X)), Fly(0.1 @ (Y * Product(2, ~X, gap=False)))
    # The very first frame has a gap for one and none for the other, and where the
    # snaked one turns there is no gap at all.
    assert raster.frames().gap[0]
    assert not Fly(0.1 @ Product(2, ~X, gap=False)).frames().gap.any()
    for spec, repeats in ((raster, 1), (snaked, 2)):
        found = flown(spec)
        assert (found.n_x, found.n_y, found.repeats) == (5, 4, repeats)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_number_that_is_none_is_refused(bad):
    assert "durations of frames must be finite" in refused(Fly(bad @ (Y * X)))
    with np.errstate(invalid="ignore"):
        text = refused(Fly(0.1 @ (Y * Linspace("x", 0.0, bad, 5))))
        assert "centres along x must be finite" in text
        text = refused(Fly(0.1 @ (Static("y", bad) * X)))
        assert "centres along y must be finite" in text


@pytest.mark.parametrize("bad", [0.0, -0.1])
def test_duration_must_be_above_zero(bad):
    assert "must be above 0 s, the shortest was" in refused(Fly(bad @ (Y * X)))


def test_line_without_length_is_refused():
    line = Linspace("x", 600.0, 600.0, 5)
    assert "no axis moves in the frames" in refused(Fly(0.1 @ (Y * line)))


@pytest.mark.parametrize(
    "spec",
    [
        Fly(0.1 @ (Y * Linspace("x", 0.0, 1.0, 10**11))),
        Fly(0.1 @ (Y * Range("x", 0.0, 1.0, 1e-11))),
        Fly(0.1 @ (Y * (10**12 * X))),
        Fly(0.1 @ (Linspace("y", 0.0, 1.0, 10_000) * Linspace("x", 0.0, 1.0, 10_000))),
    ],
)
def test_too_many_frames_are_refused_before_they_are_made(spec):
    assert "10000000 frames" in refused(spec)


# -- what is no map ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (0.1 @ (Y * X), "put the Spec into Fly"),
        (Fly(Y * X), "has no duration, so its speed is not known"),
        (Fly(0.1 @ X), "the Spec had 'x'; use Static for an axis that rests"),
        (Fly(0.1 @ X.zip(Linspace("y", 0, 1, 5))), "one axis must move"),
        (Fly(0.1 @ (Y * Linspace("x", 9, 0, 5))), "4 of 4 descended"),
        (Fly(0.1 @ (Linspace("y", 9, 0, 4) * X)), "rows must ascend evenly along y"),
        (
            Fly(0.1 @ (Linspace("y", 0, 1, 2).concat(Linspace("y", 5, 6, 2)) * X)),
            "rows must ascend evenly along y, found 0, 1, 5, 6",
        ),
        (
            Fly(0.1 @ Concat(Static("y", 0) * X, Static("y", 1) * (2 * X))),
            "each row must be flown the same number of times, found 1 to 2 times",
        ),
        (
            Fly(0.1 @ (Y * Concat(X, Linspace("x", 611, 613, 2)))),
            "must have one width, found 2 to 2.5 mm",
        ),
        (
            Fly(0.1 @ (Y * Concat(X, Linspace("x", 700, 705, 3)))),
            "all lines must have the same number of frames, found 3 to 5",
        ),
        (
            Fly(
                0.1
                @ Concat(
                    Static("y", 0) * X, Static("y", 1) * Linspace("x", 605, 615, 5)
                )
            ),
            "all lines must have the same ends along x",
        ),
        (Fly(0.1 @ Spiral("x", 1, 10, 2.5, "y", 5, 50)), "found Spiral"),
        (Fly(0.1 @ Ellipse("x", 0, 5, 0.5, "y", 0, 5)), "found Ellipse"),
        ("Y * X", "found str"),
    ],
)
def test_what_is_no_map_is_named(spec, found):
    assert found in refused(spec)


def test_other_fields_are_checked_as_ever():
    with pytest.raises(InvalidScanSpecError, match="gap fill passes"):
        from_scanspec(Fly(0.1 @ (Y * X)), gap_fill_passes=11, **REST)


def test_missing_scanspec_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scanspec", None)
    with pytest.raises(ModuleNotFoundError, match=r"aefi-bluesky\[scanspec\]"):
        to_scanspec(a_plan().spec)


def test_adapter_is_imported_without_scanspec():
    code = (
        "import sys, aefi_bluesky.interop.scanspec_adapter;"
        "print('scanspec' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
