//! What a reply of the stage means.

use crate::conversation::Reply;
use crate::error::Cause;
use crate::outcome::FlightState;
use crate::protocol::ProtocolError;
use crate::protocol::pmx::{AxisStatus, Command};
use crate::records::{Fix, StageRecord};
use crate::units::{Axis, Nanos, Steps};

use super::{Leg, Phase, StageMachine, Understood};
use crate::machine::controller::RESENDS;
use crate::machine::halt::Halt;
use crate::machine::intent::Verdict;
use crate::machine::preparation::{AxisSetup, expected};

impl StageMachine {
    pub(super) fn understand(
        &mut self,
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> Result<Understood, ProtocolError> {
        let asked = self.dialogue.asked;
        Ok(match asked {
            Command::DeviceName => self.check_identity(reply, records),
            Command::Status => {
                let status = asked.status(reply.text)?;
                self.take_status(status, reply.received, records)
            }
            Command::Position(axis) => {
                let counts = Steps(asked.integer(reply.text)?);
                self.take_fixes(&[(axis, counts)], reply, records)
            }
            Command::Positions => {
                let [x, y, ..] = asked.positions(reply.text)?;
                self.take_positions([x, y], reply, records)
            }
            Command::HighSpeed(_) | Command::LowSpeed(_) | Command::Ramp(_) => {
                self.check_setting(asked.integer(reply.text)?)
            }
            Command::Encoder(axis) => {
                let found = asked.integer(reply.text)?;
                let position = self.positions()[axis.index()];
                match self.pulses.doubt_of(found, position) {
                    Some(cause) => self.turn_to(Halt::fault(cause)),
                    None => Understood::AsAsked,
                }
            }
            Command::SyncStatus(_) | Command::LatchStatus(_) | Command::LatchedPosition(_) => {
                let found = asked.integer(reply.text)?;
                self.tell_pulses(found, reply, records)
            }
            _ => {
                asked.accepted(reply.text)?;
                self.tell_pulses(1, reply, records)
            }
        })
    }

    fn turn_to(&mut self, halt: Halt) -> Understood {
        self.begin_halt(halt);
        Understood::Elsewhere
    }

    /// What belongs to no trigger by wire, those leave alone.
    fn tell_pulses(
        &mut self,
        number: i64,
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> Understood {
        let answer = self
            .dialogue
            .config
            .fix(self.plan.fast, Steps(number), reply);
        if let Some(record) = self.pulses.answered(self.dialogue.asked, &answer) {
            records(record);
        }
        Understood::AsAsked
    }

    pub(super) fn take_positions(
        &mut self,
        positions: [Steps; 2],
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> Understood {
        let fixes = Axis::BOTH.map(|axis| (axis, positions[axis.index()]));
        let understood = self.take_fixes(&fixes, reply, records);
        if let Phase::Halting(halt) = &mut self.phase {
            // The stage rests wherever it says it does; it may not be there.
            let believed = understood != Understood::Doubted;
            halt.looked(positions, believed, reply.received);
            for (axis, counts) in fixes {
                self.dialogue.see(axis, counts);
            }
            self.after_positions(reply, records);
            return Understood::Elsewhere;
        }
        if understood == Understood::AsAsked && self.phase == Phase::Flying(Leg::Look) {
            self.arrive(reply.received, records);
            return Understood::Elsewhere;
        }
        understood
    }

    /// Takes the fixes of one reply. If one of them is impossible all are kept, flagged,
    /// and none is used. An axis that is not where it is meant to be is stopped.
    fn take_fixes(
        &mut self,
        fixes: &[(Axis, Steps)],
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> Understood {
        let verdict = self.dialogue.judge(fixes, reply);
        let is_doubted = matches!(verdict, Verdict::Doubted(_));
        let flags = if is_doubted { Fix::IMPOSSIBLE } else { 0 };
        for (axis, counts) in fixes {
            let fix = self.dialogue.config.fix(*axis, *counts, reply);
            self.report(StageRecord::Fix(Fix { flags, ..fix }), records);
            if verdict == Verdict::Believed && matches!(self.phase, Phase::Preparing(_)) {
                let register = f64::from(self.plan.positioning_speed);
                self.dialogue.rests(*axis, *counts, reply, register);
            }
        }
        match verdict {
            Verdict::Doubted(_) => Understood::Doubted,
            Verdict::Astray(cause) if !matches!(self.phase, Phase::Halting(_)) => {
                self.turn_to(Halt::fault(cause))
            }
            _ => Understood::AsAsked,
        }
    }

    /// A foreign device is left alone: not even a stop is sent to it.
    fn check_identity(
        &mut self,
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> Understood {
        if self.dialogue.config.is_name(reply.text) {
            return Understood::AsAsked;
        }
        let cause = self.dialogue.config.foreign(reply.text);
        self.finish(FlightState::Failed, Some(cause), false, records);
        Understood::Elsewhere
    }

    fn check_setting(&mut self, found: i64) -> Understood {
        let asked = match self.high_speed_set {
            Some(speed) if self.is_reading_speed() => speed,
            _ => expected(&AxisSetup::of_plan(&self.plan), self.dialogue.asked),
        };
        if found == i64::from(asked) {
            if self.is_reading_speed() {
                self.high_speed = asked;
                self.high_speed_set = None;
            }
            Understood::AsAsked
        } else if self.is_reading_speed() && self.resends < RESENDS {
            self.resends += 1;
            self.high_speed_set = None;
            self.go_to(Leg::Speed);
            Understood::Elsewhere
        } else {
            let cause = self.dialogue.not_taken_over(asked, found);
            self.turn_to(Halt::fault(cause))
        }
    }

    pub(super) fn take_status(
        &mut self,
        status: [AxisStatus; 4],
        now: Nanos,
        records: &mut dyn FnMut(StageRecord),
    ) -> Understood {
        let moving = Axis::BOTH
            .into_iter()
            .any(|axis| status[axis.index()].is_moving());
        if let Phase::Halting(halt) = &mut self.phase {
            halt.saw(moving);
            return Understood::Elsewhere;
        }
        for axis in Axis::BOTH {
            if let Some(fault) = status[axis.index()].fault() {
                let axis = axis.letter();
                return self.turn_to(Halt::fault(Cause::Motion { axis, fault }));
            }
        }
        match self.phase {
            Phase::Preparing(_) if moving => {
                let fault = "motion before the flight";
                self.turn_to(Halt::fault(Cause::Motion { axis: '?', fault }))
            }
            Phase::Positioning(leg) | Phase::Flying(leg) => {
                self.after_status(leg, moving, now, records);
                Understood::Elsewhere
            }
            _ => Understood::AsAsked,
        }
    }

    /// A refusal is final; another form of reply may be the link's fault.
    pub(super) fn refuse(&mut self, error: &ProtocolError) -> bool {
        if matches!(self.phase, Phase::Halting(_)) || !self.dialogue.judge_refusal(error) {
            return false;
        }
        self.begin_halt(Halt::fault(self.dialogue.refusal(error.clone())));
        true
    }
}
