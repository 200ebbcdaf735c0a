//! What a reply of the stage means.

use crate::controls::FlightState;
use crate::conversation::Reply;
use crate::error::Cause;
use crate::protocol::ProtocolError;
use crate::protocol::pmx::{AxisStatus, Command};
use crate::records::{Fix, StageRecord};
use crate::units::{Axis, Nanos, Steps};

use super::{Phase, StageMachine};
use crate::machine::belief::Belief;
use crate::machine::controller::misunderstood;
use crate::machine::halt::Halt;
use crate::machine::preparation::{AxisSetup, expected};

impl StageMachine {
    pub(super) fn understand(
        &mut self,
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> Result<bool, ProtocolError> {
        match self.asked {
            Command::DeviceName => {
                self.check_identity(reply, records);
            }
            Command::Status => {
                let status = self.asked.status(reply.text)?;
                self.take_status(status, reply.received, records);
            }
            Command::Position(axis) => {
                let counts = Steps(self.asked.integer(reply.text)?);
                return Ok(self.take_fixes(&[(axis, counts)], reply, records));
            }
            Command::Positions => {
                let [x, y, ..] = self.asked.positions(reply.text)?;
                return Ok(self.take_positions([x, y], reply, records));
            }
            Command::HighSpeed(_) | Command::LowSpeed(_) | Command::Ramp(_) => {
                let found = self.asked.integer(reply.text)?;
                self.check_setting(found);
            }
            Command::Encoder(axis) => {
                let found = self.asked.integer(reply.text)?;
                let position = self.positions[axis.index()];
                if let Some(cause) = self.pulses.doubt_of(found, position) {
                    self.begin_halt(Halt::fault(cause));
                }
            }
            Command::SyncStatus(_) | Command::LatchStatus(_) | Command::LatchedPosition(_) => {
                let found = self.asked.integer(reply.text)?;
                self.tell_pulses(found, reply, records);
            }
            _ => {
                self.asked.accepted(reply.text)?;
                self.tell_pulses(1, reply, records);
            }
        }
        Ok(true)
    }

    /// What belongs to no trigger by wire, those leave alone.
    fn tell_pulses(
        &mut self,
        number: i64,
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) {
        let answer = self.config.fix(self.plan.fast, Steps(number), reply);
        if let Some(record) = self.pulses.answered(self.asked, &answer) {
            records(record);
        }
    }

    pub(super) fn take_positions(
        &mut self,
        positions: [Steps; 2],
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> bool {
        let fixes = Axis::BOTH.map(|axis| (axis, positions[axis.index()]));
        let believed = self.take_fixes(&fixes, reply, records);
        if let Phase::Halting(halt) = &mut self.phase {
            // The stage rests wherever it says it does; it may not be there.
            halt.looked(positions, believed, reply.received);
            self.positions = positions;
            self.after_positions(records);
            return true;
        }
        believed
    }

    /// Takes the fixes of one reply. If one of them is impossible all are kept, flagged,
    /// and none is used.
    fn take_fixes(
        &mut self,
        fixes: &[(Axis, Steps)],
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> bool {
        let doubt = fixes
            .iter()
            .find_map(|(axis, counts)| self.doubt_of(*axis, *counts, reply.received));
        let flags = if doubt.is_some() { Fix::IMPOSSIBLE } else { 0 };
        for (axis, counts) in fixes {
            let fix = self.config.fix(*axis, *counts, reply);
            self.report(StageRecord::Fix(Fix { flags, ..fix }), records);
            if doubt.is_none() {
                self.believe(*axis, *counts, reply.sent);
            }
        }
        self.doubt = doubt;
        self.doubt.is_none()
    }

    pub(super) fn doubt_of(&self, axis: Axis, found: Steps, now: Nanos) -> Option<Cause> {
        let belief = self.beliefs[axis.index()]?;
        (!belief.allows(found, now)).then(|| Cause::PositionJump {
            axis: axis.letter(),
            found: found.0,
            last: belief.position().0,
            reach: belief.reach(now),
        })
    }

    fn believe(&mut self, axis: Axis, counts: Steps, since: Nanos) {
        self.positions[axis.index()] = counts;
        let speed = self.beliefs[axis.index()].map_or(0.0, |belief| belief.speed());
        self.beliefs[axis.index()] = Some(Belief::new(counts, since, speed));
        if matches!(self.phase, Phase::Preparing(_)) {
            self.targets[axis.index()] = counts;
        }
    }

    /// A foreign device is left alone: not even a stop is sent to it.
    fn check_identity(&mut self, reply: &Reply<'_>, records: &mut dyn FnMut(StageRecord)) {
        if !self.config.is_name(reply.text) {
            let cause = self.config.foreign(reply.text);
            self.finish(FlightState::Failed, Some(cause), false, records);
        }
    }

    fn check_setting(&mut self, found: i64) {
        let asked = i64::from(expected(&AxisSetup::of_plan(&self.plan), self.asked));
        if found != asked {
            let command = self.asked.to_string();
            self.begin_halt(Halt::fault(Cause::Setting {
                command,
                asked,
                found,
            }));
        }
    }

    pub(super) fn take_status(
        &mut self,
        status: [AxisStatus; 4],
        now: Nanos,
        records: &mut dyn FnMut(StageRecord),
    ) {
        let moving = Axis::BOTH
            .into_iter()
            .any(|axis| status[axis.index()].is_moving());
        if let Phase::Halting(halt) = &mut self.phase {
            halt.saw(moving);
            return;
        }
        for axis in Axis::BOTH {
            if let Some(fault) = status[axis.index()].fault() {
                let axis = axis.letter();
                self.begin_halt(Halt::fault(Cause::Motion { axis, fault }));
                return;
            }
        }
        match self.phase {
            Phase::Preparing(_) if moving => {
                let fault = "motion before the flight";
                self.begin_halt(Halt::fault(Cause::Motion { axis: '?', fault }));
            }
            Phase::Positioning(leg) | Phase::Flying(leg) => {
                self.after_status(leg, moving, now, records);
            }
            _ => {}
        }
    }

    /// Returns why the last exchanges failed.
    pub(super) fn failure(&mut self, failures: u32) -> Cause {
        self.doubt.take().unwrap_or_else(|| self.silence(failures))
    }

    pub(super) fn silence(&self, failures: u32) -> Cause {
        self.config.silence(self.asked.to_string(), failures)
    }

    /// A refusal is final; another form of reply may be the link's fault.
    pub(super) fn refuse(&mut self, error: &ProtocolError) -> bool {
        let halting = matches!(self.phase, Phase::Halting(_));
        let is_refusal = matches!(error, ProtocolError::Refused { .. });
        let was_heard_before = matches!(self.asked, Command::MoveTo(..)) && self.resends > 0;
        if is_refusal && was_heard_before {
            self.next_leg();
        } else if is_refusal && !halting {
            self.begin_halt(Halt::fault(misunderstood(error.clone())));
        }
        is_refusal && !halting
    }
}
