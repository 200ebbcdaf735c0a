from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.local.free_space import free_bytes, require_free_bytes
from aefi_bluesky.storage.runs.sample_file import RunFile

ROOT = Path(__file__).parents[2]
STREAMS = {
    "readings": {"t": np.dtype("i8"), "x": np.dtype("f8")},
    "fixes": {"axis": np.dtype("u1")},
}


@pytest.fixture
def file(tmp_path):
    units = {"readings": {"t": "ns", "x": "mm"}}
    with RunFile.create(tmp_path, "run", STREAMS, units) as made:
        yield made


def rows(count, start=0):
    t = np.arange(start, start + count)
    return {"t": t, "x": t / 7}


def test_flushed_rows_are_readable_while_writing(file):
    file.append("readings", rows(3))
    file.append("readings", rows(20_000, start=3))
    file.flush()
    with h5py.File(file.path, "r", swmr=True) as read:
        np.testing.assert_array_equal(read["readings/t"][:], np.arange(20_003))
        assert read["readings/x"].chunks == (16384,)
        assert read["readings/x"].attrs["units"] == "mm"
        assert read["fixes/axis"].shape == (0,)
        assert read.attrs["run_uid"] == "run"
    assert file.rows("readings") == 20_003


def test_a_second_file_of_the_run_is_refused(file):
    with pytest.raises(StorageError, match=r"run\.h5 cannot be made"):
        RunFile.create(file.path.parent, "run", STREAMS)


def test_a_path_that_tiled_cannot_serve_is_refused(tmp_path):
    with pytest.raises(StorageError, match="'\\?' or '#' in its path"):
        RunFile.create(tmp_path / "run #1", "run", STREAMS)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"t": np.arange(2)}, r"has columns \['t', 'x'\], received \['t'\]"),
        ({**rows(2), "y": np.arange(2)}, "received .*'y'"),
        ({**rows(2), "x": np.zeros(3)}, r"one length, received .*\(2,\), \(3,\)"),
        ({"t": np.zeros((2, 1), int), "x": np.zeros((2, 1))}, "must be 1-D"),
        (
            {**rows(2), "x": np.zeros(2, "f4")},
            "readings/x is float64, received float32",
        ),
    ],
)
def test_columns_that_do_not_fit_are_refused(file, columns, message):
    with pytest.raises(StorageError, match=message):
        file.append("readings", columns)
    assert file.rows("readings") == 0


def test_an_unknown_stream_is_named(file):
    with pytest.raises(StorageError, match="no stream 'maps', only readings, fixes"):
        file.append("maps", {})


def test_no_rows_are_no_rows(file):
    file.append("readings", rows(0))
    assert list(file.asset_documents("readings")) == []


def test_close_twice_is_once_and_rows_are_refused_after(file):
    file.append("readings", rows(5))
    file.close()
    file.close()
    assert not file.is_open
    with pytest.raises(StorageError, match="cannot be written"):
        file.append("readings", rows(1))
    with pytest.raises(StorageError, match="cannot be written"):
        file.flush()
    assert file.rows("readings") == 5
    with h5py.File(file.path) as read:
        assert len(read["readings/t"]) == 5


def test_resources_come_once_and_data_for_new_rows_only(file):
    file.append("readings", rows(3))
    first = list(file.asset_documents("readings"))
    assert [name for name, _ in first] == ["stream_resource"] * 2 + ["stream_datum"] * 2
    resource = first[0][1]
    assert resource["data_key"] == "t"
    assert resource["parameters"] == {
        "dataset": "readings/t",
        "chunk_shape": [16384],
        "swmr": True,
    }
    assert resource["uri"] == f"file://localhost{file.path}"
    assert first[2][1]["stream_resource"] == resource["uid"]
    assert first[2][1]["indices"] == {"start": 0, "stop": 3}

    assert list(file.asset_documents("readings")) == []
    file.append("readings", rows(4))
    file.close()
    last = list(file.asset_documents("readings"))
    assert [doc["indices"] for _, doc in last] == [{"start": 3, "stop": 7}] * 2
    assert list(file.asset_documents("fixes")) == []


def test_data_keys_carry_type_and_unit(file):
    keys = file.describe("readings", prefix="probe_")
    assert keys["probe_t"]["dtype_numpy"] == "<i8"
    assert keys["probe_t"]["units"] == "ns"
    assert keys["probe_x"]["external"] == "STREAM:"
    assert "units" not in file.describe("fixes")["axis"]


def test_a_full_disk_is_named(tmp_path):
    code = f"""
        import resource, signal
        from pathlib import Path
        import numpy as np
        from aefi_bluesky.domain.errors import StorageError
        from aefi_bluesky.storage.runs.sample_file import RunFile
        file = RunFile.create(Path({str(tmp_path)!r}), "run", {{"s": {{"x": "f8"}}}})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
        rows = 0
        try:
            for _ in range(100):
                file.append("s", {{"x": np.zeros(16384)}})
                file.flush()
                rows = file.rows("s")
        except StorageError as err:
            print(rows, err, flush=True)
        import os; os._exit(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert f"run file {tmp_path / 'run.h5'} cannot be written" in done.stdout
    with h5py.File(tmp_path / "run.h5", "r", swmr=True) as read:
        assert len(read["s/x"]) >= int(done.stdout.split()[0]) > 0


def test_rows_flushed_before_a_kill_are_readable(tmp_path):
    code = f"""
        import os, signal
        from pathlib import Path
        import numpy as np
        from aefi_bluesky.storage.runs.sample_file import RunFile
        file = RunFile.create(Path({str(tmp_path)!r}), "run", {{"s": {{"x": "f8"}}}})
        file.append("s", {{"x": np.arange(1000.0)}})
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=False)
    with h5py.File(tmp_path / "run.h5", "r", swmr=True) as read:
        np.testing.assert_array_equal(read["s/x"][:], np.arange(1000.0))


def test_too_little_space_is_refused_in_words(tmp_path):
    assert free_bytes(tmp_path) > 0
    require_free_bytes(tmp_path, 1)
    with pytest.raises(StorageError, match=r"MB free, 1000000000000 MB are needed"):
        require_free_bytes(tmp_path, 10**18)
    with pytest.raises(StorageError, match=r"free space of .*absent is not known"):
        free_bytes(tmp_path / "absent")
