"""What a scan spec accepts, refuses and means."""

import json
import math

import numpy as np
import pytest

from aefi_bluesky.domain.errors import InvalidScanSpecError
from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    ExcitationMode,
    FlyScanSpec,
    Pattern,
    Trigger,
    TriggerKind,
    Zone,
)
from aefi_bluesky.testing.builders import a_plan, a_spec

NO_NUMBERS = [math.nan, math.inf, -math.inf, True, None, "1", 10**400]


@pytest.mark.parametrize("bad", NO_NUMBERS)
@pytest.mark.parametrize("place", range(4))
def test_zone_refuses_what_is_no_number(place, bad):
    ends = [0.0, 10.0, 0.0, 10.0]
    ends[place] = bad
    with pytest.raises(InvalidScanSpecError, match=r"zone: [xy] (min|max) must be"):
        Zone(*ends)


def test_zone_refuses_a_minimum_above_its_maximum():
    with pytest.raises(InvalidScanSpecError, match="y min must not be above y max"):
        Zone(0.0, 10.0, 5.0, 4.0)


def test_centred_zone_has_its_width_along_x_and_its_height_along_y():
    assert Zone.centred(100, 200, 20, 40) == Zone(90.0, 110.0, 180.0, 220.0)


@pytest.mark.parametrize("width", [*NO_NUMBERS, -1.0])
def test_centred_zone_refuses_a_wrong_width(width):
    with pytest.raises(InvalidScanSpecError, match="width"):
        Zone.centred(0.0, 0.0, width, 1.0)


@pytest.mark.parametrize("bad", NO_NUMBERS)
@pytest.mark.parametrize("place", [0, 1])
def test_centred_zone_refuses_a_wrong_centre(place, bad):
    centre = [0.0, 0.0]
    centre[place] = bad
    with pytest.raises(InvalidScanSpecError, match="centre"):
        Zone.centred(*centre, 1.0, 1.0)


@pytest.mark.parametrize("bad", [*NO_NUMBERS, 0.0, -32.7])
def test_speed_must_be_above_zero(bad):
    with pytest.raises(InvalidScanSpecError, match=r"speed must be .* mm/s, was"):
        a_spec(speed_mm_per_s=bad)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("n_x", 0),
        ("n_x", -3),
        ("n_y", 2.0),
        ("n_y", True),
        ("n_avg", 0),
        ("n_avg", 128),
        ("min_readings_per_frame", 0),
        ("allowed_bad_frames", -1),
        ("allowed_bad_frames", math.nan),
    ],
)
def test_counts_are_whole_and_in_range(field, bad):
    with pytest.raises(InvalidScanSpecError, match="must be a whole number"):
        a_spec(**{field: bad})


@pytest.mark.parametrize("axis", ["z", "X", None])
def test_fast_axis_is_x_or_y(axis):
    with pytest.raises(InvalidScanSpecError, match="fast axis must be 'x' or 'y'"):
        a_spec(fast_axis=axis)


def test_pattern_as_text_is_refused():
    with pytest.raises(InvalidScanSpecError, match="of type Pattern, was 'comb'"):
        a_spec(pattern="comb")


@pytest.mark.parametrize("field", ["zone", "excitation"])
def test_part_of_another_kind_is_refused(field):
    with pytest.raises(InvalidScanSpecError, match=f"{field} must be of type"):
        a_spec(**{field: None})


@pytest.mark.parametrize(
    "bad",
    [
        {"zone": (0.0, 1.0, -1e308, 1e308)},
        {"zone": (0.0, 1000.1e3, 0.0, 1.0)},
        {"speed_mm_per_s": 1e308},
        {"n_y": 10**400},
        {"min_readings_per_frame": 10**400},
        {"n_x": 10_000, "n_y": 10_000},
    ],
)
def test_what_no_bench_has_is_refused(bad):
    with pytest.raises(InvalidScanSpecError, match=r"from -?1|at most 10000000"):
        a_spec(**{k: Zone(*v) if k == "zone" else v for k, v in bad.items()})


def test_line_without_length_is_refused():
    with pytest.raises(InvalidScanSpecError, match="need y min below y max"):
        a_spec(zone=Zone(0.0, 10.0, 5.0, 5.0))


def test_line_of_one_frame_is_refused():
    with pytest.raises(InvalidScanSpecError, match="at least 2 frames along its fast"):
        a_spec(n_y=1)


def test_comb_needs_its_line_along_y():
    with pytest.raises(InvalidScanSpecError, match="fast axis y, had 1"):
        a_spec(pattern=Pattern.COMB, fast_axis="x", n_y=1)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("level_s1s2_percent", 100.1),
        ("level_s1s2_percent", -0.1),
        ("level_s3s4_percent", math.nan),
        ("frequency_hz", 0.0),
        ("frequency_hz", 8.1e6),
        ("mode", "x-dir"),
    ],
)
def test_excitation_refuses_what_the_generator_cannot_do(field, bad):
    good = {
        "mode": ExcitationMode.X_DIR,
        "level_s1s2_percent": 10.0,
        "level_s3s4_percent": 10.0,
        "frequency_hz": 1000.0,
    }
    with pytest.raises(InvalidScanSpecError, match="excitation"):
        Excitation(**{**good, field: bad})


def test_pitch_counts_both_ends():
    spec = a_spec(zone=Zone(0.0, 200.0, 0.0, 100.0), n_x=81, n_y=11)
    assert spec.pitch_mm("x") == 2.5
    assert spec.pitch_mm("y") == 10.0


def test_one_line_lies_at_the_minimum():
    plan = a_plan(n_x=1)
    assert [line.slow_mm for line in plan.lines] == [590.0]
    assert set(plan.frame_x_mm) == {590.0}


@pytest.mark.parametrize(
    ("pattern", "fast_axis", "order"),
    [
        # (ix, iy) in the order of flight, on a grid of 2 (x) by 3 (y).
        (Pattern.RASTER, "x", [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)]),
        (Pattern.SERPENTINE, "x", [(0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (1, 2)]),
        (Pattern.RASTER, "y", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        (Pattern.SERPENTINE, "y", [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]),
        (Pattern.COMB, "x", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
        (Pattern.COMB, "y", [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]),
    ],
)
def test_pattern_gives_the_order_of_frames(pattern, fast_axis, order):
    plan = a_plan(pattern=pattern, fast_axis=fast_axis, n_x=2, n_y=3)
    indices = zip(plan.frame_ix.tolist(), plan.frame_iy.tolist(), strict=True)
    assert list(indices) == order


def test_frames_lie_on_the_exact_grid():
    plan = a_plan()
    np.testing.assert_array_equal(
        plan.frame_x_mm, np.linspace(590, 610, 9)[plan.frame_ix]
    )
    np.testing.assert_array_equal(
        plan.frame_y_mm, np.linspace(590, 610, 9)[plan.frame_iy]
    )


def test_spec_survives_plain_values():
    excitation = Excitation(ExcitationMode.CIRCULAR_PLUS, 10.0, 20.0, 1000.0)
    spec = a_spec(excitation=excitation, pattern=Pattern.COMB, allowed_bad_frames=3)
    assert FlyScanSpec.from_plain(spec.to_plain()) == spec


def test_unknown_key_names_the_nearest():
    plain = a_spec().to_plain()
    plain["speed_mm_s"] = plain.pop("speed_mm_per_s")
    with pytest.raises(InvalidScanSpecError, match="did you mean 'speed_mm_per_s'"):
        FlyScanSpec.from_plain(plain)


def test_missing_key_is_named():
    plain = a_spec().to_plain()
    del plain["zone"]["x_min_mm"]
    with pytest.raises(InvalidScanSpecError, match="zone: key 'x_min_mm' is missing"):
        FlyScanSpec.from_plain(plain)


@pytest.mark.parametrize(
    ("key", "bad", "message"),
    [
        ("pattern", "spiral", "must be one of serpentine, raster, comb"),
        ("zone", None, "zone must be a mapping"),
        ("excitation", [], "excitation must be a mapping"),
    ],
)
def test_wrong_plain_value_is_named(key, bad, message):
    with pytest.raises(InvalidScanSpecError, match=message):
        FlyScanSpec.from_plain({**a_spec().to_plain(), key: bad})


def test_optional_keys_have_their_defaults():
    plain = a_spec().to_plain()
    del plain["min_readings_per_frame"], plain["allowed_bad_frames"]
    assert FlyScanSpec.from_plain(plain) == a_spec()


def test_only_a_periodic_trigger_has_a_period():
    with pytest.raises(InvalidScanSpecError, match="only 'periodic' has a period"):
        Trigger(TriggerKind.POSITIONS, 0.1)
    with pytest.raises(InvalidScanSpecError, match="trigger: period"):
        Trigger(TriggerKind.PERIODIC)


def test_trigger_survives_plain_values():
    for trigger in (Trigger(), Trigger(TriggerKind.PERIODIC, 0.02)):
        spec = a_spec(trigger=trigger)
        assert FlyScanSpec.from_plain(json.loads(json.dumps(spec.to_plain()))) == spec
    plain = a_spec().to_plain() | {"trigger": {"kind": "position"}}
    with pytest.raises(InvalidScanSpecError, match="trigger must be one of free-runn"):
        FlyScanSpec.from_plain(plain)
