//! Newtypes for what would otherwise be bare numbers.

use std::ops::{Add, Sub};

/// An instant or a span in integer nanoseconds of the run's monotonic clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nanos(pub i64);

impl Nanos {
    /// The instant zero, and the empty span.
    pub const ZERO: Self = Self(0);
    /// Later than everything.
    pub const NEVER: Self = Self(i64::MAX);

    /// Returns `ms` milliseconds.
    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms * 1_000_000)
    }

    /// Returns `us` microseconds.
    #[must_use]
    pub const fn from_micros(us: i64) -> Self {
        Self(us * 1_000)
    }

    /// Returns `s` seconds, rounded to the nanosecond.
    #[must_use]
    pub fn from_secs_f64(s: f64) -> Self {
        Self((s * 1e9).round() as i64)
    }

    /// Returns the value in seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 * 1e-9
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// A position or a distance in motor steps (pulses of the controller's counter).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Steps(pub i64);

/// An axis of the stage that this bench uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Axis {
    /// The controller's first axis.
    X,
    /// The controller's second axis.
    Y,
}

impl Axis {
    /// Both axes, in the controller's order.
    pub const BOTH: [Self; 2] = [Self::X, Self::Y];

    /// Returns the place of the axis in the controller's replies.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::X => 0,
            Self::Y => 1,
        }
    }

    /// Returns the other axis.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::X => Self::Y,
            Self::Y => Self::X,
        }
    }

    /// Returns the controller's letter for the axis.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::X => 'X',
            Self::Y => 'Y',
        }
    }
}
