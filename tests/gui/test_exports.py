"""Runs as PyMoDAQ's files: read back by its own loader, and opened in its browser."""

import os
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner
from pymodaq_data.h5modules.data_saving import DataLoader
from pymodaq_data.h5modules.saving import H5SaverLowLevel

from aefi_bluesky.cli import aefi
from aefi_bluesky.domain.errors import StorageError
from aefi_bluesky.plans import differential_map, fly_map, step_map
from aefi_bluesky.session import Session


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A data folder with a run of each kind: their uids by name."""
    folder = tmp_path_factory.mktemp("data")
    with Session.open(kind="virtual", folder=folder) as session:
        at_rest = (
            session.stage_x,
            session.stage_y,
            session.sensor,
            session.excitation,
        )
        area = (600, 610, 3, 590, 610, 5)
        plans = {
            "flown": fly_map(session.flyer, *area),
            "differential": differential_map(session.flyer, *area),
            "stepped": step_map(*at_rest, *area),
        }
        maps, names, uids = {}, {}, {}

        def keep(kind, doc):
            if kind == "descriptor":
                names[doc["uid"]] = doc["name"]
            elif kind == "event" and names[doc["descriptor"]] == "maps":
                maps[list(uids)[-1]] = dict(doc["data"])

        session.RE.subscribe(keep)
        for name, plan in plans.items():
            uids[name] = None
            uids[name] = session.RE(plan).run_start_uids[0]
    return folder, uids, maps


@pytest.fixture(params=["flown", "differential", "stepped"])
def exported(request, runs, tmp_path):
    folder, uids, maps = runs
    path = tmp_path / "run.h5"
    command = ["export", uids[request.param][:8], "--to", "pymodaq"]
    result = CliRunner().invoke(
        aefi, [*command, "--folder", str(folder), "-o", str(path)]
    )
    assert result.exit_code == 0, result.output
    return path, uids[request.param], maps[request.param]


def test_the_maps_come_back_with_their_axes(exported):
    path, uid, maps = exported
    file = H5SaverLowLevel.from_file(path)
    try:
        group = next(
            node for node in file.walk_groups("/") if "run_uid" in node.attrs.attrs_name
        )
        assert group.attrs["run_uid"] == uid
        assert file.root().attrs["pymodaq_version"] >= "5.3"
        loaded = {}
        for data in DataLoader(file).load_all(group, None) or []:
            loaded[data.name] = data
        found = loaded["map"]
        for channel, image in zip(found.labels, found.data, strict=True):
            np.testing.assert_array_equal(image, np.array(maps[f"map_{channel}"]))
        assert [axis.label for axis in found.axes] == ["y", "x"]
        x = found.get_axis_from_index(1)[0].get_data()
        np.testing.assert_allclose(x, [600, 605, 610])
        samples = loaded["samples"]
        assert samples.distribution.name == "spread"
        assert len(samples.data[0]) >= 15
    finally:
        file.close_file()


def test_a_run_that_is_not_there_is_named(runs, tmp_path):
    folder, _, _ = runs
    command = ["export", "nosuch", "--to", "pymodaq", "--folder", str(folder)]
    result = CliRunner().invoke(aefi, command)
    assert result.exit_code == 1
    assert "nosuch" in str(result.exception)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_leaves_what_was_there(runs, tmp_path):
    folder, uids, _ = runs
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        path = disk / "run.h5"
        path.write_text("older")
        command = ["export", uids["flown"], "--to", "pymodaq", "-o", str(path)]
        result = CliRunner().invoke(aefi, [*command, "--folder", str(folder)])
        assert isinstance(result.exception, StorageError)
        assert "No space left" in str(result.exception)
        assert [each.name for each in disk.iterdir()] == ["run.h5"]
        assert path.read_text() == "older"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("where", ["", "no/such/run.h5"])
def test_a_place_that_is_no_file_is_refused(runs, tmp_path, where):
    folder, uids, _ = runs
    command = ["export", uids["flown"], "--to", "pymodaq", "--folder", str(folder)]
    result = CliRunner().invoke(aefi, [*command, "-o", str(tmp_path / where)])
    assert isinstance(result.exception, StorageError)
    assert list(tmp_path.iterdir()) == []


def test_the_browser_opens_and_plots_it(exported, qtbot, caplog, monkeypatch):
    from pymodaq_gui.h5modules.browsing import H5Browser
    from qtpy import QtWidgets

    path, _, _ = exported
    browser = H5Browser(QtWidgets.QMainWindow(), h5file_path=path)
    plotted = []
    monkeypatch.setattr(
        browser.hyper_viewer, "show_data", lambda data, **_: plotted.append(data.name)
    )
    try:
        for node in browser.h5utils.walk_nodes("/"):
            if node.attrs["CLASS"] == "CARRAY":
                monkeypatch.setattr(
                    browser, "get_tree_node_path", lambda node=node: node.path
                )
                browser.show_h5_data(None)
    finally:
        browser.quit_fun()
    assert {"map", "uncertainty", "samples"} <= set(plotted)
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
