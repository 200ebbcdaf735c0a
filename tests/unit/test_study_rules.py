"""The rules of a study, one by one, and the events it records."""

from dataclasses import replace

import pytest

from aefi_bluesky.domain.errors import IllegalTransitionError, StudyRuleError
from aefi_bluesky.domain.results.scan_results import FrameState, ScanResults, ScanState
from aefi_bluesky.domain.spec.fly_spec import (
    Excitation,
    ExcitationMode,
    Pattern,
    Trigger,
    TriggerKind,
    Zone,
)
from aefi_bluesky.domain.study.events import (
    ScanAdded,
    ScanEnded,
    ScanPaused,
    ScanResumed,
    ScanStarted,
    StudyAborted,
    StudyArchived,
    StudyCompleted,
    StudyConfigured,
    StudyCreated,
)
from aefi_bluesky.domain.study.rules import StudyRule
from aefi_bluesky.domain.study.study import (
    PlannedScan,
    PlannedScanState,
    ScanRole,
    Study,
    StudyState,
)
from aefi_bluesky.testing.builders import (
    a_bench,
    a_spec,
    a_step_spec,
    a_study,
    an_object,
)

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
    study = Study("s", an_object(), "an operator")
    assert study.state is StudyState.CREATED
    study.configure(a_bench())
    assert study.state is StudyState.CONFIGURED
    study.add_scan("a", a_spec(), ScanRole.REFERENCE)
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("", an_object(), "me"), "identifier must not be empty"),
        ((7, an_object(), "me"), "identifier must be of type str, was 7"),
        (("s", an_object(), ""), "operator must not be empty"),
        (("s", "a sphere", "me"), "object must be of type MeasuredObject"),
    ],
)
def test_study_without_a_name_an_object_or_an_operator_is_refused(values, message):
    with pytest.raises(
        StudyRuleError, match=f"study .* has valid values: study: {message}"
    ):
        Study(*values)


@pytest.mark.parametrize(
    ("field", "bad", "message"),
    [
        ("reference", "", "reference must not be empty"),
        ("reference", None, "reference must be of type str"),
        ("medium", 3, "medium must be of type str, was 3"),
        ("size_mm", (1.0, 2.0), "size must be three extents"),
        ("size_mm", 3.0, "size must be of type tuple"),
        ("size_mm", (1.0, 0.0, 1.0), r"size along y must be from 1e-06 .* mm, was 0"),
        ("depth_mm", -1.0, r"depth must be from 0 .* mm, was -1"),
        ("lift_off_mm", float("nan"), "lift_off must be from 0 .* mm, was nan"),
    ],
)
def test_object_out_of_range_is_refused(field, bad, message):
    with pytest.raises(StudyRuleError, match=f"has valid values: object: {message}"):
        an_object(**{field: bad})


def test_study_keeps_its_object_its_operator_and_its_bench(study):
    assert study.measured_object == an_object()
    assert study.operator == "an operator"
    assert study.bench == a_bench()


def test_scan_without_a_name_is_refused(study):
    with pytest.raises(StudyRuleError, match="the identifier of a scan was empty"):
        study.add_scan("", a_spec(), ScanRole.REFERENCE)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("spec", None),
        ("role", "object"),
        ("prerequisites", ["b"]),
        ("reference", 1),
        ("retry_of", 1),
        ("run_uid", 1),
        ("cause", None),
    ],
)
def test_scan_with_a_value_of_another_kind_is_refused(field, bad):
    values = {"spec": a_spec(), "role": ScanRole.REFERENCE, field: bad}
    with pytest.raises(StudyRuleError, match=f"{field} of scan 'a' must be of type"):
        PlannedScan("a", **values)


def test_scan_waits_for_another_once():
    with pytest.raises(
        StudyRuleError, match=r"once for each: .* of scan 'a' were b, b"
    ):
        PlannedScan("a", a_spec(), ScanRole.REFERENCE, ("b", "b"))


def test_scan_does_not_wait_for_itself():
    with pytest.raises(StudyRuleError, match="'a' was its own prerequisite"):
        PlannedScan("a", a_spec(), ScanRole.REFERENCE, ("a",))


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
    with pytest.raises(
        StudyRuleError,
        match="there is no scan 'nothing', the planned scans are 'a', 'b'",
    ):
        study.add_scan("c", a_spec(), ScanRole.REFERENCE, ("nothing",))
    assert len(study.scans) == 2


def test_identifier_is_used_once(study):
    with pytest.raises(
        StudyRuleError, match="a retry is a new scan: identifier 'a' was taken"
    ):
        study.add_scan("a", a_spec(), ScanRole.REFERENCE)


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


def test_retry_has_what_the_first_attempt_had(with_object):
    with_object.cancel_scan("o", "no object")
    retry = with_object.retry_scan("o", "o2")
    assert (retry.role, retry.reference) == (ScanRole.OBJECT, "r")
    assert retry.retry_of == "o"


def test_retry_of_a_retry_stands_for_the_first_attempt(study):
    study.add_scan("c", a_spec(), ScanRole.REPETITION, ("a",))
    for attempt, retry in (("a", "a2"), ("a2", "a3")):
        study.start_scan(attempt)
        study.fail_scan(attempt, "axis x: limit")
        study.retry_scan(attempt, retry)
    with pytest.raises(StudyRuleError, match=r"'c' waits for 'a3' \(pending\)"):
        study.start_scan("c")
    fly(study, "a3")
    study.start_scan("c")


def test_only_the_last_attempt_is_retried(study):
    study.cancel_scan("a", "no object")
    study.retry_scan("a", "a2")
    with pytest.raises(
        StudyRuleError,
        match=r"only the last attempt is retried: scan 'a' has the .*'a2'",
    ):
        study.retry_scan("a", "a3")


def test_completed_scan_is_not_retried(study):
    fly(study, "a")
    with pytest.raises(StudyRuleError, match="only what did not complete is retried"):
        study.retry_scan("a", "a2")


def test_map_is_refused_after_its_line_failed():
    study = a_study()
    study.add_scan("line", a_spec(n_x=1), ScanRole.PRE_SCAN)
    study.add_scan("map", a_spec(), ScanRole.REFERENCE, ("line",))
    study.start_scan("line")
    study.fail_scan("line", "axis x: limit")
    with pytest.raises(StudyRuleError, match=r"first: .*'map' waits for 'line' \(fail"):
        study.start_scan("map")


# The reference scan


@pytest.fixture
def with_object():
    study = a_study(scans=("r",))
    study.add_scan("o", a_spec(), ScanRole.OBJECT, reference="r")
    return study


def test_object_scan_without_a_reference_is_refused(study):
    with pytest.raises(
        StudyRuleError, match="names a matching reference scan: object scan 'o' named"
    ):
        study.add_scan("o", a_spec(), ScanRole.OBJECT)


def test_reference_must_be_a_reference_scan(with_object):
    with pytest.raises(StudyRuleError, match="'o', which is no reference scan: its"):
        with_object.add_scan("p", a_spec(), ScanRole.OBJECT, reference="o")


@pytest.mark.parametrize("role", [ScanRole.REFERENCE, ScanRole.PRE_SCAN])
def test_reference_and_pre_scan_name_no_reference(study, role):
    with pytest.raises(StudyRuleError, match=f"{role} scan 'c' must name no reference"):
        study.add_scan("c", a_spec(), role, reference="a")


def test_repetition_may_name_a_reference(study):
    study.add_scan("c", a_spec(), ScanRole.REPETITION, reference="a")
    with pytest.raises(StudyRuleError, match="matching reference"):
        study.add_scan("d", a_spec(n_x=3), ScanRole.REPETITION, reference="a")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"zone": Zone.centred(601.0, 600.0, 20.0, 20.0)},
            "zone.x_min_mm 591.0, found",
        ),
        ({"n_x": 10}, "n_x 10, found 9"),
        ({"n_y": 10}, "n_y 10, found 9"),
        ({"pattern": Pattern.RASTER}, "pattern raster, found serpentine"),
        ({"fast_axis": "x"}, "fast_axis x, found y"),
        ({"speed_mm_per_s": 30.0}, "speed_mm_per_s 30.0, found 32.7"),
        ({"n_avg": 11}, "n_avg 11, found 10"),
        (
            {"excitation": Excitation(ExcitationMode.X_DIR, 0.0, 0.0, 50.0)},
            "excitation.frequency_hz 50.0, found 1000.0",
        ),
        (
            {"excitation": Excitation(ExcitationMode.Y_DIR, 0.0, 0.0, 1000.0)},
            "excitation.mode y-dir, found x-dir",
        ),
        (
            {"excitation": Excitation(ExcitationMode.X_DIR, 1.0, 0.0, 1000.0)},
            "excitation.level_s1s2_percent 1.0, found 0.0",
        ),
        (
            {"trigger": Trigger(TriggerKind.PERIODIC, 0.1)},
            "trigger.kind periodic, found",
        ),
    ],
)
def test_reference_must_match_in_every_condition(study, overrides, message):
    differs = f"scan 'o' differs from its reference '.*': {message}"
    with pytest.raises(StudyRuleError, match=differs):
        study.add_scan("o", a_spec(**overrides), ScanRole.OBJECT, reference="a")
    assert [scan.id for scan in study.scans] == ["a", "b"]


@pytest.mark.parametrize(
    "overrides",
    [
        {"min_readings_per_frame": 2},
        {"allowed_bad_frames": 5},
        {"gap_fill_passes": 1},
        {"zone": Zone.centred(600.0, 600.0 + 1e-12, 20.0, 20.0)},
    ],
)
def test_reference_matches_whatever_is_taken_for_a_success(study, overrides):
    study.add_scan("o", a_spec(**overrides), ScanRole.OBJECT, reference="a")
    assert study.scan("o").reference == "a"


def test_measurement_at_rest_is_compared_with_its_like(study):
    study.add_scan("rest", a_step_spec(), ScanRole.REFERENCE)
    message = "'o' differs from its reference 'rest': kind fly-map, found step-map"
    with pytest.raises(StudyRuleError, match=message):
        study.add_scan("o", a_spec(), ScanRole.OBJECT, reference="rest")
    longer = a_step_spec(settle_s=1.0)
    with pytest.raises(StudyRuleError, match=r"'rest': settle_s 1.0, found 0.0"):
        study.add_scan("o", longer, ScanRole.OBJECT, reference="rest")
    study.add_scan("o", a_step_spec(), ScanRole.OBJECT, reference="rest")


def test_measurement_at_rest_allows_no_gap(study):
    study.add_scan("rest", a_step_spec(), ScanRole.REFERENCE)
    study.start_scan("rest")
    study.record_results("rest", results(missed=1))
    assert study.scan("rest").state is FAILED
    assert study.scan("rest").cause == "1 of 81 frames were not ok, 0 were allowed"


def test_conditions_tell_the_axis_that_is_really_flown():
    study = a_study()
    comb = a_spec(pattern=Pattern.COMB, fast_axis="x")
    study.add_scan("r", comb, ScanRole.REFERENCE)
    same = a_spec(pattern=Pattern.COMB, fast_axis="y")
    study.add_scan("o", same, ScanRole.OBJECT, reference="r")


def test_reference_scan_is_completed_first(with_object):
    with pytest.raises(StudyRuleError, match=r"first: .*'o' waits for 'r' \(pending\)"):
        with_object.start_scan("o")
    fly(with_object, "r")
    assert with_object.next_scan().id == "o"


def test_retry_of_the_reference_stands_for_it(with_object):
    with_object.start_scan("r")
    with_object.fail_scan("r", "axis x: limit")
    with_object.retry_scan("r", "r2")
    fly(with_object, "r2")
    assert with_object.next_scan().id == "o"


# The bench snapshot


def test_snapshot_may_be_replaced_before_the_first_scan(study):
    study.configure(a_bench(name="another bench"))
    assert study.bench.name == "another bench"
    assert study.take_events() == (
        StudyConfigured("study-1", a_bench(name="another bench")),
    )


def test_snapshot_is_frozen_after_the_first_scan(study):
    study.start_scan("a")
    with pytest.raises(
        StudyRuleError, match=r"frozen after .*'test bench', .* asked for .*'b'"
    ):
        study.configure(a_bench(name="b"))
    assert study.bench == a_bench()


def test_bench_is_that_of_the_snapshot(study):
    study.require_bench(a_bench())
    faster = replace(a_bench().link, fix_rate_hz=300.0)
    with pytest.raises(
        StudyRuleError,
        match=r"on the bench of its snapshot: .* link.fix_rate_hz 300.0, found 200.0",
    ):
        study.require_bench(a_bench(link=faster))


def test_study_gets_no_scan_before_its_bench():
    study = Study("s", an_object(), "an operator")
    with pytest.raises(IllegalTransitionError, match="to get a scan, was created"):
        study.add_scan("a", a_spec(), ScanRole.REFERENCE)
    with pytest.raises(IllegalTransitionError, match="to be flown, was created"):
        study.require_bench(a_bench())


# After a crash


@pytest.mark.parametrize("paused", [False, True])
def test_lost_scan_fails_with_its_cause(study, paused):
    study.start_scan("a")
    if paused:
        study.pause_scan("a")
    lost = study.fail_lost_scan()
    assert (lost.id, lost.state) == ("a", FAILED)
    assert "the program that carried this scan out died" in lost.cause
    assert study.next_scan().id == "b"


def test_study_without_an_active_scan_has_lost_none(study):
    before = study.to_plain()
    assert study.fail_lost_scan() is None
    assert study.to_plain() == before


# The end


def test_study_with_pending_scans_is_not_completed(study):
    fly(study, "a")
    with pytest.raises(
        StudyRuleError, match="no pending scan: b must be run or cancelled"
    ):
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
        lambda study: study.configure(a_bench()),
        lambda study: study.require_bench(a_bench()),
        lambda study: study.add_scan("c", a_spec(), ScanRole.REFERENCE),
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
    study.add_scan("c", a_spec(), ScanRole.REFERENCE, ("a",))
    study.add_scan("d", a_spec(), ScanRole.REFERENCE)
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
    with pytest.raises(StudyRuleError, match="only a pending scan can be run"):
        study.next_scan()


def test_configured_study_without_scans_has_no_next_one():
    with pytest.raises(
        StudyRuleError,
        match="only a pending scan can be run: no scan was pending, found no",
    ):
        a_study().next_scan()


def test_next_scan_needs_a_configured_study():
    with pytest.raises(IllegalTransitionError, match=r"in-progress to run .* created"):
        Study("s", an_object(), "an operator").next_scan()


def test_closed_study_has_no_next_scan(study):
    study.abort("tired")
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
        (lambda s: s.complete(), "must be in-progress to be completed, was configured"),
        (lambda s: s.archive(), "must be completed or aborted to be archived"),
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
    with pytest.raises(IllegalTransitionError, match="to get a scan, was aborted"):
        study.add_scan("c", a_spec(), ScanRole.REFERENCE)


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
    study.add_scan("a", a_spec(allowed_bad_frames=2), ScanRole.REFERENCE)
    study.start_scan("a")
    study.record_results("a", flight)
    assert study.scan("a").state is state
    assert study.scan("a").cause == cause


# Events


def test_everything_that_happens_is_an_event():
    study = Study("s", an_object(), "an operator")
    study.configure(a_bench())
    study.add_scan("a", a_spec(), ScanRole.REFERENCE)
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
        StudyCreated("s", an_object(), "an operator"),
        StudyConfigured("s", a_bench()),
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


def test_refusal_has_its_rule(study):
    study.start_scan("a")
    with pytest.raises(StudyRuleError) as caught:
        study.next_scan()
    assert caught.value.rule is StudyRule.ONE_AT_A_TIME
    assert caught.value.found == "scan 'a' is running"
    assert str(caught.value) == "one scan at a time: scan 'a' is running"


def completed(study):
    fly(study, "a")
    study.cancel_scan("b", "not needed")
    study.complete()


def broken_by(*calls):
    """Make the calls; the last one is refused."""

    def act(study):
        for call in calls[:-1]:
            call(study)
        with pytest.raises(StudyRuleError) as caught:
            calls[-1](study)
        return caught.value

    return act


def adding(name, spec=None, role=ScanRole.REFERENCE, waits=(), reference=None):
    return lambda s: s.add_scan(
        name, spec or a_spec(), role, waits, reference=reference
    )


def starting(name):
    return lambda s: s.start_scan(name)


def cancelling(name):
    return lambda s: s.cancel_scan(name, "not needed")


def retrying(name, new):
    return lambda s: s.retry_scan(name, new)


BROKEN = {
    StudyRule.COMPLETE_VALUES: broken_by(adding("")),
    StudyRule.STUDY_STATES: broken_by(lambda s: s.archive()),
    StudyRule.SCAN_STATES: broken_by(lambda s: s.pause_scan("a")),
    StudyRule.FROZEN_SNAPSHOT: broken_by(
        starting("a"), lambda s: s.configure(a_bench(name="b"))
    ),
    StudyRule.ONE_BENCH: broken_by(lambda s: s.require_bench(a_bench(name="b"))),
    StudyRule.PLANNED_SCANS: broken_by(starting("nothing")),
    StudyRule.PENDING_SCANS: broken_by(
        cancelling("a"), cancelling("b"), lambda s: s.next_scan()
    ),
    StudyRule.ONE_AT_A_TIME: broken_by(starting("a"), starting("b")),
    StudyRule.PREREQUISITES_FIRST: broken_by(adding("c", waits=("a",)), starting("c")),
    StudyRule.PREREQUISITES_ONCE: broken_by(adding("c", waits=("a", "a"))),
    StudyRule.MATCHING_REFERENCE: broken_by(
        adding("c", a_spec(n_avg=3), ScanRole.OBJECT, reference="a")
    ),
    StudyRule.RETRY_IS_NEW: broken_by(adding("a")),
    StudyRule.RETRY_OF_INCOMPLETE: broken_by(retrying("a", "a2")),
    StudyRule.RETRY_OF_LATEST: broken_by(
        cancelling("a"), retrying("a", "a2"), retrying("a", "a3")
    ),
    StudyRule.NOTHING_PENDING: broken_by(
        starting("a"), lambda s: s.fail_scan("a", "limit"), lambda s: s.complete()
    ),
    StudyRule.ARCHIVED_IS_IMMUTABLE: broken_by(
        completed, lambda s: s.archive(), adding("c")
    ),
}
"""How each rule is broken; `UNIQUE_STUDY` is the service's."""


@pytest.mark.parametrize(
    "rule", [each for each in StudyRule if each is not StudyRule.UNIQUE_STUDY], ids=str
)
def test_each_rule_refuses_by_its_name(study, rule):
    refusal = BROKEN[rule](study)
    assert refusal.rule is rule
    assert str(refusal) == f"{rule}: {refusal.found}"
