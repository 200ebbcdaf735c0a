"""What the service does, in which order, over fakes."""

import dataclasses

import pytest

from aefi_bluesky.application.in_memory import InMemoryStudyRepository
from aefi_bluesky.application.study_service import StudyService
from aefi_bluesky.domain.errors import (
    DeviceTimeoutError,
    InfeasibleScanError,
    PortBusyError,
    ScanPortError,
    StaleStudyError,
    StudyBusyError,
    StudyNotFoundError,
    StudyRuleError,
)
from aefi_bluesky.domain.results.scan_results import ScanState
from aefi_bluesky.domain.study.events import (
    ScanAdded,
    ScanEnded,
    ScanId,
    ScanStarted,
    StudyConfigured,
    StudyCreated,
    StudyId,
)
from aefi_bluesky.domain.study.rules import StudyRule
from aefi_bluesky.domain.study.study import PlannedScanState, ScanRole, StudyState
from aefi_bluesky.testing.builders import (
    a_bench,
    a_spec,
    a_step_spec,
    a_study,
    an_object,
)
from aefi_bluesky.testing.fakes import Failure, FakeScanPort, RecordingObserver

STUDY, SCAN = StudyId("study-1"), ScanId("a")


class LoggedRepository(InMemoryStudyRepository):
    """Writes down what state of the scan was saved."""

    def __init__(self, log):
        super().__init__()
        self.log = log

    def save(self, study):
        super().save(study)
        self.log.append(("saved", [str(scan.state) for scan in study.scans]))


class LoggingHandler:
    def __init__(self, log):
        self.log = log

    def handle(self, event):
        self.log.append(event)


class LoggedPort(FakeScanPort):
    """Writes down when it flies; `meanwhile` happens in flight."""

    def __init__(self, log, *args):
        super().__init__(*args)
        self.log = log
        self.meanwhile = lambda: None

    def execute_scan(self, flight_plan, observer, run=None):
        self.log.append("flown")
        self.meanwhile()
        return super().execute_scan(flight_plan, observer)


@pytest.fixture
def log():
    return []


@pytest.fixture
def repository(log):
    repository = LoggedRepository(log)
    repository.save(a_study(scans=("a",)))
    log.clear()
    return repository


@pytest.fixture
def port(log):
    return LoggedPort(log)


@pytest.fixture
def observer():
    return RecordingObserver()


@pytest.fixture
def service(repository, port, log):
    return StudyService(
        repository,
        port,
        a_bench(),
        [LoggingHandler(log)],
    )


def test_study_is_stored_before_its_events_are_handed_on(service, log):
    service.create_study(StudyId("new"), an_object(), "me")
    service.configure_study(StudyId("new"))
    service.add_scan(StudyId("new"), SCAN, a_spec(), ScanRole.REFERENCE)
    assert log == [
        ("saved", []),
        StudyCreated("new", an_object(), "me"),
        ("saved", []),
        StudyConfigured("new", a_bench()),
        ("saved", ["pending"]),
        ScanAdded("new", "a"),
    ]


def test_study_is_stored_before_and_after_the_flight(service, log, observer):
    results = service.execute_next_scan(STUDY, observer)
    assert results.state is ScanState.COMPLETED
    assert log == [
        ("saved", ["running"]),
        ScanStarted("study-1", "a"),
        "flown",
        ("saved", ["completed"]),
        ScanEnded("study-1", "a", "completed", None, ""),
    ]


def test_observer_sees_the_flight_of_the_planned_spec(service, observer, port):
    service.execute_next_scan(STUDY, observer)
    assert observer.names[-1] == "flight_ended"
    assert [plan.spec for plan in port.plans] == [a_spec()]


def test_run_of_the_port_is_recorded(repository, observer):
    class Recording(FakeScanPort):
        def execute_scan(self, flight_plan, observer, run=None):
            assert run.metadata["study"]["scan"] == SCAN
            run.uid = "uid-7"
            return super().execute_scan(flight_plan, observer, run)

    service = StudyService(repository, Recording(), a_bench())
    service.execute_next_scan(STUDY, observer)
    assert repository.get(STUDY).scan(SCAN).run_uid == "uid-7"


def test_infeasible_scan_starts_nothing(service, repository, log, observer):
    service.add_scan(STUDY, ScanId("b"), a_spec(), ScanRole.REFERENCE)
    service.execute_next_scan(STUDY, observer)
    service.add_scan(
        STUDY, ScanId("c"), a_spec(speed_mm_per_s=500.0), ScanRole.REFERENCE
    )
    service.execute_next_scan(STUDY, observer)
    log.clear()
    with pytest.raises(InfeasibleScanError, match="500 mm/s is outside"):
        service.execute_next_scan(STUDY, observer)
    assert log == []
    assert repository.get(STUDY).scan(ScanId("c")).state is PlannedScanState.PENDING


def test_scan_at_rest_is_refused_by_what_only_flies(service, log):
    service.cancel_scan("study-1", "a", "a test")
    service.add_scan("study-1", "rest", a_step_spec(), ScanRole.REFERENCE)
    log.clear()
    with pytest.raises(InfeasibleScanError, match="'rest' is a step-map, which is mea"):
        service.execute_next_scan("study-1")
    assert log == []


def test_study_says_which_rule_forbids_the_next_scan(service, log, observer):
    service.execute_next_scan(STUDY, observer)
    log.clear()
    with pytest.raises(StudyRuleError, match="only a pending scan can be run"):
        service.execute_next_scan(STUDY, observer)
    assert log == []


@pytest.mark.parametrize(
    ("failure", "refusal"),
    [
        (Failure(2, DeviceTimeoutError("no reply to PX within 20 ms")), None),
        (None, PortBusyError("no reply to PX within 20 ms")),
    ],
)
def test_failed_flight_is_recorded_with_its_cause(
    service, port, repository, log, observer, failure, refusal
):
    port.failure, port.refusal = failure, refusal
    with pytest.raises(ScanPortError, match="no reply to PX"):
        service.execute_next_scan(STUDY, observer)
    scan = repository.get(STUDY).scan(SCAN)
    assert scan.state is PlannedScanState.FAILED
    assert "no reply to PX within 20 ms" in scan.cause
    assert log[-2:] == [
        ("saved", ["failed"]),
        ScanEnded("study-1", "a", "failed", None, scan.cause),
    ]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug")])
def test_whatever_ends_a_flight_ends_its_scan(
    service, port, repository, observer, error
):
    def interrupt():
        raise error

    port.meanwhile = interrupt
    with pytest.raises(type(error)):
        service.execute_next_scan(STUDY, observer)
    scan = repository.get(STUDY).scan(SCAN)
    assert scan.state is PlannedScanState.FAILED
    assert type(error).__name__ in scan.cause


def test_scan_added_during_a_flight_is_kept(service, port, repository, observer):
    port.meanwhile = lambda: service.add_scan(
        STUDY, ScanId("later"), a_spec(), ScanRole.REFERENCE
    )
    service.execute_next_scan(STUDY, observer)
    states = [scan.state for scan in repository.get(STUDY).scans]
    assert states == [PlannedScanState.COMPLETED, PlannedScanState.PENDING]


def test_second_flight_of_a_study_is_refused_during_the_first(service, port, observer):
    refusals = []

    def fly_too():
        with pytest.raises(StudyRuleError, match="one scan at a time") as caught:
            service.execute_next_scan(STUDY, observer)
        refusals.append(caught.value)

    port.meanwhile = fly_too
    service.execute_next_scan(STUDY, observer)
    assert len(refusals) == 1


def test_broken_handler_does_not_undo_what_happened(repository, observer, caplog):
    class Broken:
        def handle(self, event):
            raise RuntimeError("a broken listener")

    heard = []
    service = StudyService(
        repository,
        FakeScanPort(),
        a_bench(),
        [Broken(), LoggingHandler(heard)],
    )
    service.execute_next_scan(STUDY, observer)
    assert len(heard) == 2
    assert repository.get(STUDY).scan(SCAN).state is PlannedScanState.COMPLETED
    assert "Broken" in caplog.text


def test_unknown_study_is_refused(service, observer):
    with pytest.raises(StudyNotFoundError, match="nobody"):
        service.execute_next_scan(StudyId("nobody"), observer)


def test_taken_identifier_is_refused(service, repository):
    with pytest.raises(StudyRuleError, match="'study-1' is taken"):
        service.create_study(STUDY, an_object(reference="a cube"), "me")
    assert repository.get(STUDY).measured_object == an_object()


def test_taken_study_is_refused_by_rule(service):
    with pytest.raises(StudyRuleError) as caught:
        service.create_study(STUDY, an_object(), "me")
    assert caught.value.rule is StudyRule.UNIQUE_STUDY


def test_next_scan_is_told_without_flying_it(service, log):
    assert service.next_scan(STUDY).id == SCAN
    assert log == []


def test_study_is_closed_through_the_service(service, repository, observer):
    service.add_scan(STUDY, ScanId("b"), a_spec(), ScanRole.REFERENCE)
    service.cancel_scan(STUDY, SCAN, "no object")
    service.retry_scan(STUDY, SCAN, ScanId("a2"))
    service.execute_next_scan(STUDY, observer)
    service.execute_next_scan(STUDY, observer)
    service.complete_study(STUDY)
    service.archive_study(STUDY)
    study = repository.get(STUDY)
    assert study.state is StudyState.ARCHIVED
    assert [str(s.state) for s in study.scans] == [
        "cancelled",
        "completed",
        "completed",
    ]


def test_study_is_aborted_through_the_service(service, repository):
    service.abort_study(STUDY, "the object broke")
    assert repository.get(STUDY).scan(SCAN).cause == "the object broke"


def test_bench_that_was_measured_anew_is_the_next_studys_snapshot(service, repository):
    measured = a_bench(link=dataclasses.replace(a_bench().link, fix_rate_hz=321.0))
    service.recalibrate(measured)
    service.create_study(StudyId("later"), an_object(), "me")
    service.configure_study(StudyId("later"))
    assert repository.get(StudyId("later")).bench == measured


def test_scan_is_not_flown_on_another_bench(repository, port, log, observer):
    service = StudyService(repository, port, a_bench(name="another"))
    with pytest.raises(
        StudyRuleError, match=r"its snapshot: .* name another, found te"
    ):
        service.execute_next_scan(STUDY, observer)
    assert log == []


def test_pauses_of_the_flight_are_those_of_the_scan(
    service, port, repository, observer
):
    states = []

    def hold(flight_plan, watched, run=None):
        for state in (
            *(ScanState.FLYING, ScanState.PAUSING, ScanState.PAUSED),
            *(ScanState.PAUSED, ScanState.FLYING),
        ):
            watched.state_changed(state)
            states.append((state, repository.get(STUDY).scan(SCAN).state))
        return FakeScanPort().execute_scan(flight_plan, watched)

    port.execute_scan = hold
    service.execute_next_scan(STUDY, observer)
    running, paused = PlannedScanState.RUNNING, PlannedScanState.PAUSED
    assert states == [
        (ScanState.FLYING, running),
        (ScanState.PAUSING, running),
        (ScanState.PAUSED, paused),
        (ScanState.PAUSED, paused),
        (ScanState.FLYING, running),
    ]
    assert repository.get(STUDY).scan(SCAN).state is PlannedScanState.COMPLETED
    assert observer.values("state_changed")[:3] == [
        *(ScanState.FLYING, ScanState.PAUSING, ScanState.PAUSED)
    ]


def lose_the_scan(repository):
    study = repository.get(STUDY)
    study.start_scan(SCAN)
    repository.save(study)


def test_lost_scan_fails_by_an_explicit_call_only(service, repository, log, observer):
    lose_the_scan(repository)
    log.clear()
    with pytest.raises(StudyRuleError, match="one scan at a time: scan 'a' is running"):
        service.execute_next_scan(STUDY, observer)
    assert log == []
    lost = service.recover(STUDY)
    assert "the program that carried this scan out died" in lost.cause
    assert log == [
        ("saved", ["failed"]),
        ScanEnded("study-1", "a", "failed", None, lost.cause),
    ]
    assert repository.get(STUDY).scan(SCAN) == lost


def test_scan_in_flight_is_not_recovered(service, port, repository, observer):
    refusals = []

    def recover():
        with pytest.raises(StudyBusyError, match="'study-1' is being flown"):
            service.recover(STUDY)
        refusals.append(repository.get(STUDY).scan(SCAN).state)

    port.meanwhile = recover
    service.execute_next_scan(STUDY, observer)
    assert refusals == [PlannedScanState.RUNNING]


def test_study_that_lost_no_scan_is_left_alone(service, log):
    assert service.recover(STUDY) is None
    assert log == []


def test_unknown_study_is_not_recovered(service):
    with pytest.raises(StudyNotFoundError, match="nobody"):
        service.recover(StudyId("nobody"))


class OvertakenRepository(InMemoryStudyRepository):
    """Somebody else is faster, as often as `times` says."""

    def __init__(self, times):
        super().__init__()
        self.times = times

    def save(self, study):
        if self.times > 0 and study.version > 0:
            self.times -= 1
            faster = self.get(study.id)
            name = ScanId(f"other-{self.times}")
            faster.add_scan(name, a_spec(), ScanRole.REFERENCE)
            super().save(faster)
        super().save(study)


def test_overtaken_change_is_made_anew():
    repository = OvertakenRepository(times=3)
    repository.save(a_study())
    service = StudyService(repository, FakeScanPort(), a_bench())
    service.add_scan(STUDY, SCAN, a_spec(), ScanRole.REFERENCE)
    names = [scan.id for scan in repository.get(STUDY).scans]
    assert names == ["other-2", "other-1", "other-0", "a"]


def test_change_that_is_always_overtaken_is_refused_by_name():
    repository = OvertakenRepository(times=1000)
    repository.save(a_study())
    service = StudyService(repository, FakeScanPort(), a_bench())
    with pytest.raises(StaleStudyError, match="'study-1' was changed by somebody else"):
        service.add_scan(STUDY, SCAN, a_spec(), ScanRole.REFERENCE)


def test_scan_is_flown_though_nobody_looks(service, repository):
    results = service.execute_next_scan(STUDY)
    assert results.state is ScanState.COMPLETED
    assert repository.get(STUDY).scan(SCAN).state is PlannedScanState.COMPLETED


def test_studies_are_told_as_they_are_stored(service, repository):
    service.create_study(StudyId("younger"), an_object(), "me")
    assert service.study_ids() == (STUDY, "younger")
    assert service.get_study(STUDY) == repository.get(STUDY)
    service.get_study(STUDY).abort("not stored")
    assert repository.get(STUDY).state is StudyState.CONFIGURED


# -- the steps apart, for who flies by other means ------------------------------------


def scan_of(repository):
    return repository.get(STUDY).scan(SCAN)


def is_free(repository):
    with repository.hold(STUDY):
        return True


def test_a_flight_is_held_until_its_end_is_told(service, repository, port, observer):
    with service.begin_next_scan(STUDY) as flight:
        assert (flight.scan.id, flight.plan.spec) == (SCAN, a_spec())
        assert flight.run.metadata["study"]["scan"] == SCAN
        assert scan_of(repository).state is PlannedScanState.RUNNING
        with pytest.raises(StudyBusyError):
            is_free(repository)
        flight.record(port.execute_scan(flight.plan, flight.observer(observer)))
    assert scan_of(repository).state is PlannedScanState.COMPLETED
    assert is_free(repository)


@pytest.mark.parametrize("error", [ScanPortError("no answer"), GeneratorExit("closed")])
def test_what_leaves_a_flight_fails_its_scan(service, repository, error):
    with pytest.raises(type(error)), service.begin_next_scan(STUDY):
        raise error
    scan = scan_of(repository)
    assert scan.state is PlannedScanState.FAILED
    assert scan.cause == f"{type(error).__name__}: {error}"
    assert is_free(repository)


def test_a_flight_whose_end_nobody_told_has_failed(service, repository):
    with service.begin_next_scan(STUDY):
        pass
    assert scan_of(repository).cause == "no program told the study how the scan ended"


def test_the_end_that_was_told_first_stays(service, repository):
    def fly():
        with service.begin_next_scan(STUDY) as flight:
            flight.fail("the stage was halted")
            raise ScanPortError("something later")

    with pytest.raises(ScanPortError, match="something later"):
        fly()
    assert scan_of(repository).cause == "the stage was halted"


def test_results_that_cannot_be_stored_are_no_failed_flight(
    service, repository, port, observer, monkeypatch
):
    def full(_study):
        raise OSError("no space left")

    def fly():
        with service.begin_next_scan(STUDY) as flight:
            results = port.execute_scan(flight.plan, observer)
            with monkeypatch.context() as patch:
                patch.setattr(repository, "save", full)
                flight.record(results)

    with pytest.raises(OSError, match="no space"):
        fly()
    # What the flight was nobody knows now: an explicit recovery says so.
    assert scan_of(repository).state is PlannedScanState.RUNNING
    assert service.recover(STUDY).id == SCAN
