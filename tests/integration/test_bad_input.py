"""What is wrong is refused in one sentence, before anything moves."""

import fcntl
import os

import pytest
from flyer_bench import FlyerBench
from port_programs import programs

from aefi_bluesky.domain.errors import (
    ConfigurationError,
    DeviceUnavailableError,
    InfeasibleScanError,
    InvalidScanSpecError,
    PortBusyError,
)
from aefi_bluesky.engine import SerialConnection
from aefi_bluesky.session.configuration import load_bench

NAN = float("nan")

INVALID = [
    ({"x_min_mm": NAN}, "x min must be .*mm, was nan"),
    ({"y_max_mm": float("inf")}, "y max must be .*mm, was inf"),
    ({"x_min_mm": 660.0}, "x min must not be above x max, was 660 mm above 650 mm"),
    ({"y_min_mm": 630.0}, "630"),
    ({"n_x": 0}, "frames along x must be .*, was 0"),
    ({"n_y": -3}, "frames along y must be .*, was -3"),
    ({"n_y": 9.5}, r"frames along y must be .*, was 9\.5"),
    ({"speed_mm_per_s": 0.0}, "speed must be .*mm/s, was 0"),
    ({"speed_mm_per_s": NAN}, "speed must be .*mm/s, was nan"),
    ({"n_avg": 128}, "conversions averaged must be .*127, was 128"),
    ({"level_s1s2_percent": 101.0}, "101 %|was 101"),
]

INFEASIBLE = [
    ({"x_max_mm": 1300.0}, r"axis x: 1300 mm .*outside 0 to 1269\.68 mm"),
    ({"y_min_mm": -5.0}, r"axis y: -\d+\.?\d* mm .*outside 0 to 1227\.78 mm"),
    ({"y_min_mm": 1.0, "y_max_mm": 41.0}, "with run-up and run-down is outside"),
    ({"speed_mm_per_s": 500.0}, r"speed 500 mm/s is outside 1\.09 to 109 mm/s"),
    ({"speed_mm_per_s": 0.5}, r"speed 0\.5 mm/s is outside 1\.09 to 109 mm/s"),
    ({"n_y": 81}, r"readings are sure to fall into a frame of 0\.5 mm at 32\.7 mm/s"),
]


def check_untouched(bench):
    assert bench.run.documents == []
    assert bench.flyer.results is None
    assert not (bench.folder / "raw").exists()
    assert not bench.log().moved


@pytest.mark.parametrize(("changes", "sentence"), INVALID)
def test_number_that_makes_no_sense_is_refused(bench, changes, sentence):
    with pytest.raises(InvalidScanSpecError, match=sentence):
        bench.fly(**changes)
    check_untouched(bench)


@pytest.mark.parametrize(("changes", "sentence"), INFEASIBLE)
def test_map_that_the_bench_cannot_fly_is_refused(bench, changes, sentence):
    with pytest.raises(InfeasibleScanError, match=sentence):
        bench.fly(**changes)
    check_untouched(bench)


def test_all_reasons_come_at_once(bench):
    with pytest.raises(InfeasibleScanError) as refused:
        bench.fly(x_max_mm=1300.0, y_min_mm=-5.0, speed_mm_per_s=500.0)
    assert len(refused.value.violations) >= 3
    check_untouched(bench)


def test_zone_as_near_to_the_edge_as_suggested_is_flown(bench):
    with pytest.raises(InfeasibleScanError) as refused:
        bench.fly(y_min_mm=1.0, y_max_mm=41.0)
    suggestion = str(refused.value).split("keep the zone inside ")[1]
    low = float(suggestion.split(" ")[0])
    run = bench.fly(y_min_mm=low, y_max_mm=low + 40.0)
    assert run.stop["exit_status"] == "success"


def test_controller_of_another_kind_moves_nothing(make_bench):
    bench = make_bench(script="at 0s do wrong-identity")
    with pytest.raises(
        DeviceUnavailableError, match='"2ED07", but the bench file names "4EX00"'
    ):
        bench.fly()
    assert not bench.log().moved


# -- ports --------------------------------------------------------------------------


@pytest.fixture
def make_serial_bench(new_run_engine, tmp_path):
    """Builds benches on named ports, without anything behind them."""
    made = []

    def make(stage, acquisition):
        links = load_bench("simulated").on_ports(stage, acquisition).links()
        made.append(FlyerBench(new_run_engine(), tmp_path, SerialConnection(links)))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture
def two_ttys():
    pairs = [os.openpty(), os.openpty()]
    yield [os.ttyname(terminal) for _controller, terminal in pairs]
    for pair in pairs:
        for descriptor in pair:
            os.close(descriptor)


@pytest.fixture
def hold():
    """Holds a file with flock in another process."""
    opening = (
        "import fcntl; port = open(sys.argv[1], 'rb+', buffering=0); "
        "fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    with programs(opening) as start:
        yield start


def is_free(port):
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def check_failed_before_flight(bench):
    bench.run.check()
    assert bench.run.stop["exit_status"] == "fail"
    assert bench.run.stop["num_events"].get("primary", 0) == 0
    assert bench.flyer.results is None


def test_missing_port_is_named(make_serial_bench, two_ttys):
    bench = make_serial_bench("/dev/ttyAEFI7", two_ttys[1])
    with pytest.raises(DeviceUnavailableError, match="port /dev/ttyAEFI7 is missing"):
        bench.fly()
    check_failed_before_flight(bench)
    assert "ttyAEFI7 is missing" in bench.run.reason["message"]
    assert is_free(two_ttys[1])


@pytest.mark.parametrize("held", [0, 1])
def test_busy_port_is_named_and_the_other_is_let_go(
    make_serial_bench, two_ttys, hold, held
):
    holder = hold(two_ttys[held])
    bench = make_serial_bench(*two_ttys)
    with pytest.raises(PortBusyError, match=f"port {two_ttys[held]} is busy") as busy:
        bench.fly()
    assert f"process {holder.pid}: " in str(busy.value)
    assert "fcntl.flock" in str(busy.value), "the holder's command is told"
    check_failed_before_flight(bench)
    assert is_free(two_ttys[1 - held])


# -- bench files ----------------------------------------------------------------------


def test_bench_file_with_an_unknown_key_is_refused(tmp_path):
    file = tmp_path / "bench.toml"
    file.write_text('name = "mine"\n[stage]\nramp_millis = 300\n')
    with pytest.raises(ConfigurationError, match="ramp_millis"):
        load_bench(file)


def test_bench_file_that_is_absent_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml cannot be read"):
        load_bench(tmp_path / "nowhere.toml")
