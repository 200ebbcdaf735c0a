"""A session leaves the stage at rest and the spheres dark, whatever fails."""

import contextlib
import logging
from types import SimpleNamespace

import pytest

from aefi_bluesky.domain.errors import PortBusyError, ScanPortError
from aefi_bluesky.engine import SerialConnection, VirtualConnection
from aefi_bluesky.session import bench_devices
from aefi_bluesky.session.bench_devices import _leave_safe, _scan_port
from aefi_bluesky.session.configuration import load_bench
from aefi_bluesky.session.folders import SessionFolders
from aefi_bluesky.session.simulated import SimulationSettings


class Bench:
    """Flyer, port and excitation in one; writes down what is asked of it."""

    def __init__(self, failing=(), moving=()):
        self.calls = []
        self.failing = failing
        self.moving = moving
        self.stage = self

    def __getattr__(self, name):
        def called(*_args):
            self.calls.append(name)
            if name in self.failing:
                raise self.failing[name]
            return name not in self.moving

        return called


class Excitation:
    def __init__(self, bench):
        self.bench = bench

    def stop(self):
        self.bench.switch_off()


def left(bench):
    _leave_safe(bench, bench, Excitation(bench))
    return bench.calls


def test_the_excitation_goes_off_before_the_flights_end_and_after_it():
    assert left(Bench()) == [
        *("stop", "stop", "switch_off"),
        *("wait_for_end", "switch_off"),
        *("wait_for_rest", "release"),
    ]


def test_an_excitation_that_stays_on_is_told_aloud_and_the_rest_is_done(caplog):
    bench = Bench({"switch_off": ScanPortError("no reply")})
    assert left(bench)[-2:] == ["wait_for_rest", "release"]
    told = [each for each in caplog.records if each.levelno == logging.CRITICAL]
    assert [each.getMessage() for each in told] == [
        "the excitation may be on: no reply"
    ] * 2


@pytest.mark.parametrize("error", [PortBusyError("still in flight")])
def test_ports_that_cannot_be_released_are_told(caplog, error):
    left(Bench({"release": error}))
    assert "the ports could not be given back: still in flight" in caplog.text


@pytest.mark.parametrize(
    ("moving", "told"),
    [
        ((), ""),
        (("wait_for_end",), "the flight did not come to rest within 10 s"),
        (("wait_for_rest",), "the axes did not come to rest within 10 s"),
    ],
)
def test_what_does_not_come_to_rest_is_told_and_the_rest_is_done(caplog, moving, told):
    assert left(Bench(moving=moving))[-1] == "release"
    assert caplog.messages == [told] * bool(told)


@pytest.mark.parametrize(
    ("kind", "started", "links"),
    [
        ("virtual", [], VirtualConnection),
        ("ptys", ["simulator"], SerialConnection),
        ("real", [], SerialConnection),
    ],
)
def test_only_the_bench_on_ptys_starts_a_simulator(
    kind, started, links, tmp_path, monkeypatch
):
    asked = []

    @contextlib.contextmanager
    def simulator(*_args):
        asked.append("simulator")
        yield SimpleNamespace(stage_port="/dev/null", acquisition_port="/dev/null")

    monkeypatch.setattr(bench_devices, "SimulatorProcess", simulator)
    seen = []
    monkeypatch.setattr(
        bench_devices,
        "RustScanAdapter",
        lambda _bench, connection, _spools, _lease: seen.append(connection),
    )
    with contextlib.ExitStack() as stack:
        _scan_port(
            *(stack, kind, "simulated", load_bench("simulated")),
            *(SimulationSettings(), SessionFolders.below(tmp_path), None, None),
        )
    assert asked == started
    assert [type(each) for each in seen] == [links]
