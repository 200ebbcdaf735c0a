//! The controller's position compare, armed for one frame after the other.
//!
//! The order off, count, on is kept for each: whether a count that is written while the
//! output waits, or has come on, arms it again, the manual does not say (Arcus
//! reference §7 A).

use std::sync::Arc;

use crate::controls::Controls;
use crate::error::Cause;
use crate::flight_plan::{FlightPlan, Line};
use crate::protocol::pmx::Command;
use crate::records::{Fix, StageRecord};
use crate::units::{Nanos, Steps};

use super::{Pace, Pulses, TRIES, Want};

/// Width of a pulse: long enough for the slow optocoupler of the output.
const WIDTH_MS: u32 = 1;
/// The rounding of two counters and a microstep between motor and encoder, in steps,
/// beside one count.
const AGREEMENT: f64 = 2.0;
/// The counter's rounding, in steps.
const ROUNDING: f64 = 1.0;
/// How often a compare that was passed is asked whether it fired: an encoder may hang
/// behind the counter by a little.
const LOOKS: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Off,
    /// The count of the next frame is written.
    Placed,
    /// It was switched on, and no answer came.
    Unsure,
    /// It waits, and was asked so often since the centre was passed.
    Armed(u8),
    /// It fired, or was given up.
    Spent,
}

/// One pulse a frame, at the encoder count of its centre.
#[derive(Debug)]
pub(super) struct SyncOutput {
    plan: Arc<FlightPlan>,
    controls: Arc<Controls>,
    pulses_per_count: f64,
    step: Step,
    line: Line,
    /// Place in the line of the frame that is armed, or the next to be.
    next: usize,
    /// When the fast axis was sent off, unless it rests.
    sent_off: Option<Nanos>,
    /// The last fix of the fast axis: not before this instant, at that position.
    last: Option<(Nanos, f64)>,
    pace: Pace,
    tries: u8,
}

impl SyncOutput {
    pub(super) fn new(
        plan: Arc<FlightPlan>,
        controls: Arc<Controls>,
        pulses_per_count: f64,
    ) -> Self {
        Self {
            line: plan.lines[0],
            plan,
            controls,
            pulses_per_count,
            step: Step::Off,
            next: 0,
            sent_off: None,
            last: None,
            pace: Pace::default(),
            tries: 0,
        }
    }

    fn count_of(&self, steps: f64) -> i64 {
        (steps / self.pulses_per_count).round() as i64
    }

    /// The count at which the frame at `place` has its pulse.
    fn count(&self, place: usize) -> i64 {
        self.count_of(self.line.centre(place))
    }

    /// The way from `position` to the pulse of the frame at `place`, in steps.
    fn way(&self, position: f64, place: usize) -> f64 {
        let pulse = self.count(place) as f64 * self.pulses_per_count;
        (pulse - position) * self.line.direction()
    }

    /// Whether the axis, at its speed, can't be at the frame's pulse before so many
    /// exchanges are over.
    fn is_in_time(&self, place: usize, now: Nanos, exchanges: i64) -> bool {
        let (Some(sent_off), Some((at, position))) = (self.sent_off, self.last) else {
            return true;
        };
        let until = now + Nanos(self.pace.0.0 * exchanges);
        let moving = (until - at.max(sent_off)).as_secs_f64();
        self.way(position, place) > f64::from(self.plan.speed) * moving + ROUNDING
    }

    /// Leaves out the frames that it is too late for, and those that need no pulse.
    fn aim(&mut self, now: Nanos) {
        while self.next < self.line.frames {
            let exchanges = if self.step == Step::Placed { 1 } else { 2 };
            let has_ended = self
                .controls
                .agreement
                .has_ended(self.line.first_frame + self.next);
            if !has_ended && self.is_in_time(self.next, now, exchanges) {
                return;
            }
            self.next += 1;
            self.step = Step::Off;
        }
    }

    fn is_passed(&self) -> bool {
        let beyond = ROUNDING + self.pulses_per_count / 2.0;
        self.last
            .is_some_and(|(_, position)| self.way(position, self.next) <= -beyond)
    }

    fn command(&mut self, now: Nanos) -> Option<Command> {
        let axis = self.plan.fast;
        if matches!(self.step, Step::Off | Step::Placed) {
            self.aim(now);
        }
        match self.step {
            Step::Off if self.next < self.line.frames => {
                Some(Command::SetSyncCount(axis, self.count(self.next)))
            }
            Step::Placed => Some(Command::SyncOn(axis)),
            Step::Unsure => Some(Command::SyncStatus(axis)),
            Step::Armed(_) if self.is_passed() => Some(Command::SyncStatus(axis)),
            Step::Spent => Some(Command::SyncOff(axis)),
            Step::Off | Step::Armed(_) => None,
        }
    }

    /// What the output's status says of the frame that it was armed for.
    fn take_status(&mut self, status: i64, at: Nanos) -> Option<StageRecord> {
        let frame = self.line.first_frame + self.next;
        match (status, self.step) {
            (2, _) => {
                self.step = Step::Spent;
                self.next += 1;
                let late = Nanos::ZERO;
                return Some(StageRecord::Pulse { frame, at, late });
            }
            (1, Step::Armed(looks)) if looks + 1 < LOOKS => self.step = Step::Armed(looks + 1),
            (1, Step::Armed(_)) => {
                self.step = Step::Spent;
                self.next += 1;
            }
            (1, _) => self.step = Step::Armed(0),
            // It was not heard.
            _ => self.step = Step::Off,
        }
        None
    }
}

impl Pulses for SyncOutput {
    fn preparation(&self) -> Vec<Command> {
        let axis = self.plan.fast;
        vec![
            Command::SyncOff(axis),
            Command::SyncOnEqual(axis),
            Command::SetSyncWidth(axis, WIDTH_MS),
            Command::Encoder(axis),
        ]
    }

    fn doubt_of(&self, count: i64, position: Steps) -> Option<Cause> {
        let apart = count as f64 * self.pulses_per_count - position.0 as f64;
        (apart.abs() > AGREEMENT + self.pulses_per_count).then(|| Cause::Encoder {
            axis: self.plan.fast.letter(),
            found: count,
            expected: self.count_of(position.0 as f64),
            steps: position.0,
        })
    }

    fn approach(&mut self, line: usize, place: usize) {
        self.line = self.plan.lines[line];
        self.next = place;
        self.sent_off = None;
        self.tries = 0;
        // If it could not be taken back, that comes first.
        if self.step != Step::Off {
            self.step = Step::Spent;
        }
    }

    fn arm(&mut self, now: Nanos) -> Option<Command> {
        self.command(now)
    }

    fn observe(&mut self, record: &StageRecord) {
        match record {
            StageRecord::Fix(fix) if fix.axis == self.plan.fast && fix.flags == 0 => {
                self.last = Some((fix.earliest, fix.counts.0 as f64));
            }
            StageRecord::LineBegan { at, .. } => self.sent_off = Some(*at),
            _ => {}
        }
    }

    fn took(&mut self, exchange: Nanos) {
        self.pace.take(exchange);
    }

    fn next(&mut self, now: Nanos) -> Want {
        self.command(now).map_or(Want::Nothing, Want::Ask)
    }

    fn settle(&mut self) -> Option<Command> {
        match self.step {
            Step::Off | Step::Placed => None,
            Step::Unsure | Step::Armed(_) => Some(Command::SyncStatus(self.plan.fast)),
            Step::Spent => Some(Command::SyncOff(self.plan.fast)),
        }
    }

    fn disarm(&mut self) -> Option<Command> {
        if matches!(self.step, Step::Off | Step::Placed) || self.tries == TRIES {
            return None;
        }
        self.tries += 1;
        Some(Command::SyncOff(self.plan.fast))
    }

    fn answered(&mut self, command: Command, answer: &Fix) -> Option<StageRecord> {
        match command {
            Command::SetSyncCount(..) => self.step = Step::Placed,
            Command::SyncOn(_) => self.step = Step::Armed(0),
            Command::SyncOff(_) => self.step = Step::Off,
            Command::SyncStatus(_) => return self.take_status(answer.counts.0, answer.received),
            _ => {}
        }
        None
    }

    fn failed(&mut self, command: Command) {
        if matches!(command, Command::SyncOn(_)) {
            self.step = Step::Unsure;
        }
    }
}
