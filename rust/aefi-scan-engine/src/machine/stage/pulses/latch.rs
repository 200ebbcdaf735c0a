//! The controller's latch: where the fast axis was at the edges of another device.

use crate::protocol::pmx::Command;
use crate::records::{Fix, StageRecord};
use crate::units::{Axis, Nanos};

use super::{Pulses, TRIES, Want};

/// One exchange in so many asks whether an edge came.
const SHARE: u8 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Off,
    Armed,
    /// An edge came, and its position is not known yet.
    Caught,
}

/// Arms the latch, and tells of each edge as a fix.
#[derive(Debug)]
pub(super) struct Latch {
    axis: Axis,
    step: Step,
    /// Since when it is armed: written, and heard at the earliest.
    armed: [Nanos; 2],
    /// When the edge was known to have come: replied, and before.
    caught: [Nanos; 2],
    /// Exchanges since it was asked.
    idle: u8,
    /// Whether the line is at its end, and whether it was asked since.
    is_ending: bool,
    is_done: bool,
    tries: u8,
}

impl Latch {
    pub(super) fn new(axis: Axis) -> Self {
        Self {
            axis,
            step: Step::Off,
            armed: [Nanos::ZERO; 2],
            caught: [Nanos::ZERO; 2],
            idle: 0,
            is_ending: false,
            is_done: false,
            tries: 0,
        }
    }
}

impl Pulses for Latch {
    fn preparation(&self) -> Vec<Command> {
        vec![Command::SetLatch(self.axis, false)]
    }

    fn approach(&mut self, _line: usize, _place: usize) {
        self.tries = 0;
        self.is_ending = false;
        self.is_done = false;
        // Arming forgets what was caught before.
        self.step = Step::Off;
    }

    fn arm(&mut self, _now: Nanos) -> Option<Command> {
        (self.step == Step::Off).then_some(Command::SetLatch(self.axis, true))
    }

    fn next(&mut self, _now: Nanos) -> Want {
        match self.step {
            Step::Off => Want::Ask(Command::SetLatch(self.axis, true)),
            Step::Caught => Want::Ask(Command::LatchedPosition(self.axis)),
            Step::Armed if self.idle + 1 >= SHARE => Want::Ask(Command::LatchStatus(self.axis)),
            Step::Armed => {
                self.idle += 1;
                Want::Nothing
            }
        }
    }

    fn settle(&mut self) -> Option<Command> {
        self.is_ending = true;
        match self.step {
            Step::Off => None,
            Step::Caught => Some(Command::LatchedPosition(self.axis)),
            Step::Armed if self.is_done => Some(Command::SetLatch(self.axis, false)),
            Step::Armed => Some(Command::LatchStatus(self.axis)),
        }
    }

    fn disarm(&mut self) -> Option<Command> {
        if self.step == Step::Off || self.tries == TRIES {
            return None;
        }
        self.tries += 1;
        Some(Command::SetLatch(self.axis, false))
    }

    fn answered(&mut self, command: Command, answer: &Fix) -> Option<StageRecord> {
        match command {
            Command::SetLatch(_, false) => self.step = Step::Off,
            Command::SetLatch(_, true) => {
                self.step = Step::Armed;
                self.armed = [answer.sent, answer.earliest];
                self.idle = 0;
            }
            Command::LatchStatus(_) => {
                self.idle = 0;
                match answer.counts.0 {
                    2 => {
                        self.step = Step::Caught;
                        self.caught = [answer.received, answer.latest];
                    }
                    1 => self.is_done = self.is_ending,
                    // Switched off and on, perhaps.
                    _ => self.step = Step::Off,
                }
            }
            Command::LatchedPosition(_) => {
                self.step = Step::Off;
                return Some(StageRecord::Fix(Fix {
                    axis: self.axis,
                    sent: self.armed[0],
                    received: self.caught[0],
                    earliest: self.armed[1],
                    latest: self.caught[1],
                    counts: answer.counts,
                    flags: Fix::LATCHED,
                }));
            }
            _ => {}
        }
        None
    }
}
