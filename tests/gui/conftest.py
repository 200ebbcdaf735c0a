"""The windows, offscreen: a bench, a view on it, and what the simulator really did.

They run in a venv of their own (``make test-gui``), where PyMoDAQ and a binding of Qt
are. Elsewhere they are not collected.
"""

import os
import time
from functools import partial
from importlib.util import find_spec

import pytest

if find_spec("pymodaq") is None or find_spec("pytestqt") is None:
    if os.environ.get("AEFI_REQUIRE_GUI"):
        raise RuntimeError("the tests of the windows need pymodaq and pytest-qt")
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def qapp():
    """The application as PyMoDAQ makes it: its modules want its theme."""
    from pymodaq_gui.qt_utils import mkQApp

    return mkQApp("tests")


@pytest.fixture
def until(qtbot):
    """Waits until a condition holds, and serves Qt's events."""

    def wait(condition, timeout_s=30.0, what=""):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, what or "it did not come to that"
            qtbot.wait(10)

    return wait


@pytest.fixture
def opened_view(qtbot, until, tmp_path):
    """Opens a view on a simulated bench, with a study; closes it at the end."""
    from aefi_bluesky.session.configuration import load_bench
    from aefi_bluesky.session.view import opened_bench
    from aefi_bluesky.views.presenter import Presenter
    from aefi_bluesky.views.pymodaq.client import ClientState, ScanClient
    from aefi_bluesky.views.pymodaq.view import PyMoDAQView
    from aefi_bluesky.views.pymodaq.window import ViewWindow

    made = []

    def open_(kind="ptys", folder=None, **choices):
        bench = load_bench("simulated").description()
        presenter = Presenter()
        folder = folder or tmp_path / f"data {len(made)}"
        opening = partial(opened_bench, kind=kind, folder=folder, **choices)
        client = ScanClient(opening, presenter, bench)
        window = ViewWindow(lambda area: PyMoDAQView(area, client, presenter), "test")
        made.append(window)
        window.show()
        window.view.bar.buttons["open"].click()
        until(lambda: client.status.state is ClientState.READY, 60.0)
        if not client.served.studies.study_ids():
            client.create_study("ball", "steel ball 7", "ann")
        until(lambda: window.view.studies.study is not None)
        return window

    yield open_
    for window in made:
        window.close()
        window.deleteLater()
    qtbot.wait(10)
