//! The stage's part of a flight: set up, fly line by line, come to rest.

mod belief;
mod halt;
mod legs;
mod replies;
mod rest;
mod script;

use std::sync::Arc;

use crate::controls::{Controls, Demand, FlightState};
use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::flight_plan::{FlightPlan, Line};
use crate::protocol::Request;
use crate::protocol::pmx::{self, Command};
use crate::records::StageRecord;
use crate::units::{Nanos, Steps};

use belief::Belief;
use halt::Halt;
use script::preparation;

/// What the engine must know of the stage controller and its link.
#[derive(Debug, Clone, PartialEq)]
pub struct StageConfig {
    /// The controller's device name, `DN`; its last two digits are the address.
    pub name: String,
    /// The address in each request.
    pub address: u8,
    /// Wire time of a byte; zero on a link without pacing.
    pub byte_time: Nanos,
    /// Time from request to reply beyond the wire's, at most.
    pub allowance: Nanos,
    /// Period of status and full position queries in flight.
    pub status_period: Nanos,
}

/// How a flight ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// One of the four final states.
    pub state: FlightState,
    /// Why it ended before its last line.
    pub cause: Option<Cause>,
}

const DEVICE: &str = "stage";
/// Failed exchanges in a row after which the stage counts as lost.
const PATIENCE: u32 = 3;
/// The controller may report idle for up to 250 ms after it accepted a move
/// (Arcus reference §5); a rest away from the target is believed after this.
const REST_BELIEVED: Nanos = Nanos::from_millis(400);
/// A move whose reply was lost may not have been heard: it is sent again.
const RESENDS: u32 = 2;
/// How often a paused stage is asked where it is.
const PAUSED_PERIOD: Nanos = Nanos::from_millis(200);
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
    Over,
}

/// The steps of a move from rest to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Leg {
    Speed,
    Slow,
    Fast,
    Travel,
    Settle,
}

/// The stage's logic in one flight.
#[derive(Debug)]
pub struct StageMachine {
    plan: Arc<FlightPlan>,
    config: StageConfig,
    controls: Arc<Controls>,
    script: Vec<Command>,
    phase: Phase,
    /// The line flown or approached, and the place of its first frame to fly.
    line: usize,
    place: usize,
    /// Whether that line was begun and not ended.
    line_open: bool,
    /// Whether all lines were flown once.
    filling_gaps: bool,
    /// The command under way.
    asked: Command,
    /// Last known positions and the targets sent; X first.
    positions: [Steps; 2],
    targets: [Steps; 2],
    /// What position replies are judged by; X first.
    beliefs: [Option<Belief>; 2],
    /// Why the last reply was not believed.
    doubt: Option<Cause>,
    /// The fast axis' high speed register.
    high_speed: u32,
    next_status: Nanos,
    status_turn: bool,
    idle_since: Option<Nanos>,
    resends: u32,
    exchanges: u32,
    /// The number of the break whose resume frame is awaited.
    awaited_break: Option<u32>,
    outcome: Option<Outcome>,
}

impl StageMachine {
    /// Returns the logic before its first request.
    #[must_use]
    pub fn new(plan: Arc<FlightPlan>, config: StageConfig, controls: Arc<Controls>) -> Self {
        Self {
            script: preparation(&plan),
            high_speed: plan.positioning_speed,
            plan,
            config,
            controls,
            phase: Phase::Preparing(0),
            line: 0,
            place: 0,
            line_open: false,
            filling_gaps: false,
            asked: Command::DeviceName,
            positions: [Steps::default(); 2],
            targets: [Steps::default(); 2],
            beliefs: [None; 2],
            doubt: None,
            next_status: Nanos::ZERO,
            status_turn: false,
            idle_since: None,
            resends: 0,
            exchanges: 0,
            awaited_break: None,
            outcome: None,
        }
    }

    /// Returns how the flight ended, once its stage part is over.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Returns whether nothing happens before somebody asks for it.
    #[must_use]
    pub fn is_waiting_for_demand(&self) -> bool {
        self.phase == Phase::Paused && self.controls.demanded() == Demand::Pause
    }

    fn current_line(&self) -> &Line {
        &self.plan.lines[self.line]
    }

    fn ask(&mut self, command: Command) -> Turn {
        self.asked = command;
        Turn::Ask(command.request(self.config.address, self.config.allowance))
    }

    fn enter(&mut self, phase: Phase) {
        self.idle_since = None;
        self.resends = 0;
        match phase {
            Phase::Positioning(_) | Phase::Flying(_) => {
                self.controls.set_state(FlightState::Flying);
            }
            Phase::Paused => self.controls.set_state(FlightState::Paused),
            _ => {}
        }
        self.phase = phase;
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
        self.controls.set_stage_over();
        records(StageRecord::Over { at_rest });
    }

    fn begin_halt(&mut self, halt: Halt) {
        if halt.is_pause() {
            self.controls.set_state(FlightState::Pausing);
        }
        self.enter(Phase::Halting(halt));
    }

    /// Turns what the owner, the detector or the spool demands into a halt.
    fn obey(&mut self) {
        if matches!(
            self.phase,
            Phase::Preparing(_) | Phase::Positioning(_) | Phase::Flying(_) | Phase::SeekingGaps
        ) {
            let controls = &self.controls;
            let demand = controls.demanded();
            let fault = controls.detector_fault().or(controls.spool_fault());
            if demand != Demand::Fly {
                self.begin_halt(Halt::demanded(demand));
            } else if let Some(cause) = fault {
                self.begin_halt(Halt::fault(cause.clone()));
            }
        }
    }
}

impl DeviceLogic for StageMachine {
    type Record = StageRecord;

    const TERMINATOR: u8 = pmx::TERMINATOR;

    fn next(&mut self, now: Nanos) -> Turn {
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
                halt.upgrade(self.controls.demanded());
                let command = halt.next(now);
                self.ask(command)
            }
            Phase::SeekingGaps => self.next_in_resume(now),
            Phase::Paused => self.next_in_pause(now),
            Phase::Over => Turn::Over,
        }
    }

    fn is_urgent(&self) -> bool {
        match &self.phase {
            Phase::Halting(halt) => halt.is_urgent(),
            Phase::Over => true,
            Phase::Paused => false,
            _ => self.controls.demanded() != Demand::Fly,
        }
    }

    fn asked(&mut self, sent: Nanos, records: &mut dyn FnMut(StageRecord)) {
        self.exchanges += 1;
        self.record_move(sent, records);
        if matches!(self.asked, Command::Stop | Command::Abort) {
            records(StageRecord::StopSent { at: sent });
        }
    }

    fn replied(&mut self, reply: Reply<'_>, records: &mut dyn FnMut(StageRecord)) -> bool {
        let phase = self.phase.clone();
        match self.understand(&reply, records) {
            Ok(understood) => {
                if understood && self.phase == phase {
                    self.proceed();
                }
                understood
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn failed(&mut self, now: Nanos, failures: u32, records: &mut dyn FnMut(StageRecord)) {
        if matches!(self.asked, Command::MoveTo(..)) {
            // It may have been heard: the travel will tell.
            self.next_leg();
        }
        if let Phase::Halting(halt) = &mut self.phase {
            halt.unanswered(now);
            if failures >= 2 * PATIENCE {
                let cause = halt.cause();
                let cause = cause.unwrap_or_else(|| self.failure(failures));
                self.give_up(cause, now, records);
            }
        } else if failures >= PATIENCE {
            let cause = self.failure(failures);
            self.begin_halt(Halt::fault(cause));
        }
        // What follows a failure is the resynchronising request.
        self.asked = Command::DeviceName;
    }

    fn lost(&mut self, now: Nanos, reason: &str, records: &mut dyn FnMut(StageRecord)) {
        let cause = Cause::LinkLost {
            device: DEVICE,
            reason: reason.to_owned(),
        };
        self.give_up(cause, now, records);
    }

    fn resync(&self) -> Request {
        Command::DeviceName.request(self.config.address, self.config.allowance)
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        line == self.config.name.as_bytes()
    }
}
