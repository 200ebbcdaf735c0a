"""A study as plain values: what comes back, and what is refused and how it is named."""

import copy
import json

import pytest

from aefi_bluesky.domain.bench.description import BenchDescription
from aefi_bluesky.domain.errors import ConfigurationError, StudyFormatError
from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.study import ScanRole, Study
from aefi_bluesky.testing.builders import a_bench, a_spec, a_study, an_object


@pytest.fixture
def study():
    study = a_study(scans=("r",))
    study.add_scan("o", a_spec(), ScanRole.OBJECT, reference="r")
    study.start_scan("r")
    study.fail_scan("r", "axis x: limit", "uid-1")
    study.retry_scan("r", "r2")
    return study


@pytest.fixture
def plain(study):
    return study.to_plain()


def test_study_survives_json(study, plain):
    again = Study.from_plain(json.loads(json.dumps(plain)))
    assert again == study
    assert again.take_events() == ()
    assert again.version == 0
    assert again.next_scan().id == "r2"
    assert again.scans == study.scans
    assert again.bench == a_bench()


@pytest.mark.parametrize("made", [an_object(), MeasuredObject("a cube")])
def test_object_survives_json(made):
    assert MeasuredObject.from_plain(json.loads(json.dumps(made.to_plain()))) == made


def test_new_study_survives_json():
    study = Study("s", an_object(), "me")
    assert Study.from_plain(json.loads(json.dumps(study.to_plain()))) == study


def test_bench_names_a_misspelt_key():
    plain = a_bench().to_plain()
    plain["motion"]["ramp"] = plain["motion"].pop("ramp_s")
    with pytest.raises(
        ConfigurationError, match=r"motion: .*'ramp'; did you mean 'ramp"
    ):
        BenchDescription.from_plain(plain)


@pytest.mark.parametrize(
    ("where", "key", "value", "message"),
    [
        (
            (),
            "operater",
            "me",
            "study: unknown key 'operater'; did you mean 'operator'",
        ),
        (("object",), "lift_of_mm", 3, "object: unknown key .* mean 'lift_off_mm'"),
        (("bench",), "nam", "b", "bench: unknown key 'nam'; did you mean 'name'"),
        (("scans", 0), "stat", "failed", "scan: unknown key 'stat'; .* 'state'"),
        (("scans", 0, "spec"), "n_z", 3, "scan spec: unknown key 'n_z'; did you mean"),
        (("scans", 0), "prerequisites", "r", "prerequisites of scan 'r' must be of ty"),
        (("scans", 1), "prerequisites", [3], "a prerequisite of scan 'o' must be of t"),
        (("scans", 0), "role", "objekt", "role must be one of reference, .*'objekt'"),
        (("scans", 0), "state", "flown", "state must be one of pending, .*'flown'"),
        ((), "state", "done", "state must be one of created, .* was 'done'"),
        ((), "format", 2, "format must be 1, was 2"),
        ((), "format", True, "format must be 1, was True"),
        ((), "scans", None, "scans must be of type list, was None"),
        ((), "id", 5, "identifier must be of type str, was 5"),
        ((), "operator", "", "operator must not be empty"),
        ((), "bench", [], r"bench must be a mapping, was \[\]"),
        ((), "object", None, "object must be a mapping, was None"),
    ],
)
def test_unreadable_study_is_named(plain, where, key, value, message):
    place = plain
    for step in where:
        place = place[step]
    place[key] = value
    with pytest.raises(StudyFormatError, match=message):
        Study.from_plain(plain)


@pytest.mark.parametrize(
    "key", ["format", "id", "object", "operator", "bench", "state", "scans"]
)
def test_missing_key_is_named(plain, key):
    del plain[key]
    with pytest.raises(StudyFormatError, match=key):
        Study.from_plain(plain)


@pytest.mark.parametrize("nothing", [None, [], "a study"])
def test_what_is_no_mapping_is_no_study(nothing):
    with pytest.raises(StudyFormatError, match="format must be 1, was None"):
        Study.from_plain(nothing)


def scan(plain, scan_id, **changes):
    (found,) = (each for each in plain["scans"] if each["id"] == scan_id)
    found.update(changes)


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda p: scan(p, "o", state="running"), "prerequisites are completed first"),
        (lambda p: scan(p, "o", reference=None), "every object scan names a matching"),
        (lambda p: scan(p, "o", reference="x"), "there is no scan 'x'"),
        (lambda p: p["scans"][1]["spec"].update(n_avg=3), "matching .* n_avg 3, found"),
        (lambda p: scan(p, "r", state="completed"), "only what did not complete is"),
        (lambda p: p["scans"].append(copy.deepcopy(p["scans"][0])), "'r' was taken"),
        (lambda p: p["scans"].reverse(), "there is no scan"),
        (lambda p: p.update(state="created"), "the study is created, but it has scans"),
        (lambda p: p.update(state="configured"), "but a scan was started"),
        (lambda p: p.update(state="completed"), "but scans are not over"),
        (lambda p: p.update(state="archived"), "but scans are not over"),
        (
            lambda p: p.update(bench=None),
            "the study is in-progress, but it has no bench",
        ),
        (
            lambda p: p.update(scans=[]),
            "the study is in-progress, but no scan was started",
        ),
        (lambda p: p.update(scans=[], state="created"), "created, but it has a bench"),
    ],
)
def test_study_that_no_calls_lead_to_is_refused(plain, break_it, message):
    break_it(plain)
    with pytest.raises(StudyFormatError, match=f"study 'study-1': .*{message}"):
        Study.from_plain(plain)


def test_two_active_scans_are_refused():
    plain = a_study(scans=("a", "b")).to_plain()
    plain["state"] = "in-progress"
    scan(plain, "a", state="running")
    scan(plain, "b", state="paused")
    with pytest.raises(StudyFormatError, match="one scan at a time"):
        Study.from_plain(plain)
