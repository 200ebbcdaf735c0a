//! Pulses and edges by wire while a line is flown: what the controller is told in
//! between two queries of the fast axis; pure.
//!
//! Most of it is known only by asking: what was armed may have fired, and an edge may
//! have come. So each kind is a small machine of its own: asked what it wants next, told
//! what was answered.

mod digital_output;
mod latch;
mod sync_output;

use std::fmt::Debug;
use std::sync::Arc;

use crate::controls::Controls;
use crate::error::Cause;
use crate::flight_plan::FlightPlan;
use crate::flight_plan::Trigger;
use crate::protocol::pmx::Command;
use crate::records::{Fix, StageRecord};
use crate::units::{Nanos, Steps};

use crate::machine::controller::StageConfig;
use digital_output::DigitalOutput;
use latch::Latch;
use sync_output::SyncOutput;

/// What is wanted of the link next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// Nothing: it is free for other queries.
    Nothing,
    /// That no query takes longer than the hot one.
    Short,
    /// This, now.
    Ask(Command),
    /// That it is idle at this instant.
    Idle(Nanos),
}

/// What one kind of trigger makes of a line.
pub(super) trait Pulses: Debug + Send {
    /// Returns the commands that set the controller up, while everything rests.
    fn preparation(&self) -> Vec<Command> {
        Vec::new()
    }

    /// Returns what is wrong if the encoder reads `count` where the pulse counter
    /// reads `position`.
    fn doubt_of(&self, _count: i64, _position: Steps) -> Option<Cause> {
        None
    }

    /// Takes notice that `line` is flown next, from `place` on.
    fn approach(&mut self, _line: usize, _place: usize) {}

    /// Returns what is to be asked before the fast axis is sent off.
    fn arm(&mut self, _now: Nanos) -> Option<Command> {
        None
    }

    /// Takes notice of what the stage reports, in the order of time.
    fn observe(&mut self, _record: &StageRecord) {}

    /// Takes notice of how long an exchange took.
    fn took(&mut self, _exchange: Nanos) {}

    /// Returns what is wanted while the fast axis travels through the line.
    fn next(&mut self, _now: Nanos) -> Want {
        Want::Nothing
    }

    /// Returns what is to be asked when it rests at the line's end: nothing stays armed.
    fn settle(&mut self) -> Option<Command> {
        None
    }

    /// Returns what takes everything back after a stop was sent, a few times at most:
    /// the way to rest is watched meanwhile.
    fn disarm(&mut self) -> Option<Command> {
        None
    }

    /// Takes notice that `command` was answered, at a time and with a number that
    /// `answer` has as a fix would (1 for `OK`).
    fn answered(&mut self, _command: Command, _answer: &Fix) -> Option<StageRecord> {
        None
    }

    /// Takes notice that `command` was not answered; it may have been heard.
    fn failed(&mut self, _command: Command) {}
}

/// Returns what the plan's trigger makes of its lines.
pub(super) fn pulses(
    plan: &Arc<FlightPlan>,
    config: &StageConfig,
    controls: &Arc<Controls>,
) -> Box<dyn Pulses> {
    let controls = Arc::clone(controls);
    match plan.trigger {
        Trigger::SyncOutput { pulses_per_count } => {
            let plan = Arc::clone(plan);
            Box::new(SyncOutput::new(plan, controls, pulses_per_count))
        }
        Trigger::DigitalOutput { output } => {
            Box::new(DigitalOutput::new(plan, controls, output, config))
        }
        Trigger::Latch => Box::new(Latch::new(plan.fast)),
        Trigger::FreeRunning | Trigger::Periodic(_) | Trigger::Positions => Box::new(NoWire),
    }
}

#[derive(Debug)]
struct NoWire;

impl Pulses for NoWire {}

/// How often a wire is taken back in vain before that is given up.
const TRIES: u8 = 3;

/// How long the next exchange may take: the longest one, slowly forgotten.
#[derive(Debug, Clone, Copy, Default)]
struct Pace(Nanos);

impl Pace {
    fn take(&mut self, exchange: Nanos) {
        self.0 = exchange.max(self.0 - Nanos(self.0.0 / 16));
    }
}
