"""``aefi bench`` measures and says so; how fast anything is, no test tells."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from aefi_bluesky.cli.bench import bench
from aefi_bluesky.cli.bench.benches import LINKS, line_limit_hz
from aefi_bluesky.cli.bench.clients import CLIENTS, package
from aefi_bluesky.cli.bench.handoff import is_read
from aefi_bluesky.cli.bench.jitter import lateness_of
from aefi_bluesky.cli.bench.load import LOADS, under, watched_cpu
from aefi_bluesky.cli.bench.report import Report, Target
from aefi_bluesky.cli.bench.rounds import Cell, Ratio, Row, Spread, compare, interleave
from aefi_bluesky.cli.bench.table import text_of
from aefi_bluesky.domain.errors import DeviceTimeoutError

SHORT = [
    *("--quick", "--rounds", "1", "--seconds", "0.1", "--stall-s", "0.3"),
    *("--stops", "2", "--readings", "20000", "--load", "idle"),
]


def spread(*values):
    return Spread.of(values)


def run(tmp_path, what, *options):
    """Run a bench; return what it printed and its JSON."""
    file = tmp_path / "figures.json"
    done = CliRunner().invoke(bench, [what, *SHORT, *options, "--json", str(file)])
    assert done.exit_code == 0, done.output
    return done.output, json.loads(file.read_text())


@pytest.mark.parametrize(
    ("what", "quantities"),
    [
        ("rtt", {"rate_hz", "p50_us", "p99_us", "max_us", "cpu_us"}),
        ("fly", {"fixes_hz", "readings_hz", "period_p99_ms"}),
        ("jitter", {"p99_us", "max_us"}),
        ("handoff", {"sample_ns", "exchange_ns"}),
        ("stop", {"p50_ms", "p99_ms", "max_ms"}),
        ("estimator", {"rms_of_floor", "width_steps", "bound_steps", "inside_percent"}),
        ("scaling", {"wall_s", "us_per_reading", "grown_mb"}),
        ("startup", {"wall_s"}),
    ],
)
def test_each_measurement_fills_table_and_file(tmp_path, what, quantities):
    text, figures = run(tmp_path, what, "--link", "unlimited")
    assert f"== {what} ==" in text
    assert {"machine", "load_after", "effort", "took_s"} <= figures.keys()
    measured = figures["measurements"][what]
    first = measured["rows"][0]
    assert quantities <= first["values"].keys()
    assert {"load", "foreign_cpu", "unquiet", "note"} <= first.keys()
    assert {"median", "low", "high", "rounds"} == first["values"].popitem()[1].keys()
    for target in measured["targets"]:
        assert {"name", "found", "bar", "met", "verdict"} <= target.keys()


def test_line_limit_stands_beside_the_rates_of_a_line(tmp_path):
    _, figures = run(tmp_path, "rtt", "--link", "115200")
    rows = figures["measurements"]["rtt"]["rows"]
    assert {row["client"] for row in rows} == {client.name for client in CLIENTS}
    # A rate above the line's would be a fault of the simulator or of the bench.
    assert all(0 < row["values"]["of_limit"]["median"] <= 1 for row in rows)


@pytest.mark.parametrize(
    ("link", "limit_hz"),
    [
        ("unlimited", None),
        ("9600", 1 / 13.5e-3),
        ("115200", 1 / (120 / 115.2e3 + 1e-3)),
        ("usb 2 ms", 500.0),
        ("ftdi 16 ms", 62.5),
    ],
)
def test_line_limit_is_the_bytes_the_turnaround_and_the_tick(link, limit_hz):
    assert line_limit_hz(LINKS[link]) == pytest.approx(limit_hz)


def test_overlapping_ranges_are_no_difference():
    ratio = Ratio.of(spread(10, 12, 15), spread(8, 9, 11))
    assert not ratio.is_difference
    assert ratio.verdict() == "no difference"


def test_ranges_apart_are_a_ratio_of_medians():
    ratio = Ratio.of(spread(20, 24, 30), spread(8, 12, 16))
    assert ratio.verdict() == "x 2"
    assert (ratio.spread.low, ratio.spread.high) == (20 / 16, 30 / 8)


def test_one_round_says_nothing():
    assert Ratio.of(spread(20), spread(10)).verdict() == "one round"


def test_a_row_is_compared_with_its_own_link_and_load_only():
    def row(client, load, rate):
        return Row({"client": client, "load": load}, {"rate_hz": spread(rate, rate)})

    rows = [
        row("engine", "idle", 10.0),
        row("engine", "busy thread", 8.0),
        row("other", "idle", 5.0),
        row("other", "busy thread", 2.0),
    ]
    compare(rows, "rate_hz")
    assert [row.ratio and row.ratio.verdict() for row in rows] == [
        *(None, None),
        *("x 2", "x 4"),
    ]


def test_cell_that_fails_is_told_and_the_others_are_measured():
    def starved():
        raise DeviceTimeoutError('stage did not answer "DN"')

    cells = [
        Cell({"client": "a"}, "idle", starved),
        Cell({"client": "b"}, "idle", lambda: {"rate_hz": 2.0}),
    ]
    bad, good = interleave(cells, 2)
    assert bad.note == 'failed in 2 rounds: stage did not answer "DN"'
    assert not bad.values
    assert good.values["rate_hz"].rounds == 2
    assert good.note == ""


def test_rounds_are_interleaved_and_each_begins_with_another_cell():
    order = []

    def cell(name):
        return Cell({"client": name}, "idle", lambda: order.append(name) or {"n": 1.0})

    rows = interleave([cell("a"), cell("b"), cell("c")], 3)
    assert "".join(order) == "abcbcacab"
    assert [row.labels["client"] for row in rows] == ["a", "b", "c"]
    assert rows[0].values["n"] == Spread(1.0, 1.0, 1.0, 3)


def test_what_falls_short_is_shown_as_falling_short():
    missed = Target("rate", spread(0.90, 0.92, 0.94), 0.95, at_least=True)
    doubtful = Target("rate", spread(0.94, 0.96, 0.97), 0.95, at_least=True)
    text = text_of(Report("rtt", "about", [], [missed, doubtful]))
    assert "0.92 (0.9..0.94), >= 0.95: FALLS SHORT" in text
    assert "why: not known." in text
    assert "met, not in every round" in text


def test_a_known_reason_stands_beside_what_falls_short_and_only_there():
    missed = Target("rate", spread(0.9, 0.9), 0.95, True, reason="wires are slow.")
    met = Target("rate", spread(1.0, 1.0), 0.95, True, reason="never shown.")
    text = text_of(Report("rtt", "about", [], [missed, met]))
    assert "why: wires are slow." in text
    assert "never shown" not in text
    assert met.plain()["why"] == ""


@pytest.mark.parametrize(
    ("over", "verdict"),
    [
        ((0.90, 0.97, 1.01), "FALLS SHORT, ranges overlap: no difference"),
        ((0.80, 0.81, 0.82), "FALLS SHORT"),
        ((1.20, 1.21, 1.22), "met"),
        ((0.97,), "FALLS SHORT, one round"),
    ],
)
def test_a_target_of_a_ratio_says_when_there_is_no_difference(over, verdict):
    ratio = Ratio.of(spread(*over), spread(*[1.0] * len(over)))
    target = Target("busy / idle", ratio, 0.98, at_least=True, reason="known.")
    assert target.verdict() == verdict
    if "no difference" in verdict:
        assert target.why == "the ranges overlap: that it falls short is not shown."


def test_a_disturbed_number_and_a_missing_client_are_said():
    rows = [
        Row({"client": "engine"}, {"rate_hz": spread(1)}, foreign=0.5),
        Row({"client": "other"}, note="other is not installed"),
    ]
    text = text_of(Report("rtt", "about", rows))
    assert "50 % UNQUIET" in text
    judged = Report("rtt", "about", rows, [Target("x", spread(1), 1, at_least=True)])
    assert "UNQUIET: others took up to 50 % of the machine" in text_of(judged)
    assert "other: other is not installed" in text


def test_a_conversion_that_no_reading_holds_is_lost():
    readings = {"t_start": np.array([0, 100, 300]), "t_end": np.array([90, 190, 390])}
    sent = np.array([[10, 20], [110, 120], [210, 220], [310, 320], [410, 420]])
    assert is_read(sent, readings).tolist() == [True, True, False, True, False]


def test_a_client_without_its_package_is_missing():
    assert "no_such_package" in package("no_such_package")()
    assert package("json")() == ""


def test_without_cyclictest_the_table_says_so_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    text, figures = run(tmp_path, "jitter", "--link", "unlimited")
    assert "cyclictest: cyclictest is not on PATH (Debian package rt-tests)" in text
    rows = figures["measurements"]["jitter"]["rows"]
    assert [row["client"] for row in rows if row["note"]] == [
        *("cyclictest", "cyclictest FIFO"),
    ]


def test_cyclictest_is_read_with_what_its_histogram_does_not_hold():
    printed = (
        "# Histogram\n000050 000090\n001500 000006\n# Total: 000000096\n"
        "# Max Latencies: 250000\n# Histogram Overflows: 00004\n"
    )
    assert lateness_of(printed) == {
        "p50_us": 50.0,
        "p99_us": 250000.0,
        "max_us": 250000.0,
        "missed_percent": 10.0,
    }


@pytest.mark.parametrize("load", LOADS)
def test_a_load_of_ours_is_not_foreign(load):
    with under(load), watched_cpu() as cpu:
        sum(range(1_000_000))
    assert cpu.foreign is None or 0 <= cpu.foreign <= 1
