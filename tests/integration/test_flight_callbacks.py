"""Bluesky's own callbacks, and observers, watch a flight."""

import matplotlib as mpl
import pytest
from bluesky.callbacks import LiveTable
from bluesky.callbacks.best_effort import BestEffortCallback
from flyer_bench import FRAMES, LINES

from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.storage.runs.sample_file import RunFile
from aefi_bluesky.testing.fakes import BrokenObserver, RecordingObserver


@pytest.fixture
def strict_callbacks(monkeypatch):
    """Errors of bluesky's callbacks are raised, and plots need no window."""
    monkeypatch.setenv("BLUESKY_DEBUG_CALLBACKS", "1")
    before = mpl.get_backend()
    mpl.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")
    mpl.use(before)


def test_best_effort_callback_plots_lines_only(bench, strict_callbacks, capsys):
    bench.RE.subscribe(BestEffortCallback())
    bench.fly()
    (figure,) = map(strict_callbacks.figure, strict_callbacks.get_fignums())
    fields = {axes.get_ylabel() for axes in figure.axes}
    assert fields == {"n_ok", "reading_rate", "fix_rate"}
    for axes in figure.axes:
        (curve,) = axes.get_lines()
        assert list(curve.get_xdata()) == list(range(LINES))
    assert "error" not in capsys.readouterr().out.lower()


def test_live_table_has_a_row_a_line(bench, strict_callbacks, capsys):
    bench.RE.subscribe(LiveTable(["line", "n_ok", "fix_rate"], stream_name="lines"))
    bench.fly()
    table = capsys.readouterr().out
    rows = [row for row in table.splitlines() if row.startswith("|") and ":" in row]
    assert len(rows) == LINES
    assert all("9 |" in row for row in rows)


def test_observer_sees_what_the_documents_tell(make_bench):
    observer = RecordingObserver()
    bench = make_bench(observers=[observer])
    run = bench.fly()
    assert observer.column("frames_ended", "frame") == run.column("primary", "frame")
    assert observer.column("lines_ended", "line") == run.column("lines", "line")


def test_observer_that_raises_does_not_end_the_flight(make_bench, caplog):
    bench = make_bench(observers=[BrokenObserver()])
    run = bench.fly()
    run.check()
    run.check_frames_once(FRAMES)
    assert run.stop["exit_status"] == "success"
    assert "BrokenObserver" in caplog.text


# -- storage that fails -----------------------------------------------------------


class FullDisk:
    """A sample file that takes so many calls and no more."""

    def __init__(self, file: RunFile, calls: int) -> None:
        self._file = file
        self._calls = calls

    def append(self, stream, columns):
        self._calls -= 1
        if self._calls < 0:
            raise StorageError("run file cannot be written: no space left on device")
        self._file.append(stream, columns)

    def __getattr__(self, name):
        return getattr(self._file, name)


@pytest.fixture
def bench_on_a_full_disk(make_bench):
    def open_samples(uid):
        return FullDisk(bench.open_samples(uid), calls=4)

    bench = make_bench(samples=open_samples)
    return bench


BIG = {
    "x_min_mm": 535.0,
    "x_max_mm": 735.0,
    "n_x": 81,
    "y_min_mm": 510.0,
    "y_max_mm": 710.0,
    "n_y": 81,
}


def test_sample_file_that_fails_in_flight_stops_the_motion(bench_on_a_full_disk):
    bench = bench_on_a_full_disk
    with pytest.raises(StorageError, match="no space left"):
        bench.fly(**BIG)
    bench.run.check()
    assert bench.run.stop["exit_status"] == "fail"
    assert "no space left" in bench.run.reason["message"]
    assert bench.run.reason["state"] == "stopped"
    assert bench.run.reason["frames"]["not-reached"] > 0
    assert not bench.flyer.is_flying


def test_folder_that_cannot_be_written_moves_nothing(make_bench):
    def open_samples(uid):
        raise StorageError("folder /data/raw cannot be written: Permission denied")

    bench = make_bench(samples=open_samples)
    with pytest.raises(StorageError, match="Permission denied"):
        bench.fly()
    assert bench.run.documents == []
    assert not bench.log().moved
