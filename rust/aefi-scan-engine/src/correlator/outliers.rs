//! Fixes that those around them contradict: a flipped digit, an old reply once more.
//!
//! Over a few fixes the counter is a straight line in time, to within the quantisation
//! and the latch's instant, on a ramp too. So a fix is judged by the line through its
//! neighbours (medians of slopes and of distances: Theil and Sen), where these agree:
//! where a move begins or is cut off they don't, and all are taken.

use std::collections::VecDeque;

use crate::records::Fix;

/// Neighbours that judge a fix: so many before it, and so many behind.
const BEFORE: usize = 8;
const BEHIND: usize = 3;
const NEIGHBOURS: usize = BEFORE + BEHIND;
const PAIRS: usize = NEIGHBOURS * (NEIGHBOURS - 1) / 2;
/// Fewer judge nothing.
const LEAST: usize = 6;
/// Farther from the line than this is no quantisation, in steps; clean fixes stay
/// within 0.72.
const THRESHOLD: f64 = 1.0;
/// The same in medians of the neighbours' own distances, where the latch scatters more.
const SPREADS: f64 = 4.0;
/// What the rounding to a step is off by, at most, in steps.
const QUANTISATION: f64 = 0.5;
/// More false ones in a row are none: what they are judged by is.
const PATIENCE: usize = 3;

/// The fixes of one axis on their way to be used.
#[derive(Debug)]
pub(super) struct Outliers {
    /// Judged ones, and behind them those that wait.
    window: VecDeque<Fix>,
    waiting: usize,
    /// Whether the axis was told to move.
    moves: bool,
    /// Fixes rejected in a row.
    rejected: usize,
}

impl Default for Outliers {
    fn default() -> Self {
        Self {
            window: VecDeque::with_capacity(NEIGHBOURS + 2),
            waiting: 0,
            moves: false,
            rejected: 0,
        }
    }
}

impl Outliers {
    /// Takes notice that a move begins, or a rest; every fix before was released.
    pub(super) fn begin(&mut self, moves: bool) {
        self.window.clear();
        self.waiting = 0;
        self.rejected = 0;
        self.moves = moves;
    }

    /// Takes a fix that nothing was said against; returns one that is judged, if one is.
    pub(super) fn take(&mut self, fix: Fix) -> Option<Fix> {
        if !self.moves {
            return Some(fix); // The counter of a resting axis is one number.
        }
        self.window.push_back(fix);
        self.waiting += 1;
        (self.waiting > BEHIND).then(|| self.release_one())
    }

    /// Returns the next fix of those that wait for more, if one does.
    pub(super) fn release(&mut self) -> Option<Fix> {
        (self.waiting > 0).then(|| self.release_one())
    }

    fn release_one(&mut self) -> Fix {
        let at = self.window.len() - self.waiting;
        let is_false = self.is_false(at);
        self.waiting -= 1;
        let fix = self.window[at];
        if is_false && self.rejected < PATIENCE {
            self.rejected += 1;
            // It is no neighbour of those behind it.
            self.window.remove(at);
            return Fix {
                flags: fix.flags | Fix::OUTLIER,
                ..fix
            };
        }
        self.rejected = 0;
        if at == BEFORE {
            self.window.pop_front();
        }
        fix
    }

    /// Returns whether the fixes around it agree with each other and not with this one.
    fn is_false(&self, at: usize) -> bool {
        let Some(around) = self.neighbours(at) else {
            return false;
        };
        let vague = self.vagueness(at) * around.slope.abs();
        let is_off = around.line.abs() > around.threshold() + vague;
        is_off && around.agree() && !around.is_followed(at)
    }

    /// Returns the line through the fixes around one of them, if there are enough.
    fn neighbours(&self, at: usize) -> Option<Neighbours> {
        let count = (self.window.len() - 1).min(NEIGHBOURS);
        if count < LEAST {
            return None;
        }
        let origin = self.window[at];
        let mut points = [(0.0, 0.0); NEIGHBOURS];
        let others = self.window.iter().enumerate().filter(|(n, _)| *n != at);
        for (point, (_, fix)) in points.iter_mut().zip(others) {
            let since = (fix.middle() - origin.middle()).0 as f64;
            *point = (since, (fix.counts.0 - origin.counts.0) as f64);
        }
        let slope = slope(&points[..count]);
        let mut rests = points.map(|(since, counts)| counts - slope * since);
        let mut sorted = rests;
        let line = median(&mut sorted[..count]);
        for rest in &mut rests {
            *rest -= line;
        }
        Some(Neighbours {
            rests,
            count,
            slope,
            line,
        })
    }

    /// Returns how much worse the instant of a latch is known than those around, in ns.
    fn vagueness(&self, at: usize) -> f64 {
        let half = |fix: &Fix| (fix.latest - fix.earliest).0 as f64 / 2.0;
        let mut halves = [0.0; NEIGHBOURS + 1];
        let count = self.window.len().min(NEIGHBOURS + 1);
        for (place, fix) in halves.iter_mut().zip(&self.window) {
            *place = half(fix);
        }
        (half(&self.window[at]) - median(&mut halves[..count])).max(0.0)
    }
}

/// The line through the fixes around one, and how far they are from it, in steps.
struct Neighbours {
    rests: [f64; NEIGHBOURS],
    count: usize,
    /// In steps/ns.
    slope: f64,
    /// Where the line is at that one's instant, from its own counter.
    line: f64,
}

impl Neighbours {
    fn distances(&self) -> [f64; NEIGHBOURS] {
        self.rests.map(f64::abs)
    }

    /// Two thirds of them are near the line.
    fn agree(&self) -> bool {
        let distances = self.distances();
        let near = distances[..self.count].iter();
        3 * near.filter(|distance| **distance <= THRESHOLD).count() >= 2 * self.count
    }

    fn threshold(&self) -> f64 {
        let spread = median(&mut self.distances()[..self.count]);
        THRESHOLD.max(SPREADS * spread)
    }

    /// Where those behind number `at` are off as far, to the same side, the way has
    /// changed, or the roundings before were all to the other side.
    fn is_followed(&self, at: usize) -> bool {
        let mut rests = self.rests;
        let behind = &mut rests[at.min(self.count)..self.count.min(at + BEHIND)];
        if behind.is_empty() {
            return false;
        }
        let followed = median(behind);
        followed * -self.line > 0.0 && followed.abs() >= self.line.abs() - QUANTISATION
    }
}

/// Returns the median slope of all pairs of points of different times.
fn slope(points: &[(f64, f64)]) -> f64 {
    let mut slopes = [0.0; PAIRS];
    let mut count = 0;
    for (number, (since, counts)) in points.iter().enumerate() {
        for (later, more) in &points[number + 1..] {
            if later > since {
                slopes[count] = (more - counts) / (later - since);
                count += 1;
            }
        }
    }
    if count == 0 {
        return 0.0;
    }
    median(&mut slopes[..count])
}

/// Returns the median; sorts on the way.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Axis, Nanos, Steps};

    /// A fix a millisecond at 1500 steps/s; `wrong` is added to one of them.
    fn judged(wrong: i64, way: impl Fn(f64) -> f64) -> Vec<Fix> {
        let mut outliers = Outliers::default();
        outliers.begin(true);
        let mut found = Vec::new();
        for n in 0..40_i64 {
            let at = Nanos(n * 1_000_000);
            let counts = way(at.as_secs_f64()).round() as i64;
            let counts = Steps(counts + if n == 20 { wrong } else { 0 });
            let fix = Fix {
                axis: Axis::Y,
                sent: at,
                received: at,
                earliest: at,
                latest: at,
                counts,
                flags: 0,
            };
            found.extend(outliers.take(fix));
        }
        while let Some(fix) = outliers.release() {
            found.push(fix);
        }
        found
    }

    fn outliers(fixes: &[Fix]) -> Vec<i64> {
        let is_one = |fix: &&Fix| fix.flags & Fix::OUTLIER != 0;
        fixes
            .iter()
            .filter(is_one)
            .map(|fix| fix.sent.0 / 1_000_000)
            .collect()
    }

    #[test]
    fn a_fix_that_is_two_steps_off_is_found_at_any_speed_and_on_a_ramp() {
        for wrong in [-9, -3, -2, 2, 3, 9] {
            for (start, speed) in [(0.0, 1500.0), (0.3, 1499.2), (0.9, -1500.0), (0.2, 333.0)] {
                let fixes = judged(wrong, |t| start + speed * t);
                assert_eq!(outliers(&fixes), [20], "{wrong} at {start}, {speed}");
            }
            let fixes = judged(wrong, |t| 1000.0 * t + 2500.0 * t * t);
            assert_eq!(outliers(&fixes), [20], "{wrong} on a ramp");
        }
    }

    #[test]
    fn a_resting_axis_waits_for_nothing() {
        let mut outliers = Outliers::default();
        let fix = judged(0, |_| 7.0)[0];
        assert_eq!(outliers.take(fix), Some(fix));
        assert_eq!(outliers.release(), None);
        outliers.begin(true);
        assert_eq!(outliers.take(fix), None);
    }

    #[test]
    fn no_true_fix_is_found_and_none_is_lost_or_out_of_order() {
        let ways: [fn(f64) -> f64; 5] = [
            |t| 1500.0 * t,
            |t| 1500.0 * t.min(0.0213),
            |t| 2500.0 * t * t,
            |t| 500.0 * t,
            |_| 7.0,
        ];
        for way in ways {
            let fixes = judged(0, way);
            assert!(outliers(&fixes).is_empty());
            assert!(fixes.windows(2).all(|pair| pair[0].sent < pair[1].sent));
            assert_eq!(fixes.len(), 40);
        }
    }
}
