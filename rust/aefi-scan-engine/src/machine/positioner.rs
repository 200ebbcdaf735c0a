//! Moves of the axes outside a flight: each goes its way, both at once if asked; pure.

mod orders;

use std::sync::Arc;

use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::protocol::pmx::{self, AxisStatus, Command};
use crate::protocol::{ProtocolError, Request};
use crate::units::{Axis, Nanos, Steps};

use super::belief::Belief;
use super::controller::{PATIENCE, RESENDS, REST_BELIEVED, StageConfig, link_lost, misunderstood};
use super::halt::Halt;
use super::preparation::{expected, preparation};

pub use super::preparation::AxisSetup;
pub use orders::{Goal, Move, MoveEnd, MoveOrders};

/// A moving axis is asked for so often: nothing is recorded on the way.
const QUERY_PERIOD: Nanos = Nanos::from_millis(5);

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Preparing(usize),
    Serving,
    Halting(Halt),
    Over,
}

/// What an axis does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Resting,
    /// The speed is to be set.
    Speed(Move),
    /// The move is to be sent.
    Start(Move),
    Travel(Move),
    /// It rests where home was looked for: is it still the controller that was set up?
    Verify,
}

impl Step {
    fn travels(self) -> Option<Move> {
        match self {
            Self::Travel(order) => Some(order),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct AxisTask {
    step: Step,
    position: Option<Steps>,
    belief: Option<Belief>,
    high_speed: u32,
    idle_since: Option<Nanos>,
    /// Whether it was seen moving since the order.
    moved: bool,
    resends: u32,
}

/// The stage's logic outside flights.
///
/// It ends when no move is ordered or under way, or by a fault, which ends every move.
/// It can be [taken up again](Self::again) on the same link.
#[derive(Debug)]
pub struct Positioner {
    config: StageConfig,
    setup: [AxisSetup; 2],
    orders: Arc<MoveOrders>,
    script: Vec<Command>,
    phase: Phase,
    axes: [AxisTask; 2],
    asked: Command,
    /// Why the last reply was not believed.
    doubt: Option<Cause>,
    next_query: Nanos,
    status_turn: bool,
    fault: Option<Cause>,
}

impl Positioner {
    /// Returns the logic before its first request.
    #[must_use]
    pub fn new(config: StageConfig, setup: [AxisSetup; 2], orders: Arc<MoveOrders>) -> Self {
        Self {
            script: preparation(&setup, 0, Vec::new()),
            config,
            orders,
            phase: Phase::Preparing(0),
            axes: setup.map(|of_axis| AxisTask {
                step: Step::Resting,
                position: None,
                belief: None,
                high_speed: of_axis.high_speed,
                idle_since: None,
                moved: false,
                resends: 0,
            }),
            setup,
            asked: Command::DeviceName,
            doubt: None,
            next_query: Nanos::ZERO,
            status_turn: false,
            fault: None,
        }
    }

    /// Returns the same, ready for more orders over the same link; none after a fault.
    ///
    /// The controller keeps its settings while nobody else can talk to it; that it was
    /// not switched off in between is seen by its counters and its speeds.
    #[must_use]
    pub fn again(mut self) -> Option<Self> {
        if self.fault.is_some() {
            return None;
        }
        self.script = vec![Command::Status, Command::Positions];
        self.script.extend(Axis::BOTH.map(Command::HighSpeed));
        self.phase = Phase::Preparing(0);
        for (task, setup) in self.axes.iter_mut().zip(&mut self.setup) {
            let rests_at = task.position;
            task.belief = rests_at.map(|at| Belief::new(at, Nanos::ZERO, 0.0));
            setup.high_speed = task.high_speed;
        }
        Some(self)
    }

    /// Returns why it ended before all moves did.
    #[must_use]
    pub fn fault(&self) -> Option<&Cause> {
        self.fault.as_ref()
    }

    fn task(&mut self, axis: Axis) -> &mut AxisTask {
        &mut self.axes[axis.index()]
    }

    fn ask(&mut self, command: Command) -> Turn {
        self.asked = command;
        Turn::Ask(self.config.request(command))
    }

    fn turn(&mut self, now: Nanos) -> Turn {
        if matches!(self.phase, Phase::Preparing(_) | Phase::Serving)
            && let Some(demand) = self.orders.stop_demanded()
        {
            self.phase = Phase::Halting(Halt::demanded(demand));
        }
        match &mut self.phase {
            Phase::Preparing(step) => {
                if let Some(command) = self.script.get(*step).copied() {
                    return self.ask(command);
                }
                self.phase = Phase::Serving;
                self.serve(now)
            }
            Phase::Serving => self.serve(now),
            Phase::Halting(halt) => {
                if let Some(demand) = self.orders.stop_demanded() {
                    halt.upgrade(demand);
                }
                if let Some(until) = halt.waits_until(now) {
                    return Turn::Rest(until);
                }
                let command = halt.next(now);
                self.ask(command)
            }
            Phase::Over => Turn::Over,
        }
    }

    fn serve(&mut self, now: Nanos) -> Turn {
        for axis in Axis::BOTH {
            if self.task(axis).step == Step::Resting
                && let Some(order) = self.orders.take(axis)
            {
                *self.task(axis) = AxisTask {
                    step: Step::Speed(order),
                    idle_since: None,
                    moved: false,
                    resends: 0,
                    ..*self.task(axis)
                };
            }
        }
        for axis in Axis::BOTH {
            if let Some(command) = self.next_of(axis) {
                return self.ask(command);
            }
        }
        if self.axes.iter().any(|task| task.step.travels().is_some()) {
            return self.query(now);
        }
        if self.orders.leave() {
            self.phase = Phase::Over;
            return Turn::Over;
        }
        // Something was ordered in between.
        Turn::Rest(now)
    }

    /// Returns what an axis that does not travel yet is to be told.
    fn next_of(&mut self, axis: Axis) -> Option<Command> {
        let task = self.task(axis);
        if task.step == Step::Verify {
            return Some(Command::HighSpeed(axis));
        }
        if let Step::Speed(order) = task.step {
            if order.speed != task.high_speed {
                return Some(Command::SetHighSpeed(axis, order.speed));
            }
            task.step = Step::Start(order);
        }
        let Step::Start(order) = task.step else {
            return None;
        };
        match order.goal {
            Goal::To(target) if task.position == Some(target) => {
                self.arrive(axis);
                None
            }
            Goal::To(target) => Some(Command::MoveTo(axis, target)),
            Goal::Home { upwards, mode } => Some(Command::Home {
                axis,
                upwards,
                mode,
            }),
        }
    }

    fn query(&mut self, now: Nanos) -> Turn {
        if now < self.next_query {
            return Turn::Rest(self.next_query);
        }
        if self.status_turn {
            self.next_query = now + QUERY_PERIOD;
        }
        // What was not believed is asked again, until it is or its failures are counted.
        self.status_turn = !self.status_turn || self.doubt.is_some();
        self.ask(if self.status_turn {
            Command::Positions
        } else {
            Command::Status
        })
    }

    fn arrive(&mut self, axis: Axis) {
        self.task(axis).step = Step::Resting;
        self.orders.end(axis, MoveEnd::Arrived);
    }

    fn understand(&mut self, reply: &Reply<'_>) -> Result<bool, ProtocolError> {
        match self.asked {
            Command::DeviceName if !self.config.is_name(reply.text) => {
                // A foreign device is left alone: not even a stop is sent to it.
                let cause = self.config.foreign(reply.text);
                self.give_up(cause);
            }
            Command::DeviceName => {}
            Command::Status => {
                let status = self.asked.status(reply.text)?;
                self.take_status(status, reply.received);
            }
            Command::Positions => {
                let [x, y, ..] = self.asked.positions(reply.text)?;
                return Ok(self.take_positions([x, y], reply));
            }
            Command::HighSpeed(_) | Command::LowSpeed(_) | Command::Ramp(_) => {
                let found = self.asked.integer(reply.text)?;
                self.check_setting(found);
            }
            _ => self.asked.accepted(reply.text)?,
        }
        Ok(true)
    }

    fn check_setting(&mut self, found: i64) {
        let verified = match (&self.phase, self.asked) {
            (Phase::Serving, Command::HighSpeed(axis)) => Some(axis),
            _ => None,
        };
        let asked = i64::from(match verified {
            Some(axis) => self.task(axis).high_speed,
            None => expected(&self.setup, self.asked),
        });
        if found != asked {
            let command = self.asked.to_string();
            self.halt_for(Cause::Setting {
                command,
                asked,
                found,
            });
        } else if let Some(axis) = verified {
            self.arrive(axis);
        }
    }

    fn halt_for(&mut self, cause: Cause) {
        self.fault.get_or_insert_with(|| cause.clone());
        self.phase = Phase::Halting(Halt::fault(cause));
    }

    /// Ends everything without another word to the stage.
    fn give_up(&mut self, cause: Cause) {
        self.fault.get_or_insert(cause);
        self.phase = Phase::Over;
    }

    fn take_positions(&mut self, found: [Steps; 2], reply: &Reply<'_>) -> bool {
        let doubt = Axis::BOTH.into_iter().find_map(|axis| {
            let belief = self.axes[axis.index()].belief?;
            let counts = found[axis.index()];
            (!belief.allows(counts, reply.received)).then(|| Cause::PositionJump {
                axis: axis.letter(),
                found: counts.0,
                last: belief.position().0,
                reach: belief.reach(reply.received),
            })
        });
        let believed = doubt.is_none();
        let halting = matches!(self.phase, Phase::Halting(_));
        self.doubt = doubt;
        if !believed && !halting {
            return false;
        }
        let preparing = matches!(self.phase, Phase::Preparing(_));
        for axis in Axis::BOTH {
            let counts = found[axis.index()];
            let task = self.task(axis);
            // Before its first move an axis rests; on the way home nothing is known.
            let speed = task.belief.map(|belief| belief.speed());
            let speed = speed.or(preparing.then_some(0.0));
            if believed {
                task.belief = speed.map(|speed| Belief::new(counts, reply.sent, speed));
            }
            task.position = Some(counts);
            self.orders.set_position(axis, counts);
        }
        self.after_positions(believed, found, reply.received);
        true
    }

    /// A halt ends with where the axes came to rest.
    fn after_positions(&mut self, believed: bool, found: [Steps; 2], now: Nanos) {
        let Phase::Halting(halt) = &mut self.phase else {
            return;
        };
        halt.looked(found, believed, now);
        if !halt.is_at_rest() {
            return;
        }
        let drives_are_off = halt.are_drives_off().then_some(Cause::Motion {
            axis: '?',
            fault: "drives switched off: neither STOP nor ABORT was obeyed",
        });
        if let Some(cause) = halt.cause().or(drives_are_off).or(self.doubt.take()) {
            self.give_up(cause);
            return;
        }
        for task in &mut self.axes {
            task.step = Step::Resting;
            task.belief = None;
        }
        self.orders.stopped();
        self.phase = Phase::Serving;
    }

    fn take_status(&mut self, status: [AxisStatus; 4], now: Nanos) {
        let of = |axis: Axis| status[axis.index()];
        if let Phase::Halting(halt) = &mut self.phase {
            halt.saw(Axis::BOTH.into_iter().any(|axis| of(axis).is_moving()));
            return;
        }
        for axis in Axis::BOTH {
            if let Some(fault) = of(axis).fault() {
                let axis = axis.letter();
                return self.halt_for(Cause::Motion { axis, fault });
            }
        }
        for axis in Axis::BOTH {
            let moves = of(axis).is_moving();
            if matches!(self.phase, Phase::Preparing(_)) && moves {
                let fault = "motion that nobody here ordered";
                let axis = axis.letter();
                return self.halt_for(Cause::Motion { axis, fault });
            }
            if let Some(order) = self.task(axis).step.travels() {
                self.look_after(axis, order, moves, now);
            }
        }
    }

    fn look_after(&mut self, axis: Axis, order: Move, moves: bool, now: Nanos) {
        let task = self.task(axis);
        if moves {
            task.idle_since = None;
            task.moved = true;
            return;
        }
        if order
            .goal
            .target()
            .is_some_and(|target| task.position == Some(target))
        {
            return self.arrive(axis);
        }
        let since = *task.idle_since.get_or_insert(now);
        if now - since < REST_BELIEVED {
            return;
        }
        if order.goal.target().is_none() && task.moved {
            // Home is wherever the input ended it.
            task.step = Step::Verify;
            return;
        }
        task.idle_since = None;
        if task.resends < RESENDS {
            task.resends += 1;
            task.step = Step::Start(order);
            return;
        }
        let found = task.position.unwrap_or_default().0;
        self.halt_for(match order.goal {
            Goal::To(target) => Cause::Stalled {
                axis: axis.letter(),
                target: target.0,
                found,
            },
            Goal::Home { .. } => Cause::Motion {
                axis: axis.letter(),
                fault: "no motion although home was asked for",
            },
        });
    }

    /// Goes to the next step after a reply that changed nothing else.
    fn proceed(&mut self) {
        match (&mut self.phase, self.asked) {
            (Phase::Preparing(step), _) => *step += 1,
            (Phase::Serving, Command::SetHighSpeed(axis, speed)) => {
                self.task(axis).high_speed = speed;
            }
            (Phase::Serving, Command::MoveTo(axis, _) | Command::Home { axis, .. }) => {
                self.travel(axis);
            }
            (Phase::Halting(halt), command) => halt.acknowledged(command),
            _ => {}
        }
    }

    fn travel(&mut self, axis: Axis) {
        let task = self.task(axis);
        if let Step::Start(order) = task.step {
            task.step = Step::Travel(order);
        }
        // Positions first: a status alone says nothing of where.
        self.status_turn = false;
    }

    /// A refusal is final; another form of reply may be the link's fault.
    fn refuse(&mut self, error: &ProtocolError) -> bool {
        if !matches!(error, ProtocolError::Refused { .. }) {
            return false;
        }
        match (&self.phase, self.asked) {
            (Phase::Halting(_), _) => return false,
            // It was heard the first time.
            (_, Command::MoveTo(axis, _) | Command::Home { axis, .. })
                if self.axes[axis.index()].resends > 0 =>
            {
                self.travel(axis);
            }
            _ => self.halt_for(misunderstood(error.clone())),
        }
        true
    }

    fn silence(&self, attempts: u32) -> Cause {
        self.config.silence(self.asked.to_string(), attempts)
    }
}

impl DeviceLogic for Positioner {
    type Record = ();

    const TERMINATOR: u8 = pmx::TERMINATOR;

    fn next(&mut self, now: Nanos, _records: &mut dyn FnMut(())) -> Turn {
        self.turn(now)
    }

    fn is_urgent(&self) -> bool {
        match &self.phase {
            Phase::Halting(halt) => halt.is_urgent(),
            Phase::Over => true,
            _ => self.orders.stop_demanded().is_some(),
        }
    }

    fn asked(&mut self, sent: Nanos, _records: &mut dyn FnMut(())) {
        match self.asked {
            Command::MoveTo(axis, _) => {
                let task = self.task(axis);
                let speed = f64::from(task.high_speed);
                task.belief = task.position.map(|from| Belief::new(from, sent, speed));
            }
            // The counter is set on the way.
            Command::Home { axis, .. } => self.task(axis).belief = None,
            _ => {}
        }
    }

    fn replied(&mut self, reply: Reply<'_>, _records: &mut dyn FnMut(())) -> bool {
        let phase = self.phase.clone();
        match self.understand(&reply) {
            Ok(understood) => {
                if understood {
                    self.doubt = None;
                }
                if understood && self.phase == phase {
                    self.proceed();
                }
                understood
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn failed(&mut self, now: Nanos, failures: u32, _records: &mut dyn FnMut(())) {
        if let Command::MoveTo(axis, _) | Command::Home { axis, .. } = self.asked {
            // It may have been heard: the travel will tell.
            self.travel(axis);
        }
        let cause = self.doubt.clone();
        let cause = cause.unwrap_or_else(|| self.silence(failures));
        if let Phase::Halting(halt) = &mut self.phase {
            halt.unanswered(now);
            if failures >= 2 * PATIENCE {
                self.give_up(cause);
            }
        } else if failures >= PATIENCE {
            self.halt_for(cause);
        }
        // What follows a failure is the resynchronising request.
        self.asked = Command::DeviceName;
    }

    fn lost(&mut self, _now: Nanos, reason: &str, _records: &mut dyn FnMut(())) {
        self.give_up(link_lost(reason));
    }

    fn resync(&self) -> Request {
        self.config.request(Command::DeviceName)
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        self.config.is_name(line)
    }
}
