"""What was measured of a bench: applied, kept, and read back."""

import pytest
from click.testing import CliRunner

from aefi_bluesky.cli import aefi
from aefi_bluesky.cli.study.store import planning
from aefi_bluesky.devices.bench_calibration import BenchCalibration
from aefi_bluesky.domain.bench.calibration import Calibration
from aefi_bluesky.domain.errors import ConfigurationError, PortBusyError, StorageError
from aefi_bluesky.domain.study.events import StudyId
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.session.spec_files import write_spec
from aefi_bluesky.storage.local.calibration_file import CalibrationFile
from aefi_bluesky.testing.builders import a_bench, a_spec, an_object


@pytest.fixture
def bench():
    return a_bench()


@pytest.fixture
def file(tmp_path, bench):
    return CalibrationFile(tmp_path / "calibrations", bench.name)


def test_nothing_measured_changes_nothing(bench):
    assert Calibration(bench.name).applied_to(bench) == bench


def test_what_was_measured_takes_the_place_of_what_was_known(bench):
    measured = Calibration(bench.name).measured("uid", lag_s=0.02, fix_rate_hz=321.0)
    applied = measured.applied_to(bench)
    assert applied.detector.lag_s == 0.02
    assert applied.link.fix_rate_hz == 321.0
    assert applied.detector.reading_rate_hz == bench.detector.reading_rate_hz
    assert measured.runs == {"lag_s": "uid", "fix_rate_hz": "uid"}


def test_a_calibration_of_another_bench_is_refused(bench):
    with pytest.raises(ConfigurationError, match="'elsewhere'"):
        Calibration("elsewhere").applied_to(bench)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lag_s", -0.1),
        ("lag_s", float("nan")),
        ("reading_rate_hz", 0),
        ("fix_rate_hz", "many"),
        ("turnaround_s", 2),
        ("noise_v", (1e-6, -1.0)),
        ("noise_n_avg", 128),
    ],
)
def test_what_cannot_be_is_refused(bench, name, value):
    with pytest.raises(ConfigurationError, match="calibration"):
        Calibration(bench.name).measured("uid", **{name: value})


def test_a_file_gives_back_what_it_was_given(file, bench):
    assert file.load() == Calibration(bench.name)
    kept = Calibration(bench.name).measured(
        "uid", lag_s=0.01, noise_v=(1e-5,) * 6, noise_n_avg=10
    )
    file.save(kept)
    assert file.load() == kept


@pytest.mark.parametrize("text", ["", "{", "[]", '{"bench": "simulated", "leg_s": 1}'])
def test_a_damaged_file_is_named(file, text):
    file.path.parent.mkdir()
    file.path.write_text(text)
    with pytest.raises(ConfigurationError, match=str(file.path.name)):
        file.load()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, bench):
    (tmp_path / "taken").touch()
    file = CalibrationFile(tmp_path / "taken", bench.name)
    with pytest.raises(StorageError, match="taken"):
        file.save(Calibration(bench.name))


def test_the_device_uses_what_it_keeps(file, bench):
    used = []
    device = BenchCalibration(file, used.append, name="calibration")
    device.set({"run": "uid", "lag_s": 0.015}).wait(1)
    assert [each.lag_s for each in used] == [None, 0.015]
    assert file.load().lag_s == 0.015
    assert device.read()["calibration_lag_s"]["value"] == 0.015
    assert device.describe()["calibration_lag_s"]["source"] == "run uid"
    assert device.read().keys() == device.describe().keys()


def test_what_cannot_be_used_now_is_not_kept(file):
    def refuse(calibration):
        if calibration.lag_s is not None:
            raise PortBusyError("in flight")

    device = BenchCalibration(file, refuse, name="calibration")
    with pytest.raises(PortBusyError):
        device.set({"lag_s": 0.015})
    assert file.load().lag_s is None
    assert device.current.lag_s is None


def test_what_cannot_be_kept_is_not_used(tmp_path, bench):
    (tmp_path / "taken").touch()
    used = []

    class Full(CalibrationFile):
        def load(self):
            return Calibration(bench.name)

    device = BenchCalibration(
        Full(tmp_path / "taken", bench.name), used.append, name="calibration"
    )
    with pytest.raises(StorageError):
        device.set({"lag_s": 0.015})
    assert used[-1].lag_s is None


def test_studies_and_plans_of_a_folder_have_what_was_measured_there(tmp_path):
    described = load_bench("simulated").description()
    folders = SessionFolders(tmp_path)
    measured = Calibration(described.name).measured("uid", fix_rate_hz=5.0)
    CalibrationFile(folders.calibrations, described.name).save(measured)
    service = planning(tmp_path, bench="simulated", create=True)
    service.create_study(StudyId("ball"), an_object(), "me")
    service.configure_study(StudyId("ball"))
    assert service.get_study(StudyId("ball")).bench == measured.applied_to(described)

    spec = tmp_path / "map.json"
    write_spec(a_spec(speed_mm_per_s=32.7), spec)
    words = ["plan", str(spec), "--bench", "simulated", "--folder"]
    refused = CliRunner().invoke(aefi, [*words, str(tmp_path)])
    assert refused.exit_code == 1
    assert "fixes" in refused.output
    allowed = CliRunner().invoke(aefi, [*words, str(tmp_path / "elsewhere")])
    assert allowed.exit_code == 0, allowed.output
