"""A bench's devices from a file of plain values, on somebody else's RunEngine."""

import asyncio

import bluesky.plans as bp
import pytest
from flyer_bench import MAP
from guarneri import Instrument
from recorded_run import RecordedRun

from aefi_bluesky.devices import AefiFlyer, StageAxis
from aefi_bluesky.domain.errors import ConfigurationError, SessionBusyError
from aefi_bluesky.instrument import (
    bench_device,
    bench_devices,
    close_benches,
    stop_on_signals,
)
from aefi_bluesky.plans import fly_map
from aefi_bluesky.session import SessionFolders
from aefi_bluesky.session.signals import StopMotion

NAMES = {
    *("stage_x", "stage_y", "sensor", "excitation"),
    *("flyer", "bench", "bench_meter", "calibration"),
}


@pytest.fixture(autouse=True)
def closed_in_the_end():
    yield
    close_benches()


def in_virtual_time(folder):
    return {"bench": "simulated", "kind": "virtual", "folder": str(folder)}


@pytest.fixture
def instrument(tmp_path):
    """All devices, as guarneri reads them from YAML."""
    path = tmp_path / "devices.yaml"
    path.write_text(
        "aefi_bluesky.instrument.bench_devices:\n"
        "  - bench: simulated\n"
        "    kind: virtual\n"
        f"    folder: {tmp_path / 'data'}\n"
    )
    loaded = Instrument({})
    loaded.load(path)
    asyncio.run(loaded.connect())
    return loaded


@pytest.fixture
def run(new_run_engine):
    """A RunEngine without anything of ours, and its run."""
    engine, recorded = new_run_engine(), RecordedRun()
    engine.subscribe(recorded)
    recorded.engine = engine
    return recorded


def test_loader_makes_all_devices_of_one_bench(instrument):
    assert {device.name for device in instrument.devices.root_devices} == NAMES


def test_stock_plans_work_with_loaded_devices(instrument, run):
    sensor, axis = instrument.devices["sensor"], instrument.devices["stage_x"]
    run.engine(bp.scan([sensor], axis, 600, 620, 3))
    assert run.column("primary", "x") == pytest.approx([600, 610, 620], abs=0.0109)
    assert run.stop["exit_status"] == "success"


def test_loaded_flyer_flies(instrument, run):
    run.engine(fly_map(instrument.devices["flyer"], **MAP))
    run.check()
    assert set(run.column("primary", "state")) == {"ok"}


def test_loaded_types_are_checked_before_anything_is_opened(tmp_path):
    path = tmp_path / "devices.toml"
    path.write_text('[[bench]]\nbench = "simulated"\nkind = "virtual"\nfolder = 3\n')
    loaded = Instrument({"bench": bench_devices})
    with pytest.raises(Exception, match=r"Incorrect type .* 'folder'"):
        loaded.load(path)


def test_same_values_give_the_same_bench(tmp_path):
    values = in_virtual_time(tmp_path)
    axis, flyer = (bench_device(each, **values) for each in ("stage_x", "flyer"))
    assert isinstance(axis, StageAxis)
    assert isinstance(flyer, AefiFlyer)
    assert bench_devices(**values)[0] is axis


def test_unknown_names_are_refused_with_the_known_ones(tmp_path):
    values = in_virtual_time(tmp_path)
    with pytest.raises(ConfigurationError, match=r"'stage_z'; it has stage_x, stage_y"):
        bench_device("stage_z", **values)
    with pytest.raises(ConfigurationError, match="kind must be one of 'real', 'ptys'"):
        bench_devices("simulated", "imaginary", str(tmp_path / "other"))
    with pytest.raises(ConfigurationError, match="nowhere"):
        bench_devices("nowhere.toml", "virtual", str(tmp_path / "other"))


def test_folder_belongs_to_one_bench(tmp_path):
    bench_devices(**in_virtual_time(tmp_path))
    with pytest.raises(SessionBusyError, match="in use by"):
        bench_devices("aefi", "virtual", str(tmp_path))


def test_close_leaves_the_bench_dark_and_the_folder_free(tmp_path):
    source = bench_device("excitation", **in_virtual_time(tmp_path))
    source.set("on").wait(10)
    assert source.state() == "on"
    close_benches()
    assert source.state() == "off"
    with SessionFolders.below(tmp_path).held():
        pass  # it would be refused


def test_signals_stop_the_motion_of_a_foreign_engine(tmp_path, run):
    stop_on_signals(run.engine, **in_virtual_time(tmp_path))
    (manager,) = (
        each for each in run.engine.context_managers if isinstance(each, StopMotion)
    )
    axis = bench_device("stage_x", **in_virtual_time(tmp_path))
    assert manager.port.stage is axis._stage
