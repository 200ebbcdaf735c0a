"""Draws the picture of the window: a map of the simulated object, half flown.

Run by ``make pictures``, in the venv of the windows and without a display.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pymodaq_gui.qt_utils import mkQApp

from aefi_bluesky.domain.spec.formats import SpecKind
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.view import opened_bench
from aefi_bluesky.views.presenter import Presenter
from aefi_bluesky.views.pymodaq.client import ClientState, ScanClient
from aefi_bluesky.views.pymodaq.first_specs import first_spec
from aefi_bluesky.views.pymodaq.view import PyMoDAQView
from aefi_bluesky.views.pymodaq.window import ViewWindow

PATIENCE_S = 120.0
SIZE = 1400, 950


def main(path: Path) -> None:
    """Fly the first half of a map, and write what the window shows."""
    app = mkQApp("picture")
    presenter = Presenter()
    bench = load_bench("simulated").description()

    def until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(client.status.notice)
            app.processEvents()
            time.sleep(0.01)

    with TemporaryDirectory() as folder:
        opening = partial(opened_bench, kind="ptys", folder=Path(folder))
        client = ScanClient(opening, presenter, bench)
        window = ViewWindow(lambda area: PyMoDAQView(area, client, presenter), "aefi")
        window.resize(*SIZE)
        window.show()
        client.open()
        until(lambda: client.status.state is ClientState.READY)
        client.create_study("ball-7", "steel ball 7", "ann")
        until(lambda: window.view.studies.study is not None)
        window.view.map.chooser.setCurrentText("amplitude x")
        until(window.view.bar.buttons["run"].isEnabled)
        window.view.bar.buttons["run"].click()
        half = first_spec(SpecKind.FLY_MAP, bench)
        until(lambda: presenter.snapshot().counts.sum() > half.n_x * half.n_y * 0.55)
        until(lambda: client.status.studies[0].scans[0].state.is_active)
        window.view.refresh()
        app.processEvents()
        window.grab().save(str(path))
        window.close()


main(Path(sys.argv[1]))
