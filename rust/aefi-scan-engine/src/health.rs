//! Histograms that cost no allocation.

use crate::units::Nanos;

/// Buckets to a doubling: a percentile is right within 1/16.
const FINE_BITS: u32 = 4;
const FINE: usize = 1 << FINE_BITS;
const BUCKETS: usize = FINE * 44;

/// Spans of time, counted by size.
#[derive(Clone)]
pub struct Histogram {
    buckets: [u32; BUCKETS],
    count: u64,
    max: Nanos,
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("max", &self.max)
            .finish_non_exhaustive()
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            count: 0,
            max: Nanos::ZERO,
        }
    }
}

/// Linear below 16 ns, then 16 buckets to each doubling.
fn bucket(value: u64) -> usize {
    let magnitude = (u64::BITS - value.leading_zeros()).saturating_sub(FINE_BITS + 1);
    let fine = (value >> magnitude) as usize;
    (magnitude as usize * FINE + fine).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle(bucket: usize) -> i64 {
    let magnitude = (bucket / FINE).saturating_sub(1);
    let fine = bucket - magnitude * FINE;
    ((2 * fine + 1) << magnitude) as i64 / 2
}

/// A histogram in four numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// The median.
    pub p50: Nanos,
    /// What 99 % do not exceed.
    pub p99: Nanos,
    /// What 99.9 % do not exceed.
    pub p999: Nanos,
    /// The longest.
    pub max: Nanos,
}

impl Histogram {
    /// Returns the histogram in four numbers; quantiles are right within 1/16.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            p50: self.quantile(0.5),
            p99: self.quantile(0.99),
            p999: self.quantile(0.999),
            max: self.max,
        }
    }

    /// Counts one span; a negative one counts as zero.
    pub fn record(&mut self, span: Nanos) {
        self.buckets[bucket(span.0.max(0) as u64)] += 1;
        self.count += 1;
        self.max = self.max.max(span);
    }

    /// Returns how many spans were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns the longest span.
    #[must_use]
    pub fn max(&self) -> Nanos {
        self.max
    }

    /// Returns the span that `share` (0 to 1) of all spans do not exceed, within
    /// 1/16 of its value; zero if nothing was counted.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Nanos {
        let rank = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return Nanos(middle(index)).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_within_a_sixteenth() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|n| histogram.record(Nanos::from_micros(n)));
        for (share, expected) in [(0.5, 500e3), (0.99, 990e3), (0.1, 100e3)] {
            let found = histogram.quantile(share).0 as f64;
            assert!(
                (found / expected - 1.0).abs() < 1.0 / 16.0,
                "{share}: {found}"
            );
        }
        assert_eq!(histogram.max(), Nanos::from_millis(1));
        assert_eq!(histogram.count(), 1000);
    }

    #[test]
    fn buckets_grow_with_the_span_and_hold_hours() {
        let mut last = 0;
        for value in (0..60).map(|bits| 1_u64 << bits) {
            assert!(bucket(value) >= last);
            last = bucket(value);
        }
        let mut histogram = Histogram::default();
        histogram.record(Nanos(3_600_000_000_000));
        assert_eq!(histogram.quantile(0.5), Nanos(3_600_000_000_000));
    }

    #[test]
    fn an_empty_histogram_says_zero() {
        assert_eq!(Histogram::default().quantile(0.5), Nanos::ZERO);
    }
}
