"""`run_study`: a study's scans inside the RunEngine, and what the study keeps of them.

In virtual time: it passes fast, so that a pause in flight needs a long map.
"""

import signal
import threading

import pytest
from bluesky.simulators import check_limits, summarize_plan
from bluesky.utils import RunEngineInterrupted
from real_time import wait_until

from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.errors import (
    InfeasibleScanError,
    MotionFaultError,
    StudyBusyError,
    StudyNotFoundError,
    StudyRuleError,
)
from aefi_bluesky.domain.spec.fly_spec import Zone
from aefi_bluesky.domain.study.events import (
    ScanEnded,
    ScanPaused,
    ScanResumed,
    ScanStarted,
)
from aefi_bluesky.domain.study.study import ScanRole
from aefi_bluesky.plans import study_plan
from aefi_bluesky.plans.study import HALTED_CAUSE
from aefi_bluesky.session.signals import StopOnTermination
from aefi_bluesky.session.study_runs import RunEngineScanExecutor
from aefi_bluesky.storage.local.study_repository import SqliteStudyRepository
from aefi_bluesky.testing.builders import a_spec, a_step_spec, an_object

SMALL = a_spec(n_x=2, n_y=5)
REST = a_step_spec()
LONG = a_spec(zone=Zone(600.0, 660.0, 560.0, 650.0), n_x=241, n_y=31)
CUT_OFF = "ScanAbortedError: the scan was interrupted before its flight began"


class Campaign:
    """A study of a bench in virtual time, its plan, and what happened to it."""

    def __init__(self, bench, folder, **specs):
        self.bench = bench
        self.events = []
        self.repository = SqliteStudyRepository(folder / "studies.sqlite")
        executor = RunEngineScanExecutor(bench.RE, bench.run_maker, bench.port)
        self.service = StudyService(
            self.repository,
            executor,
            bench.description,
            handlers=(self,),
            at_rest=executor,
        )
        self.run_study = study_plan(self.service, bench.run_maker)
        self.service.create_study("ball", an_object(), "me")
        self.service.configure_study("ball")
        for scan, spec in specs.items():
            self.service.add_scan("ball", scan, spec, ScanRole.REFERENCE)

    def handle(self, event):
        self.events.append(event)

    def fly(self, **options):
        return self.bench.RE(self.run_study("ball", **options))

    def fly_until_paused(self, **options):
        with pytest.raises(RunEngineInterrupted):
            self.fly(**options)

    def scan(self, name):
        return self.repository.get("ball").scan(name)

    def ends(self):
        return {
            s.id: (s.state.value, s.cause) for s in self.repository.get("ball").scans
        }

    def runs(self):
        return self.bench.run.runs()

    def check_let_go(self):
        with self.repository.hold("ball"):
            pass


@pytest.fixture
def make_campaign(bench, tmp_path):
    return lambda **specs: Campaign(bench, tmp_path, **specs)


# -- flown to the end ------------------------------------------------------------------


def test_the_next_scan_is_one_run_that_tells_its_study(make_campaign):
    campaign = make_campaign(a=SMALL, b=SMALL)
    campaign.fly(md={"sample": "sand", "study": "another"})
    assert campaign.ends() == {"a": ("completed", ""), "b": ("pending", "")}
    (run,) = campaign.runs()
    run.check()
    assert run.start["study"] == {
        "id": "ball",
        "object": "a sphere",
        "scan": "a",
        "role": "reference",
    }
    assert run.start["sample"] == "sand"
    assert run.start["plan_name"] == "run_study"
    assert run.start["plan_args"] == {"study_id": "ball", "all_scans": False}
    assert campaign.scan("a").run_uid == run.start["uid"]
    campaign.check_let_go()


def test_all_scans_are_a_run_each_in_their_order(make_campaign):
    campaign = make_campaign(a=SMALL)
    campaign.service.add_scan("ball", "o", SMALL, ScanRole.OBJECT, reference="a")
    uids = []

    def kept():
        uids.extend((yield from campaign.run_study("ball", all_scans=True)))

    campaign.bench.RE(kept())
    told = [(run.start["uid"], run.start["study"]["scan"]) for run in campaign.runs()]
    assert told == list(zip(uids, ["a", "o"], strict=True))
    assert [campaign.scan(name).run_uid for name in "ao"] == uids
    assert campaign.ends() == {"a": ("completed", ""), "o": ("completed", "")}
    with pytest.raises(StudyRuleError, match="only a pending scan can be run"):
        campaign.fly(all_scans=True)


def test_the_service_records_the_same_of_a_scan(make_campaign):
    campaign = make_campaign(a=SMALL, b=SMALL)
    campaign.fly()
    of_the_plan, campaign.events = campaign.events, []
    campaign.service.execute_next_scan("ball")
    kinds = [ScanStarted, ScanEnded]
    assert [type(event) for event in campaign.events] == kinds
    assert [type(event) for event in of_the_plan[-2:]] == kinds
    first, second = (run.start["study"] for run in campaign.runs())
    assert first | {"scan": "b"} == second
    assert campaign.scan("b").run_uid == campaign.runs()[1].start["uid"]


def test_flown_and_stepped_scans_make_one_study(make_campaign):
    campaign = make_campaign(flown=SMALL, rest=REST)
    campaign.service.add_scan("ball", "o", REST, ScanRole.OBJECT, reference="rest")
    campaign.fly(all_scans=True)
    assert set(campaign.ends().values()) == {("completed", "")}
    runs = campaign.runs()
    kinds = [run.start["scan_spec"].get("kind", "fly-map") for run in runs]
    assert kinds == ["fly-map", "step-map", "step-map"]
    assert [run.start["study"]["scan"] for run in runs] == ["flown", "rest", "o"]
    assert [campaign.scan(s).run_uid for s in ("flown", "rest", "o")] == [
        run.start["uid"] for run in runs
    ]
    assert {run.start["plan_name"] for run in runs} == {"run_study"}
    campaign.check_let_go()


# -- refused before anything happens ---------------------------------------------------


def test_what_is_refused_flies_nothing_and_begins_nothing(make_campaign):
    campaign = make_campaign()
    with pytest.raises(StudyNotFoundError, match="'bal'"):
        campaign.bench.RE(campaign.run_study("bal"))
    with pytest.raises(StudyRuleError, match="only a pending scan can be run"):
        campaign.fly()
    campaign.service.add_scan("ball", "a", SMALL, ScanRole.REFERENCE)
    campaign.service.add_scan("ball", "o", SMALL, ScanRole.OBJECT, reference="a")
    campaign.service.cancel_scan("ball", "a", "a test")
    with pytest.raises(StudyRuleError, match="prerequisites are completed first"):
        campaign.fly(all_scans=True)
    far = Zone(600.0, 620.0, 600.0, 6200.0)
    for name, spec in (("far", a_spec(zone=far)), ("rest", a_step_spec(zone=far))):
        campaign.service.add_scan("ball", name, spec, ScanRole.REFERENCE)
        with pytest.raises(InfeasibleScanError, match="axis y"):
            campaign.fly()
        campaign.service.cancel_scan("ball", name, "a test")
    assert campaign.bench.run.documents == []
    assert not campaign.bench.log().moved
    assert campaign.repository.get("ball").state.value == "configured"
    campaign.check_let_go()


def test_a_study_that_another_flies_is_refused(make_campaign):
    campaign = make_campaign(a=SMALL)
    with campaign.repository.hold("ball"), pytest.raises(StudyBusyError, match="ball"):
        campaign.fly()
    assert campaign.ends() == {"a": ("pending", "")}


@pytest.mark.parametrize("spec", [SMALL, REST])
def test_who_only_looks_at_the_plan_leaves_the_study_as_it_is(
    make_campaign, capsys, spec
):
    campaign = make_campaign(a=spec, b=SMALL)
    before = campaign.repository.get("ball")
    summarize_plan(campaign.run_study("ball", all_scans=True))
    assert "Open Run" in capsys.readouterr().out
    check_limits(campaign.run_study("ball"))
    campaign.run_study("ball").close()
    assert campaign.repository.get("ball") == before
    campaign.check_let_go()


# -- interrupted -----------------------------------------------------------------------


def test_the_study_is_held_and_paused_while_its_flight_is(
    make_campaign, pause_in_flight
):
    campaign = make_campaign(a=LONG)
    pause_in_flight(campaign.bench, 0.0)
    campaign.fly_until_paused()
    with pytest.raises(StudyBusyError):
        campaign.service.recover("ball")
    wait_until(lambda: campaign.scan("a").state.value == "paused", "the study's pause")
    campaign.bench.RE.resume()
    assert campaign.ends() == {"a": ("completed", "")}
    events = [type(event) for event in campaign.events[-4:]]
    assert events == [ScanStarted, ScanPaused, ScanResumed, ScanEnded]
    assert len(campaign.runs()) == 1
    campaign.check_let_go()


def test_a_measurement_at_rest_is_paused_as_a_flight_is(
    make_campaign, pause_at_measurement
):
    campaign = make_campaign(a=REST)
    engine = campaign.bench.RE
    pause_at_measurement(campaign.bench, 3)
    campaign.fly_until_paused()
    assert campaign.scan("a").state.value == "paused"
    assert campaign.bench.excitation.state() == "off"
    with pytest.raises(StudyBusyError):
        campaign.service.recover("ball")
    engine.resume()
    assert campaign.ends() == {"a": ("completed", "")}
    events = [type(event) for event in campaign.events[-4:]]
    assert events == [ScanStarted, ScanPaused, ScanResumed, ScanEnded]
    assert campaign.bench.run.column("primary", "frame") == list(range(6))


@pytest.mark.parametrize("end", ["abort", "stop"])
def test_an_ended_measurement_at_rest_cancels_its_scan(
    make_campaign, pause_at_measurement, end
):
    campaign = make_campaign(a=REST, b=SMALL)
    engine = campaign.bench.RE
    pause_at_measurement(campaign.bench, 3)
    campaign.fly_until_paused(all_scans=True)
    getattr(engine, end)()
    assert campaign.ends() == {
        "a": ("cancelled", "stop requested"),
        "b": ("pending", ""),
    }
    (run,) = campaign.runs()
    assert run.column("primary", "frame") == [0, 1]
    assert campaign.scan("a").run_uid == run.start["uid"]
    assert campaign.bench.excitation.state() == "off"
    campaign.check_let_go()
    campaign.fly()
    assert campaign.ends()["b"] == ("completed", "")


def test_a_halt_fails_a_measurement_at_rest(make_campaign, pause_at_measurement):
    campaign = make_campaign(a=REST)
    engine = campaign.bench.RE
    pause_at_measurement(campaign.bench, 3)
    campaign.fly_until_paused()
    engine.halt()
    assert campaign.ends() == {"a": ("failed", HALTED_CAUSE)}
    campaign.check_let_go()


def test_a_fault_fails_a_measurement_at_rest(make_bench, tmp_path):
    campaign = Campaign(make_bench(script="at 2s do alarm"), tmp_path, a=REST)
    with pytest.raises(MotionFaultError, match="alarm"):
        campaign.fly()
    state, cause = campaign.ends()["a"]
    assert state == "failed"
    assert cause.startswith("MotionFaultError: ")
    (run,) = campaign.runs()
    assert run.stop["exit_status"] == "fail"
    assert "alarm" in run.stop["reason"]
    assert campaign.bench.excitation.state() == "off"
    campaign.check_let_go()


def test_a_study_that_cannot_be_told_of_a_pause_loses_no_measurement(
    make_campaign, pause_at_measurement, monkeypatch, caplog
):
    campaign = make_campaign(a=REST)
    engine = campaign.bench.RE
    pause_at_measurement(campaign.bench, 3)
    with monkeypatch.context() as patch:
        at_start = campaign.repository.save

        def save(study):
            if study.active_scan and study.active_scan.state.value == "paused":
                full_disk(study)
            at_start(study)

        patch.setattr(campaign.repository, "save", save)
        campaign.fly_until_paused()
        assert "the observer could not be told of paused" in caplog.text
    engine.resume()
    assert campaign.ends() == {"a": ("completed", "")}


@pytest.mark.parametrize("message", range(1, 100, 7))
def test_pause_at_any_message_flies_each_scan_once(
    make_campaign, pause_at_message, message
):
    campaign = make_campaign(a=SMALL, b=SMALL)
    pause_at_message(campaign.bench, message)
    campaign.fly_until_paused(all_scans=True)
    campaign.bench.RE.resume()
    assert campaign.ends() == {"a": ("completed", ""), "b": ("completed", "")}
    runs = campaign.runs()
    assert [run.start["study"]["scan"] for run in runs] == ["a", "b"]
    for run in runs:
        run.check_frames_once(10)


@pytest.mark.parametrize("end", ["abort", "stop"])
def test_an_ended_run_cancels_its_scan_and_the_next_one_can_fly(
    make_campaign, pause_in_flight, end
):
    campaign = make_campaign(a=LONG, b=SMALL)
    pause_in_flight(campaign.bench, 0.0)
    campaign.fly_until_paused(all_scans=True)
    getattr(campaign.bench.RE, end)()
    (run,) = campaign.runs()
    assert campaign.ends() == {
        "a": ("cancelled", "stop requested"),
        "b": ("pending", ""),
    }
    assert campaign.scan("a").run_uid == run.start["uid"]
    assert run.stop["exit_status"] == "abort"
    campaign.check_let_go()
    campaign.fly()
    assert campaign.ends()["b"] == ("completed", "")


def test_a_run_ended_before_its_flight_fails_its_scan(make_campaign, pause_at_message):
    campaign = make_campaign(a=SMALL)
    pause_at_message(campaign.bench, 3)  # staged, and no run is open
    campaign.fly_until_paused()
    campaign.bench.RE.abort()
    assert campaign.ends() == {"a": ("failed", CUT_OFF)}
    assert campaign.scan("a").run_uid is None
    assert campaign.bench.run.documents == []
    campaign.check_let_go()


@pytest.mark.parametrize("message", [3, 20, 45])
def test_a_halt_fails_the_scan_and_lets_the_study_go(
    make_campaign, pause_at_message, message
):
    campaign = make_campaign(a=LONG, b=SMALL)
    pause_at_message(campaign.bench, message)
    campaign.fly_until_paused(all_scans=True)
    campaign.bench.RE.halt()
    assert campaign.ends() == {"a": ("failed", HALTED_CAUSE), "b": ("pending", "")}
    uids = [run.start["uid"] for run in campaign.runs()] or [None]
    assert [campaign.scan("a").run_uid] == uids
    campaign.check_let_go()
    assert campaign.service.recover("ball") is None
    assert campaign.bench.flyer.wait_for_end(10.0)
    campaign.service.retry_scan("ball", "a", "a2")
    assert campaign.service.next_scan("ball").id == "b"
    campaign.fly()
    assert campaign.ends()["b"] == ("completed", "")


def test_a_halt_that_cannot_be_stored_is_recovered(
    make_campaign, pause_in_flight, monkeypatch
):
    campaign = make_campaign(a=LONG)
    pause_in_flight(campaign.bench, 0.0)
    campaign.fly_until_paused()
    wait_until(lambda: campaign.scan("a").state.value == "paused", "the study's pause")
    with monkeypatch.context() as patch:
        patch.setattr(campaign.repository, "save", full_disk)
        with pytest.raises(OSError, match="no space"):
            campaign.bench.RE.halt()
    assert campaign.scan("a").state.value == "paused"
    campaign.check_let_go()
    lost = campaign.service.recover("ball")
    assert (lost.id, lost.state.value) == ("a", "failed")
    assert "the program that carried this scan out died" in lost.cause


def full_disk(_study):
    raise OSError("no space left")


def test_termination_stops_the_flight_and_an_abort_then_cancels_the_scan(
    make_campaign,
):
    campaign = make_campaign(a=LONG)

    def terminate(message):
        if message.command == "complete":
            campaign.bench.RE.msg_hook = None
            signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)

    campaign.bench.RE.msg_hook = terminate
    with StopOnTermination(campaign.bench.RE) as termination:
        campaign.fly_until_paused()
        assert termination.received is signal.SIGTERM
        campaign.bench.RE.abort("terminated")
    assert campaign.ends() == {"a": ("cancelled", "stop requested")}
    (run,) = campaign.runs()
    assert campaign.scan("a").run_uid == run.start["uid"]
    campaign.check_let_go()


def test_a_failed_flight_fails_its_scan_and_the_next_one_can_fly(make_bench, tmp_path):
    campaign = Campaign(make_bench(script="at 8s do alarm"), tmp_path, a=LONG, b=SMALL)
    with pytest.raises(MotionFaultError, match="alarm"):
        campaign.fly(all_scans=True)
    state, cause = campaign.ends()["a"]
    assert state == "failed"
    assert cause.startswith("MotionFaultError: ")
    assert "alarm" in cause
    assert campaign.ends()["b"] == ("pending", "")
    campaign.check_let_go()
    campaign.bench.port.clear_errors()
    campaign.fly(all_scans=True)
    assert campaign.ends()["b"] == ("completed", "")
    failed, completed = campaign.runs()
    assert campaign.scan("a").run_uid == failed.start["uid"]
    assert campaign.scan("b").run_uid == completed.start["uid"]
