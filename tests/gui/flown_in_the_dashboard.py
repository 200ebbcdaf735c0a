"""A program: the Dashboard, our extension by its entry point, Run clicked on ptys.

Prints what it found as JSON, and ends as a Dashboard ends. With the argument
``forever`` it says when a long map is in flight, and waits for a signal.
"""

import json
import sys
import time

import numpy as np
from pymodaq_gui.qt_utils import mkQApp

app = mkQApp("dashboard")

from pymodaq.dashboard import create_load_dashboard  # noqa: E402
from pymodaq.extensions import ExtensionEnum  # noqa: E402

from aefi_bluesky.domain.spec.excitation import (  # noqa: E402
    Excitation,
    ExcitationMode,
)
from aefi_bluesky.testing.builders import a_spec  # noqa: E402

DRIVEN = Excitation(ExcitationMode.X_DIR, 50.0, 50.0, 1000.0)


def until(condition, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        app.processEvents()
        time.sleep(0.01)


def main():
    _shared, dashboard = create_load_dashboard()
    extension = dashboard.load_extension(ExtensionEnum["AEFIFLYSCAN"])
    view, client = extension.view, extension.view.client
    view.bar.buttons["open"].click()
    until(lambda: client.status.state == "ready")
    client.create_study("ball", "steel ball", "ann")
    until(lambda: view.studies.study is not None)
    forever = sys.argv[1:] == ["forever"]
    spec = a_spec(n_x=81, excitation=DRIVEN) if forever else a_spec(n_x=3, n_y=5)
    view.form.show_spec(spec)
    until(view.bar.buttons["run"].isEnabled)
    view.bar.buttons["run"].click()
    until(lambda: client.status.state == "busy")
    if forever:
        until(lambda: (found := client.progress()) and found.lines_done > 0)
        print("IN FLIGHT", flush=True)
        sys.exit(app.exec())
    until(lambda: client.status.state == "ready")
    view.refresh()
    image = np.asarray(view.map.viewer.view.get_image_item("red").image)
    scan = client.served.studies.get_study("ball").scans[0]
    found = {
        "drawn": image.tolist(),
        "shown": view.map.chooser.currentText(),
        "uid": scan.run_uid,
        "state": str(scan.state),
    }
    dashboard.quit_fun()
    app.processEvents()
    json.dump(found, sys.stdout)


main()
