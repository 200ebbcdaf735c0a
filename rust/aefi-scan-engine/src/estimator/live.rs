//! Where an axis is by now: causal, for displays and triggers, never for the record.

use crate::records::Fix;
use crate::units::Nanos;

/// How much of the past is kept, 0 to 1: the double root of the filter. With 0.6 it
/// settles within ten fixes and passes half of the quantisation.
const MEMORY: f64 = 0.6;
const ALPHA: f64 = 1.0 - MEMORY * MEMORY;
const BETA: f64 = (1.0 - MEMORY) * (1.0 - MEMORY);

/// A critically damped alpha-beta filter over the fixes of one axis (Kalata's alpha
/// and beta for a double root, here 0.6).
#[derive(Debug, Clone, Copy)]
pub struct LiveTrack {
    at: Nanos,
    position: f64,
    /// In steps/ns.
    speed: f64,
}

impl LiveTrack {
    /// Returns the track of an axis at rest at `position`.
    #[must_use]
    pub fn resting(at: Nanos, position: f64) -> Self {
        Self {
            at,
            position,
            speed: 0.0,
        }
    }

    /// Takes a fix; fixes come in the order of time.
    pub fn take_fix(&mut self, fix: &Fix) {
        let at = fix.middle();
        let span = (at - self.at).0 as f64;
        if span <= 0.0 {
            return;
        }
        let expected = self.position + self.speed * span;
        let surprise = fix.counts.0 as f64 - expected;
        self.position = expected + ALPHA * surprise;
        self.speed += BETA * surprise / span;
        self.at = at;
    }

    /// Returns the expected position at `time`, in steps.
    #[must_use]
    pub fn position(&self, time: Nanos) -> f64 {
        self.position + self.speed * (time - self.at).0 as f64
    }

    /// Returns the speed, in steps/ns.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Axis, Steps};

    fn fix(at: i64, counts: i64) -> Fix {
        Fix {
            axis: Axis::Y,
            sent: Nanos(at),
            received: Nanos(at),
            earliest: Nanos(at),
            latest: Nanos(at),
            counts: Steps(counts),
            flags: 0,
        }
    }

    #[test]
    fn a_cruise_is_followed_within_a_step_after_ten_fixes() {
        // 1500 steps/s from rest, a fix each 1.36 ms.
        let mut track = LiveTrack::resting(Nanos::ZERO, 0.0);
        for n in 1..=400_i64 {
            let at = n * 1_360_000;
            let true_position = 1500e-9 * at as f64;
            track.take_fix(&fix(at, true_position.round() as i64));
            if n > 20 {
                let error = track.position(Nanos(at + 1_000_000)) - true_position - 1.5;
                assert!(error.abs() < 1.0, "fix {n}: off by {error} steps");
            }
        }
        assert!((track.speed() / 1500e-9 - 1.0).abs() < 0.1);
    }

    #[test]
    fn a_fix_out_of_order_changes_nothing() {
        let mut track = LiveTrack::resting(Nanos(10), 5.0);
        track.take_fix(&fix(10, 900));
        assert!((track.position(Nanos(20)) - 5.0).abs() < 1e-12);
    }
}
