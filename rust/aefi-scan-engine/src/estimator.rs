//! From fixes to the position of an axis at any time, with an interval that holds
//! the truth.
//!
//! A counter was latched somewhere inside its fix's span, the axis never moves
//! faster than it was told to, and between two fixes of one move it never turns.
//! From these three facts alone, for a time inside [a, b] between fixes i and j:
//!
//! ```text
//! min(counts i..j) - 1/2          <= p <= max(counts i..j) + 1/2
//! counts_i - 1/2 - v (b - e_i)    <= p <= counts_i + 1/2 + v (b - e_i)
//! counts_j - 1/2 - v (l_j - a)    <= p <= counts_j + 1/2 + v (l_j - a)
//! ```
//!
//! with e and l the earliest and latest instant of a latch. No acceleration enters,
//! so the interval also holds through a start speed, a ramp, an abort or a limit.

use std::collections::VecDeque;

use crate::records::{Estimate, Fix};
use crate::units::{Nanos, Steps};

/// A step counter stands within half a step of the commanded position.
const QUANTISATION: f64 = 0.5;
/// The controller's crystal and the rounding of its pulse rate, with room to spare.
const SPEED_TOLERANCE: f64 = 1.001;
/// Fixes kept: more than pass during the longest reading at the fastest link.
const CAPACITY: usize = 8192;

#[derive(Debug, Clone, Copy)]
struct Point {
    earliest: Nanos,
    latest: Nanos,
    counts: f64,
    /// Highest speed since the point before, in steps/ns.
    speed: f64,
}

impl Point {
    fn middle(&self) -> f64 {
        (self.earliest.0 + (self.latest.0 - self.earliest.0) / 2) as f64
    }
}

/// What is known of the position at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Located {
    /// The position.
    At(Estimate),
    /// A later fix is needed.
    NotYet,
    /// No fix is old enough.
    Never,
}

/// The fixes of one axis, oldest first.
#[derive(Debug)]
pub struct AxisTrack {
    points: VecDeque<Point>,
    speed: f64,
}

impl Default for AxisTrack {
    fn default() -> Self {
        Self {
            points: VecDeque::with_capacity(CAPACITY),
            speed: 0.0,
        }
    }
}

impl AxisTrack {
    /// Takes a fix; fixes come in the order of time.
    pub fn take_fix(&mut self, fix: &Fix) {
        self.push(fix.earliest, fix.latest, fix.counts);
    }

    /// Takes notice that the axis rested at `from` until `at` and may from then on
    /// move at up to `speed` steps/s.
    pub fn take_motion(&mut self, at: Nanos, from: Steps, speed: f64) {
        self.push(at, at, from);
        self.speed = speed * SPEED_TOLERANCE * 1e-9;
    }

    /// Takes notice that the axis stays for ever where the last fix saw it.
    pub fn take_rest(&mut self) {
        if let Some(last) = self.points.back().copied() {
            self.push(Nanos::NEVER, Nanos::NEVER, Steps(last.counts as i64));
        }
    }

    fn push(&mut self, earliest: Nanos, latest: Nanos, counts: Steps) {
        if self.points.len() == CAPACITY {
            self.points.pop_front();
        }
        self.points.push_back(Point {
            earliest,
            latest,
            counts: counts.0 as f64,
            speed: self.speed,
        });
    }

    /// Returns the last position taken, in steps.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.points.back().map(|point| point.counts)
    }

    /// Forgets what no time from `oldest` on needs.
    pub fn forget_before(&mut self, oldest: Nanos) {
        while self.points.len() > 1 && self.points[1].latest <= oldest {
            self.points.pop_front();
        }
    }

    /// Returns the position at a time inside [`earliest`, `latest`].
    #[must_use]
    pub fn locate(&self, earliest: Nanos, latest: Nanos) -> Located {
        let after = self.points.iter().position(|p| p.earliest >= latest);
        let Some(after) = after else {
            return Located::NotYet;
        };
        let before = self
            .points
            .iter()
            .take(after + 1)
            .rposition(|p| p.latest <= earliest);
        match before {
            Some(before) if before < after => {
                Located::At(self.estimate(before, after, earliest, latest))
            }
            // A fix at this very instant is both neighbours.
            Some(before) => Located::At(self.estimate(before, before, earliest, latest)),
            None => Located::Never,
        }
    }

    fn estimate(&self, i: usize, j: usize, earliest: Nanos, latest: Nanos) -> Estimate {
        let (first, last) = (self.points[i], self.points[j]);
        let mut speed = 0.0_f64;
        let (mut low, mut high) = (first.counts, first.counts);
        for point in self.points.range(i + 1..=j) {
            speed = speed.max(point.speed);
            low = low.min(point.counts);
            high = high.max(point.counts);
        }
        let since = speed * (latest.0 - first.earliest.0) as f64;
        let until = speed * (last.latest.0.saturating_sub(earliest.0)) as f64;
        let low = low.max(first.counts - since).max(last.counts - until);
        let high = high.min(first.counts + since).min(last.counts + until);
        // A false fix that was believed contradicts the others: then both may be true.
        let (low, high) = (low.min(high) - QUANTISATION, low.max(high) + QUANTISATION);
        let middle = (earliest.0 + (latest.0 - earliest.0) / 2) as f64;
        Estimate {
            position: self.interpolate(i, j, middle).clamp(low, high),
            low,
            high,
        }
    }

    /// Linear between the middles of the two fixes around `time`.
    fn interpolate(&self, i: usize, j: usize, time: f64) -> f64 {
        let mut left = self.points[i];
        for right in self.points.range(i + 1..=j) {
            if right.middle() >= time {
                let span = right.middle() - left.middle();
                if span <= 0.0 {
                    return right.counts;
                }
                let share = (time - left.middle()) / span;
                return left.counts + share * (right.counts - left.counts);
            }
            left = *right;
        }
        left.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Axis;

    fn fix(earliest: i64, latest: i64, counts: i64) -> Fix {
        Fix {
            axis: Axis::X,
            sent: Nanos(earliest),
            received: Nanos(latest),
            earliest: Nanos(earliest),
            latest: Nanos(latest),
            counts: Steps(counts),
        }
    }

    fn cruising() -> AxisTrack {
        // 1000 steps/s from 0 at t = 0; fixes every millisecond, 200 us wide.
        let mut track = AxisTrack::default();
        track.take_motion(Nanos::ZERO, Steps(0), 1000.0);
        for n in 1..10 {
            let middle = n * 1_000_000;
            track.take_fix(&fix(middle - 100_000, middle + 100_000, n));
        }
        track
    }

    #[test]
    fn a_cruise_is_interpolated_between_window_middles() {
        let time = Nanos::from_micros(4_500);
        let Located::At(found) = cruising().locate(time, time) else {
            panic!("two neighbours are there");
        };
        assert!((found.position - 4.5).abs() < 1e-9);
        assert!(found.low <= 4.5 && 4.5 <= found.high);
        assert!(found.high - found.low <= 2.0, "{found:?}");
    }

    #[test]
    fn a_time_after_the_last_fix_waits_and_one_before_the_first_never_comes() {
        let track = cruising();
        let late = Nanos::from_millis(20);
        assert_eq!(track.locate(late, late), Located::NotYet);
        let early = Nanos(-5);
        assert_eq!(track.locate(early, early), Located::Never);
    }

    #[test]
    fn an_axis_at_rest_is_known_to_half_a_step() {
        let mut track = AxisTrack::default();
        track.take_fix(&fix(0, 100, 42));
        track.take_rest();
        let time = Nanos::from_millis(5);
        let Located::At(found) = track.locate(time, time) else {
            panic!("a resting axis is known");
        };
        assert_eq!((found.low, found.position, found.high), (41.5, 42.0, 42.5));
    }

    #[test]
    fn fixes_that_contradict_each_other_widen_the_interval() {
        let mut track = cruising();
        track.take_fix(&fix(10_000_000, 10_100_000, 5000));
        let time = Nanos::from_micros(9_500);
        let Located::At(found) = track.locate(time, time) else {
            panic!("two neighbours are there");
        };
        assert!(found.low <= found.position && found.position <= found.high);
        assert!(found.low <= 10.0 && found.high >= 4990.0, "{found:?}");
    }

    #[test]
    fn what_no_later_time_needs_is_forgotten() {
        let mut track = cruising();
        track.forget_before(Nanos::from_micros(8_500));
        assert_eq!(track.points.len(), 2);
        let time = Nanos::from_micros(8_500);
        assert!(matches!(track.locate(time, time), Located::At(_)));
    }
}
