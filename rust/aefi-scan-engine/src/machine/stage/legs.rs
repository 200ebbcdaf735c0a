//! The steps of a move from rest to rest, and what follows its end.

use crate::conversation::Turn;
use crate::protocol::pmx::Command;
use crate::records::StageRecord;
use crate::units::{Axis, Nanos, Steps};

use super::pulses::Want;
use super::{Leg, Phase, SHORT_REST, StageMachine};
use crate::machine::controller::{RESENDS, REST_BELIEVED};
use crate::machine::halt::Halt;
use crate::machine::intent::Intent;
use crate::outcome::{FlightState, Outcome};

impl StageMachine {
    pub(super) fn next_in_preparation(&mut self, now: Nanos, step: usize) -> Turn {
        if let Some(command) = self.script.get(step) {
            return self.ask(*command);
        }
        if !self.controls.agreement.is_detector_ready() {
            return Turn::Rest(now + SHORT_REST);
        }
        self.enter(Phase::Positioning(Leg::Speed));
        self.turn(now)
    }

    pub(super) fn next_in_leg(&mut self, now: Nanos, leg: Leg) -> Turn {
        match (leg, self.leg_command(leg)) {
            (Leg::Travel, _) => self.next_in_travel(now),
            (Leg::Settle, _) => {
                let command = self.pulses.settle();
                self.ask(command.unwrap_or(Command::Status))
            }
            (Leg::Look, _) => self.ask(Command::Positions),
            (Leg::Arm, _) => self.next_in_arming(now),
            (_, Some(command)) => self.ask(command),
            (_, None) => {
                self.next_leg();
                self.turn(now)
            }
        }
    }

    fn next_in_arming(&mut self, now: Nanos) -> Turn {
        if matches!(self.phase, Phase::Flying(_)) {
            if !self.controls.agreement.is_as_wanted() {
                return Turn::Rest(now + SHORT_REST);
            }
            if let Some(command) = self.pulses.arm(now) {
                return self.ask(command);
            }
        }
        self.next_leg();
        self.turn(now)
    }

    /// The command of a leg, unless what it asks for is so already.
    pub(super) fn leg_command(&self, leg: Leg) -> Option<Command> {
        let (fast, slow) = (self.plan.fast, self.plan.slow());
        match leg {
            Leg::Speed => {
                let speed = self.leg_speed();
                (speed != self.high_speed).then_some(Command::SetHighSpeed(fast, speed))
            }
            Leg::ReadSpeed => self.high_speed_set.map(|_| Command::HighSpeed(fast)),
            Leg::Slow => self.move_command(slow, self.current_line().slow),
            Leg::Fast => self.move_command(fast, self.leg_target()),
            Leg::Arm | Leg::Travel | Leg::Settle | Leg::Look => None,
        }
    }

    pub(super) fn leg_speed(&self) -> u32 {
        match self.phase {
            Phase::Flying(_) => self.plan.speed,
            _ => self.plan.positioning_speed,
        }
    }

    pub(super) fn leg_target(&self) -> Steps {
        match self.phase {
            Phase::Flying(_) => self.current_line().end,
            _ => self.current_line().run_up(self.place),
        }
    }

    pub(super) fn move_command(&self, axis: Axis, target: Steps) -> Option<Command> {
        (self.dialogue.position(axis) != Some(target)).then_some(Command::MoveTo(axis, target))
    }

    pub(super) fn next_leg(&mut self) {
        let following = |leg| match leg {
            Leg::Speed => Leg::ReadSpeed,
            Leg::ReadSpeed => Leg::Slow,
            Leg::Slow => Leg::Arm,
            Leg::Arm => Leg::Fast,
            Leg::Fast => Leg::Travel,
            Leg::Travel => Leg::Settle,
            Leg::Settle | Leg::Look => Leg::Look,
        };
        match &mut self.phase {
            Phase::Positioning(leg) | Phase::Flying(leg) => *leg = following(*leg),
            _ => {}
        }
    }

    pub(super) fn go_to(&mut self, step: Leg) {
        if let Phase::Positioning(leg) | Phase::Flying(leg) = &mut self.phase {
            *leg = step;
        }
    }

    pub(super) fn is_reading_speed(&self) -> bool {
        use Phase::{Flying, Positioning};
        matches!(
            self.phase,
            Positioning(Leg::ReadSpeed) | Flying(Leg::ReadSpeed)
        )
    }

    pub(super) fn at_target(&self) -> bool {
        self.intents().all(Intent::is_at_target)
    }

    fn intents(&self) -> impl Iterator<Item = &Intent> {
        let of = |axis| self.dialogue.intent(axis);
        Axis::BOTH.into_iter().filter_map(of)
    }

    /// The hot query asks for the moving axis only; status and all positions come now
    /// and then.
    pub(super) fn next_in_travel(&mut self, now: Nanos) -> Turn {
        if self.at_target() {
            self.next_leg();
            return self.turn(now);
        }
        let mut is_free = true;
        if matches!(self.phase, Phase::Flying(_)) {
            match self.pulses.next(now) {
                Want::Ask(command) => return self.ask(command),
                Want::Idle(until) => return Turn::Rest(until),
                Want::Short => is_free = false,
                Want::Nothing => {}
            }
        }
        if is_free && let Some(command) = self.watch.due(now, self.positions()) {
            return self.ask(command);
        }
        self.ask(match self.phase {
            Phase::Flying(_) => Command::Position(self.plan.fast),
            _ => Command::Positions,
        })
    }

    pub(super) fn after_status(
        &mut self,
        leg: Leg,
        moving: bool,
        now: Nanos,
        records: &mut dyn FnMut(StageRecord),
    ) {
        if moving {
            self.idle_since = None;
        } else if self.at_target() {
            match (leg, &self.phase) {
                (Leg::Settle, Phase::Flying(_)) => self.next_leg(),
                // On the way to a line both axes are looked at all the time.
                (Leg::Settle, _) => self.arrive(now, records),
                _ => {}
            }
        } else {
            let since = *self.idle_since.get_or_insert(now);
            if now - since >= REST_BELIEVED {
                self.send_again_or_fail();
            }
        }
    }

    /// A move that was not heard is sent again. One that was begun and did not end was
    /// stopped by somebody, who may have had a reason.
    pub(super) fn send_again_or_fail(&mut self) {
        self.idle_since = None;
        let missed = |intent: &&Intent| !intent.is_at_target();
        let moved = |intent: &&Intent| missed(intent) && intent.has_moved();
        let cut_short = self.intents().find(moved).map(Intent::cut_short);
        let stalled = self.intents().find(missed).map(Intent::stalled);
        if cut_short.is_none() && self.resends < RESENDS {
            self.resends += 1;
            self.go_to(Leg::Slow);
        } else if let Some(cause) = cut_short.or(stalled) {
            self.begin_halt(Halt::fault(cause));
        }
    }

    pub(super) fn arrive(&mut self, now: Nanos, records: &mut dyn FnMut(StageRecord)) {
        for axis in Axis::BOTH {
            self.dialogue.arrived(axis);
        }
        if !matches!(self.phase, Phase::Flying(_)) {
            let axis = self.plan.slow();
            let from = self.positions()[axis.index()];
            let rest = StageRecord::Motion {
                axis,
                at: now,
                from,
                speed: 0.0,
            };
            self.report(rest, records);
            self.pulses.approach(self.line, self.place);
            self.enter(Phase::Flying(Leg::Speed));
            return;
        }
        self.line_open = false;
        let ended = StageRecord::LineEnded {
            at: now,
            exchanges: self.exchanges,
            busy: std::mem::take(&mut self.busy),
        };
        self.report(ended, records);
        self.line += 1;
        self.place = 0;
        if !self.filling_gaps && self.line < self.plan.lines.len() {
            self.enter(Phase::Positioning(Leg::Speed));
        } else if self.plan.extra_passes > 0 {
            self.seek_gaps(now, records);
        } else {
            let outcome = Outcome {
                state: FlightState::Completed,
                cause: None,
            };
            self.conclude(outcome, true, records);
        }
    }

    /// Asks the correlator, which knows the frames, where to fly next.
    pub(super) fn seek_gaps(&mut self, at: Nanos, records: &mut dyn FnMut(StageRecord)) {
        let epoch = self.controls.agreement.next_break();
        self.filling_gaps = true;
        self.awaited_break = Some(epoch);
        self.enter(Phase::SeekingGaps);
        records(StageRecord::LinesFlown { at, epoch });
    }

    pub(super) fn record_move(&mut self, at: Nanos, records: &mut dyn FnMut(StageRecord)) {
        let Command::MoveTo(axis, target) = self.dialogue.asked else {
            return;
        };
        let from = self.positions()[axis.index()];
        let speed = if axis == self.plan.fast {
            self.leg_speed()
        } else {
            self.plan.positioning_speed
        };
        self.dialogue.moves(axis, target, at, f64::from(speed));
        self.watch.begin(at);
        if self.resends == 0 {
            let motion = StageRecord::Motion {
                axis,
                at,
                from,
                speed: f64::from(speed),
            };
            self.report(motion, records);
        }
        if matches!(self.phase, Phase::Flying(Leg::Fast)) && self.resends == 0 {
            self.exchanges = 0;
            self.line_open = true;
            let began = StageRecord::LineBegan {
                line: self.line,
                place: self.place,
                at,
            };
            self.report(began, records);
        }
    }

    /// Goes to the next step after a reply that changed nothing else.
    pub(super) fn proceed(&mut self, records: &mut dyn FnMut(StageRecord)) {
        match &mut self.phase {
            Phase::Preparing(step) => *step += 1,
            // Arming takes as many replies as it takes.
            Phase::Flying(Leg::Arm) => {}
            Phase::Positioning(leg) | Phase::Flying(leg) if *leg < Leg::Travel => {
                if let Command::SetHighSpeed(_, speed) = self.dialogue.asked {
                    self.high_speed_set = Some(speed);
                }
                self.next_leg();
            }
            Phase::Halting(halt) => halt.acknowledged(self.dialogue.asked),
            Phase::Disarming(outcome, at_rest) => {
                let (outcome, at_rest) = (outcome.clone(), *at_rest);
                self.finish(outcome.state, outcome.cause, at_rest, records);
            }
            _ => {}
        }
    }
}
