"""bluesky-queueserver takes every public plan by name, and refuses wrong arguments.

No Redis and no manager: these are the functions that both clients and manager call.
"""

from importlib import resources
from typing import Any

import pytest
from bluesky_queueserver import validate_plan
from bluesky_queueserver.manager.profile_ops import (
    existing_plans_and_devices_from_nspace,
    load_allowed_plans_and_devices,
    load_user_group_permissions,
    prepare_plan,
)

from aefi_bluesky import plans
from aefi_bluesky.application.in_memory import InMemoryStudyRepository
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.devices import (
    AefiFlyer,
    BenchCalibration,
    BenchConstants,
    BenchMeter,
    ExcitationSource,
    FieldSensor,
    StageAxis,
)
from aefi_bluesky.domain.bench.calibration import Calibration
from aefi_bluesky.plans import device_names
from aefi_bluesky.plans.run_maker import RunMaker
from aefi_bluesky.testing.builders import a_bench
from aefi_bluesky.testing.fakes import FakeScanPort

ZONE = {
    "x_min_mm": 600,
    "x_max_mm": 620.0,
    "n_x": 3,
    "y_min_mm": 600,
    "y_max_mm": 620.0,
    "n_y": 9,
}
MAP = {"flyer": "flyer", **ZONE}

LINE = {
    "flyer": "flyer",
    "slow_mm": 600.0,
    "fast_min_mm": 600,
    "fast_max_mm": 620.0,
    "n_frames": 9,
}
METER = {
    "meter": "bench_meter",
    "excitation": "excitation",
    "calibration": "calibration",
}

AT_REST = {
    "stage_x": "stage_x",
    "stage_y": "stage_y",
    "sensor": "sensor",
    "excitation": "excitation",
}
AT_PLACE = {**AT_REST, "x_mm": 600, "y_mm": 610.5}
LAG_LINE = {
    "flyer": "flyer",
    "calibration": "calibration",
    "slow_mm": 600.0,
    "fast_min_mm": 520.0,
    "fast_max_mm": 700.0,
}

GOOD = {
    "fly_map": MAP,
    "differential_map": MAP,
    "step_map": {**AT_REST, **ZONE},
    "measure_point": AT_PLACE,
    "time_series": {**AT_PLACE, "count": 10},
    "frequency_sequence": {**AT_PLACE, "frequencies_hz": [100, 1e3]},
    "calibrate_lag": LAG_LINE,
    "fly_line": LINE,
    "fly_lines": {"flyer": "flyer"},
    "fly_in_run": {"flyer": "flyer", "plan": {}},
    "characterise_bench": METER,
    "run_study": {"study_id": "flyer", "all_scans": True},
}
"""Arguments of every public plan, as a client gives them."""

PUBLIC = sorted({*plans.__all__} - {"study_plan"} | {"run_study"})
"""Every public plan; one is bound to a session's studies first."""

PARTS = {"fly_lines", "fly_in_run"}
"""What is public for the authors of plans, and alone is none."""

BAD = [
    ("fly_map", MAP | {"flyer": "nobody"}, "Input should be 'flyer'"),
    ("fly_map", MAP | {"flyer": "bench"}, "Input should be 'flyer'"),
    ("fly_map", MAP | {"flyer": ["flyer"]}, "Input should be 'flyer'"),
    ("fly_map", ZONE, "missing a required argument: 'flyer'"),
    ("fly_map", MAP | {"n_x": "many"}, "n_x\n  Input should be a valid integer"),
    ("fly_map", MAP | {"n_x": 3.5}, "n_x\n  Input should be a valid integer"),
    ("fly_map", MAP | {"x_min_mm": "left"}, "Input should be a valid number"),
    ("fly_map", MAP | {"pattern": "zigzag"}, "'serpentine', 'raster' or 'comb'"),
    ("fly_map", MAP | {"fast_axis": "z"}, "Input should be 'x' or 'y'"),
    ("fly_map", MAP | {"excitation_mode": "none"}, "Input should be 'x-dir', "),
    ("fly_map", MAP | {"trigger": "always"}, "Input should be 'free-running', "),
    ("fly_map", MAP | {"md": "a note"}, "Input should be a valid dictionary"),
    ("fly_map", MAP | {"velocity": 1.0}, "unexpected keyword argument 'velocity'"),
    ("fly_lines", {"flyer": "nobody"}, "Input should be 'flyer'"),
    ("fly_in_run", {"flyer": "nobody", "plan": {}}, "Input should be 'flyer'"),
    ("fly_line", LINE | {"n_frames": 3.5}, "Input should be a valid integer"),
    ("fly_line", LINE | {"fast_axis": "z"}, "Input should be 'x' or 'y'"),
    ("differential_map", MAP | {"repeats": "twice"}, "valid integer"),
    ("step_map", {**AT_REST, **ZONE, "sensor": "nobody"}, "Input should be "),
    ("step_map", {**AT_REST, **ZONE, "settle_s": "long"}, "valid number"),
    ("measure_point", AT_PLACE | {"x_mm": "here"}, "valid number"),
    ("time_series", AT_PLACE, "missing a required argument: 'count'"),
    ("frequency_sequence", {**AT_PLACE, "frequencies_hz": 5.0}, "valid list"),
    ("calibrate_lag", LAG_LINE | {"calibration": "flyer"}, "Input should be "),
    ("characterise_bench", METER | {"meter": "nobody"}, "Input should be "),
    ("characterise_bench", METER | {"meter": "stage_x"}, "Input should be "),
    ("characterise_bench", METER | {"n_avg": "ten"}, "valid integer"),
    ("run_study", {}, "missing a required argument: 'study_id'"),
    ("run_study", {"study_id": 7}, "study_id\n  Input should be a valid string"),
    ("run_study", {"study_id": ["ball"]}, "Input should be a valid string"),
    ("run_study", {"study_id": "ball", "all_scans": "most"}, "valid boolean"),
    ("run_study", {"study_id": "ball", "md": "a note"}, "valid dictionary"),
    ("run_study", {"study_id": "ball", "flyer": "flyer"}, "argument 'flyer'"),
]


class NothingMeasured:
    def load(self):
        return Calibration(a_bench().name)

    def save(self, calibration):
        raise AssertionError("nothing is measured here")


def no_samples(_uid):
    raise AssertionError("nothing flies here")


def a_flyer():
    return AefiFlyer(FakeScanPort(), a_bench(), no_samples, name="flyer")


def a_study_plan():
    studies = StudyService(InMemoryStudyRepository(), FakeScanPort(), a_bench())
    nothing: Any = None  # none of them is asked for anything
    return plans.study_plan(studies, RunMaker(a_flyer(), nothing, nothing))


@pytest.fixture(scope="module")
def known():
    """What the manager knows of a session: its plans and devices."""
    flyer = a_flyer()
    session = {name: getattr(plans, name) for name in plans.__all__}
    del session["study_plan"]  # no plan, but what makes one
    session["run_study"] = a_study_plan()
    session["flyer"] = flyer
    session["bench"] = BenchConstants(a_bench(), name="bench")
    nothing: Any = None  # none of them is asked for anything
    session["excitation"] = ExcitationSource(nothing, flyer, name="excitation")
    session["stage_x"] = StageAxis(nothing, a_bench(), "x", name="stage_x")
    session["stage_y"] = StageAxis(nothing, a_bench(), "y", name="stage_y")
    session["sensor"] = FieldSensor(nothing, a_bench(), name="sensor")
    session["bench_meter"] = BenchMeter(nothing, nothing, a_bench(), name="bench_meter")
    session["calibration"] = BenchCalibration(
        NothingMeasured(), lambda _calibration: None, name="calibration"
    )
    existing = existing_plans_and_devices_from_nspace(nspace=session)
    return existing[:2]


@pytest.fixture(scope="module")
def allowed(known):
    """The same as the shipped permissions leave it to the default group."""
    shipped = resources.files("aefi_bluesky.profiles") / "qserver"
    with resources.as_file(shipped / "user_group_permissions.yaml") as path:
        permissions = load_user_group_permissions(str(path))
    existing_plans, existing_devices = known
    by_group = load_allowed_plans_and_devices(
        user_group_permissions=permissions,
        existing_plans=existing_plans,
        existing_devices=existing_devices,
    )
    return tuple(each["primary"] for each in by_group)


def validate(known, plan, arguments):
    item = {"item_type": "plan", "name": plan, "kwargs": arguments}
    return validate_plan(item, allowed_plans=known[0], allowed_devices=known[1])


def test_every_public_plan_is_tried_here():
    assert set(GOOD) == set(PUBLIC)


@pytest.mark.parametrize("plan", sorted({*PUBLIC} - PARTS))
def test_every_parameter_has_a_type_that_is_checked(known, plan):
    # A hint that queueserver does not understand is dropped without a word.
    parameters = known[0][plan]["parameters"]
    assert [each["name"] for each in parameters if "annotation" not in each] == []


@pytest.mark.parametrize("plan", PUBLIC)
def test_every_parameter_is_described_to_clients(known, plan):
    parameters = known[0][plan]["parameters"]
    assert [each["name"] for each in parameters if "description" not in each] == []


@pytest.mark.parametrize("plan", PUBLIC)
def test_plain_arguments_are_taken(known, plan):
    assert validate(known, plan, GOOD[plan]) == (True, "")


@pytest.mark.parametrize(("plan", "arguments", "message"), BAD)
def test_wrong_arguments_are_refused_when_submitted(known, plan, arguments, message):
    taken, why = validate(known, plan, arguments)
    assert not taken
    assert message in why


def test_every_public_plan_has_a_wrong_argument_here():
    assert {plan for plan, _, _ in BAD} == set(PUBLIC)


@pytest.mark.parametrize("plan", PUBLIC)
def test_the_shipped_permissions_allow_plans_but_no_parts_of_them(allowed, plan):
    taken, why = validate(allowed, plan, GOOD[plan])
    assert taken == (plan not in PARTS), why


def test_the_shipped_permissions_allow_the_sessions_devices(allowed):
    assert set(allowed[1]) == {
        *("flyer", "bench", "excitation", "stage_x", "stage_y", "sensor"),
        *("bench_meter", "calibration"),
    }


def test_a_study_called_like_a_device_stays_a_text(known):
    existing_plans, existing_devices = known
    parsed = prepare_plan(
        {"name": "run_study", "kwargs": GOOD["run_study"], "user_group": "primary"},
        plans_in_nspace={"run_study": a_study_plan()},
        devices_in_nspace={"flyer": a_flyer()},
        allowed_plans={"primary": existing_plans},
        allowed_devices={"primary": existing_devices},
    )
    assert parsed["args"] == ["flyer", True]


def test_without_queueserver_a_plan_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(device_names, "queueserver", None)

    def plan(flyer):
        yield

    assert device_names.device_names(flyer=device_names.FLYERS)(plan) is plan
