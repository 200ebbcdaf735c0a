//! Moves of the axes outside a flight: each goes its way, both at once if asked; pure.

mod orders;

use std::sync::Arc;

use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::protocol::pmx::{self, AxisStatus, Command};
use crate::protocol::{ProtocolError, Request};
use crate::units::{Axis, Nanos, Steps};

use super::controller::{PATIENCE, RESENDS, REST_BELIEVED, StageConfig, link_lost};
use super::dialogue::{Dialogue, unordered_motion};
use super::halt::Halt;
use super::intent::Verdict;
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
    /// A speed that was damaged on its way would be flown unseen.
    ReadSpeed(Move),
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
    /// The high speed register, as it was read back.
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
    dialogue: Dialogue,
    setup: [AxisSetup; 2],
    orders: Arc<MoveOrders>,
    script: Vec<Command>,
    phase: Phase,
    axes: [AxisTask; 2],
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
            dialogue: Dialogue::new(config),
            orders,
            phase: Phase::Preparing(0),
            axes: setup.map(|of_axis| AxisTask {
                step: Step::Resting,
                high_speed: of_axis.high_speed,
                idle_since: None,
                moved: false,
                resends: 0,
            }),
            setup,
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
        for axis in Axis::BOTH {
            self.dialogue.still_rests(axis);
            self.setup[axis.index()].high_speed = self.axes[axis.index()].high_speed;
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
        self.dialogue.ask(command)
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
        let position = self.dialogue.position(axis);
        let task = self.task(axis);
        if matches!(task.step, Step::Verify | Step::ReadSpeed(_)) {
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
            Goal::To(target) if position == Some(target) => {
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
        self.status_turn = !self.status_turn || self.dialogue.is_in_doubt();
        self.ask(if self.status_turn {
            Command::Positions
        } else {
            Command::Status
        })
    }

    fn arrive(&mut self, axis: Axis) {
        self.task(axis).step = Step::Resting;
        self.dialogue.arrived(axis);
        self.orders.end(axis, MoveEnd::Arrived);
    }

    fn understand(&mut self, reply: &Reply<'_>) -> Result<bool, ProtocolError> {
        match self.dialogue.asked {
            Command::DeviceName if !self.dialogue.config.is_name(reply.text) => {
                // A foreign device is left alone: not even a stop is sent to it.
                let cause = self.dialogue.config.foreign(reply.text);
                self.give_up(cause);
            }
            Command::DeviceName => {}
            Command::Status => {
                let status = self.dialogue.asked.status(reply.text)?;
                self.take_status(status, reply.received);
            }
            Command::Positions => {
                let [x, y, ..] = self.dialogue.asked.positions(reply.text)?;
                return Ok(self.take_positions([x, y], reply));
            }
            Command::HighSpeed(_) | Command::LowSpeed(_) | Command::Ramp(_) => {
                let found = self.dialogue.asked.integer(reply.text)?;
                self.check_setting(found);
            }
            _ => self.dialogue.asked.accepted(reply.text)?,
        }
        Ok(true)
    }

    fn check_setting(&mut self, found: i64) {
        let command = self.dialogue.asked;
        if let (Phase::Serving, Command::HighSpeed(axis)) = (&self.phase, command) {
            return self.check_speed(axis, found);
        }
        let asked = expected(&self.setup, command);
        if found != i64::from(asked) {
            self.halt_for(self.dialogue.not_taken_over(asked, found));
        }
    }

    /// Where home was looked for the speed is to be what it was; else what was set.
    fn check_speed(&mut self, axis: Axis, found: i64) {
        let task = self.task(axis);
        let set = match task.step {
            Step::ReadSpeed(order) => Some(order),
            _ => None,
        };
        let asked = set.map_or(task.high_speed, |order| order.speed);
        match set {
            Some(order) if found == i64::from(asked) => {
                task.high_speed = asked;
                task.step = Step::Start(order);
            }
            Some(order) if task.resends < RESENDS => {
                task.resends += 1;
                task.step = Step::Speed(order);
            }
            None if found == i64::from(asked) => self.arrive(axis),
            _ => self.halt_for(self.dialogue.not_taken_over(asked, found)),
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
        let fixes = Axis::BOTH.map(|axis| (axis, found[axis.index()]));
        let verdict = self.dialogue.judge(&fixes, reply);
        let is_doubted = matches!(verdict, Verdict::Doubted(_));
        let halting = matches!(self.phase, Phase::Halting(_));
        if is_doubted && !halting {
            return false;
        }
        for (axis, counts) in fixes {
            let register = f64::from(self.task(axis).high_speed);
            // Before its first move an axis rests; on the way home nothing is known.
            if matches!(self.phase, Phase::Preparing(_)) && self.dialogue.intent(axis).is_none() {
                self.dialogue.rests(axis, counts, reply, register);
            }
            self.dialogue.see(axis, counts);
            self.orders.set_position(axis, counts);
        }
        match verdict {
            Verdict::Astray(cause) if !halting => self.halt_for(cause),
            _ => self.after_positions(!is_doubted, found, reply),
        }
        true
    }

    /// A halt ends with where the axes came to rest.
    fn after_positions(&mut self, believed: bool, found: [Steps; 2], reply: &Reply<'_>) {
        let Phase::Halting(halt) = &mut self.phase else {
            return;
        };
        halt.looked(found, believed, reply.received);
        if !halt.is_at_rest() {
            return;
        }
        let drives_are_off = halt.are_drives_off().then_some(Cause::Motion {
            axis: '?',
            fault: "drives switched off: neither STOP nor ABORT was obeyed",
        });
        let doubt = self.dialogue.take_doubt();
        if let Some(cause) = halt.cause().or(drives_are_off).or(doubt) {
            self.give_up(cause);
            return;
        }
        for axis in Axis::BOTH {
            let register = f64::from(self.task(axis).high_speed);
            self.dialogue
                .rests(axis, found[axis.index()], reply, register);
            self.task(axis).step = Step::Resting;
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
                return self.halt_for(unordered_motion(axis));
            }
            if let Some(order) = self.task(axis).step.travels() {
                self.look_after(axis, order, moves, now);
            }
        }
    }

    fn look_after(&mut self, axis: Axis, order: Move, moves: bool, now: Nanos) {
        let position = self.dialogue.position(axis);
        let cut_short = self
            .dialogue
            .intent(axis)
            .and_then(|intent| intent.has_moved().then(|| intent.cut_short()));
        let task = self.task(axis);
        if moves {
            task.idle_since = None;
            task.moved = true;
            return;
        }
        if position.is_some() && order.goal.target() == position {
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
        // One that was begun and did not end was stopped by somebody.
        if let Some(cause) = cut_short {
            return self.halt_for(cause);
        }
        if task.resends < RESENDS {
            task.resends += 1;
            task.step = Step::Start(order);
            return;
        }
        let found = position.unwrap_or_default().0;
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

    /// Goes to the step behind the one that was answered.
    fn proceed(&mut self) {
        match (&mut self.phase, self.dialogue.asked) {
            (Phase::Preparing(step), _) => *step += 1,
            (Phase::Serving, Command::SetHighSpeed(axis, _)) => {
                if let Step::Speed(order) = self.task(axis).step {
                    self.task(axis).step = Step::ReadSpeed(order);
                }
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
        if matches!(self.phase, Phase::Halting(_)) || !self.dialogue.judge_refusal(error) {
            return false;
        }
        self.halt_for(self.dialogue.refusal(error.clone()));
        true
    }
}

impl DeviceLogic for Positioner {
    type Record = ();

    const TERMINATOR: u8 = pmx::TERMINATOR;
    const REQUEST_MARK: Option<u8> = Some(pmx::REQUEST_MARK);

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
        match self.dialogue.asked {
            Command::MoveTo(axis, target) => {
                let speed = f64::from(self.task(axis).high_speed);
                self.dialogue.moves(axis, target, sent, speed);
            }
            // The counter is set on the way.
            Command::Home { axis, .. } => self.dialogue.forget(axis),
            _ => {}
        }
    }

    fn replied(&mut self, reply: Reply<'_>, _records: &mut dyn FnMut(())) -> bool {
        match self.understand(&reply) {
            Ok(understood) => {
                if understood {
                    self.dialogue.understood();
                    self.proceed();
                }
                understood
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn failed(&mut self, now: Nanos, failures: u32, _records: &mut dyn FnMut(())) {
        if let Command::MoveTo(axis, _) | Command::Home { axis, .. } = self.dialogue.asked {
            // It may have been heard: the travel will tell.
            self.travel(axis);
        }
        let cause = self.dialogue.failure(failures);
        if let Phase::Halting(halt) = &mut self.phase {
            halt.unanswered(now);
            if failures >= 2 * PATIENCE {
                self.give_up(cause);
            }
        } else if failures >= PATIENCE {
            self.halt_for(cause);
        }
        self.dialogue.failed();
    }

    fn lost(&mut self, _now: Nanos, reason: &str, _records: &mut dyn FnMut(())) {
        self.give_up(link_lost(reason));
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
