import json

import numpy as np
import pytest

from aefi_bluesky.views.truth import Truth, judge

MS = 1_000_000


@pytest.fixture
def truth(tmp_path):
    """One axis at rest at 100 steps, the other cruising at 1000 steps/s from 0."""
    lines = [
        {"axis": "x", "t0_ns": 0, "t1_ns": None, "p0": 100.0, "v": 0.0, "a": 0.0},
        {"axis": "y", "t0_ns": 0, "t1_ns": None, "p0": 0.0, "v": 999.0, "a": 0.0},
        {"axis": "y", "t0_ns": 0, "t1_ns": 9 * MS, "p0": 0.0, "v": 1000.0, "a": 0.0},
        {"axis": "z", "t0_ns": 0, "t1_ns": None, "p0": 0.0, "v": 0.0, "a": 0.0},
        {"conversion": [2 * MS, 4 * MS]},
        {"conversion": [12 * MS, 14 * MS]},
        {"command": "STOP", "axis": None, "t_ns": 9},
        {"drive": [0.0, 0.0, 0.3, -0.4], "t_ns": 3 * MS},
        {"drive": [0.0, 0.0, 0.0, 0.0], "t_ns": 8 * MS},
    ]
    path = tmp_path / "truth.jsonl"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text + '{"conversion": [22')
    return Truth.read(path)


def readings(**changed):
    columns = {
        "t_start": np.array([1 * MS, 11 * MS]),
        "t_end": np.array([5 * MS, 15 * MS]),
        **{f"x{end}": np.array([v, v]) for end, v in (("", 1.0), ("_lo", 0.99))},
        "x_hi": np.array([1.01, 1.01]),
        "y": np.array([0.03, 0.13]),
        "y_lo": np.array([0.02, 0.12]),
        "y_hi": np.array([0.04, 0.14]),
    }
    return columns | changed


SCALE = {"x": 0.01, "y": 0.01}


def test_the_drive_holds_until_it_changes(truth):
    levels = [truth.level_at(at * MS) for at in (2, 3, 7, 8, 20)]
    assert levels == [0.0, 0.5, 0.5, 0.0, 0.0]


def test_a_later_line_of_a_segment_holds_and_a_torn_end_is_left_out(truth):
    assert len(truth.conversions) == 2
    assert truth.position_steps("y", np.array([3 * MS])) == pytest.approx([3.0])


def test_readings_are_judged_in_the_middle_of_their_conversion(truth):
    report = judge(readings(), truth, 0, SCALE)
    assert report.n_judged == 2
    assert report.inside_fraction == 1.0
    assert report.rms_error_um == pytest.approx(0.0, abs=1e-9)
    assert report.median_interval_um == pytest.approx(20.0)


def test_a_truth_outside_its_interval_is_counted(truth):
    report = judge(readings(y_lo=np.array([0.02, 0.131])), truth, 0, SCALE)
    assert report.inside_fraction == 0.5


def test_a_reading_without_a_place_or_a_conversion_is_not_judged(truth):
    nowhere = readings(x=np.array([np.nan, 1.0]))
    assert judge(nowhere, truth, 0, SCALE).n_judged == 1
    later = readings(
        t_start=np.array([1 * MS, 30 * MS]), t_end=np.array([5 * MS, 40 * MS])
    )
    assert judge(later, truth, 0, SCALE).n_judged == 1
