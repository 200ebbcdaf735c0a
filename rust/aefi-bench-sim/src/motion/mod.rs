//! Axes in continuous time: where an axis is, was and will be.
//!
//! A motion is a list of segments of constant acceleration, planned when its
//! command arrives, so that the position at any instant is one formula away and
//! nothing depends on how often somebody looks. Model: `arcus-pmx-4ex-sa.md` §6.

mod planning;
mod profile;
mod switches;
mod trajectory;

pub use planning::{Departure, plan_constant, plan_jog, plan_move, plan_stop};
pub use profile::Profile;
pub(crate) use switches::cut_at;
pub use switches::{Passage, Side};
pub use trajectory::{Segment, Trajectory};

/// The axes of the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Axis {
    /// First axis.
    X,
    /// Second axis.
    Y,
    /// Third axis, unused on the bench.
    Z,
    /// Fourth axis, unused on the bench.
    U,
}

impl Axis {
    /// All axes, in the order of the controller's replies.
    pub const ALL: [Self; 4] = [Self::X, Self::Y, Self::Z, Self::U];

    /// Returns 0 for X to 3 for U.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the letter of the axis in upper case.
    #[must_use]
    pub const fn letter(self) -> char {
        ['X', 'Y', 'Z', 'U'][self as usize]
    }

    /// Returns the axis of an upper-case letter.
    #[must_use]
    pub fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|axis| axis.letter() == letter)
    }
}
