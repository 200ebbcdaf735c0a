"""``aefi study`` plans studies in a data folder; what is wrong is one sentence."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from aefi_bluesky.cli import aefi, main
from aefi_bluesky.domain.spec.fly_spec import Excitation
from aefi_bluesky.domain.spec.step_spec import PointSpec
from aefi_bluesky.domain.study.study import StudyState
from aefi_bluesky.session.spec_files import write_spec
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.testing.builders import a_spec, a_step_spec


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def stored(folder):
    return lambda name="ball": SqliteStudyRepository(folder / "studies.sqlite").get(
        name
    )


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.json"
    write_spec(a_spec(), path)
    return str(path)


@pytest.fixture
def study(folder):
    """Runs ``aefi study`` in the folder; returns what it prints."""

    def run(command, *words):
        words = ["study", command, "--folder", str(folder), *words]
        done = CliRunner().invoke(aefi, words, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture
def refusal(folder, monkeypatch, capsys):
    """Runs ``aefi study`` with words that it refuses; returns the one sentence."""

    def run(command, *words, folder=folder):
        arguments = ["aefi", "study", command, "--folder", str(folder), *words]
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 1
        said = capsys.readouterr()
        assert said.out == ""
        (sentence,) = said.err.splitlines()
        assert sentence.startswith("aefi: ")
        return sentence

    return run


@pytest.fixture
def planned(study, spec):
    """The words that plan a study of two scans."""
    study("create", "ball", "--object", "steel ball", "--operator", "me")
    study("configure", "ball", "--bench", "simulated")
    study("add-scan", "ball", "r", spec, "--role", "reference")
    study("add-scan", "ball", "o", spec, "--role", "object", "--reference", "r")


def test_study_is_planned_word_by_word(study, stored, spec):
    study(
        *("create", "ball", "--object", "steel ball", "--operator", "me"),
        *("--size", "20", "20", "20", "--depth", "15"),
        *("--medium", "sand", "--lift-off", "5"),
    )
    measured = stored().measured_object
    assert (measured.reference, measured.size_mm) == ("steel ball", (20.0, 20.0, 20.0))
    assert (measured.depth_mm, measured.medium) == (15.0, "sand")
    assert (measured.lift_off_mm, stored().operator) == (5.0, "me")
    study("configure", "ball", "--bench", "simulated")
    assert stored().bench.name == "simulated"
    study("add-scan", "ball", "r", spec, "--role", "reference")
    study("add-scan", "ball", "p", spec, "--role", "pre-scan")
    study(
        *("add-scan", "ball", "o", spec, "--role", "object"),
        *("--reference", "r", "--after", "p", "--after", "r"),
    )
    scan = stored().scan("o")
    assert (scan.spec, scan.role) == (a_spec(), "object")
    assert (scan.reference, scan.prerequisites) == ("r", ("p", "r"))
    assert study("next", "ball") == (
        "r (reference): 9 x 9 frames, x 590 to 610 mm, y 590 to 610 mm, 32.7 mm/s\n"
    )


def test_spec_comes_from_standard_input(study, folder, stored):
    study("create", "ball", "--object", "steel ball")
    study("configure", "ball", "--bench", "simulated")
    words = ["study", "add-scan", "ball", "r", "-", "--role", "reference"]
    text = json.dumps(a_spec().to_plain())
    done = CliRunner().invoke(aefi, [*words, "--folder", str(folder)], input=text)
    assert done.exit_code == 0, done.output
    assert stored().scan("r").spec == a_spec()


def test_scans_at_rest_are_planned_as_others_are(study, stored, tmp_path):
    study("create", "ball", "--object", "steel ball")
    study("configure", "ball", "--bench", "simulated")
    point = PointSpec(620.0, 600.0, 10, Excitation.off())
    for name, spec in (("map", a_step_spec()), ("point", point)):
        write_spec(spec, path := tmp_path / f"{name}.json")
        study("add-scan", "ball", name, str(path), "--role", "pre-scan")
        assert stored().scan(name).spec == spec
    assert study("next", "ball") == (
        "map (pre-scan): 2 x 3 frames, x 598 to 602 mm, y 596 to 604 mm, step-map, "
        "6 measurements\n"
    )
    study("cancel", "ball", "map", "--cause", "enough")
    assert study("next", "ball") == (
        "point (pre-scan): x 620 mm, y 600 mm, point, 1 measurements\n"
    )


@pytest.mark.usefixtures("planned")
def test_scan_is_cancelled_and_retried_under_a_new_name(study, stored):
    study("cancel", "ball", "r", "--cause", "too slow")
    assert stored().scan("r").cause == "too slow"
    study("retry", "ball", "r", "r2")
    assert stored().scan("r2").retry_of == "r"
    page = study("show", "ball")
    assert "r2    reference, retry of r" in page
    assert "too slow" in page


@pytest.mark.usefixtures("planned")
def test_study_is_given_up_and_closed_for_good(study, stored, refusal):
    assert "must be in-progress to be completed" in refusal("complete", "ball")
    study("abort", "ball", "--cause", "the ball is lost")
    assert {str(scan.state) for scan in stored().scans} == {"cancelled"}
    study("archive", "ball")
    assert stored().state is StudyState.ARCHIVED
    assert "archived study is immutable" in refusal("retry", "ball", "r", "r2")


@pytest.mark.usefixtures("planned")
def test_study_whose_scans_are_over_is_completed(study, stored, folder):
    repository = SqliteStudyRepository(folder / "studies.sqlite")
    flown = repository.get("ball")
    flown.start_scan("r")
    flown.fail_scan("r", "a test")
    repository.save(flown)
    study("cancel", "ball", "o", "--cause", "a test")
    study("complete", "ball")
    assert stored().state is StudyState.COMPLETED


@pytest.mark.usefixtures("planned")
def test_lost_scan_is_recovered_once(study, stored, folder):
    repository = SqliteStudyRepository(folder / "studies.sqlite")
    flown = repository.get("ball")
    flown.start_scan("r")
    repository.save(flown)
    assert study("recover", "ball").startswith(
        "scan r failed: the program that carried this scan out died"
    )
    assert str(stored().scan("r").state) == "failed"
    assert study("recover", "ball") == "Nothing to recover.\n"


@pytest.mark.usefixtures("planned")
def test_studies_are_listed_and_shown(study, stored):
    study("create", "cube", "--object", "a cube", "--operator", "you")
    rows = [line.split() for line in study("list").splitlines()]
    assert [row[0] for row in rows] == ["study", "ball", "cube"]
    assert rows[1][1:3] == ["configured", "0/2"]
    assert json.loads(study("show", "ball", "--json")) == stored().to_plain()
    page = study("show", "ball")
    assert "object    steel ball\n" in page
    assert "o     object     pending  r" in page
    assert "not configured yet" in study("show", "cube")


def test_folder_without_studies_is_left_as_it_is(study, refusal, folder):
    assert study("list") == f"No studies in {folder}.\n"
    assert f"data folder {folder} has no studies" in refusal("show", "ball")
    assert not folder.exists()


# -- refusals --------------------------------------------------------------------------


@pytest.mark.usefixtures("planned")
@pytest.mark.parametrize(
    "words",
    [
        ("show", "bal"),
        ("next", "bal"),
        ("configure", "bal"),
        ("cancel", "bal", "r", "--cause", "x"),
        ("retry", "bal", "r", "r2"),
        ("complete", "bal"),
        ("abort", "bal", "--cause", "x"),
        ("archive", "bal"),
        ("recover", "bal"),
        ("run", "bal", "--virtual"),
    ],
    ids=lambda words: words[0],
)
def test_unknown_study_is_refused_with_the_nearest(refusal, words):
    assert "no study is called 'bal'; did you mean 'ball'?" in refusal(*words)


@pytest.mark.usefixtures("planned")
def test_unknown_scan_is_refused_with_what_is_planned(refusal, spec):
    words = ("add-scan", "ball", "o2", spec, "--role", "object", "--reference", "x")
    assert "there is no scan 'x', the planned scans are 'r', 'o'" in refusal(*words)
    words = ("cancel", "ball", "x", "--cause", "x")
    assert "there is no scan 'x'" in refusal(*words)


@pytest.mark.usefixtures("planned")
def test_scan_without_its_prerequisite_is_not_flown(study, refusal):
    study("cancel", "ball", "r", "--cause", "x")
    sentence = refusal("run", "ball", "--virtual")
    assert "prerequisites are completed first: scan 'o' waits for 'r'" in sentence
    assert sentence in refusal("next", "ball")


@pytest.mark.usefixtures("planned")
def test_spec_with_a_misspelt_key_is_refused_with_the_nearest(refusal, tmp_path):
    plain = a_spec().to_plain()
    plain["speed_mm_per_sec"] = plain.pop("speed_mm_per_s")
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(plain))
    sentence = refusal("add-scan", "ball", "x", str(path), "--role", "pre-scan")
    assert f"spec file {path}: " in sentence
    assert "'speed_mm_per_sec'; did you mean 'speed_mm_per_s'?" in sentence


@pytest.mark.usefixtures("planned")
def test_study_in_the_wrong_state_is_not_flown(study, refusal):
    study("abort", "ball", "--cause", "x")
    sentence = refusal("run", "ball", "--virtual")
    assert "'ball' must be configured or in-progress to run a scan" in sentence


def test_study_without_a_bench_gets_no_scan(study, refusal, spec):
    study("create", "ball", "--object", "steel ball")
    sentence = refusal("add-scan", "ball", "r", spec, "--role", "reference")
    assert "must be configured or in-progress to get a scan" in sentence


@pytest.mark.usefixtures("planned")
def test_taken_name_is_refused(refusal):
    assert "'ball' is taken" in refusal("create", "ball", "--object", "x")


def test_folder_that_cannot_be_written_is_named(refusal, tmp_path):
    folder = tmp_path / "a file"
    folder.touch()
    sentence = refusal("create", "ball", "--object", "x", folder=folder)
    assert f"study file {folder / 'studies.sqlite'} cannot be written" in sentence


@pytest.mark.usefixtures("planned")
def test_refused_run_starts_nothing(refusal, folder):
    refusal("run", "nobody")
    assert not (folder / "tiled").exists()


def test_planning_imports_no_bluesky():
    code = (
        "import sys, aefi_bluesky.cli.study;"
        "print({'bluesky', 'ophyd', 'tiled', 'h5py'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
