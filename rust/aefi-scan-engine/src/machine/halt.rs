//! Coming to rest: stop, see that it rests, look where; escalate if it does not.

use crate::controls::Demand;
use crate::error::Cause;
use crate::outcome::{FlightState, Outcome};
use crate::protocol::pmx::Command;
use crate::units::{Nanos, Steps};

/// Time for a stop to take effect beyond which a stronger one follows. A ramp of
/// the bench takes 0.3 to 0.5 s; a dead stop none.
const RAMP_PATIENCE: Nanos = Nanos::from_millis(1500);
const ABORT_PATIENCE: Nanos = Nanos::from_millis(300);
/// Between two looks at a stage that says it rests: if it moves, they differ. It may
/// say so for up to 250 ms after it accepted a move (Arcus reference §5).
const SECOND_LOOK: Nanos = Nanos::from_millis(50);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Pause,
    Stop,
    Abort,
    Fault(Cause),
    /// All lines were flown before the pause.
    Complete,
}

/// Stops of growing strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Force {
    Ramp,
    Abort,
    DrivesOff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Send,
    Watch,
    Look,
    Rest,
}

/// A stage on its way to rest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Halt {
    reason: Reason,
    force: Force,
    step: Step,
    /// Whether the axes rested before: an abort is no stronger stop then.
    was_at_rest: bool,
    /// Whether the last look found the axes where they can be.
    believed: bool,
    /// What the look before found, and when.
    seen: Option<(Nanos, [Steps; 2])>,
    began: Option<Nanos>,
    sent: Nanos,
    /// How often the stop in force had no answer.
    unanswered: u32,
    now: Nanos,
}

impl Halt {
    fn new(reason: Reason) -> Self {
        let force = match reason {
            Reason::Abort => Force::Abort,
            _ => Force::Ramp,
        };
        let step = match reason {
            Reason::Complete => Step::Look,
            _ => Step::Send,
        };
        Self {
            reason,
            force,
            step,
            was_at_rest: false,
            believed: true,
            seen: None,
            began: None,
            sent: Nanos::ZERO,
            unanswered: 0,
            now: Nanos::ZERO,
        }
    }

    /// Returns the halt that a demand other than to fly asks for.
    pub(super) fn demanded(demand: Demand) -> Self {
        Self::new(match demand {
            Demand::Abort => Reason::Abort,
            Demand::Stop => Reason::Stop,
            Demand::Pause | Demand::Fly => Reason::Pause,
        })
    }

    /// Returns the same of a stage that rests: no step is lost by stopping it.
    pub(super) fn demanded_at_rest(demand: Demand) -> Self {
        Self {
            force: Force::Ramp,
            was_at_rest: true,
            ..Self::demanded(demand)
        }
    }

    pub(super) fn fault(cause: Cause) -> Self {
        Self::new(Reason::Fault(cause))
    }

    /// Returns the halt of a stage that has nothing left to fly.
    pub(super) fn complete() -> Self {
        Self::new(Reason::Complete)
    }

    pub(super) fn is_pause(&self) -> bool {
        self.reason == Reason::Pause
    }

    pub(super) fn is_urgent(&self) -> bool {
        self.step == Step::Send
    }

    /// Returns whether nothing weaker than switching the drives off was obeyed.
    pub(super) fn are_drives_off(&self) -> bool {
        self.force == Force::DrivesOff
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.step == Step::Rest
    }

    /// Returns until when nothing is asked: the second look waits.
    pub(super) fn waits_until(&self, now: Nanos) -> Option<Nanos> {
        let (at, _) = self.seen.filter(|_| self.step == Step::Look)?;
        (now < at + SECOND_LOOK).then_some(at + SECOND_LOOK)
    }

    /// Takes notice of where a look found the axes, and whether it can be believed.
    ///
    /// They rest if two looks find them in one place; if not they are watched again.
    pub(super) fn looked(&mut self, found: [Steps; 2], believed: bool, now: Nanos) {
        self.believed = believed;
        if self.step != Step::Look {
            return;
        }
        self.step = match self.seen.replace((now, found)) {
            _ if self.needs_one_look() => Step::Rest,
            None => Step::Look,
            Some((_, before)) if before == found => Step::Rest,
            Some(_) => {
                self.seen = None;
                Step::Watch
            }
        };
    }

    /// The last line ends at its target; and what can't be stopped is told at once.
    fn needs_one_look(&self) -> bool {
        self.is_in_vain() || self.reason == Reason::Complete
    }

    fn is_in_vain(&self) -> bool {
        matches!(self.reason, Reason::Fault(Cause::Unstoppable { .. }))
    }

    /// Returns whether the axes rest where the last look found them.
    pub(super) fn is_believed(&self) -> bool {
        self.believed && !self.is_in_vain()
    }

    pub(super) fn now(&self) -> Nanos {
        self.now
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        match &self.reason {
            Reason::Fault(cause) => Some(cause.clone()),
            _ => None,
        }
    }

    /// A stronger demand replaces a weaker reason; an abort is sent at once.
    pub(super) fn upgrade(&mut self, demand: Demand) {
        match (demand, &self.reason) {
            (Demand::Abort, Reason::Pause | Reason::Stop | Reason::Fault(_)) => {
                if self.force < Force::Abort && !self.was_at_rest {
                    self.force = Force::Abort;
                    self.step = Step::Send;
                    self.seen = None;
                }
                if self.cause().is_none() {
                    self.reason = Reason::Abort;
                }
            }
            (Demand::Stop, Reason::Pause) => self.reason = Reason::Stop,
            _ => {}
        }
    }

    /// Returns the command to be asked at `now`.
    pub(super) fn next(&mut self, now: Nanos) -> Command {
        self.now = now;
        self.began.get_or_insert(now);
        if self.step == Step::Watch && now - self.sent >= self.patience() {
            self.escalate();
        }
        match self.step {
            Step::Send => {
                self.sent = now;
                match self.force {
                    Force::Ramp => Command::Stop,
                    Force::Abort => Command::Abort,
                    Force::DrivesOff => Command::DisableAll,
                }
            }
            Step::Watch => Command::Status,
            Step::Look | Step::Rest => Command::Positions,
        }
    }

    fn patience(&self) -> Nanos {
        match self.force {
            Force::Ramp => RAMP_PATIENCE,
            Force::Abort | Force::DrivesOff => ABORT_PATIENCE,
        }
    }

    fn escalate(&mut self) {
        self.step = Step::Send;
        self.unanswered = 0;
        self.seen = None;
        match self.force {
            Force::Ramp => self.force = Force::Abort,
            Force::Abort => self.force = Force::DrivesOff,
            Force::DrivesOff => {
                let began = self.began.unwrap_or(self.now);
                self.reason = Reason::Fault(Cause::Unstoppable {
                    after_ms: (self.now - began).0 / 1_000_000,
                });
                self.step = Step::Look;
            }
        }
    }

    /// Takes notice that `command` was answered.
    pub(super) fn acknowledged(&mut self, command: Command) {
        let stops = [Command::Stop, Command::Abort, Command::DisableAll];
        if self.step == Step::Send && stops.contains(&command) {
            self.step = Step::Watch;
        }
    }

    /// A stop without answer may have been heard: it is sent once more, then watched,
    /// and a stronger one follows if it was not.
    pub(super) fn unanswered(&mut self, now: Nanos) {
        self.now = now;
        if self.step == Step::Send {
            self.unanswered += 1;
            if self.unanswered > 1 {
                self.step = Step::Watch;
            }
        }
    }

    /// Takes notice of whether an axis moves.
    pub(super) fn saw(&mut self, moving: bool) {
        if self.step == Step::Watch && !moving {
            self.step = Step::Look;
        }
    }

    /// Returns how the flight ends now that the stage rests; `None` if it waits.
    pub(super) fn outcome(&self, demand: Demand) -> Option<Outcome> {
        let (state, cause) = match (&self.reason, demand) {
            (Reason::Pause, Demand::Pause | Demand::Fly) => return None,
            (Reason::Fault(cause), _) => (FlightState::Failed, Some(cause.clone())),
            (Reason::Complete, _) => (FlightState::Completed, None),
            (Reason::Abort, _) | (_, Demand::Abort) => {
                (FlightState::Aborted, Some(Cause::Requested { by: "abort" }))
            }
            _ => (FlightState::Stopped, Some(Cause::Requested { by: "stop" })),
        };
        Some(Outcome { state, cause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> Nanos {
        Nanos::from_millis(ms)
    }

    /// Asks at each of these times of a stage that goes on moving.
    fn asked(halt: &mut Halt, times: &[i64]) -> Vec<Command> {
        let ask = |at: &i64| {
            let command = halt.next(ms(*at));
            halt.acknowledged(command);
            halt.saw(true);
            command
        };
        times.iter().map(ask).collect()
    }

    #[test]
    fn what_is_not_obeyed_is_followed_by_something_stronger() {
        let mut halt = Halt::demanded(Demand::Stop);
        assert!(halt.is_urgent() && !halt.is_pause());
        let times = [0, 1, 1499, 1500, 1501, 1799, 1800, 1801, 2099];
        let (stop, look) = (Command::Stop, Command::Status);
        assert_eq!(
            asked(&mut halt, &times[..7]),
            [
                stop,
                look,
                look,
                Command::Abort,
                look,
                look,
                Command::DisableAll
            ]
        );
        assert!(halt.are_drives_off() && !halt.is_urgent());
        assert_eq!(asked(&mut halt, &times[7..]), [look, look]);
        assert_eq!(halt.cause(), None);
        assert_eq!(asked(&mut halt, &[2100]), [Command::Positions]);
        let after_ms = 2100;
        assert_eq!(halt.cause(), Some(Cause::Unstoppable { after_ms }));
    }

    #[test]
    fn a_stop_without_an_answer_is_sent_twice_before_it_is_watched() {
        let mut halt = Halt::demanded(Demand::Pause);
        assert!(halt.is_pause());
        for _ in 0..2 {
            assert!(halt.is_urgent());
            assert_eq!(halt.next(ms(0)), Command::Stop);
            halt.unanswered(ms(100));
        }
        assert!(!halt.is_urgent());
        assert_eq!(halt.next(ms(200)), Command::Status);
    }

    #[test]
    fn an_abort_overtakes_a_ramp_but_not_at_rest() {
        let mut halt = Halt::demanded(Demand::Stop);
        assert_eq!(asked(&mut halt, &[0]), [Command::Stop]);
        halt.upgrade(Demand::Abort);
        assert!(halt.is_urgent());
        assert_eq!(asked(&mut halt, &[1]), [Command::Abort]);
        let mut resting = Halt::demanded_at_rest(Demand::Abort);
        resting.upgrade(Demand::Abort);
        assert_eq!(
            asked(&mut resting, &[0, 1]),
            [Command::Stop, Command::Status]
        );
        assert_eq!(
            resting.outcome(Demand::Abort).map(|outcome| outcome.state),
            Some(FlightState::Aborted)
        );
    }
}
