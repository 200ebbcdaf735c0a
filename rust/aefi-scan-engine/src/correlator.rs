//! Gives readings their place, fills frames by position, and keeps the ledger.
//!
//! Pure: records of the link threads go in, ended frames and lines come out.

mod decided;
mod line_clock;
mod outliers;
mod tally;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::controls::Controls;
use crate::estimator::{AxisTrack, LatchFinder, LatchFraction, LiveTrack, Located};
use crate::flight_plan::FlightPlan;
use crate::health::{Histogram, Summary};
use crate::ledger::{FrameState, Ledger};
use crate::protocol::mcu::is_at_rail;
use crate::records::{
    DetectorRecord, EndedLine, Estimate, Fix, PlacedReading, Product, Reading, StageRecord,
    VOLTAGES,
};
use crate::units::{Axis, Nanos};

use line_clock::{LineClock, LineTimes};
use outliers::Outliers;
use tally::Tally;

/// What becomes of the line in flight, taken up when all readings before are placed.
#[derive(Debug, Clone, Copy)]
enum LineEvent {
    Began {
        line: usize,
        place: usize,
        at: Nanos,
    },
    Stopping {
        at: Nanos,
    },
    Pulse {
        frame: usize,
        at: Nanos,
        late: Nanos,
    },
    Ended {
        times: LineTimes,
    },
    Broken {
        times: LineTimes,
        epoch: u32,
        cut_short: bool,
    },
    AllFlown {
        at: Nanos,
        epoch: u32,
    },
}

impl LineEvent {
    fn at(&self) -> Nanos {
        match self {
            Self::Began { at, .. }
            | Self::Stopping { at }
            | Self::Pulse { at, .. }
            | Self::AllFlown { at, .. } => *at,
            Self::Ended { times } | Self::Broken { times, .. } => times.ended,
        }
    }
}

/// The line in flight, as far as readings were placed.
#[derive(Debug, Clone, Copy)]
struct Flying {
    line: usize,
    place: usize,
    began: Nanos,
    stopping: Option<Nanos>,
    /// Whether somebody else may have stopped it, with a ramp of which nothing is known.
    cut_short: bool,
    /// The place of the first frame that is not decided: nothing can happen to those
    /// before any more.
    decided: usize,
    readings: u32,
}

/// Fixes of the fast axis that a reading waits for beyond the next one: they narrow
/// its interval.
const MORE_FIXES: usize = 3;
/// Pulses wait here for the readings around them.
const EVENTS: usize = 1024;
const PENDING: usize = 65_536;
/// Readings whose frame is not decided, at most; more than a line has on any bench.
const HELD: usize = 65_536;
/// An axis that rests is within so many steps of where it was sent.
const ROW: f64 = 3.5;

/// One flight's correlation.
#[derive(Debug)]
pub struct Correlator {
    plan: Arc<FlightPlan>,
    controls: Arc<Controls>,
    tracks: [AxisTrack; 2],
    live: [Option<LiveTrack>; 2],
    outliers: [Outliers; 2],
    latch: LatchFinder,
    clock: LineClock,
    pending: VecDeque<Reading>,
    /// Placed readings in the order of time: the first one's frame is not decided.
    held: VecDeque<PlacedReading>,
    events: VecDeque<LineEvent>,
    detector_horizon: Nanos,
    flying: Option<Flying>,
    tallies: Vec<Tally>,
    /// What a reading may be late, and what readings were.
    tolerance: Nanos,
    lateness: Histogram,
    ledger: Ledger,
    /// The pass being flown, from 0, and the frame behind its last line.
    pass: u32,
    gap_cursor: usize,
    lines_done: usize,
    frames_done: usize,
}

impl Correlator {
    /// Returns the correlation of a flight that begins at `now`.
    #[must_use]
    pub fn new(plan: Arc<FlightPlan>, controls: Arc<Controls>, now: Nanos) -> Self {
        let frames = plan.frames();
        let longest = plan.lines.iter().map(|line| line.frames).max();
        controls.agreement.expect_frames(frames);
        Self {
            tolerance: plan.trigger.tolerance(&plan),
            lateness: Histogram::default(),
            plan,
            controls,
            tracks: Default::default(),
            live: [None; 2],
            outliers: Default::default(),
            latch: LatchFinder::default(),
            clock: LineClock::new(now),
            pending: VecDeque::with_capacity(PENDING),
            held: VecDeque::with_capacity(HELD),
            events: VecDeque::with_capacity(EVENTS),
            detector_horizon: Nanos(i64::MIN),
            flying: None,
            tallies: vec![Tally::default(); longest.unwrap_or(0)],
            ledger: Ledger::new(frames),
            pass: 0,
            gap_cursor: frames,
            lines_done: 0,
            frames_done: 0,
        }
    }

    /// Returns how late readings were; zeros where none was due at an instant.
    #[must_use]
    pub fn lateness(&self) -> Summary {
        self.lateness.summary()
    }

    /// Returns where in the controller's turnaround counters are latched, if that is known.
    #[must_use]
    pub fn latch(&self) -> Option<LatchFraction> {
        self.latch.fraction()
    }

    /// Returns the ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Takes a record of the stage.
    pub fn take_stage(&mut self, record: StageRecord, out: &mut dyn FnMut(Product)) {
        if !matches!(record, StageRecord::Fix(_)) {
            // What follows is later than the fixes that wait.
            self.release_fixes(out);
        }
        if record.finds_rest() {
            self.show_rest();
        }
        match record {
            StageRecord::Fix(fix) => self.judge_fix(fix, out),
            StageRecord::Motion {
                axis,
                at,
                from,
                speed,
            } => {
                self.tracks[axis.index()].take_motion(at, from, speed);
                self.outliers[axis.index()].begin(speed > 0.0);
            }
            StageRecord::StopSent { at } => {
                self.clock.stop();
                self.events.push_back(LineEvent::Stopping { at });
            }
            StageRecord::LineBegan { line, place, at } => {
                self.latch.end_line();
                self.clock.begin(self.plan.lines[line], place, at);
                self.events.push_back(LineEvent::Began { line, place, at });
            }
            StageRecord::Pulse { frame, at, late } => {
                self.events.push_back(LineEvent::Pulse { frame, at, late });
            }
            StageRecord::LineEnded {
                at,
                exchanges,
                busy,
            } => {
                let times = self.clock.end(at, exchanges, busy);
                self.events.push_back(LineEvent::Ended { times });
            }
            StageRecord::LineBroken {
                at,
                epoch,
                exchanges,
                busy,
                cut_short,
            } => {
                let times = self.clock.end(at, exchanges, busy);
                self.events.push_back(LineEvent::Broken {
                    times,
                    epoch,
                    cut_short,
                });
            }
            StageRecord::LinesFlown { at, epoch } => {
                self.events.push_back(LineEvent::AllFlown { at, epoch });
            }
            StageRecord::Over { rest: Some(rest) } => {
                for (track, position) in self.tracks.iter_mut().zip(rest) {
                    track.take_rest(position);
                }
            }
            StageRecord::Over { rest: None } => {}
        }
    }

    /// A fix that nothing was said against waits for those that judge it.
    fn judge_fix(&mut self, fix: Fix, out: &mut dyn FnMut(Product)) {
        if fix.flags != 0 {
            // Rows stay in the order of time.
            self.release_fixes(out);
            return self.take_fix(fix, out);
        }
        if let Some(judged) = self.outliers[fix.axis.index()].take(fix) {
            self.take_fix(judged, out);
        }
    }

    fn release_fixes(&mut self, out: &mut dyn FnMut(Product)) {
        for axis in Axis::BOTH {
            while let Some(fix) = self.outliers[axis.index()].release() {
                self.take_fix(fix, out);
            }
        }
    }

    fn take_fix(&mut self, mut fix: Fix, out: &mut dyn FnMut(Product)) {
        if fix.flags == 0 {
            if self.tracks[fix.axis.index()].take_fix(&fix) {
                fix.flags |= Fix::WIDE;
            }
            if fix.axis == self.plan.fast {
                self.clock.take_fix(&fix);
                self.learn_latch(&fix);
            }
            self.show(&fix);
        }
        out(Product::Fix(fix));
    }

    /// Fixes at constant speed tell where in the turnaround they were latched.
    fn learn_latch(&mut self, fix: &Fix) {
        if fix.flags != 0 || !self.clock.is_at_speed(fix) {
            return;
        }
        self.latch.take_fix(fix);
        if let Some(fraction) = self.latch.fraction() {
            self.tracks
                .iter_mut()
                .for_each(|track| track.set_latch(&fraction));
        }
    }

    /// Axes that came to rest are where the last fixes saw them.
    fn show_rest(&mut self) {
        self.live = [None; 2];
        for axis in Axis::BOTH {
            if let Some(position) = self.tracks[axis.index()].last() {
                self.controls.display.set_position(axis, position);
            }
        }
    }

    /// Tells the owner where the axis is by now.
    fn show(&mut self, fix: &Fix) {
        let resting = LiveTrack::resting(fix.middle(), fix.counts.0 as f64);
        let track = self.live[fix.axis.index()].get_or_insert(resting);
        track.take_fix(fix);
        let position = track.position(fix.received);
        self.controls.display.set_position(fix.axis, position);
    }

    /// Takes a record of the detector.
    pub fn take_detector(&mut self, record: DetectorRecord) {
        match record {
            DetectorRecord::Reading(reading) => {
                self.detector_horizon = reading.received - self.plan.lag;
                self.pending.push_back(reading);
            }
            DetectorRecord::Horizon(at) => self.detector_horizon = at,
        }
    }

    /// Takes notice that the detector's part is over.
    pub fn end_detector(&mut self) {
        self.detector_horizon = Nanos::NEVER;
    }

    /// Places every reading that can be placed and ends what can be ended.
    pub fn correlate(&mut self, out: &mut dyn FnMut(Product)) {
        while let Some(reading) = self.pending.front().copied() {
            let Some(place) = self.place(&reading) else {
                return;
            };
            self.pending.pop_front();
            self.take_events_before(reading.earliest, out);
            self.credit(reading, place, out);
        }
        self.take_events_before(self.detector_horizon, out);
    }

    /// Ends the flight: readings that no fix encloses leave without a place.
    pub fn finish(&mut self, out: &mut dyn FnMut(Product)) {
        self.release_fixes(out);
        self.correlate(out);
        while let Some(reading) = self.pending.pop_front() {
            let place = Axis::BOTH.map(|axis| self.known(axis, &reading));
            self.take_events_before(reading.earliest, out);
            self.credit(reading, place, out);
        }
        self.take_events_before(Nanos::NEVER, out);
        self.give_up_line(out);
        self.let_go(out);
    }

    fn give_up_gaps(&mut self, flying: Option<&Flying>, out: &mut dyn FnMut(Product)) {
        let plan = Arc::clone(&self.plan);
        for (index, line) in plan.lines[..self.lines_done].iter().enumerate() {
            if flying.is_some_and(|flying| flying.line == index) {
                continue;
            }
            for frame in line.frame_ids() {
                self.end_unread(index, frame, out);
            }
        }
    }

    /// Ends a frame whose readings, too few, are no longer kept.
    fn end_unread(&mut self, line: usize, frame: usize, out: &mut dyn FnMut(Product)) {
        if self.ledger.end(frame, FrameState::Missed) {
            self.frames_done += 1;
            let nothing = Tally::default();
            out(Product::Frame(nothing.ended(
                frame,
                line,
                self.pass,
                FrameState::Missed,
            )));
        }
    }

    fn place(&mut self, reading: &Reading) -> Option<[Estimate; 2]> {
        for axis in Axis::BOTH {
            let track = &mut self.tracks[axis.index()];
            track.forget_before(reading.earliest);
            // The slow axis rests: its next fix, a while away, says all there is to know.
            let more = if axis == self.plan.fast {
                MORE_FIXES
            } else {
                0
            };
            if !track.is_settled(reading.latest, more) {
                return None;
            }
        }
        Some(Axis::BOTH.map(|axis| self.known(axis, reading)))
    }

    fn known(&self, axis: Axis, reading: &Reading) -> Estimate {
        let track = &self.tracks[axis.index()];
        match track.locate(reading.earliest, reading.latest) {
            Located::At(estimate) => estimate,
            Located::NotYet | Located::Never => Estimate::UNKNOWN,
        }
    }

    fn take_events_before(&mut self, time: Nanos, out: &mut dyn FnMut(Product)) {
        while self.events.front().is_some_and(|event| event.at() <= time) {
            if let Some(event) = self.events.pop_front() {
                self.take_event(event, out);
            }
        }
    }

    fn take_event(&mut self, event: LineEvent, out: &mut dyn FnMut(Product)) {
        match event {
            LineEvent::Began { line, place, at } => {
                self.let_go(out);
                self.begin_line(line, place, at);
            }
            LineEvent::Stopping { at } => {
                if let Some(flying) = &mut self.flying {
                    flying.stopping.get_or_insert(at);
                }
            }
            LineEvent::Pulse { frame, late, .. } => self.credit_pulse(frame, late),
            LineEvent::Ended { times } => self.end_line(&times, out),
            LineEvent::Broken {
                times,
                epoch,
                cut_short,
            } => {
                if let Some(flying) = &mut self.flying {
                    flying.cut_short |= cut_short;
                }
                self.break_line(&times, epoch, out);
            }
            LineEvent::AllFlown { epoch, .. } => self.offer_gap(epoch),
        }
    }

    fn begin_line(&mut self, line: usize, place: usize, at: Nanos) {
        self.tallies[place..].fill(Tally::default());
        self.flying = Some(Flying {
            line,
            place,
            began: at,
            stopping: None,
            cut_short: false,
            decided: place,
            readings: 0,
        });
    }

    fn credit(&mut self, reading: Reading, place: [Estimate; 2], out: &mut dyn FnMut(Product)) {
        self.lateness.record(reading.late());
        let flags = self.flags(&reading, &place);
        // Its place is known less well than a frame is wide: it may be another's.
        let is_vague = flags & PlacedReading::WIDE != 0;
        let frame = self.frame_of(&reading, &place).filter(|_| !is_vague);
        if let (Some((_, at)), Some(flying)) = (frame, &mut self.flying) {
            flying.readings += 1;
            self.tallies[at].add(&reading, &place);
        }
        let frame = frame.map(|(first, at)| first + at);
        self.note_stray(&reading, frame);
        if self.held.len() == HELD {
            // A frame with more readings than that is not waited for.
            let first = self.held.pop_front();
            out(Product::Reading(first.expect("it is full")));
        }
        self.held.push_back(PlacedReading {
            reading,
            place,
            frame,
            flags,
        });
        self.decide(place[self.plan.fast.index()].position, out);
        self.hand_on(out);
    }

    /// Pulses count as readings do: at constant speed only.
    fn credit_pulse(&mut self, frame: usize, late: Nanos) {
        let Some(flying) = self.flying.filter(|flying| flying.stopping.is_none()) else {
            return;
        };
        let line = &self.plan.lines[flying.line];
        if line.frame_ids().contains(&frame) {
            self.tallies[frame - line.first_frame].add_pulse(late);
        }
    }

    /// A reading that was taken for a frame and met another place is that frame's loss.
    fn note_stray(&mut self, reading: &Reading, met: Option<usize>) {
        let (Some(aim), Some(flying)) = (reading.aim, &self.flying) else {
            return;
        };
        let line = &self.plan.lines[flying.line];
        if met != Some(aim) && line.frame_ids().contains(&aim) {
            self.tallies[aim - line.first_frame].add_stray();
        }
    }

    fn flags(&self, reading: &Reading, place: &[Estimate; 2]) -> u8 {
        let fast = place[self.plan.fast.index()];
        let mut flags = 0;
        if place.iter().any(|estimate| estimate.position.is_nan()) {
            flags |= PlacedReading::UNPLACED;
        }
        if fast.high - fast.low > self.plan.lines[0].pitch() {
            flags |= PlacedReading::WIDE;
        }
        if reading.codes[..VOLTAGES]
            .iter()
            .any(|code| is_at_rail(*code))
        {
            flags |= PlacedReading::RAIL;
        }
        flags
    }

    /// Returns the frame of a reading: the line's first one and the place in it.
    /// Only readings at constant speed count, and only in frames that are open.
    fn frame_of(&self, reading: &Reading, place: &[Estimate; 2]) -> Option<(usize, usize)> {
        let flying = self.flying.as_ref()?;
        let stopping = flying.stopping.or_else(|| self.next_stop());
        if reading.earliest < flying.began || stopping.is_some_and(|at| reading.latest > at) {
            return None;
        }
        let line = &self.plan.lines[flying.line];
        let slow = &place[self.plan.slow().index()];
        let row = line.slow.0 as f64;
        if !(row - ROW <= slow.low && slow.high <= row + ROW) {
            return None;
        }
        let at = line.place(place[self.plan.fast.index()].position)?;
        let open = self.ledger.state(line.first_frame + at).is_none();
        open.then_some((line.first_frame, at))
    }

    /// Returns when the next stop was sent, if one is known that no reading was behind.
    fn next_stop(&self) -> Option<Nanos> {
        self.events.iter().find_map(|event| match event {
            LineEvent::Stopping { at } => Some(*at),
            _ => None,
        })
    }

    fn end_line(&mut self, times: &LineTimes, out: &mut dyn FnMut(Product)) {
        let Some(flying) = self.flying.take() else {
            return;
        };
        let line = &self.plan.lines[flying.line];
        let (first, frames) = (line.first_frame, line.frames);
        for at in flying.place..frames {
            let state = self.passed_state(at);
            if state == FrameState::Ok || self.pass == self.plan.extra_passes {
                self.end_frame(flying.line, first + at, at, state, out);
            }
        }
        self.hand_out_line(&flying, times, out);
    }

    /// Says which open frame comes next, in this pass or the one after; the frame
    /// behind the last one if there is none or no pass is left.
    fn offer_gap(&mut self, epoch: u32) {
        let frames = self.plan.frames();
        let open = |frame: &usize| self.ledger.state(*frame).is_none();
        let mut next = (self.gap_cursor..frames).find(open);
        if next.is_none() {
            next = (0..self.gap_cursor).find(open);
            self.pass += u32::from(next.is_some());
        }
        let (line, _) = self.plan.locate(next.unwrap_or(frames));
        let line = self.plan.lines.get(line);
        self.gap_cursor = line.map_or(frames, |line| line.first_frame + line.frames);
        self.controls
            .agreement
            .set_resume_frame(epoch, next.unwrap_or(frames));
    }

    fn hand_out_line(&mut self, flying: &Flying, times: &LineTimes, out: &mut dyn FnMut(Product)) {
        self.let_go(out);
        let line = &self.plan.lines[flying.line];
        let ok = line
            .frame_ids()
            .filter(|frame| self.ledger.state(*frame) == Some(FrameState::Ok))
            .count();
        let not_ok = line.frames - ok;
        // A line counts once, however often it is flown.
        self.lines_done += usize::from(self.pass == 0);
        out(Product::Line(EndedLine {
            line: flying.line,
            pass: self.pass,
            ok: ok as u32,
            not_ok: not_ok as u32,
            readings: flying.readings,
            turnaround_from: times.turnaround_from,
            began: times.began,
            entered: times.entered,
            left: times.left,
            ended: times.ended,
            fixes: times.fixes,
            exchanges: times.exchanges,
            link: times.link,
            period: times.period,
        }));
        self.controls
            .display
            .set_done(self.lines_done, self.frames_done);
    }

    fn end_frame(
        &mut self,
        line: usize,
        frame: usize,
        at: usize,
        state: FrameState,
        out: &mut dyn FnMut(Product),
    ) {
        if !self.ledger.end(frame, state) {
            return;
        }
        self.controls.agreement.set_ended(frame);
        self.frames_done += 1;
        out(Product::Frame(
            self.tallies[at].ended(frame, line, self.pass, state),
        ));
    }

    /// Keeps the frames that were passed whole, and says where to go on. A line of
    /// which nothing is missing ends here.
    fn break_line(&mut self, times: &LineTimes, epoch: u32, out: &mut dyn FnMut(Product)) {
        let Some(flying) = self.flying else {
            return;
        };
        let line = self.plan.lines[flying.line];
        let reached = self.reached(&flying, &line);
        let kept = (0..line.frames)
            .take_while(|at| self.is_kept(&line, *at, reached))
            .count();
        for at in 0..kept {
            self.end_frame(flying.line, line.first_frame + at, at, FrameState::Ok, out);
        }
        let next = line.first_frame + kept;
        if kept == line.frames {
            self.flying = None;
            self.hand_out_line(&flying, times, out);
        }
        self.controls
            .display
            .set_done(self.lines_done, self.frames_done);
        if kept == line.frames && self.lines_done == self.plan.lines.len() {
            self.offer_gap(epoch);
        } else {
            self.controls.agreement.set_resume_frame(epoch, next);
        }
    }

    /// The flight is over: what was passed before and stayed open was missed, what
    /// the last line left open was missed or broken off.
    fn give_up_line(&mut self, out: &mut dyn FnMut(Product)) {
        let flying = self.flying.take();
        self.give_up_gaps(flying.as_ref(), out);
        let Some(flying) = flying else {
            return;
        };
        let line = self.plan.lines[flying.line];
        let last = self.tracks[self.plan.fast.index()].last();
        let reached = self.reached(&flying, &line);
        for at in 0..line.frames {
            let passed = reached.is_some_and(|p| line.is_past(p, line.edge(at + 1)));
            let entered = last.is_some_and(|p| line.is_past(p, line.edge(at)));
            let state = match (passed, entered) {
                (true, _) => self.passed_state(at),
                (false, true) => FrameState::Aborted,
                (false, false) => continue,
            };
            self.end_frame(flying.line, line.first_frame + at, at, state, out);
        }
    }
}
