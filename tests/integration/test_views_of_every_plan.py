"""Every view is fed with the documents of every plan, by the plans themselves."""

import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from bluesky.callbacks.best_effort import BestEffortCallback
from every_plan import PLANS

from aefi_bluesky import plans
from aefi_bluesky.domain.results.scan_results import CHANNELS
from aefi_bluesky.views.line_table import LineTable
from aefi_bluesky.views.maps import LiveMap
from aefi_bluesky.views.progress import FlightProgress

MAPS = {"fly_map", "differential_map", "fly_line", "calibrate_lag", "step_map"}
"""Plans whose runs make a map that is told in the start document."""


@pytest.fixture
def windows(monkeypatch):
    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.figure import Figure

    pyplot.close("all")
    monkeypatch.setattr(Figure, "show", lambda self: None)
    yield pyplot
    pyplot.close("all")


def carried_out(bench, name):
    bench.run.documents.clear()
    bench.RE(PLANS[name](bench))
    for run in bench.run.runs():
        run.check("bench")
    return bench.run


def test_every_public_plan_is_among_them():
    assert set(PLANS) == set(plans.__all__)


@pytest.mark.parametrize("name", sorted(PLANS))
def test_the_live_map_shows_what_the_run_measured(bench, windows, name):
    run = carried_out(bench, name)
    live = LiveMap()
    for each in run.runs():
        for kind, doc in each.documents:
            live(kind, doc)
        is_map = name in MAPS or name == "study_plan"
        assert (live._map is not None) is is_map
        if not is_map:
            continue
        for channel in CHANNELS:
            (measured,) = each.column("maps", f"map_{channel}")
            shown = live._map.values[channel]
            assert np.isfinite(shown).all()
            np.testing.assert_allclose(shown, np.array(measured), rtol=1e-12)
    # The figure is one, and there is none where nothing is to be seen.
    assert len(windows.get_fignums()) == int(is_map)


@pytest.mark.parametrize("name", sorted(PLANS))
def test_tables_take_every_plan(bench, windows, capsys, name):
    run = carried_out(bench, name)
    table, effort = LineTable(), BestEffortCallback()
    effort.disable_plots()
    capsys.readouterr()
    for kind, doc in run.documents:
        table(kind, doc)
    rows = re.findall(r"^\|\s+\d+ \|", capsys.readouterr().out, re.MULTILINE)
    assert len(rows) == len(run.column("lines", "line"))
    for kind, doc in run.documents:
        effort(kind, doc)


@pytest.mark.parametrize("name", sorted(PLANS))
def test_progress_takes_every_plan(bench, name):
    out = io.StringIO()
    bench.RE.waiting_hook = FlightProgress(out)
    run = carried_out(bench, name)
    # In virtual time a flight is over before it has anything to report.
    if not run.column("lines", "line"):
        assert out.getvalue() == ""
