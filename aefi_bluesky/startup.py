"""The names that a Bluesky session expects; importing this module builds the session.

Environment variables, which ``aefi shell`` and ``aefi qserver`` set, choose what is
built:

``AEFI_BENCH``
    ``real`` (default), ``ptys`` (simulated, in real time) or ``virtual``.
``AEFI_BENCH_FILE``
    Path of a bench file, or name of a shipped bench. If it is not set: ``aefi`` for a
    real bench, ``simulated`` for the others.
``AEFI_SIMULATED_OBJECT``
    ``yes`` (default) or ``no``: whether the simulated bench has an object.
``AEFI_FOLDER``
    Data folder. If it is not set: ``aefi-bluesky`` in ``XDG_DATA_HOME``, or in
    ``~/.local/share``.
``AEFI_TILED_URI``, ``TILED_API_KEY``
    Address of a Tiled server that already runs, and its key.
``AEFI_REDIS_URL``
    Address of a Redis server that keeps ``RE.md``; if it is not set, a file in the data
    folder keeps it.
``AEFI_LOG_LEVEL``
    Lowest level that is logged to ``session.log`` in the data folder; by default
    ``INFO``.
"""

# The Tiled server starts while the rest is imported: imports come after code.
# ruff: noqa: E402

from __future__ import annotations

import contextlib
import multiprocessing.util
from pathlib import Path

from aefi_bluesky.session.choices import SessionChoices
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.ground import held_ground

_choices = SessionChoices.of_environment()
load_bench(_choices.bench)  # or refuse it, before anything is made

_stack = contextlib.ExitStack()
# A session ends at exit. A child of multiprocessing, as a queue server's worker is,
# runs this instead.
multiprocessing.util.Finalize(None, _stack.close, exitpriority=0)

_ground = _stack.enter_context(
    held_ground(
        _choices.folder,
        tiled_uri=_choices.tiled_uri,
        tiled_key=_choices.tiled_key,
    )
)

import sys
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import bluesky.preprocessors as bpp
import matplotlib.pyplot as plt
import numpy as np
from bluesky.callbacks.best_effort import BestEffortCallback

# Before the session: the magics have a RunEngine of their own, and the one that is
# made last has the loop that bluesky takes for the only one.
from bluesky.magics import BlueskyMagics
from IPython.core.getipython import get_ipython

from aefi_bluesky.domain.study.measured_object import MeasuredObject
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.plans import (
    calibrate_lag,
    characterise_bench,
    differential_map,
    fly_in_run,
    fly_line,
    fly_lines,
    fly_map,
    frequency_sequence,
    measure_point,
    step_map,
    study_plan,
    time_series,
)
from aefi_bluesky.session import Session
from aefi_bluesky.session.run_links import RunLinks
from aefi_bluesky.session.simulated import SimulationSettings
from aefi_bluesky.session.spec_files import read_spec
from aefi_bluesky.session.study_runs import run_maker, study_service
from aefi_bluesky.session.view import bench_of, require_windows
from aefi_bluesky.views.line_table import LineTable
from aefi_bluesky.views.maps import LiveMap, has_display
from aefi_bluesky.views.progress import FlightProgress

session = _stack.enter_context(
    Session.open(
        kind=_choices.kind,
        folder=_choices.folder,
        ground=_ground,
        bench=_choices.bench,
        simulation=SimulationSettings(has_object=_choices.has_object),
    )
)

RE = session.RE
sd = session.sd
flyer = session.flyer
stage_x, stage_y = session.stage_x, session.stage_y
sensor = session.sensor
bench = session.constants
bench_meter = session.meter
calibration = session.calibration
excitation = session.excitation
clear_errors = session.port.clear_errors
c = cat = session.catalog
studies = study_service(session)
run_study = study_plan(studies, run_maker(session))


# A queue server's worker has no person who looks or waits.
_queueserver = sys.modules.get("bluesky_queueserver")
_in_worker = _queueserver is not None and _queueserver.is_re_worker_active()

bec = BestEffortCallback()
RE.subscribe(bec)
RE.subscribe(LineTable())
if has_display() and not _in_worker:
    plt.ion()
    RE.subscribe(LiveMap())
else:
    bec.disable_plots()

_progress = FlightProgress()


def _waiting_hook(statuses: Any) -> None:
    _progress(statuses)


# bluesky's own type for it is None.
RE.waiting_hook = _waiting_hook  # pyright: ignore[reportAttributeAccessIssue]
RE.subscribe(lambda _name, _doc: _progress.close(), "stop")
RE.subscribe(RunLinks(session, attended=not _in_worker), "stop")


def view() -> None:
    """Open a window on this session: it plans, flies and shows scans.

    Runs of this prompt are shown too. Closing the window leaves the session open.

    Raises
    ------
    ConfigurationError
        If PyMoDAQ or a binding of Qt is missing; says what to install.
    """
    require_windows()
    from aefi_bluesky.views.pymodaq.prompt import open_window

    open_window(partial(bench_of, session, studies), session.bench)


def register_magics() -> None:
    """Give IPython ``%wa``, ``%mov``, ``%movr`` and ``%ct``; elsewhere do nothing."""
    shell = get_ipython()
    if shell is not None:
        shell.register_magics(BlueskyMagics)


def close_session() -> None:
    """End the session: the motion, the RunEngine, storage and the simulated bench."""
    plt.close("all")
    if (prompt := sys.modules.get("aefi_bluesky.views.pymodaq.prompt")) is not None:
        prompt.close_windows()
    _stack.close()


__all__ = [
    "RE",
    "MeasuredObject",
    "Path",
    "ScanRole",
    "bec",
    "bench",
    "bench_meter",
    "bp",
    "bpp",
    "bps",
    "c",
    "calibrate_lag",
    "calibration",
    "cat",
    "characterise_bench",
    "clear_errors",
    "close_session",
    "differential_map",
    "excitation",
    "fly_in_run",
    "fly_line",
    "fly_lines",
    "fly_map",
    "flyer",
    "frequency_sequence",
    "measure_point",
    "np",
    "plt",
    "read_spec",
    "register_magics",
    "run_study",
    "sd",
    "sensor",
    "session",
    "stage_x",
    "stage_y",
    "step_map",
    "studies",
    "time_series",
    "view",
]
