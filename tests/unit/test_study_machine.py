"""No sequence of calls breaks an invariant of a study, and no refusal changes it."""

import dataclasses
import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from aefi_bluesky.domain.errors import StudyRuleError
from aefi_bluesky.domain.results.scan_results import FrameState, ScanResults, ScanState
from aefi_bluesky.domain.spec.fly_spec import FlyScanSpec
from aefi_bluesky.domain.study.events import (
    ScanEnded,
    ScanPaused,
    ScanResumed,
    ScanStarted,
)
from aefi_bluesky.domain.study.study import (
    PlannedScanState,
    ScanRole,
    Study,
    StudyState,
)
from aefi_bluesky.testing.builders import a_bench, a_spec, a_step_spec, an_object

PENDING, RUNNING = PlannedScanState.PENDING, PlannedScanState.RUNNING
PAUSED, COMPLETED = PlannedScanState.PAUSED, PlannedScanState.COMPLETED
FAILED, CANCELLED = PlannedScanState.FAILED, PlannedScanState.CANCELLED

STUDY_STEPS = {
    StudyState.CREATED: {StudyState.CONFIGURED, StudyState.ABORTED},
    StudyState.CONFIGURED: {StudyState.IN_PROGRESS, StudyState.ABORTED},
    StudyState.IN_PROGRESS: {StudyState.COMPLETED, StudyState.ABORTED},
    StudyState.COMPLETED: {StudyState.ARCHIVED},
    StudyState.ABORTED: {StudyState.ARCHIVED},
    StudyState.ARCHIVED: set(),
}
SCAN_STEPS = {
    PENDING: {RUNNING, CANCELLED},
    RUNNING: {PAUSED, COMPLETED, FAILED, CANCELLED},
    PAUSED: {RUNNING, COMPLETED, FAILED, CANCELLED},
    COMPLETED: set(),
    FAILED: set(),
    CANCELLED: set(),
}
NAMES = st.sampled_from("abcdef")
SPECS = st.sampled_from(
    [
        *(a_spec(), a_spec(n_x=1), a_spec(allowed_bad_frames=9), a_spec(n_avg=5)),
        *(a_step_spec(), a_step_spec(differential=True)),
    ]
)
CONDITIONS = ("zone", "n_x", "n_y", "pattern", "speed_mm_per_s", "n_avg", "excitation")
EVENTS = {
    RUNNING: (ScanStarted, ScanResumed),
    PAUSED: (ScanPaused,),
    **dict.fromkeys((COMPLETED, FAILED, CANCELLED), (ScanEnded,)),
}


def results(state, missed):
    frames = {FrameState.OK: 81 - missed, FrameState.MISSED: missed}
    return ScanResults(state, "", frames, 0, 0, {}, 1.0, position_suspect=False)


class StudyMachine(RuleBasedStateMachine):
    """Calls a study in any order; the oracle is written apart from the code."""

    @initialize()
    def create(self):
        self.study = Study("s", an_object(), "me")
        self.started_on = None

    def call(self, change):
        """Make one call: refused by a named rule, nothing changed, or a legal step."""
        before = self.study.to_plain()
        self.study.take_events()
        refusal = self.refusal_of(change)
        if refusal is None:
            self.check_step(before, self.study.take_events())
        else:
            assert str(refusal) == f"{refusal.rule}: {refusal.found}"
            assert self.study.to_plain() == before
            assert self.study.take_events() == ()

    def refusal_of(self, change):
        try:
            change(self.study)
        except StudyRuleError as refusal:
            return refusal
        return None

    def check_step(self, before, events):
        old, new = StudyState(before["state"]), self.study.state
        assert new is old or new in STUDY_STEPS[old]
        assert old is not StudyState.ARCHIVED or (before, ()) == (
            self.study.to_plain(),
            events,
        )
        were = {scan["id"]: scan for scan in before["scans"]}
        assert list(were) == [s.id for s in self.study.scans][: len(were)]
        for scan in self.study.scans:
            was = were.get(scan.id)
            old_state = PENDING if was is None else PlannedScanState(was["state"])
            if scan.state is not old_state:
                assert scan.state in SCAN_STEPS[old_state]
                of_scan = [e for e in events if getattr(e, "scan_id", 0) == scan.id]
                assert [type(e) for e in of_scan] in [[t] for t in EVENTS[scan.state]]
            for kept in ("spec", "role", "prerequisites", "reference", "retry_of"):
                assert was is None or was[kept] == scan.to_plain()[kept]
        # Only a new snapshot that equals the old one is told without a difference.
        assert events or self.study.to_plain() == before

    @rule(name=st.sampled_from(["bench", "another"]))
    def configure(self, name):
        self.call(lambda study: study.configure(a_bench(name=name)))

    @rule(
        name=NAMES,
        spec=SPECS,
        role=st.sampled_from(ScanRole),
        prerequisites=st.lists(NAMES, max_size=2),
        reference=st.none() | NAMES,
    )
    def add(self, name, spec, role, prerequisites, reference):
        waits = tuple(prerequisites)
        self.call(lambda s: s.add_scan(name, spec, role, waits, reference=reference))

    @rule(reference=NAMES, name=NAMES, spec=SPECS)
    def add_pair(self, reference, name, spec):
        self.call(lambda s: s.add_scan(reference, spec, ScanRole.REFERENCE))
        self.call(
            lambda s: s.add_scan(name, spec, ScanRole.OBJECT, reference=reference)
        )

    @rule(name=NAMES, new=NAMES)
    def retry(self, name, new):
        self.call(lambda study: study.retry_scan(name, new))

    @precondition(lambda self: self.incomplete())
    @rule(data=st.data(), new=NAMES)
    def retry_incomplete(self, data, new):
        name = data.draw(st.sampled_from(self.incomplete()))
        self.call(lambda study: study.retry_scan(name, new))

    def incomplete(self):
        return [s.id for s in self.study.scans if s.state in (FAILED, CANCELLED)]

    @rule(name=NAMES)
    def start(self, name):
        self.call(lambda study: study.start_scan(name))

    @rule()
    def start_next(self):
        self.call(lambda study: study.start_scan(study.next_scan().id))

    @rule(name=NAMES)
    def pause(self, name):
        self.call(lambda study: study.pause_scan(name))

    @rule(name=NAMES)
    def resume(self, name):
        self.call(lambda study: study.resume_scan(name))

    @rule(
        name=NAMES,
        state=st.sampled_from(
            [ScanState.COMPLETED, ScanState.STOPPED, ScanState.FAILED]
        ),
        missed=st.sampled_from([0, 0, 9]),
    )
    def record(self, name, state, missed):
        self.call(lambda study: study.record_results(name, results(state, missed)))

    @precondition(lambda self: self.study.active_scan)
    @rule()
    def record_success(self):
        active = self.study.active_scan.id
        self.call(lambda s: s.record_results(active, results(ScanState.COMPLETED, 0)))
        assert self.study.scan(active).state is COMPLETED

    @rule(name=NAMES)
    def fail(self, name):
        self.call(lambda study: study.fail_scan(name, "a fault"))

    @rule()
    def lose(self):
        was = self.study.active_scan
        self.call(lambda study: study.fail_lost_scan())
        assert was is None or self.study.scan(was.id).state is FAILED

    @rule(name=NAMES)
    def cancel(self, name):
        self.call(lambda study: study.cancel_scan(name, "not needed"))

    @rule()
    def complete(self):
        self.call(lambda study: study.complete())

    @precondition(lambda self: len(self.study.scans) > 2)
    @rule()
    def abort(self):
        self.call(lambda study: study.abort("tired"))

    @rule()
    def archive(self):
        self.call(lambda study: study.archive())

    @rule()
    def reopen(self):
        stored = json.loads(json.dumps(self.study.to_plain()))
        self.study = Study.from_plain(stored)
        assert self.study.to_plain() == stored

    def completed_attempt(self, name):
        """Whether a scan, or a retry of it, or one of that, was completed."""
        if self.study.scan(name).state is COMPLETED:
            return True
        retries = [s.id for s in self.study.scans if s.retry_of == name]
        return any(self.completed_attempt(retry) for retry in retries)

    @invariant()
    def one_scan_at_a_time(self):
        active = [s for s in self.study.scans if s.state in (RUNNING, PAUSED)]
        assert len(active) <= 1
        assert self.study.active_scan == (active[0] if active else None)

    @invariant()
    def what_flew_had_its_prerequisites(self):
        for scan in self.study.scans:
            if scan.state not in (PENDING, CANCELLED):
                waited = {*scan.prerequisites, scan.reference} - {None}
                assert all(self.completed_attempt(name) for name in waited)

    @invariant()
    def object_scans_have_a_matching_reference(self):
        for scan in self.study.scans:
            if scan.role is ScanRole.OBJECT:
                reference = self.study.scan(scan.reference)
                assert reference.role is ScanRole.REFERENCE
                assert type(scan.spec) is type(reference.spec)
                names = CONDITIONS
                if not isinstance(scan.spec, FlyScanSpec):
                    names = [each.name for each in dataclasses.fields(scan.spec)]
                for name in names:
                    assert getattr(scan.spec, name) == getattr(reference.spec, name)

    @invariant()
    def a_retry_repeats_what_did_not_complete(self):
        retried = [scan.retry_of for scan in self.study.scans if scan.retry_of]
        assert len(set(retried)) == len(retried)
        for scan in self.study.scans:
            if scan.retry_of:
                first = self.study.scan(scan.retry_of)
                assert first.state in (FAILED, CANCELLED)
                assert (first.spec, first.role) == (scan.spec, scan.role)

    @invariant()
    def snapshot_is_frozen_once_a_scan_started(self):
        started = self.study.state is StudyState.IN_PROGRESS
        if self.started_on is None and started:
            self.started_on = self.study.bench
            assert self.started_on is not None
        assert self.started_on is None or self.study.bench == self.started_on

    @invariant()
    def a_study_that_is_over_has_nothing_to_fly(self):
        if self.study.state in (
            StudyState.COMPLETED,
            StudyState.ABORTED,
            StudyState.ARCHIVED,
        ):
            states = {scan.state for scan in self.study.scans}
            assert states <= {COMPLETED, FAILED, CANCELLED}

    @invariant()
    def next_scan_may_be_started(self):
        try:
            due = self.study.next_scan()
        except StudyRuleError:
            return
        copy = Study.from_plain(self.study.to_plain())
        copy.start_scan(due.id)
        assert copy.active_scan.id == due.id


TestStudyMachine = StudyMachine.TestCase
TestStudyMachine.settings = settings(
    max_examples=200, stateful_step_count=50, deadline=None
)
