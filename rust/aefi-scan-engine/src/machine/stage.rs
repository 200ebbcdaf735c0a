//! The stage's part of a flight: set up, fly line by line, come to rest.

mod legs;
mod pulses;
mod replies;
mod rest;
mod watch;

use std::sync::Arc;

use crate::controls::{Controls, Demand};
use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::flight_plan::{FlightPlan, Line};
use crate::outcome::{FlightState, Outcome, StopsSent};
use crate::protocol::Request;
use crate::protocol::pmx::{self, Command};
use crate::records::StageRecord;
use crate::units::{Axis, Nanos, Steps};

use super::controller::{PATIENCE, StageConfig, link_lost};
use super::dialogue::Dialogue;
use super::halt::Halt;
use super::preparation::{AxisSetup, preparation};
use pulses::Pulses;
use watch::Watch;

/// How often a paused stage is asked where it is.
const PAUSED_PERIOD: Nanos = Nanos::from_millis(200);
/// How long the correlator may take to say where to go on, beyond the lag.
const CORRELATOR_PATIENCE: Nanos = Nanos::from_millis(10_000);
const SHORT_REST: Nanos = Nanos::from_millis(2);

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Preparing(usize),
    Positioning(Leg),
    Flying(Leg),
    /// All lines were flown: are there gaps?
    SeekingGaps,
    Halting(Halt),
    Paused,
    /// At rest: the controller's watch on the host ends before the flight does.
    Disarming(Outcome, Rest),
    Over,
}

/// Whether both axes are known to rest at their last fix.
type Rest = bool;

/// The steps of a move from rest to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Leg {
    Speed,
    /// A speed that was damaged on its way would be flown unseen.
    ReadSpeed,
    Slow,
    /// What is by wire is armed before the fast axis moves.
    Arm,
    Fast,
    Travel,
    Settle,
    /// The resting axis is looked at once more: no line is closed before.
    Look,
}

/// What a reply means for what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Understood {
    /// It can't be believed: the same is asked again.
    Doubted,
    /// It is as it should be: the next step follows.
    AsAsked,
    /// It led elsewhere, to a halt or to another step.
    Elsewhere,
}

/// The stage's logic in one flight.
#[derive(Debug)]
pub struct StageMachine {
    plan: Arc<FlightPlan>,
    dialogue: Dialogue,
    controls: Arc<Controls>,
    script: Vec<Command>,
    pulses: Box<dyn Pulses>,
    phase: Phase,
    /// The line flown or approached, and the place of its first frame to fly.
    line: usize,
    place: usize,
    /// Whether that line was begun and not ended.
    line_open: bool,
    /// Whether all lines were flown once.
    filling_gaps: bool,
    /// The fast axis' high speed register, as it was read back.
    high_speed: u32,
    /// What it was set to and not read back.
    high_speed_set: Option<u32>,
    watch: Watch,
    /// When a paused stage is asked next where it is.
    next_look: Nanos,
    idle_since: Option<Nanos>,
    resends: u32,
    exchanges: u32,
    /// Time spent in exchanges since the last line ended.
    busy: Nanos,
    asked_at: Option<Nanos>,
    stops: StopsSent,
    /// The number of the break whose resume frame is awaited.
    awaited_break: Option<u32>,
    /// Since when it is.
    awaited_since: Option<Nanos>,
    outcome: Option<Outcome>,
}

impl StageMachine {
    /// Returns the logic before its first request.
    #[must_use]
    pub fn new(plan: Arc<FlightPlan>, config: StageConfig, controls: Arc<Controls>) -> Self {
        let pulses = pulses::pulses(&plan, &config, &controls);
        let watch = Watch::new(config.status_period);
        Self {
            script: preparation(
                &AxisSetup::of_plan(&plan),
                config.host_watch_ms,
                pulses.preparation(),
            ),
            pulses,
            high_speed: plan.positioning_speed,
            high_speed_set: None,
            plan,
            dialogue: Dialogue::new(config),
            controls,
            phase: Phase::Preparing(0),
            line: 0,
            place: 0,
            line_open: false,
            filling_gaps: false,
            watch,
            next_look: Nanos::ZERO,
            idle_since: None,
            resends: 0,
            exchanges: 0,
            busy: Nanos::ZERO,
            asked_at: None,
            stops: StopsSent::default(),
            awaited_break: None,
            awaited_since: None,
            outcome: None,
        }
    }

    /// Returns how the flight ended, once its stage part is over.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Returns the stops that were sent.
    #[must_use]
    pub fn stops(&self) -> StopsSent {
        self.stops
    }

    /// Returns whether nothing happens before somebody asks for it.
    #[must_use]
    pub fn is_waiting_for_demand(&self) -> bool {
        let is_paused =
            self.phase == Phase::Paused && self.controls.demands.demanded() == Demand::Pause;
        is_paused && self.fault().is_none()
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        self.obey();
        match &mut self.phase {
            Phase::Preparing(step) => {
                let step = *step;
                self.next_in_preparation(now, step)
            }
            Phase::Positioning(leg) | Phase::Flying(leg) => {
                let leg = *leg;
                self.next_in_leg(now, leg)
            }
            Phase::Halting(halt) => {
                halt.upgrade(self.controls.demands.demanded());
                if let Some(until) = halt.waits_until(now) {
                    return Turn::Rest(until);
                }
                let mut command = halt.next(now);
                // Stops go first.
                if !halt.is_urgent() {
                    command = self.pulses.disarm().unwrap_or(command);
                }
                self.ask(command)
            }
            Phase::SeekingGaps => self.next_in_resume(now),
            Phase::Paused => self.next_in_pause(now),
            Phase::Disarming(..) => self.ask(Command::WatchHost(0)),
            Phase::Over => Turn::Over,
        }
    }

    /// The exchange under way, if there is one, ended at `at`.
    fn count_busy(&mut self, at: Nanos) {
        if let Some(asked_at) = self.asked_at.take() {
            self.busy = self.busy + (at - asked_at);
        }
    }

    fn current_line(&self) -> &Line {
        &self.plan.lines[self.line]
    }

    /// Records what triggers by wire follow, too.
    fn report(&mut self, record: StageRecord, records: &mut dyn FnMut(StageRecord)) {
        self.pulses.observe(&record);
        records(record);
    }

    fn ask(&mut self, command: Command) -> Turn {
        self.dialogue.ask(command)
    }

    /// Returns where both axes were seen last, X first; zero before they were.
    fn positions(&self) -> [Steps; 2] {
        Axis::BOTH.map(|axis| self.dialogue.position(axis).unwrap_or_default())
    }

    fn enter(&mut self, phase: Phase) {
        self.idle_since = None;
        self.resends = 0;
        match phase {
            Phase::Positioning(_) | Phase::Flying(_) => {
                self.controls.display.set_state(FlightState::Flying);
                self.controls.agreement.want_mute(self.current_line().muted);
            }
            Phase::Paused => self.controls.display.set_state(FlightState::Paused),
            _ => {}
        }
        self.phase = phase;
    }

    /// Ends the stage's part in rest, with the controller's watch taken back.
    fn conclude(&mut self, outcome: Outcome, at_rest: Rest, records: &mut dyn FnMut(StageRecord)) {
        if self.dialogue.config.host_watch_ms > 0 {
            self.enter(Phase::Disarming(outcome, at_rest));
        } else {
            self.finish(outcome.state, outcome.cause, at_rest, records);
        }
    }

    /// Ends the stage's part. The final state is published by the shell, when the
    /// correlator has handed out what was measured.
    fn finish(
        &mut self,
        state: FlightState,
        cause: Option<Cause>,
        at_rest: bool,
        records: &mut dyn FnMut(StageRecord),
    ) {
        self.outcome = Some(Outcome { state, cause });
        self.phase = Phase::Over;
        if state == FlightState::Completed {
            self.controls.agreement.set_flown_to_the_end();
        }
        self.controls.agreement.set_stage_over();
        let rest = at_rest.then_some(self.positions());
        records(StageRecord::Over { rest });
    }

    fn begin_halt(&mut self, halt: Halt) {
        if halt.is_pause() {
            self.controls.display.set_state(FlightState::Pausing);
        }
        self.enter(Phase::Halting(halt));
    }

    /// Turns what the owner, the detector or the spool demands into a halt. A paused
    /// flight rests already; but it will not go on without the detector or the disk,
    /// and that is said at once.
    fn obey(&mut self) {
        let demand = self.controls.demands.demanded();
        match self.phase {
            Phase::Preparing(_) | Phase::Positioning(_) | Phase::Flying(_) | Phase::SeekingGaps
                if demand != Demand::Fly =>
            {
                self.begin_halt(Halt::demanded(demand));
            }
            Phase::Halting(_) | Phase::Disarming(..) | Phase::Over => {}
            _ => {
                if let Some(cause) = self.fault() {
                    self.begin_halt(Halt::fault(cause));
                }
            }
        }
    }

    /// Returns what failed elsewhere.
    fn fault(&self) -> Option<Cause> {
        self.controls.agreement.fault().cloned()
    }
}

impl DeviceLogic for StageMachine {
    type Record = StageRecord;

    const TERMINATOR: u8 = pmx::TERMINATOR;
    const REQUEST_MARK: Option<u8> = Some(pmx::REQUEST_MARK);

    fn next(&mut self, now: Nanos, _records: &mut dyn FnMut(StageRecord)) -> Turn {
        self.turn(now)
    }

    fn is_urgent(&self) -> bool {
        match &self.phase {
            Phase::Halting(halt) => halt.is_urgent(),
            Phase::Over => true,
            Phase::Paused => false,
            _ => self.controls.demands.demanded() != Demand::Fly,
        }
    }

    fn asked(&mut self, sent: Nanos, records: &mut dyn FnMut(StageRecord)) {
        self.exchanges += 1;
        self.asked_at = Some(sent);
        self.stops.count(self.dialogue.asked);
        self.record_move(sent, records);
        if matches!(self.dialogue.asked, Command::Stop | Command::Abort) {
            self.report(StageRecord::StopSent { at: sent }, records);
        }
    }

    fn replied(&mut self, reply: Reply<'_>, records: &mut dyn FnMut(StageRecord)) -> bool {
        self.count_busy(reply.received);
        self.pulses.took(reply.received - reply.sent);
        let understood = match self.understand(&reply, records) {
            Ok(understood) => understood,
            Err(error) => return self.refuse(&error),
        };
        if understood != Understood::Doubted {
            self.dialogue.understood();
        }
        if understood == Understood::AsAsked {
            self.proceed(records);
        }
        understood != Understood::Doubted
    }

    fn failed(&mut self, now: Nanos, failures: u32, records: &mut dyn FnMut(StageRecord)) {
        self.count_busy(now);
        self.pulses.failed(self.dialogue.asked);
        if matches!(self.dialogue.asked, Command::MoveTo(..)) {
            // It may have been heard: the travel will tell.
            self.next_leg();
        }
        if let Phase::Halting(halt) = &mut self.phase {
            halt.unanswered(now);
            if failures >= 2 * PATIENCE {
                let cause = halt.cause();
                let cause = cause.unwrap_or_else(|| self.dialogue.failure(failures));
                self.give_up(cause, now, records);
            }
        } else if failures >= PATIENCE {
            let cause = self.dialogue.failure(failures);
            if let Phase::Disarming(..) = self.phase {
                self.give_up(cause, now, records);
            } else {
                self.begin_halt(Halt::fault(cause));
            }
        }
        self.dialogue.failed();
    }

    fn lost(&mut self, now: Nanos, reason: &str, records: &mut dyn FnMut(StageRecord)) {
        let cause = link_lost(reason);
        self.give_up(cause, now, records);
    }

    fn resync(&self) -> Request {
        self.dialogue.resync()
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        self.dialogue.is_resync(line)
    }

    fn overheard(&mut self, line: &[u8]) {
        self.dialogue.overheard(line);
    }
}
