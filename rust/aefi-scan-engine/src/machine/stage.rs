//! The stage's part of a flight: set up, fly line by line, come to rest.

mod belief;
mod halt;
mod script;

use std::sync::Arc;

use crate::controls::{Controls, Demand, FlightState};
use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::flight_plan::{FlightPlan, Line};
use crate::protocol::pmx::{self, AxisStatus, Command};
use crate::protocol::{ProtocolError, Request};
use crate::records::{Fix, StageRecord};
use crate::units::{Axis, Nanos, Steps};

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

    fn next_in_leg(&mut self, now: Nanos, leg: Leg) -> Turn {
        match (leg, self.leg_command(leg)) {
            (Leg::Travel, _) => self.next_in_travel(now),
            (Leg::Settle, _) => self.ask(Command::Status),
            (_, Some(command)) => self.ask(command),
            (_, None) => {
                self.next_leg();
                self.next(now)
            }
        }
    }

    /// The command of a leg, unless what it asks for is so already.
    fn leg_command(&self, leg: Leg) -> Option<Command> {
        let (fast, slow) = (self.plan.fast, self.plan.slow());
        match leg {
            Leg::Speed => {
                let speed = self.leg_speed();
                (speed != self.high_speed).then_some(Command::SetHighSpeed(fast, speed))
            }
            Leg::Slow => self.move_command(slow, self.current_line().slow),
            Leg::Fast => self.move_command(fast, self.leg_target()),
            Leg::Travel | Leg::Settle => None,
        }
    }

    fn leg_speed(&self) -> u32 {
        match self.phase {
            Phase::Flying(_) => self.plan.speed,
            _ => self.plan.positioning_speed,
        }
    }

    fn leg_target(&self) -> Steps {
        match self.phase {
            Phase::Flying(_) => self.current_line().end,
            _ => self.current_line().run_up(self.place),
        }
    }

    fn move_command(&self, axis: Axis, target: Steps) -> Option<Command> {
        (self.positions[axis.index()] != target).then_some(Command::MoveTo(axis, target))
    }

    fn next_leg(&mut self) {
        let following = |leg| match leg {
            Leg::Speed => Leg::Slow,
            Leg::Slow => Leg::Fast,
            Leg::Fast => Leg::Travel,
            Leg::Travel | Leg::Settle => Leg::Settle,
        };
        match &mut self.phase {
            Phase::Positioning(leg) | Phase::Flying(leg) => *leg = following(*leg),
            _ => {}
        }
    }

    fn at_target(&self) -> bool {
        self.positions == self.targets
    }

    /// The hot query asks for the moving axis only; status and all positions come
    /// in turn, a few times a second.
    fn next_in_travel(&mut self, now: Nanos) -> Turn {
        if self.at_target() {
            self.next_leg();
            return self.ask(Command::Status);
        }
        if now >= self.next_status {
            self.next_status = now + Nanos(self.config.status_period.0 / 2);
            self.status_turn = !self.status_turn;
            return self.ask(if self.status_turn {
                Command::Status
            } else {
                Command::Positions
            });
        }
        self.ask(match self.phase {
            Phase::Flying(_) => Command::Position(self.plan.fast),
            _ => Command::Positions,
        })
    }

    fn next_in_pause(&mut self, now: Nanos) -> Turn {
        match self.controls.demanded() {
            Demand::Pause if now >= self.next_status => {
                self.next_status = now + PAUSED_PERIOD;
                self.ask(Command::Positions)
            }
            Demand::Pause => Turn::Rest(self.next_status),
            Demand::Fly => self.next_in_resume(now),
            // The stage rests: what ends the flight is only said once more, so that
            // the end leaves through a reply like every other.
            Demand::Stop | Demand::Abort => {
                self.begin_halt(Halt::demanded(self.controls.demanded()));
                self.next(now)
            }
        }
    }

    fn next_in_resume(&mut self, now: Nanos) -> Turn {
        if let Some(epoch) = self.awaited_break {
            let Some(frame) = self.controls.resume_frame(epoch) else {
                // Further fixes let the correlator place the last readings.
                return self.ask(Command::Positions);
            };
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
        self.next(now)
    }

    fn next_in_preparation(&mut self, now: Nanos, step: usize) -> Turn {
        if let Some(command) = self.script.get(step) {
            return self.ask(*command);
        }
        if !self.controls.is_detector_ready() {
            return Turn::Rest(now + SHORT_REST);
        }
        self.enter(Phase::Positioning(Leg::Speed));
        self.next(now)
    }

    fn understand(
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
            _ => self.asked.accepted(reply.text)?,
        }
        Ok(true)
    }

    fn take_positions(
        &mut self,
        positions: [Steps; 2],
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> bool {
        let fixes = Axis::BOTH.map(|axis| (axis, positions[axis.index()]));
        let believed = self.take_fixes(&fixes, reply, records);
        if let Phase::Halting(halt) = &mut self.phase {
            // The stage rests wherever it says it does; it may not be there.
            halt.looked(believed);
            self.positions = positions;
            self.after_positions(records);
            return true;
        }
        believed
    }

    /// Takes the fixes of one reply unless one of them is impossible.
    fn take_fixes(
        &mut self,
        fixes: &[(Axis, Steps)],
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) -> bool {
        for (axis, counts) in fixes {
            if let Some(doubt) = self.doubt_of(*axis, *counts, reply.received) {
                self.doubt = Some(doubt);
                return false;
            }
        }
        for (axis, counts) in fixes {
            self.take_fix(*axis, *counts, reply, records);
        }
        true
    }

    fn doubt_of(&self, axis: Axis, found: Steps, now: Nanos) -> Option<Cause> {
        let belief = self.beliefs[axis.index()]?;
        (!belief.allows(found, now)).then(|| Cause::PositionJump {
            axis: axis.letter(),
            found: found.0,
            last: belief.position().0,
            reach: belief.reach(now),
        })
    }

    /// A foreign device is left alone: not even a stop is sent to it.
    fn check_identity(&mut self, reply: &Reply<'_>, records: &mut dyn FnMut(StageRecord)) {
        if reply.text != self.config.name.as_bytes() {
            let cause = Cause::Identity {
                device: DEVICE,
                expected: self.config.name.clone(),
                found: String::from_utf8_lossy(reply.text).into_owned(),
            };
            self.finish(FlightState::Failed, Some(cause), false, records);
        }
    }

    fn check_setting(&mut self, found: i64) {
        let asked = i64::from(script::expected(&self.plan, self.asked));
        if found != asked {
            let command = self.asked.to_string();
            self.begin_halt(Halt::fault(Cause::Setting {
                command,
                asked,
                found,
            }));
        }
    }

    fn take_fix(
        &mut self,
        axis: Axis,
        counts: Steps,
        reply: &Reply<'_>,
        records: &mut dyn FnMut(StageRecord),
    ) {
        self.positions[axis.index()] = counts;
        let speed = self.beliefs[axis.index()].map_or(0.0, |belief| belief.speed());
        self.beliefs[axis.index()] = Some(Belief::new(counts, reply.sent, speed));
        if matches!(self.phase, Phase::Preparing(_)) {
            self.targets[axis.index()] = counts;
        }
        let byte = self.config.byte_time.0;
        let request = Nanos(byte * reply.request_len as i64);
        let answer = Nanos(byte * (reply.text.len() as i64 + 1));
        records(StageRecord::Fix(Fix {
            axis,
            sent: reply.sent,
            received: reply.received,
            earliest: reply.sent + request,
            latest: (reply.received - answer).max(reply.sent + request),
            counts,
        }));
    }

    fn take_status(
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

    fn after_status(
        &mut self,
        leg: Leg,
        moving: bool,
        now: Nanos,
        records: &mut dyn FnMut(StageRecord),
    ) {
        if moving {
            self.idle_since = None;
        } else if self.at_target() {
            if leg == Leg::Settle {
                self.arrive(now, records);
            }
        } else {
            let since = *self.idle_since.get_or_insert(now);
            if now - since >= REST_BELIEVED {
                self.send_again_or_fail();
            }
        }
    }

    fn send_again_or_fail(&mut self) {
        self.idle_since = None;
        if self.resends < RESENDS {
            self.resends += 1;
            if let Phase::Positioning(leg) | Phase::Flying(leg) = &mut self.phase {
                *leg = Leg::Slow;
            }
            return;
        }
        let axis = if self.positions[0] == self.targets[0] {
            Axis::Y
        } else {
            Axis::X
        };
        self.begin_halt(Halt::fault(Cause::Stalled {
            axis: axis.letter(),
            target: self.targets[axis.index()].0,
            found: self.positions[axis.index()].0,
        }));
    }

    fn arrive(&mut self, now: Nanos, records: &mut dyn FnMut(StageRecord)) {
        if !matches!(self.phase, Phase::Flying(_)) {
            self.enter(Phase::Flying(Leg::Speed));
            return;
        }
        self.line_open = false;
        records(StageRecord::LineEnded {
            at: now,
            exchanges: self.exchanges,
        });
        self.line += 1;
        self.place = 0;
        if !self.filling_gaps && self.line < self.plan.lines.len() {
            self.enter(Phase::Positioning(Leg::Speed));
        } else if self.plan.extra_passes > 0 {
            self.seek_gaps(now, records);
        } else {
            self.finish(FlightState::Completed, None, true, records);
        }
    }

    /// Asks the correlator, which knows the frames, where to fly next.
    fn seek_gaps(&mut self, at: Nanos, records: &mut dyn FnMut(StageRecord)) {
        let epoch = self.controls.next_break();
        self.filling_gaps = true;
        self.awaited_break = Some(epoch);
        self.enter(Phase::SeekingGaps);
        records(StageRecord::LinesFlown { at, epoch });
    }

    /// A halt ends with a look at where the axes came to rest.
    fn after_positions(&mut self, records: &mut dyn FnMut(StageRecord)) {
        let Phase::Halting(halt) = &self.phase else {
            return;
        };
        if halt.is_at_rest() {
            let halt = halt.clone();
            self.targets = self.positions;
            self.rest(&halt, records);
        }
    }

    /// Gives the line in flight up, if there is one.
    fn break_line(&mut self, at: Nanos, records: &mut dyn FnMut(StageRecord)) {
        if !std::mem::take(&mut self.line_open) {
            return;
        }
        let epoch = self.controls.next_break();
        self.awaited_break = Some(epoch);
        records(StageRecord::LineBroken { at, epoch });
    }

    fn rest(&mut self, halt: &Halt, records: &mut dyn FnMut(StageRecord)) {
        self.break_line(halt.now(), records);
        if let Some(outcome) = halt.outcome(self.controls.demanded()) {
            self.finish(outcome.state, outcome.cause, halt.is_believed(), records);
        } else {
            self.next_status = halt.now() + PAUSED_PERIOD;
            self.enter(Phase::Paused);
        }
    }

    fn give_up(&mut self, cause: Cause, now: Nanos, records: &mut dyn FnMut(StageRecord)) {
        self.break_line(now, records);
        self.finish(FlightState::Failed, Some(cause), false, records);
    }

    /// Returns why the last exchanges failed.
    fn failure(&mut self, failures: u32) -> Cause {
        self.doubt.take().unwrap_or_else(|| self.silence(failures))
    }

    fn silence(&self, failures: u32) -> Cause {
        Cause::Silent {
            device: DEVICE,
            command: self.asked.to_string(),
            attempts: failures,
            waited_ms: self.config.allowance.0 / 1_000_000,
        }
    }

    /// A refusal is final; another form of reply may be the link's fault.
    fn refuse(&mut self, error: &ProtocolError) -> bool {
        let halting = matches!(self.phase, Phase::Halting(_));
        let is_refusal = matches!(error, ProtocolError::Refused { .. });
        let was_heard_before = matches!(self.asked, Command::MoveTo(..)) && self.resends > 0;
        if is_refusal && was_heard_before {
            self.next_leg();
        } else if is_refusal && !halting {
            self.begin_halt(Halt::fault(Cause::Protocol {
                device: DEVICE,
                error: error.clone(),
            }));
        }
        is_refusal && !halting
    }

    fn record_move(&mut self, at: Nanos, records: &mut dyn FnMut(StageRecord)) {
        let Command::MoveTo(axis, target) = self.asked else {
            return;
        };
        let from = self.positions[axis.index()];
        self.targets[axis.index()] = target;
        let speed = if axis == self.plan.fast {
            self.leg_speed()
        } else {
            self.plan.positioning_speed
        };
        self.beliefs[axis.index()] = Some(Belief::new(from, at, f64::from(speed)));
        if self.resends == 0 {
            records(StageRecord::Motion {
                axis,
                at,
                from,
                speed: f64::from(speed),
            });
        }
        if matches!(self.phase, Phase::Flying(Leg::Fast)) && self.resends == 0 {
            self.exchanges = 0;
            self.line_open = true;
            records(StageRecord::LineBegan {
                line: self.line,
                place: self.place,
                at,
            });
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

impl StageMachine {
    /// Goes to the next step after a reply that changed nothing else.
    fn proceed(&mut self) {
        match &mut self.phase {
            Phase::Preparing(step) => *step += 1,
            Phase::Positioning(leg) | Phase::Flying(leg) if *leg < Leg::Travel => {
                if let Command::SetHighSpeed(_, speed) = self.asked {
                    self.high_speed = speed;
                }
                self.next_leg();
            }
            Phase::Halting(halt) => halt.acknowledged(self.asked),
            _ => {}
        }
    }
}
