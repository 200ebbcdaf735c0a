//! Where an axis can be: what a position reply is judged by.
//!
//! A flipped digit or a controller that was switched off and on answers with a
//! number like any other. But an axis moves no faster than it was told to, so that
//! most such numbers are impossible.

use crate::units::{Nanos, Steps};

/// Room for quantisation, the crystal and the ramp's last step, in steps.
const MARGIN: f64 = 3.0;

/// The last position of an axis that was believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Belief {
    position: Steps,
    at: Nanos,
    speed: f64,
}

impl Belief {
    /// Returns the belief in `position`, seen by an exchange that began at `at`, of
    /// an axis that moves at up to `speed` steps/s.
    pub(super) fn new(position: Steps, at: Nanos, speed: f64) -> Self {
        Self {
            position,
            at,
            speed,
        }
    }

    /// Returns how far the axis can be from the believed position by `now`.
    pub(super) fn reach(&self, now: Nanos) -> i64 {
        let way = self.speed * (now - self.at).as_secs_f64();
        (way * 1.001 + MARGIN).ceil() as i64
    }

    /// Returns whether the axis can stand at `found` by `now`.
    pub(super) fn allows(&self, found: Steps, now: Nanos) -> bool {
        (found.0 - self.position.0).abs() <= self.reach(now)
    }

    pub(super) fn speed(&self) -> f64 {
        self.speed
    }

    pub(super) fn position(&self) -> Steps {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_is_no_further_than_its_speed_allows() {
        let belief = Belief::new(Steps(1000), Nanos::ZERO, 1500.0);
        let later = Nanos::from_millis(10);
        assert!(belief.allows(Steps(1015), later));
        assert!(belief.allows(Steps(985), later));
        assert!(!belief.allows(Steps(1115), later), "a flipped digit");
        assert!(!belief.allows(Steps(0), later), "a reset controller");
    }

    #[test]
    fn a_resting_axis_stays() {
        let belief = Belief::new(Steps(42), Nanos::ZERO, 0.0);
        assert!(belief.allows(Steps(42), Nanos::from_millis(60_000)));
        assert!(!belief.allows(Steps(52), Nanos::from_millis(60_000)));
    }
}
