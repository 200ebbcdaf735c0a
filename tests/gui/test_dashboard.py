"""The extension and the plugins in PyMoDAQ's own Dashboard."""

import os
import sys
from pathlib import Path

import pytest
from pymodaq.extensions import ExtensionEnum
from pymodaq.utils.plugin_testing import PluginExtensionChecks, loaded_extension

from aefi_bluesky.dashboard.extensions.aefi_flyscan import AefiFlyscan
from aefi_bluesky.dashboard.shared_bench import BENCH
from aefi_bluesky.domain.study.planned_scan import PlannedScanState
from aefi_bluesky.testing.builders import a_spec
from aefi_bluesky.views.pymodaq.client import ClientState


class TestExtensions(PluginExtensionChecks):
    package_name = "aefi_bluesky.dashboard"
    strict_imports = True


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("AEFI_BENCH", "virtual")
    monkeypatch.setenv("AEFI_FOLDER", str(tmp_path / "data"))


def children_of_this_process():
    me = os.getpid()
    return Path(f"/proc/{me}/task/{me}/children").read_text().split()


def test_loading_it_starts_nothing(qtbot, environment, tmp_path):
    before = children_of_this_process()
    with loaded_extension(AefiFlyscan) as (_dashboard, extension):
        qtbot.wait(300)
        assert extension.view.client.status.state is ClientState.CLOSED
        assert children_of_this_process() == before
        assert not (tmp_path / "data").exists()


def test_a_scan_is_flown_in_it(qtbot, until, environment):
    with loaded_extension(AefiFlyscan) as (_dashboard, extension):
        view = extension.view
        view.bar.buttons["open"].click()
        until(lambda: view.client.status.state is ClientState.READY, 60.0)
        view.client.create_study("ball", "steel ball", "ann")
        until(lambda: view.studies.study is not None)
        view.form.show_spec(a_spec(n_x=3, n_y=5))
        until(view.bar.buttons["run"].isEnabled)
        view.bar.buttons["run"].click()
        until(
            lambda: (
                view.client.status.studies[0].scans
                and view.client.status.studies[0].scans[0].state
                is PlannedScanState.COMPLETED
            )
        )
    assert BENCH.client().status.state is ClientState.CLOSED


def test_its_windows_x_closes_the_bench(qtbot, until, environment):
    with loaded_extension(AefiFlyscan, show=True) as (_dashboard, extension):
        view = extension.view
        view.bar.buttons["open"].click()
        until(lambda: view.client.status.state is ClientState.READY, 60.0)
        extension.mainwindow.close()
        assert view.client.status.state is ClientState.CLOSED


def test_a_second_window_shows_nothing_and_harms_nothing(qtbot, until, environment):
    with loaded_extension(AefiFlyscan) as (dashboard, first):
        first.view.bar.buttons["open"].click()
        client = first.view.client
        until(lambda: client.status.state is ClientState.READY, 60.0)
        second = dashboard.load_extension(ExtensionEnum["AEFIFLYSCAN"])
        assert second.view is None
        second.stop()
        assert second.quit_fun()
        assert client.status.state is ClientState.READY


def test_the_plugins_are_found():
    from pymodaq.utils.daq_utils import get_instrument_plugins

    found = {
        each["name"]
        for each in get_instrument_plugins()
        if each["parent_module"].__name__ == "aefi_bluesky.dashboard"
    }
    assert found == {"AefiStage", "AefiSensor", "ArcusPerformax"}


def test_importing_the_package_leaves_qt_alone():
    import subprocess

    code = (
        "import os, sys; import aefi_bluesky, aefi_bluesky.session.view; "
        "assert 'QT_API' not in os.environ; "
        "assert not [m for m in sys.modules if m.startswith(('PyQt', 'qtpy'))]"
    )
    environment = {k: v for k, v in os.environ.items() if k != "QT_API"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
