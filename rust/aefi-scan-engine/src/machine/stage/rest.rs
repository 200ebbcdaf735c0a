//! Coming to rest, resting, and going on from there.

use crate::controls::Demand;
use crate::conversation::{Reply, Turn};
use crate::error::Cause;
use crate::outcome::FlightState;
use crate::protocol::pmx::Command;
use crate::records::StageRecord;
use crate::units::{Axis, Nanos};

use super::{CORRELATOR_PATIENCE, Leg, PAUSED_PERIOD, Phase, StageMachine};
use crate::machine::halt::Halt;

impl StageMachine {
    pub(super) fn next_in_pause(&mut self, now: Nanos) -> Turn {
        match self.controls.demands.demanded() {
            Demand::Pause if now >= self.next_look => {
                self.next_look = now + PAUSED_PERIOD;
                self.ask(Command::Positions)
            }
            Demand::Pause => Turn::Rest(self.next_look),
            Demand::Fly => self.next_in_resume(now),
            // The stage rests: what ends the flight is only said once more, so that
            // the end leaves through a reply like every other.
            Demand::Stop | Demand::Abort => {
                self.begin_halt(Halt::demanded_at_rest(self.controls.demands.demanded()));
                self.turn(now)
            }
        }
    }

    pub(super) fn next_in_resume(&mut self, now: Nanos) -> Turn {
        if let Some(epoch) = self.awaited_break {
            let Some(frame) = self.controls.agreement.resume_frame(epoch) else {
                let since = *self.awaited_since.get_or_insert(now);
                if now - since > CORRELATOR_PATIENCE + self.plan.lag {
                    self.awaited_break = None;
                    self.begin_halt(Halt::fault(Cause::Unanswered));
                    return self.turn(now);
                }
                // Further fixes let the correlator place the last readings.
                return self.ask(Command::Positions);
            };
            self.awaited_since = None;
            let (line, place) = self.plan.locate(frame);
            // Behind the last line come the gaps of those before.
            self.filling_gaps |= line < self.line;
            (self.line, self.place) = (line, place);
            self.awaited_break = None;
        }
        if self.line == self.plan.lines.len() {
            self.begin_halt(Halt::complete());
        } else {
            self.enter(Phase::Positioning(Leg::Speed));
        }
        self.turn(now)
    }

    /// A halt ends with a look at where the axes came to rest.
    pub(super) fn after_positions(
        &mut self,
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) {
        let Phase::Halting(halt) = &self.phase else {
            return;
        };
        if halt.is_at_rest() {
            let halt = halt.clone();
            let positions = self.positions();
            let register = f64::from(self.plan.positioning_speed);
            for axis in Axis::BOTH {
                let counts = positions[axis.index()];
                self.dialogue.rests(axis, counts, reply, register);
            }
            self.rest(&halt, records);
        }
    }

    /// Gives the line in flight up, if there is one.
    pub(super) fn break_line(
        &mut self,
        at: Nanos,
        cause: Option<&Cause>,
        records: &mut dyn FnMut(StageRecord),
    ) {
        if !std::mem::take(&mut self.line_open) {
            return;
        }
        let epoch = self.controls.agreement.next_break();
        self.awaited_break = Some(epoch);
        let busy = std::mem::take(&mut self.busy);
        let broken = StageRecord::LineBroken {
            at,
            epoch,
            exchanges: self.exchanges,
            busy,
            cut_short: cause.is_some_and(Cause::is_foreign_motion),
        };
        self.report(broken, records);
    }

    pub(super) fn rest(&mut self, halt: &Halt, records: &mut dyn FnMut(StageRecord)) {
        self.break_line(halt.now(), halt.cause().as_ref(), records);
        if let Some(outcome) = halt.outcome(self.controls.demands.demanded()) {
            self.conclude(outcome, halt.is_believed(), records);
        } else {
            self.next_look = halt.now() + PAUSED_PERIOD;
            self.enter(Phase::Paused);
        }
    }

    pub(super) fn give_up(
        &mut self,
        cause: Cause,
        now: Nanos,
        records: &mut dyn FnMut(StageRecord),
    ) {
        self.break_line(now, Some(&cause), records);
        self.finish(FlightState::Failed, Some(cause), false, records);
    }
}
