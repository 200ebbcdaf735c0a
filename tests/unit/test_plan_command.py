"""``aefi plan`` prints a plan or every reason why there is none, and moves nothing."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from aefi_bluesky.cli import aefi
from aefi_bluesky.domain.errors import ConfigurationError, InvalidScanSpecError
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import Excitation, Pattern, Zone
from aefi_bluesky.domain.spec.step_spec import (
    FrequencySequenceSpec,
    PointSpec,
    StepMapSpec,
    TimeSeriesSpec,
)
from aefi_bluesky.domain.step.planning import plan_steps
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.spec_files import write_spec
from aefi_bluesky.testing.builders import a_spec

BENCH = load_bench("simulated").description()


@pytest.fixture
def plan(tmp_path):
    def run(spec, *options, status=0):
        path = tmp_path / "spec.json"
        write_spec(spec, path)
        done = CliRunner().invoke(aefi, ["plan", str(path), *options])
        assert done.exit_code == status, done.output
        return done.output

    return run


def test_table_has_what_is_asked_before_a_flight(plan):
    table = plan(a_spec(), "--noise", "1e-4")
    names = [line.split()[0] for line in table.splitlines()]
    assert names == [
        *("lines", "frames", "run-up", "duration", "readings", "fixes", "memory"),
        *("stall", "noise"),
    ]


def test_json_is_the_plan(plan):
    facts = json.loads(plan(a_spec(), "--json", "--from", "600", "610"))
    planned = plan_flight(a_spec(), BENCH, rests_at=(600.0, 610.0))
    assert facts["feasible"] is True
    assert (facts["lines"], facts["frames"]) == (9, 81)
    assert facts["duration_s"] == planned.duration_s
    assert facts["duration_error_s"] == planned.duration_error_s
    assert facts["digest"] == planned.digest


def test_every_violation_is_printed_with_its_change(plan):
    spec = a_spec(speed_mm_per_s=200.0, n_x=90)
    text = plan(spec, "--memory", "0.1", status=1)
    assert text.startswith("This scan can't fly:")
    assert "(fly at 109 mm/s)" in text
    assert "lines at most along x)" in text
    report = json.loads(plan(spec, "--memory", "0.1", "--json", status=1))
    assert report["feasible"] is False
    rules = [violation["rule"] for violation in report["violations"]]
    few = ["readings per frame", "fixes per frame"]
    assert rules == ["speed", *few, "memory"]
    assert report["violations"][0]["limit"] == pytest.approx(109.0)


def test_change_is_a_parameter_and_a_value_in_json(plan):
    report = plan(a_spec(speed_mm_per_s=500.0), "--json", status=1)
    found = next(
        each
        for each in json.loads(report)["violations"]
        if each["rule"] == "readings per frame"
    )
    change = found["change"]
    assert (change["parameter"], change["unit"]) == ("speed_mm_per_s", "mm/s")
    assert found["suggestion"] == f"fly at {change['value']:.12g} mm/s at most"
    assert found["fails_for_certain"] is True


def test_violation_without_a_number_is_null_in_json(plan):
    spec = a_spec().to_plain() | {"trigger": {"kind": "latch"}}
    report = plan(type(a_spec()).from_plain(spec), "--json", status=1)
    assert json.loads(report)["violations"][0]["limit"] is None


AT_REST = {"x_mm": 600.0, "y_mm": 600.0, "n_avg": 10, "excitation": Excitation.off()}
AT_REST_SPECS = {
    "step-map": StepMapSpec(
        zone=Zone.of_pixels(600.0, 600.0, 3, 3, 2.5),
        n_x=3,
        n_y=3,
        pattern=Pattern.RASTER,
        fast_axis="x",
        n_avg=10,
        excitation=Excitation.off(),
    ),
    "point": PointSpec(**AT_REST),
    "time-series": TimeSeriesSpec(**AT_REST, count=10),
    "frequency-sequence": FrequencySequenceSpec(**AT_REST, frequencies_hz=(1e3, 2e3)),
}


@pytest.mark.parametrize("kind", AT_REST_SPECS)
def test_spec_of_every_kind_is_planned(plan, kind):
    spec = AT_REST_SPECS[kind]
    planned = plan_steps(spec, BENCH, rests_at=(600.0, 610.0))
    facts = json.loads(plan(spec, "--json", "--from", "600", "610"))
    assert facts == {
        "feasible": True,
        "bench": BENCH.name,
        "kind": kind,
        "measurements": planned.n_measurements,
        "duration_s": planned.duration_s,
        "duration_error_s": planned.duration_error_s,
    }
    table = plan(spec).splitlines()
    names = [line.split()[0] for line in table]
    assert names == ["kind", "measurements", "duration"]


def test_measurement_out_of_reach_is_refused_with_its_change(plan):
    text = plan(PointSpec(**{**AT_REST, "x_mm": -1.0}), status=1)
    assert text.startswith("This scan can't be measured:\n- axis x: -1 mm is outside")


@pytest.mark.parametrize("option", ["--noise", "--memory", "--stall"])
def test_option_about_flights_is_refused_for_what_is_at_rest(plan, option):
    text = plan(PointSpec(**AT_REST), option, "1", status=2)
    assert "are only for flights" in text
    assert "'point'" in text


def test_table_says_that_lines_are_muted(plan):
    table = plan(a_spec(differential=True, repeats=2))
    lines = table.splitlines()[0]
    assert lines == "lines           36, at 32.7 mm/s, every second one muted"


def test_spec_comes_from_standard_input():
    text = json.dumps(a_spec().to_plain())
    done = CliRunner().invoke(aefi, ["plan", "-"], input=text)
    assert done.exit_code == 0
    assert done.output.startswith("lines           9, at 32.7 mm/s")


def test_bench_is_chosen_by_name_or_path(plan, tmp_path):
    slow = json.loads(plan(a_spec(), "--json", "--bench", "aefi"))
    assert slow["bench"] == "aefi"
    done = CliRunner().invoke(aefi, ["plan", "-", "--bench", "no bench"], input="{}")
    assert isinstance(done.exception, (ConfigurationError, InvalidScanSpecError))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--memory", "nan"), ConfigurationError),
        (("--stall", "0"), ConfigurationError),
        (("--noise", "-1"), InvalidScanSpecError),
        (("--from", "nan", "0"), InvalidScanSpecError),
    ],
)
def test_option_out_of_range_is_refused(tmp_path, options, error):
    path = tmp_path / "spec.json"
    write_spec(a_spec(), path)
    done = CliRunner().invoke(aefi, ["plan", str(path), *options])
    assert isinstance(done.exception, error)


def test_bad_file_is_one_sentence_on_stderr(tmp_path):
    command = [sys.executable, "-m", "aefi_bluesky", "plan", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("aefi: spec file ")
    assert len(done.stderr.splitlines()) == 1


def test_planning_imports_no_bluesky():
    code = (
        "import sys, aefi_bluesky.cli.plan;"
        "print({'bluesky', 'ophyd', 'tiled'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
