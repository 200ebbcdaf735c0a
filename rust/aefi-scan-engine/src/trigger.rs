//! When the detector takes a reading: trigger sources; pure.
//!
//! A source hears of the motion, is asked whether a reading is due, and says when to
//! ask again. What a reading was due for travels with it, so that the ledger can tell
//! late from missed.

mod positions;

use crate::conversation::Turn;
use crate::flight_plan::{FlightPlan, Trigger};
use crate::records::{Reading, StageRecord};
use crate::units::Nanos;

pub use positions::PositionTrigger;

/// How long a prediction is trusted before newer fixes are asked for.
const GLANCE: Nanos = Nanos::from_millis(1);

impl Trigger {
    /// Returns the source that `plan` asks for; `lead` is what is expected to pass
    /// between a request and the middle of its integration.
    #[must_use]
    pub fn source(self, plan: &std::sync::Arc<FlightPlan>, lead: Nanos) -> Box<dyn TriggerSource> {
        match self {
            Self::Periodic(period) => Box::new(Periodic { period, next: None }),
            Self::Positions => {
                let shots = plan.min_readings as usize;
                let plan = std::sync::Arc::clone(plan);
                Box::new(PositionTrigger::new(plan, shots, lead, GLANCE))
            }
            _ => Box::new(FreeRunning),
        }
    }

    /// Returns whether the source must hear of the motion.
    #[must_use]
    pub fn follows_the_motion(self) -> bool {
        self == Self::Positions
    }

    /// Returns whether a frame has a pulse that it is not ok without.
    #[must_use]
    pub fn gives_pulses(self) -> bool {
        matches!(self, Self::SyncOutput { .. } | Self::DigitalOutput { .. })
    }

    /// Returns how late a request may leave without its reading being late: a quarter
    /// of the time between two that are due; the same of a pulse that the host gives.
    /// Free-running readings and pulses of the controller are never late.
    #[must_use]
    pub fn tolerance(self, plan: &FlightPlan) -> Nanos {
        match self {
            Self::Periodic(period) => Nanos(period.0 / 4),
            Self::Positions => quarter_of_a_frame(plan, plan.min_readings),
            Self::DigitalOutput { .. } => quarter_of_a_frame(plan, 1),
            Self::FreeRunning | Self::SyncOutput { .. } | Self::Latch => Nanos::NEVER,
        }
    }
}

/// A quarter of the time between `shots` spaced evenly in a frame.
fn quarter_of_a_frame(plan: &FlightPlan, shots: u32) -> Nanos {
    let apart = plan.lines[0].pitch() / f64::from(shots);
    Nanos((apart / f64::from(plan.speed) * 1e9 / 4.0) as i64)
}

/// What a source says when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A reading is due now.
    Now(Shot),
    /// Nothing before this instant.
    NotBefore(Nanos),
}

/// What a reading is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shot {
    /// When its request was due.
    pub due: Nanos,
    /// The frame it is taken for, if for one.
    pub aim: Option<usize>,
}

/// Decides when the detector takes a reading.
pub trait TriggerSource: std::fmt::Debug + Send {
    /// Takes notice of what the stage reports, in the order of time.
    fn observe(&mut self, record: &StageRecord);

    /// Takes notice of a reading that came.
    fn observe_reading(&mut self, reading: &Reading);

    /// Returns whether a reading is due at `now`; one that is, is taken.
    fn due(&mut self, now: Nanos) -> Due;
}

impl Due {
    /// Returns what the detector does: the request, or rest.
    pub(crate) fn turn(self, request: crate::protocol::Request) -> Turn {
        match self {
            Self::Now(_) => Turn::Ask(request),
            Self::NotBefore(at) => Turn::Rest(at),
        }
    }
}

#[derive(Debug)]
struct FreeRunning;

impl TriggerSource for FreeRunning {
    fn observe(&mut self, _record: &StageRecord) {}

    fn observe_reading(&mut self, _reading: &Reading) {}

    fn due(&mut self, now: Nanos) -> Due {
        Due::Now(Shot {
            due: now,
            aim: None,
        })
    }
}

/// A fixed grid in time: what comes late does not shift the ones after it, and a
/// place in the grid that was slept through is left out.
#[derive(Debug)]
struct Periodic {
    period: Nanos,
    next: Option<Nanos>,
}

impl TriggerSource for Periodic {
    fn observe(&mut self, _record: &StageRecord) {}

    fn observe_reading(&mut self, _reading: &Reading) {}

    fn due(&mut self, now: Nanos) -> Due {
        let next = *self.next.get_or_insert(now);
        if now < next {
            return Due::NotBefore(next);
        }
        let passed = (now - next).0 / self.period.0;
        let due = next + Nanos(passed * self.period.0);
        self.next = Some(due + self.period);
        Due::Now(Shot { due, aim: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_grid_that_lateness_does_not_shift() {
        let mut source = Periodic {
            period: Nanos(100),
            next: None,
        };
        let shot = |due| Due::Now(Shot { due, aim: None });
        assert_eq!(source.due(Nanos(1000)), shot(Nanos(1000)));
        assert_eq!(source.due(Nanos(1001)), Due::NotBefore(Nanos(1100)));
        assert_eq!(source.due(Nanos(1130)), shot(Nanos(1100)));
        assert_eq!(source.due(Nanos(1131)), Due::NotBefore(Nanos(1200)));
        assert_eq!(source.due(Nanos(1450)), shot(Nanos(1400)));
        assert_eq!(source.due(Nanos(1451)), Due::NotBefore(Nanos(1500)));
    }

    #[test]
    fn free_running_is_always_due_and_never_late() {
        let due = FreeRunning.due(Nanos(7));
        assert_eq!(
            due,
            Due::Now(Shot {
                due: Nanos(7),
                aim: None
            })
        );
    }
}
