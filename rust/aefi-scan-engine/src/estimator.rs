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
//! One false fix among many may look true: one that is a step off. So, where there are
//! enough, the second narrowest of the last two lines' bounds is taken, and the first
//! line is widened by a step while the axis moves.
//!
//! The last two lines hold for every fix, not for the neighbours only: at cruise,
//! where the axis uses up its speed, the fix whose counter was about to turn bounds
//! all the others, and the interval gets narrower than a step.

mod latch;
mod live;

use std::collections::VecDeque;

use crate::records::{Estimate, Fix};
use crate::units::{Nanos, Steps};

pub use latch::{LatchFinder, LatchFraction};
pub use live::LiveTrack;

/// A step counter stands within half a step of the commanded position.
const QUANTISATION: f64 = 0.5;
/// The controller's crystal and the rounding of its pulse rate, with room to spare.
pub(crate) const SPEED_TOLERANCE: f64 = 1.001;
/// A latch known this many times worse than is usual tells little of its instant.
const WIDE: f64 = 3.0;
/// How fast the usual width follows: a share of itself a fix, up or down, so that it
/// settles at the median.
const WIDTH_RATE: f64 = 0.02;
/// Fixes that a wide one is waited out for, at most.
const PATIENCE: usize = 3;
/// Fixes on either side that bound a position, at most.
const WITNESSES: usize = 8;
/// Of so many the narrowest bound is left out.
const ENOUGH: usize = 6;
/// How far a fix that looks true may be off, while the axis moves, in steps.
const UNSEEN: f64 = 1.0;
/// Fixes kept: more than pass during the longest reading at the fastest link.
const CAPACITY: usize = 8192;

#[derive(Debug, Clone, Copy)]
struct Point {
    earliest: Nanos,
    latest: Nanos,
    counts: f64,
    /// Highest speed since the point before, in steps/ns.
    speed: f64,
    /// Whether it bounds the position only.
    is_wide: bool,
}

impl Point {
    /// The likeliest instant of the latch, `share` of its span after the earliest one.
    fn instant(&self, share: f64) -> f64 {
        self.earliest.0 as f64 + share * (self.latest.0 - self.earliest.0) as f64
    }
}

/// The two narrowest of some upper bounds.
#[derive(Debug, Clone, Copy)]
struct Narrowest {
    first: f64,
    second: f64,
    count: usize,
}

impl Default for Narrowest {
    fn default() -> Self {
        Self {
            first: f64::INFINITY,
            second: f64::INFINITY,
            count: 0,
        }
    }
}

impl Narrowest {
    fn take(&mut self, bound: f64) {
        self.count += 1;
        self.second = self.second.min(bound.max(self.first));
        self.first = self.first.min(bound);
    }

    /// A resting axis is bounded by all: there, a difference is motion.
    fn bound(&self, moves: bool) -> f64 {
        if moves && self.count >= ENOUGH {
            self.second
        } else {
            self.first
        }
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
    /// The usual width of a latch's span, in ns; zero before the first.
    usual_width: f64,
    /// The likeliest part of that span after which the latch is.
    latch: f64,
}

impl Default for AxisTrack {
    fn default() -> Self {
        Self {
            points: VecDeque::with_capacity(CAPACITY),
            speed: 0.0,
            usual_width: 0.0,
            latch: 0.5,
        }
    }
}

impl AxisTrack {
    /// Takes a fix and returns whether its latch is known much worse than is usual;
    /// fixes come in the order of time.
    pub fn take_fix(&mut self, fix: &Fix) -> bool {
        let is_wide = self.is_wide((fix.latest - fix.earliest).0 as f64);
        self.push(fix.earliest, fix.latest, fix.counts, is_wide);
        is_wide
    }

    fn is_wide(&mut self, width: f64) -> bool {
        if self.usual_width <= 0.0 {
            self.usual_width = width;
        }
        let is_wide = width > WIDE * self.usual_width;
        let towards = (width - self.usual_width).signum();
        self.usual_width *= 1.0 + WIDTH_RATE * towards;
        is_wide
    }

    /// Takes notice of where in its span a latch is likeliest: estimates move, intervals
    /// don't.
    pub fn set_latch(&mut self, fraction: &LatchFraction) {
        self.latch = fraction.used();
    }

    /// Takes notice that the axis rested at `from` until `at` and may from then on
    /// move at up to `speed` steps/s.
    pub fn take_motion(&mut self, at: Nanos, from: Steps, speed: f64) {
        self.push(at, at, from, false);
        self.speed = speed * SPEED_TOLERANCE * 1e-9;
    }

    /// Takes notice that the axis stays at `position` for ever.
    pub fn take_rest(&mut self, position: Steps) {
        self.push(Nanos::NEVER, Nanos::NEVER, position, false);
    }

    fn push(&mut self, earliest: Nanos, latest: Nanos, counts: Steps, is_wide: bool) {
        if self.points.len() == CAPACITY {
            self.points.pop_front();
        }
        self.points.push_back(Point {
            earliest,
            latest,
            counts: counts.0 as f64,
            speed: self.speed,
            is_wide,
        });
    }

    /// Returns the last position taken, in steps.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.points.back().map(|point| point.counts)
    }

    /// Forgets what no time from `oldest` on needs.
    pub fn forget_before(&mut self, oldest: Nanos) {
        let is_needless = |point: &Point| point.latest <= oldest;
        while self.points.get(WITNESSES).is_some_and(is_needless) {
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

    /// Returns whether enough fixes followed for what [`Self::locate`] says of a time
    /// up to `latest`: `more` beyond the next one, and one that is not wide.
    #[must_use]
    pub fn is_settled(&self, latest: Nanos, more: usize) -> bool {
        let after = self.points.iter().position(|p| p.earliest >= latest);
        after.is_some_and(|after| {
            let mut behind = self.points.range(after..);
            let is_over = self.points.back().map(|point| point.latest) == Some(Nanos::NEVER);
            let enough = behind.len() > more;
            is_over || (enough && (behind.len() > PATIENCE || behind.any(|p| !p.is_wide)))
        })
    }

    fn estimate(&self, i: usize, j: usize, earliest: Nanos, latest: Nanos) -> Estimate {
        let mut speed = 0.0_f64;
        let first = self.points[i].counts;
        let (mut low, mut high) = (first, first);
        for point in self.points.range(i + 1..=j) {
            speed = speed.max(point.speed);
            low = low.min(point.counts);
            high = high.max(point.counts);
        }
        let unseen = if speed > 0.0 { UNSEEN } else { 0.0 };
        let passed = (low - QUANTISATION - unseen, high + QUANTISATION + unseen);
        let (mut low, mut high) = self.bounded(i, j, speed, (earliest, latest), passed);
        if low > high {
            // A false fix that was believed contradicts the others, and which one it
            // was is not known.
            (low, high) = passed;
        }
        let middle = (earliest.0 + (latest.0 - earliest.0) / 2) as f64;
        Estimate {
            position: self.interpolate(i, j, middle).clamp(low, high),
            low,
            high,
        }
    }

    /// Narrows an interval between the fixes `i` and `j` by what they and others allow
    /// for at the highest speed on the way to them.
    fn bounded(
        &self,
        i: usize,
        j: usize,
        speed: f64,
        (earliest, latest): (Nanos, Nanos),
        (low, high): (f64, f64),
    ) -> (f64, f64) {
        let (mut lows, mut highs) = (Narrowest::default(), Narrowest::default());
        let mut narrow = |counts: f64, reach: f64| {
            lows.take(-(counts - QUANTISATION - reach));
            highs.take(counts + QUANTISATION + reach);
        };
        let mut fastest = speed;
        for point in self
            .points
            .range((i + 1).saturating_sub(WITNESSES)..=i)
            .rev()
        {
            narrow(point.counts, fastest * (latest - point.earliest).0 as f64);
            fastest = fastest.max(point.speed);
        }
        let mut fastest = speed;
        let last = (j + WITNESSES).min(self.points.len());
        for point in self.points.range(j..last) {
            fastest = fastest.max(point.speed);
            narrow(point.counts, fastest * (point.latest - earliest).0 as f64);
        }
        let moves = speed > 0.0;
        (low.max(-lows.bound(moves)), high.min(highs.bound(moves)))
    }

    /// Linear between the likeliest instants of the fixes around `time` whose latch is
    /// known as well as is usual, or else of those that are there.
    fn interpolate(&self, i: usize, j: usize, time: f64) -> f64 {
        let right = (i + 1..=j).find(|at| self.points[*at].instant(self.latch) >= time);
        let Some(right) = right else {
            return self.points[j].counts;
        };
        let is_good = |at: &usize| !self.points[*at].is_wide;
        let near = right.saturating_sub(1 + PATIENCE);
        let far = (right + PATIENCE).min(self.points.len() - 1);
        let left = (near..right).rev().find(is_good).unwrap_or(right - 1);
        let right = (right..=far).find(is_good).unwrap_or(right);
        let (left, right) = (self.points[left], self.points[right]);
        let [since, until] = [left, right].map(|point| point.instant(self.latch));
        let span = until - since;
        if span <= 0.0 {
            return right.counts;
        }
        let share = (time - since) / span;
        left.counts + share * (right.counts - left.counts)
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
            flags: 0,
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
        track.take_rest(Steps(42));
        let time = Nanos::from_millis(5);
        let Located::At(found) = track.locate(time, time) else {
            panic!("a resting axis is known");
        };
        assert_eq!((found.low, found.position, found.high), (41.5, 42.0, 42.5));
    }

    #[test]
    fn a_false_fix_alone_widens_the_interval_and_never_moves_it() {
        for wrong in [-1, 1, 5000] {
            let mut track = AxisTrack::default();
            track.take_motion(Nanos::ZERO, Steps(0), 1000.0);
            for n in 1..20 {
                let middle = n * 1_000_000;
                let counts = n + if n == 10 { wrong } else { 0 };
                track.take_fix(&fix(middle - 100_000, middle + 100_000, counts));
            }
            for us in (5_000..15_000).step_by(50) {
                let time = Nanos::from_micros(us);
                let Located::At(found) = track.locate(time, time) else {
                    panic!("two neighbours are there");
                };
                let truth = us as f64 / 1000.0;
                assert!(found.low <= truth && truth <= found.high, "{found:?}");
            }
        }
    }

    #[test]
    fn fixes_that_contradict_each_other_widen_the_interval() {
        let mut track = cruising();
        track.take_fix(&fix(10_000_000, 10_100_000, 5000));
        track.take_fix(&fix(11_000_000, 11_100_000, 5000));
        let time = Nanos::from_micros(9_500);
        let Located::At(found) = track.locate(time, time) else {
            panic!("two neighbours are there");
        };
        assert!(found.low <= found.position && found.position <= found.high);
        assert!(found.low <= 10.0 && found.high >= 4990.0, "{found:?}");
    }

    #[test]
    fn a_fix_whose_counter_was_about_to_turn_bounds_all_others() {
        // 300 steps/s from 0.4: the counter turns between two of three fixes.
        let mut track = AxisTrack::default();
        track.take_motion(Nanos::ZERO, Steps(0), 300.0);
        for n in 1..20_i64 {
            let at = n * 1_000_000;
            track.take_fix(&fix(at, at, (300e-9 * at as f64 + 0.4).round() as i64));
        }
        let time = Nanos::from_micros(9_500);
        let Located::At(found) = track.locate(time, time) else {
            panic!("two neighbours are there");
        };
        let truth = 300e-9 * 9_500_000.0 + 0.4;
        assert!(found.low <= truth && truth <= found.high, "{found:?}");
        assert!(found.high - found.low < 0.5, "{found:?}");
    }

    #[test]
    fn a_wide_fix_bounds_the_position_and_is_not_interpolated_from() {
        let mut track = cruising();
        // Its reply came 5 ms late, so that the middle of its span is 2.5 ms off.
        let wide = fix(9_900_000, 15_100_000, 10);
        assert!(track.take_fix(&wide));
        let time = Nanos::from_micros(9_500);
        assert!(!track.is_settled(time, 0), "a better fix may follow");
        assert!(!track.take_fix(&fix(15_900_000, 16_100_000, 16)));
        assert!(track.is_settled(time, 0));
        assert!(!track.is_settled(time, 2), "more are asked for");
        let Located::At(found) = track.locate(time, time) else {
            panic!("neighbours are there");
        };
        assert!((found.position - 9.5).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn what_no_later_time_needs_is_forgotten() {
        let mut track = cruising();
        for n in 10..40 {
            let middle = n * 1_000_000;
            track.take_fix(&fix(middle - 100_000, middle + 100_000, n));
        }
        track.forget_before(Nanos::from_micros(35_500));
        // Those of 28 to 39 ms: eight before the time, four behind it.
        assert_eq!(track.points.len(), WITNESSES + 4);
        let time = Nanos::from_micros(35_500);
        assert!(matches!(track.locate(time, time), Located::At(_)));
    }
}
