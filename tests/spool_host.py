"""A program that flies a map with a spool, to be killed or to be left no room.

``spool_host.py STAGE_PORT ACQUISITION_PORT SPOOL_FOLDER [LIMIT]``: the limit is the
most bytes of a file, or ``stall``: Python does nothing any more once it flies.
"""

import ctypes
import json
import resource
import sys
from pathlib import Path

from aefi_bluesky.domain.errors import AefiError
from aefi_bluesky.domain.flight.planning import plan_flight
from aefi_bluesky.domain.spec.fly_spec import Zone
from aefi_bluesky.engine import RustScanAdapter, SerialConnection
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.testing.builders import a_spec
from aefi_bluesky.views.recorder import Recorder

ZONE = Zone(x_min_mm=620.0, x_max_mm=650.0, y_min_mm=590.0, y_max_mm=630.0)
SPEC = a_spec(zone=ZONE, n_x=5, n_y=9)


def a_plan():
    return plan_flight(SPEC, load_bench("simulated").description())


def main(stage, acquisition, folder, limit=None):
    if limit and limit != "stall":
        most = (int(limit), resource.RLIM_INFINITY)
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
    bench = load_bench("simulated").on_ports(stage, acquisition)
    connection = SerialConnection(bench.links(), Path(folder))
    recorder = Recorder()
    error = None
    try:
        flight = RustScanAdapter(bench.description(), connection).start_scan(
            a_plan(), recorder
        )
        if limit == "stall":
            ctypes.PyDLL(None).sleep(600)  # the interpreter is held all the time
        while flight.wait(1.0) is None:
            pass
    except AefiError as err:
        error = [type(err).__name__, str(err)]
    results = recorder.results
    state = results.state.value if results else None
    print(json.dumps({"state": state, "error": error}))


if __name__ == "__main__":
    main(*sys.argv[1:])
