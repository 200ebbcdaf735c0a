//! Where in the controller's turnaround a counter is latched, found in flight.
//!
//! At constant speed v, with the request arrived at e and the reply begun w later:
//!
//! ```text
//! counts = a + v (e + f w)
//! ```
//!
//! The turnaround w varies. If the counter is latched at its end (f = 1), a longer one
//! lets the axis go further; if at its beginning (f = 0), it does not. So f is the
//! slope of the counts over w, at equal e, divided by v: least squares over each line,
//! pooled over all lines. The fraction that varies is taken for that of the whole.
//!
//! What delays a reply on its way into this host looks like a turnaround after the
//! latch and pulls f towards 0; so much of that as is usual is part of the error.

use crate::records::Fix;
use crate::units::Nanos;

/// A counter is the position rounded to a step: the variance of that.
const QUANTISATION: f64 = 1.0 / 12.0;
/// How unevenly a host receives, s rms: the wake-ups of its threads.
const RECEPTION: f64 = 10e-6;
/// Fixes in a line, and fixes altogether, that are too few to say anything.
const LEAST_IN_LINE: f64 = 8.0;
const LEAST: f64 = 100.0;
/// Before anything is found, f is somewhere from 0 to 1: mean and variance of that.
const UNKNOWN: (f64, f64) = (0.5, 1.0 / 12.0);

/// The instant at which counters are latched, as a fraction of the turnaround.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatchFraction {
    /// The fraction: 0 for its beginning, 1 for its end.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

impl LatchFraction {
    /// Returns what the estimates use: what was found as far as its error is small, and
    /// else the middle of the turnaround.
    #[must_use]
    pub fn used(&self) -> f64 {
        let (middle, variance) = UNKNOWN;
        let weight = variance / (variance + self.error * self.error);
        middle + weight * (self.value.clamp(0.0, 1.0) - middle)
    }
}

/// Sums over the fixes of one line, each relative to the line's first.
#[derive(Debug, Clone, Copy)]
struct Line {
    first: Fix,
    count: f64,
    /// Of arrival (s), turnaround (s) and counts: sums, then sums of products.
    sum: [f64; 3],
    products: [[f64; 3]; 3],
}

/// What a line adds to the pooled slope: weighted sums, and what its fit leaves over.
#[derive(Debug, Clone, Copy, Default)]
struct Pool {
    count: f64,
    /// Of turnaround times counts and of turnaround squared, both at equal arrival, in
    /// steps of the axis.
    with_counts: f64,
    squared: f64,
    /// The same square in s.
    spread: f64,
    rest: f64,
}

/// Learns the fraction from the fixes of moves at constant speed.
#[derive(Debug, Clone, Default)]
pub struct LatchFinder {
    line: Option<Line>,
    ended: Pool,
}

impl LatchFinder {
    /// Takes a fix of an axis at constant speed, in the order of time.
    pub fn take_fix(&mut self, fix: &Fix) {
        self.line.get_or_insert_with(|| Line::new(*fix)).take(fix);
    }

    /// Takes notice that the next fix is of another line, or of this one after a stop.
    pub fn end_line(&mut self) {
        if let Some(line) = self.line.take() {
            self.ended = self.ended.and(&line.fit());
        }
    }

    /// Returns what is known by now, if anything is.
    #[must_use]
    pub fn fraction(&self) -> Option<LatchFraction> {
        let line = self.line.as_ref().map(Line::fit);
        self.ended.and(&line.unwrap_or_default()).fraction()
    }
}

impl Line {
    fn new(first: Fix) -> Self {
        Self {
            first,
            count: 0.0,
            sum: [0.0; 3],
            products: [[0.0; 3]; 3],
        }
    }

    fn take(&mut self, fix: &Fix) {
        let s = |span: Nanos| span.as_secs_f64();
        let values = [
            s(fix.earliest - self.first.earliest),
            s(fix.latest - fix.earliest) - s(self.first.latest - self.first.earliest),
            (fix.counts.0 - self.first.counts.0) as f64,
        ];
        self.count += 1.0;
        for (i, value) in values.iter().enumerate() {
            self.sum[i] += value;
            for (j, other) in values.iter().enumerate() {
                self.products[i][j] += value * other;
            }
        }
    }

    /// Least squares of the counts on arrival and turnaround.
    fn fit(&self) -> Pool {
        let of = |i: usize, j: usize| {
            self.products[i][j] - self.sum[i] * self.sum[j] / self.count.max(1.0)
        };
        let (arrival, turnaround, counts) = (0, 1, 2);
        let arrivals = of(arrival, arrival);
        if self.count < LEAST_IN_LINE || arrivals <= 0.0 {
            return Pool::default();
        }
        let speed = of(arrival, counts) / arrivals;
        // Both without what follows from the arrival alone.
        let at_equal_arrival =
            |i: usize, j: usize| of(i, j) - of(arrival, i) * of(arrival, j) / arrivals;
        let spread = at_equal_arrival(turnaround, turnaround).max(0.0);
        Pool {
            count: self.count,
            with_counts: speed * at_equal_arrival(turnaround, counts),
            squared: speed * speed * spread,
            spread,
            rest: at_equal_arrival(counts, counts),
        }
    }
}

impl Pool {
    fn and(&self, other: &Self) -> Self {
        Self {
            count: self.count + other.count,
            with_counts: self.with_counts + other.with_counts,
            squared: self.squared + other.squared,
            spread: self.spread + other.spread,
            rest: self.rest + other.rest,
        }
    }

    fn fraction(&self) -> Option<LatchFraction> {
        let variance = self.spread / self.count;
        let reception = RECEPTION * RECEPTION;
        if self.count < LEAST || variance <= reception || self.squared <= 0.0 {
            return None;
        }
        let value = self.with_counts / self.squared;
        let noise = (self.rest / self.count).max(QUANTISATION);
        let bias = value * reception / (variance - reception);
        Some(LatchFraction {
            value,
            error: (noise / self.squared).sqrt().hypot(bias),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Axis, Steps};

    /// Fixes of three lines there and back at 1500 steps/s, latched at `fraction` of a
    /// turnaround of 1 ms and up to `jitter` s more; the reply is received up to
    /// `reception` s late.
    fn found(fraction: f64, jitter: f64, reception: f64) -> Option<LatchFraction> {
        let mut finder = LatchFinder::default();
        let mut state = 1_u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        for line in 0..3 {
            let mut at = f64::from(line) * 10.0;
            let speed = if line == 1 { -1500.0 } else { 1500.0 };
            for _ in 0..2000 {
                let turnaround = 1e-3 + jitter * random();
                let seen = turnaround + reception * random();
                let counts = (speed * (at + fraction * turnaround)).round() as i64;
                let nanos = |seconds: f64| Nanos((seconds * 1e9).round() as i64);
                finder.take_fix(&Fix {
                    axis: Axis::X,
                    sent: nanos(at),
                    received: nanos(at + seen),
                    earliest: nanos(at),
                    latest: nanos(at + seen),
                    counts: Steps(counts),
                    flags: 0,
                });
                at += 0.4e-3 + seen;
            }
            finder.end_line();
        }
        finder.fraction()
    }

    #[test]
    fn the_fraction_is_found_within_its_error() {
        for fraction in [0.0, 0.3, 0.5, 1.0] {
            let found = found(fraction, 1e-4, 0.0).expect("it varies");
            assert!(found.error < 0.2, "{found:?}");
            let off = (found.value - fraction).abs();
            assert!(off < 3.0 * found.error, "{fraction}: {found:?}");
            let used = (found.used() - fraction).abs();
            assert!(used < 0.15, "{fraction}: {found:?}");
        }
    }

    #[test]
    fn a_turnaround_that_hardly_varies_says_nothing() {
        assert_eq!(found(0.0, 2e-5, 0.0), None);
    }

    #[test]
    fn usual_reception_is_in_the_error() {
        // Late by 10 us rms, as assumed; the fraction comes out too small.
        let found = found(1.0, 1e-4, 35e-6).expect("it varies");
        assert!(found.value < 0.95, "{found:?}");
        assert!(1.0 - found.value < 3.0 * found.error, "{found:?}");
    }

    #[test]
    fn few_fixes_say_nothing() {
        assert_eq!(LatchFinder::default().fraction(), None);
    }
}
