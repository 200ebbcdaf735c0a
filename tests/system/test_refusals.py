"""Bad input at the prompt: one sentence, an exit status, and nothing left behind."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from simulator_log import SimulatorLog

from aefi_bluesky.cli import aefi, main
from aefi_bluesky.domain.errors import ConfigurationError
from aefi_bluesky.session.choices import yes_or_no
from aefi_bluesky.session.folders import SessionFolders


@pytest.fixture
def refusal(monkeypatch, capsys):
    """Runs ``aefi`` with words that it refuses; returns what it says."""

    def run(*words):
        monkeypatch.setattr("sys.argv", ["aefi", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 1
        (sentence,) = capsys.readouterr().err.splitlines()
        assert sentence.startswith("aefi: ")
        return sentence

    return run


def test_file_where_the_data_folder_should_be_is_refused(refusal, tmp_path):
    folder = tmp_path / "data"
    folder.write_text("")
    sentence = refusal("demo", "--virtual", "--folder", folder)
    assert f"data folder {folder} cannot be written" in sentence


@pytest.mark.parametrize("options", [["--virtual"], []], ids=["virtual", "ptys"])
def test_absent_tiled_is_refused_before_anything_moves(refusal, tmp_path, options):
    address = "http://127.0.0.1:1"
    sentence = refusal("demo", *options, "--folder", tmp_path, "--tiled", address)
    assert f"Tiled at {address} is not reachable" in sentence
    truth = tmp_path / "truth.jsonl"
    assert not truth.exists() or not SimulatorLog.read(truth).moved


def test_bench_file_with_an_unknown_key_is_refused(refusal, tmp_path):
    file = tmp_path / "bench.toml"
    file.write_text('name = "mine"\nramp = 3\n')
    assert "ramp: Extra inputs" in refusal("sim", "--bench", file)


def test_fault_script_that_is_none_is_refused(refusal, tmp_path):
    file = tmp_path / "faults"
    file.write_text("at noon do nothing\n")
    assert "at noon do nothing" in refusal("sim", "--faults", file)


def test_profile_that_cannot_be_written_is_named(refusal, tmp_path):
    profile = tmp_path / "profile_aefi"
    profile.touch()
    sentence = refusal("shell", "--virtual", "--folder", tmp_path, "-c", "1")
    assert f"profile {profile} cannot be written" in sentence


def test_second_shell_is_refused_before_it_touches_the_profile(refusal, tmp_path):
    profile = tmp_path / "profile_aefi"
    profile.mkdir()
    with SessionFolders.below(tmp_path).held():
        sentence = refusal("shell", "--virtual", "--folder", tmp_path, "-c", "1")
    assert f"data folder {tmp_path} is in use by process {os.getpid()}" in sentence
    assert list(profile.iterdir()) == []


def test_second_queue_server_is_refused_before_it_touches_the_log(refusal, tmp_path):
    folders = SessionFolders.below(tmp_path)
    with folders.queue_held():
        sentence = refusal("qserver", "--folder", str(tmp_path))
    assert "has a queue server already" in sentence
    assert f"process {os.getpid()} of " in sentence
    assert not folders.queue.exists()


def test_unknown_bench_of_the_environment_is_refused_by_name(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import aefi_bluesky.startup"],
        env={**os.environ, "AEFI_BENCH": "virtuel", "AEFI_FOLDER": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    kinds = "'real', 'ptys', 'virtual'"
    sentence = f"ConfigurationError: AEFI_BENCH must be one of {kinds}, was 'virtuel'"
    assert done.stderr.endswith(f"{sentence}\n")
    assert list(tmp_path.iterdir()) == []


def test_word_of_the_environment_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("AEFI_SIMULATED_OBJECT", "maybe")
    message = "AEFI_SIMULATED_OBJECT must be 'yes' or 'no', was 'maybe'"
    with pytest.raises(ConfigurationError, match=message):
        yes_or_no("AEFI_SIMULATED_OBJECT", default=True)


@pytest.mark.parametrize(
    "words", [("shell",), ("qserver",), ("study", "run", "ball")], ids=" ".join
)
def test_object_of_the_real_bench_is_taken_away_by_hand(tmp_path, words):
    asked = [*words, "--no-object", "--folder", str(tmp_path / "data")]
    done = CliRunner().invoke(aefi, asked)
    assert done.exit_code == 2
    assert "on the real bench, take the object away by hand" in done.output


def test_unknown_log_level_is_refused(refusal, tmp_path, monkeypatch):
    monkeypatch.setenv("AEFI_LOG_LEVEL", "loud")
    sentence = refusal("demo", "--virtual", "--folder", tmp_path)
    assert "AEFI_LOG_LEVEL must be one of DEBUG, INFO" in sentence
