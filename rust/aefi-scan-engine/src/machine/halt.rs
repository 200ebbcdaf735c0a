//! Coming to rest: stop, see that it rests, look where; escalate if it does not.

use crate::controls::{Demand, FlightState};
use crate::error::Cause;
use crate::protocol::pmx::Command;
use crate::units::Nanos;

use super::stage::Outcome;

/// Time for a stop to take effect beyond which a stronger one follows. A ramp of
/// the bench takes 0.3 to 0.5 s; a dead stop none.
const RAMP_PATIENCE: Nanos = Nanos::from_millis(1500);
const ABORT_PATIENCE: Nanos = Nanos::from_millis(300);

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
}

/// A stage on its way to rest.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Halt {
    reason: Reason,
    force: Force,
    step: Step,
    /// Whether the last look found the axes where they can be.
    believed: bool,
    began: Option<Nanos>,
    sent: Nanos,
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
            believed: true,
            began: None,
            sent: Nanos::ZERO,
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
        self.step == Step::Look
    }

    /// Takes notice of a look at the axes and whether it can be believed.
    pub(super) fn looked(&mut self, believed: bool) {
        self.believed = believed;
    }

    /// Returns whether the axes rest where the last look found them.
    pub(super) fn is_believed(&self) -> bool {
        let moves = matches!(self.reason, Reason::Fault(Cause::Unstoppable { .. }));
        self.believed && !moves
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
                if self.force < Force::Abort {
                    self.force = Force::Abort;
                    self.step = Step::Send;
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
            Step::Look => Command::Positions,
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

    /// A stop without answer may have been heard: watch, and escalate if not.
    pub(super) fn unanswered(&mut self, now: Nanos) {
        self.now = now;
        if self.step == Step::Send {
            self.step = Step::Watch;
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
