"""The reference of the devices has every device, key, unit and kind of a session."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from ophyd import Device

from aefi_bluesky.session import Session

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "devices.md"

SECTION = re.compile(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)

ROW = re.compile(
    r"^\| (?P<names>`.*?) \| (?P<unit>\w*) ?\| (?P<kind>\w*) ?\| [^|]+ \|$",
    re.MULTILINE,
)

SECTIONS = dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))


def told(section):
    """Each pattern of a section's table, with its unit and kind."""
    return {
        name: (row["unit"], row["kind"])
        for row in ROW.finditer(section)
        for name in re.findall(r"`([^`]+)`", row["names"])
    }


def described(device):
    """Each key of a device, with its unit and kind."""
    is_flyer = hasattr(device, "describe_collect")
    read = device.describe_collect() if is_flyer else device.describe()
    kinds = {key: "hinted" if key in device.hints["fields"] else "" for key in read}
    configured = device.describe_configuration()
    settings = {f"{device.name}_{name}" for name in device.component_names}
    kinds |= {k: "setting" if k in settings else "constant" for k in configured}
    data_keys = {**read, **configured}
    return {k: (data_keys[k].get("units", ""), kind) for k, kind in kinds.items()}


@pytest.fixture(scope="module")
def devices(shared_tiled):
    """Those of a session, calibrated, so that all keys are there."""
    server, root = shared_tiled
    with Session.open(
        kind="virtual",
        folder=root / "device reference",
        tiled_uri=server.uri,
        tiled_key=server.api_key,
    ) as session:
        rates = {"reading_rate_hz": 62.5, "fix_rate_hz": 470.0}
        times = {"lag_s": 0.01, "turnaround_s": 0.001}
        session.calibration.set({"run": "a run", **rates, **times})
        found = [each for each in vars(session).values() if isinstance(each, Device)]
        yield {device.name: device for device in found}


def test_every_device_has_its_section(devices):
    assert set(SECTIONS) == set(devices)


@pytest.mark.parametrize("name", SECTIONS)
def test_keys_units_and_kinds_are_those_of_the_device(devices, name):
    patterns = told(SECTIONS[name])
    keys = described(devices[name])
    found = {
        key: [facts for each, facts in patterns.items() if fnmatchcase(key, each)]
        for key in keys
    }
    assert found == {key: [facts] for key, facts in keys.items()}
    stale = [p for p in patterns if not any(fnmatchcase(key, p) for key in keys)]
    assert stale == []
