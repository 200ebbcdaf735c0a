"""The rules of a study, one by one, and the events it records."""

import pytest

from aefi_bluesky.domain.errors import IllegalTransitionError, StudyRuleError
from aefi_bluesky.domain.events import (
    ScanAdded,
    ScanEnded,
    ScanPaused,
    ScanResumed,
    ScanStarted,
    StudyAborted,
    StudyArchived,
    StudyCompleted,
    StudyCreated,
)
from aefi_bluesky.domain.scan_results import FrameState, ScanResults, ScanState
from aefi_bluesky.domain.study import (
    PlannedScan,
    PlannedScanState,
    ScanRole,
    Study,
    StudyState,
)
from aefi_bluesky.testing.builders import a_spec, a_study

PENDING, RUNNING = PlannedScanState.PENDING, PlannedScanState.RUNNING
FAILED, CANCELLED = PlannedScanState.FAILED, PlannedScanState.CANCELLED


def results(state=ScanState.COMPLETED, cause="", *, missed=0):
    return ScanResults(
        state=state,
        cause=cause,
        frames={FrameState.OK: 81 - missed, FrameState.MISSED: missed},
        n_readings=0,
        n_fixes=0,
        n_lost={},
        flight_s=1.0,
        position_suspect=False,
    )


def fly(study, scan_id):
    study.start_scan(scan_id)
    study.record_results(scan_id, results())


@pytest.fixture
def study():
    return a_study(scans=("a", "b"))


@pytest.fixture
def archived(study):
    study.abort("no object")
    study.archive()
    return study


# States


def test_study_lives_from_created_to_archived():
    study = a_study()
    assert study.state is StudyState.CREATED
    study.add_scan("a", a_spec(), ScanRole.OBJECT)
    assert study.state is StudyState.CONFIGURED
    fly(study, "a")
    assert study.state is StudyState.IN_PROGRESS
    study.complete()
    assert study.state is StudyState.COMPLETED
    study.archive()
    assert study.state is StudyState.ARCHIVED


def test_scan_lives_from_pending_to_completed(study):
    assert study.scan("a").state is PENDING
    study.start_scan("a")
    assert study.scan("a").state is RUNNING
    study.pause_scan("a")
    assert study.scan("a").state is PlannedScanState.PAUSED
    study.resume_scan("a")
    assert study.scan("a").state is RUNNING
    study.record_results("a", results(), "uid-1")
    assert study.scan("a").state is PlannedScanState.COMPLETED
    assert study.scan("a").run_uid == "uid-1"


def test_scans_come_in_the_order_they_were_added(study):
    fly(study, "b")
    assert [scan.id for scan in study.scans] == ["a", "b"]


@pytest.mark.parametrize("names", [("", "a sphere"), ("study-1", "")])
def test_study_without_a_name_is_refused(names):
    with pytest.raises(StudyRuleError, match="every study has a name"):
        Study(*names)


def test_scan_without_a_name_is_refused(study):
    with pytest.raises(StudyRuleError, match="every scan has a name"):
        study.add_scan("", a_spec(), ScanRole.OBJECT)


@pytest.mark.parametrize(
    ("field", "bad"), [("spec", None), ("role", "object"), ("prerequisites", ["b"])]
)
def test_scan_with_a_value_of_another_kind_is_refused(field, bad):
    values = {"spec": a_spec(), "role": ScanRole.OBJECT, field: bad}
    with pytest.raises(StudyRuleError, match=f"{field} of 'a' must be of type"):
        PlannedScan("a", **values)


def test_scan_waits_for_another_once():
    with pytest.raises(StudyRuleError, match="once: the prerequisites of 'a' were b"):
        PlannedScan("a", a_spec(), ScanRole.OBJECT, ("b", "b"))


def test_scan_does_not_wait_for_itself():
    with pytest.raises(StudyRuleError, match="no scan waits for itself"):
        PlannedScan("a", a_spec(), ScanRole.OBJECT, ("a",))


# Rules


def test_second_scan_is_refused_while_one_runs(study):
    study.start_scan("a")
    with pytest.raises(StudyRuleError, match="one scan at a time: scan 'a' is running"):
        study.start_scan("b")
    with pytest.raises(StudyRuleError, match="one scan at a time"):
        study.next_scan()


def test_second_scan_is_refused_while_one_is_paused(study):
    study.start_scan("a")
    study.pause_scan("a")
    with pytest.raises(StudyRuleError, match="one scan at a time: scan 'a' is paused"):
        study.next_scan()


def test_prerequisites_are_completed_first(study):
    study.add_scan("c", a_spec(), ScanRole.REPETITION, ("a", "b"))
    fly(study, "a")
    with pytest.raises(StudyRuleError, match=r"'c' waits for 'b' \(pending\)"):
        study.start_scan("c")
    fly(study, "b")
    study.start_scan("c")
    assert study.scan("c").state is RUNNING


def test_failed_prerequisite_is_not_completed(study):
    study.add_scan("c", a_spec(), ScanRole.REPETITION, ("a",))
    study.start_scan("a")
    study.fail_scan("a", "axis x: limit")
    study.cancel_scan("b", "not needed")
    with pytest.raises(StudyRuleError, match=r"'c' waits for 'a' \(failed\)"):
        study.next_scan()


def test_prerequisite_must_be_planned(study):
    with pytest.raises(StudyRuleError, match="has no scan 'nothing'"):
        study.add_scan("c", a_spec(), ScanRole.OBJECT, ("nothing",))
    assert len(study.scans) == 2


def test_identifier_is_used_once(study):
    with pytest.raises(StudyRuleError, match=r"a retry is a new scan: .*'a' is taken"):
        study.add_scan("a", a_spec(), ScanRole.OBJECT)


@pytest.mark.parametrize("state", [ScanState.COMPLETED, ScanState.STOPPED])
def test_ended_scan_is_not_started_again(study, state):
    study.start_scan("a")
    study.record_results("a", results(state))
    with pytest.raises(StudyRuleError, match="a retry is a new scan"):
        study.start_scan("a")


def test_retry_is_a_new_scan_with_the_same_spec(study):
    study.start_scan("a")
    study.fail_scan("a", "axis x: limit")
    retry = study.retry_scan("a", "a2")
    assert study.scan("a").state is FAILED
    assert retry.state is PENDING
    assert retry.spec == study.scan("a").spec


def test_what_waited_for_a_failed_scan_waits_for_its_retry(study):
    study.add_scan("c", a_spec(), ScanRole.REPETITION, ("a",))
    study.start_scan("a")
    study.fail_scan("a", "axis x: limit")
    study.retry_scan("a", "a2")
    fly(study, "b")
    fly(study, "a2")
    assert study.next_scan().id == "c"


def test_completed_scan_is_not_retried(study):
    fly(study, "a")
    with pytest.raises(StudyRuleError, match="only what did not complete is retried"):
        study.retry_scan("a", "a2")


def test_study_with_pending_scans_is_not_completed(study):
    fly(study, "a")
    with pytest.raises(StudyRuleError, match="no pending scan: b must be run"):
        study.complete()


@pytest.mark.parametrize(
    "end", [lambda study: study.complete(), lambda study: study.abort("tired")]
)
def test_study_does_not_end_while_a_scan_runs(study, end):
    study.start_scan("a")
    with pytest.raises(StudyRuleError, match="one scan at a time: scan 'a' is running"):
        end(study)


@pytest.mark.parametrize(
    "change",
    [
        lambda study: study.add_scan("c", a_spec(), ScanRole.OBJECT),
        lambda study: study.retry_scan("a", "a2"),
        lambda study: study.start_scan("a"),
        lambda study: study.next_scan(),
        lambda study: study.pause_scan("a"),
        lambda study: study.resume_scan("a"),
        lambda study: study.record_results("a", results()),
        lambda study: study.fail_scan("a", "x"),
        lambda study: study.cancel_scan("a", "x"),
        lambda study: study.complete(),
        lambda study: study.abort("x"),
        lambda study: study.archive(),
    ],
)
def test_archived_study_is_immutable(archived, change):
    before = archived.to_plain()
    with pytest.raises(StudyRuleError, match="an archived study is immutable"):
        change(archived)
    assert archived.to_plain() == before


# Which scan is next


def test_next_scan_is_the_first_that_may_run(study):
    assert study.next_scan().id == "a"
    fly(study, "a")
    assert study.next_scan().id == "b"


def test_next_scan_leaves_out_what_waits():
    study = a_study(scans=("a",))
    study.add_scan("c", a_spec(), ScanRole.OBJECT, ("a",))
    study.add_scan("d", a_spec(), ScanRole.OBJECT)
    study.start_scan("a")
    study.fail_scan("a", "limit")
    assert study.next_scan().id == "d"


def test_asking_for_the_next_scan_changes_nothing(study):
    before = study.to_plain()
    study.next_scan()
    assert study.to_plain() == before
    assert study.take_events() == ()


def test_study_without_pending_scans_has_no_next_one(study):
    fly(study, "a")
    study.cancel_scan("b", "not needed")
    with pytest.raises(StudyRuleError, match="only pending scans"):
        study.next_scan()


@pytest.mark.parametrize("close", [None, "complete"])
def test_next_scan_needs_an_open_study_with_scans(close):
    study = a_study()
    if close:
        study = a_study(scans=("a",))
        fly(study, "a")
        study.complete()
    with pytest.raises(IllegalTransitionError, match="must be configured or in-prog"):
        study.next_scan()


# Wrong states


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pause_scan("a"), "must be running to be paused, was pending"),
        (lambda s: s.resume_scan("a"), "must be paused to be resumed, was pending"),
        (lambda s: s.record_results("a", results()), "running or paused to be ended"),
        (lambda s: s.fail_scan("a", "x"), "running or paused to be failed"),
        (lambda s: s.complete(), "must be in-progress to complete, was configured"),
        (lambda s: s.archive(), "must be completed or aborted to archive"),
    ],
)
def test_call_in_the_wrong_state_is_refused(study, change, message):
    with pytest.raises(IllegalTransitionError, match=message):
        change(study)


def test_running_scan_is_not_cancelled_but_stopped(study):
    study.start_scan("a")
    with pytest.raises(IllegalTransitionError, match="must be pending to be cancelled"):
        study.cancel_scan("a", "x")


def test_closed_study_takes_no_scan(study):
    study.abort("tired")
    with pytest.raises(IllegalTransitionError, match="to add a scan to study"):
        study.add_scan("c", a_spec(), ScanRole.OBJECT)


def test_aborted_study_cancels_what_is_pending(study):
    fly(study, "a")
    study.abort("the object broke")
    assert study.scan("a").state is PlannedScanState.COMPLETED
    assert study.scan("b").state is CANCELLED
    assert study.scan("b").cause == "the object broke"


# Outcomes


@pytest.mark.parametrize(
    ("flight", "state", "cause"),
    [
        (results(), PlannedScanState.COMPLETED, ""),
        (results(missed=2), PlannedScanState.COMPLETED, ""),
        (results(missed=3), FAILED, "3 of 81 frames were not ok, 2 were allowed"),
        (results(ScanState.STOPPED, "stop requested"), CANCELLED, "stop requested"),
        (results(ScanState.ABORTED), CANCELLED, "aborted"),
        (results(ScanState.FAILED, "limit"), FAILED, "limit"),
    ],
)
def test_outcome_follows_from_the_flight(flight, state, cause):
    study = a_study()
    study.add_scan("a", a_spec(allowed_bad_frames=2), ScanRole.OBJECT)
    study.start_scan("a")
    study.record_results("a", flight)
    assert study.scan("a").state is state
    assert study.scan("a").cause == cause


# Events


def test_everything_that_happens_is_an_event():
    study = Study("s", "a sphere")
    study.add_scan("a", a_spec(), ScanRole.OBJECT)
    study.start_scan("a")
    study.pause_scan("a")
    study.resume_scan("a")
    study.fail_scan("a", "limit", "uid-1")
    study.retry_scan("a", "a2")
    study.start_scan("a2")
    study.record_results("a2", results(), "uid-2")
    study.complete()
    study.archive()
    assert study.take_events() == (
        StudyCreated("s", "a sphere"),
        ScanAdded("s", "a"),
        ScanStarted("s", "a"),
        ScanPaused("s", "a"),
        ScanResumed("s", "a"),
        ScanEnded("s", "a", "failed", "uid-1", "limit"),
        ScanAdded("s", "a2", retry_of="a"),
        ScanStarted("s", "a2"),
        ScanEnded("s", "a2", "completed", "uid-2", ""),
        StudyCompleted("s"),
        StudyArchived("s"),
    )


def test_abort_tells_which_scans_it_cancelled(study):
    study.abort("tired")
    assert study.take_events() == (
        ScanEnded("study-1", "a", "cancelled", None, "tired"),
        ScanEnded("study-1", "b", "cancelled", None, "tired"),
        StudyAborted("study-1", "tired"),
    )


def test_taking_events_empties_the_list(study):
    study.start_scan("a")
    assert len(study.take_events()) == 1
    assert study.take_events() == ()


def test_refusal_records_no_event(study):
    with pytest.raises(IllegalTransitionError):
        study.complete()
    assert study.take_events() == ()


def test_study_survives_plain_values(study):
    study.add_scan("c", a_spec(), ScanRole.REPETITION, ("a",))
    fly(study, "a")
    again = Study.from_plain(study.to_plain())
    assert again == study
    assert again.take_events() == ()
    assert again.next_scan().id == "b"
