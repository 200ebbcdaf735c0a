//! An output of the controller that the host sets where a frame's centre is predicted.

use std::sync::Arc;

use crate::controls::Controls;
use crate::flight_plan::FlightPlan;
use crate::protocol::pmx::Command;
use crate::records::{Fix, StageRecord};
use crate::trigger::{Due, PositionTrigger, Shot, TriggerSource};
use crate::units::Nanos;

use super::{Pace, Pulses, StageConfig, TRIES, Want};

/// As far ahead as matters: a prediction is not asked for again before it is due.
const GLANCE: Nanos = Nanos::from_millis(1000);

/// A query of all axes takes up to so many times the hot one (Arcus reference §8.1).
const LONG: i64 = 3;

/// One pulse a frame, on for an exchange.
#[derive(Debug)]
pub(super) struct DigitalOutput {
    output: u8,
    controls: Arc<Controls>,
    source: PositionTrigger,
    /// What the output was last switched on for.
    shot: Option<Shot>,
    /// Whether it may be on.
    is_on: bool,
    pace: Pace,
    tries: u8,
}

impl DigitalOutput {
    /// The output switches when its request has arrived: the wire time is the lead.
    pub(super) fn new(
        plan: &Arc<FlightPlan>,
        controls: Arc<Controls>,
        output: u8,
        config: &StageConfig,
    ) -> Self {
        let request = Command::SetOutput(output, true).request(config.address, Nanos::ZERO);
        let lead = Nanos(config.byte_time.0 * request.bytes().len() as i64);
        Self {
            output,
            controls,
            source: PositionTrigger::new(Arc::clone(plan), 1, lead, GLANCE),
            shot: None,
            is_on: false,
            pace: Pace::default(),
            tries: 0,
        }
    }

    fn needs_none(&self, shot: &Shot) -> bool {
        shot.aim
            .is_some_and(|frame| self.controls.agreement.has_ended(frame))
    }

    fn off(&self) -> Option<Command> {
        self.is_on.then_some(Command::SetOutput(self.output, false))
    }
}

impl Pulses for DigitalOutput {
    fn preparation(&self) -> Vec<Command> {
        vec![Command::SetOutput(self.output, false)]
    }

    fn approach(&mut self, _line: usize, _place: usize) {
        self.tries = 0;
    }

    fn arm(&mut self, _now: Nanos) -> Option<Command> {
        self.off()
    }

    fn observe(&mut self, record: &StageRecord) {
        self.source.observe(record);
    }

    fn took(&mut self, exchange: Nanos) {
        self.pace.take(exchange);
    }

    fn next(&mut self, now: Nanos) -> Want {
        if let Some(command) = self.off() {
            return Want::Ask(command);
        }
        match self.source.due(now) {
            // Flown again for another frame's sake.
            Due::Now(shot) if self.needs_none(&shot) => Want::Nothing,
            Due::Now(shot) => {
                self.shot = Some(shot);
                self.is_on = true;
                Want::Ask(Command::SetOutput(self.output, true))
            }
            // Another exchange could make it late.
            Due::NotBefore(at) if at - now <= self.pace.0 => Want::Idle(at),
            Due::NotBefore(at) if at - now <= Nanos(LONG * self.pace.0.0) => Want::Short,
            Due::NotBefore(_) => Want::Nothing,
        }
    }

    fn settle(&mut self) -> Option<Command> {
        self.off()
    }

    fn disarm(&mut self) -> Option<Command> {
        let off = self.off().filter(|_| self.tries < TRIES);
        self.tries += u8::from(off.is_some());
        off
    }

    fn answered(&mut self, command: Command, answer: &Fix) -> Option<StageRecord> {
        match command {
            Command::SetOutput(_, false) => self.is_on = false,
            Command::SetOutput(_, true) => {
                let shot = self.shot.take()?;
                return Some(StageRecord::Pulse {
                    frame: shot.aim?,
                    at: answer.received,
                    late: (answer.sent - shot.due).max(Nanos::ZERO),
                });
            }
            _ => {}
        }
        None
    }
}
