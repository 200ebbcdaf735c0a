"""Each device meets every protocol of bluesky that it could, and keeps its word."""

import inspect

import numpy as np
import pytest
from bluesky import protocols

from aefi_bluesky.domain.errors import AefiError

ALL = {
    name: each
    for name, each in vars(protocols).items()
    if inspect.isclass(each)
    and each.__module__ == protocols.__name__
    and getattr(each, "_is_protocol", False)
    # What a plan is handed, and no device.
    and name != "Status"
}

OF_ANY_DEVICE = {
    *("HasName", "HasParent", "HasHints", "Readable", "Triggerable"),
    *("Configurable", "Stageable", "Subscribable", "Checkable"),
    *("Pausable", "Stoppable"),
}
MOVES = {"Movable", "NamedMovable", "Locatable"}
FLIES = {"Flyable", "Preparable", "Collectable", "EventPageCollectable"}

MET = {
    "stage_x": OF_ANY_DEVICE | MOVES,
    "stage_y": OF_ANY_DEVICE | MOVES,
    "excitation": OF_ANY_DEVICE | MOVES,
    "calibration": OF_ANY_DEVICE | MOVES,
    "sensor": OF_ANY_DEVICE,
    "bench_meter": OF_ANY_DEVICE,
    "bench": OF_ANY_DEVICE,
    "flyer": OF_ANY_DEVICE | FLIES,
}

NOT_MET = {
    "EventCollectable": "frames come in pages",
    "WritesExternalAssets": "the flyer's streams write assets, as StreamAssets",
    "WritesStreamAssets": "its streams do: bluesky skips the events of such a device",
}


@pytest.fixture
def devices(bench):
    found = {
        each.name: each
        for each in (
            *(bench.x, bench.y, bench.sensor, bench.excitation),
            *(bench.flyer, bench.constants, bench.meter, bench.calibration),
        )
    }
    bench.RE(_triggered(bench.sensor, bench.meter))
    return found


def _triggered(*devices):
    import bluesky.plan_stubs as bps

    for device in devices:
        yield from bps.trigger(device, wait=True)


def settings_of(device):
    return [getattr(device, name) for name in device.component_names]


def test_every_protocol_of_bluesky_is_met_or_it_is_said_why_not(devices):
    assert set(devices) == set(MET)
    for name, device in devices.items():
        met = {each for each, kind in ALL.items() if isinstance(device, kind)}
        assert met == MET[name], name
    met_by_some = set().union(*MET.values())
    assert set(ALL) - met_by_some == set(NOT_MET)


def test_streams_of_the_flyer_write_assets(bench):
    for stream in (bench.flyer.reading_stream, bench.flyer.fix_stream):
        assert isinstance(stream, protocols.WritesStreamAssets)
        assert isinstance(stream, protocols.Collectable)
    assert isinstance(bench.flyer.line_stream, protocols.EventPageCollectable)


def test_readings_and_configurations_are_what_their_data_keys_say(devices):
    for device in devices.values():
        for read, describe in (
            (device.read, device.describe),
            (device.read_configuration, device.describe_configuration),
        ):
            reading, keys = read(), describe()
            assert set(reading) == set(keys), device.name
            for key, each in reading.items():
                kind = {
                    "number": float,
                    "integer": int,
                    "string": str,
                    "boolean": bool,
                }[keys[key]["dtype"]]
                assert type(each["value"]) is kind, (device.name, key)


def test_what_moves_can_be_sent_where_it_is_said_to_be(devices):
    for device in devices.values():
        if not isinstance(device, protocols.Locatable):
            continue
        location = device.locate()
        assert set(location) == {"setpoint", "readback"}
        device.check_value(location["setpoint"])
        device.set(location["setpoint"]).wait(10.0)
        assert device.locate()["setpoint"] == location["setpoint"]


REFUSED = {
    "stage_x": (-1.0, 1e9, float("nan"), "600", None, True),
    "excitation": ("ON", None, 1),
    "calibration": ({"lag_s": -1.0}, {"lag_s": "1"}, {"lga_s": 1.0}),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, v) for name, values in REFUSED.items() for v in values]
)
def test_what_cannot_be_set_is_refused_by_check_value_too(devices, name, value):
    device = devices[name]
    before = device.locate()
    with pytest.raises(AefiError):
        device.check_value(value)
    with pytest.raises(AefiError):
        device.set(value)
    assert device.locate() == before


@pytest.mark.parametrize("name", ["sensor", "bench_meter", "excitation", "stage_x"])
def test_settings_keep_their_type_and_refuse_what_they_cannot_be(devices, name):
    for setting in settings_of(devices[name]):
        if not isinstance(setting, protocols.Locatable):
            continue  # ophyd's read-only offset
        before = setting.get()
        for value in (float("nan"), -1, "word", None, [1, 2]):
            with pytest.raises(AefiError):
                setting.check_value(value)
            with pytest.raises(AefiError):
                setting.put(value)
        assert setting.get() == before
        if isinstance(before, str):
            continue
        for value in (20, np.int64(21), np.array(22)):
            setting.put(value)
            assert type(setting.get()) is type(before)
            assert setting.get() == value
            (key,) = setting.describe().values()
            is_count = isinstance(before, int)
            assert key["dtype"] == ("integer" if is_count else "number")
