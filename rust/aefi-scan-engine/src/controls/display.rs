//! What the owner is shown while a flight flies: nothing is decided by it.

use crate::outcome::FlightState;
use crate::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use crate::units::{Axis, Nanos};

/// Shifts positions away from zero.
const KNOWN: u64 = 1 << 63;

/// How far the flight is.
#[derive(Debug, Default)]
pub struct Display {
    state: AtomicU8,
    lines_done: AtomicUsize,
    frames_done: AtomicUsize,
    now: AtomicU64,
    /// Expected positions in thousandths of a step, X first, shifted so that zero
    /// means that nothing is known.
    positions: [AtomicU64; 2],
}

impl Display {
    /// Returns where the flight stands.
    #[must_use]
    pub fn state(&self) -> FlightState {
        FlightState::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub(crate) fn set_state(&self, state: FlightState) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(crate) fn set_done(&self, lines: usize, frames: usize) {
        self.lines_done.store(lines, Ordering::Relaxed);
        self.frames_done.store(frames, Ordering::Relaxed);
    }

    /// Returns lines flown and frames in a final state.
    #[must_use]
    pub fn done(&self) -> (usize, usize) {
        (
            self.lines_done.load(Ordering::Relaxed),
            self.frames_done.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn set_now(&self, now: Nanos) {
        self.now.store(now.0 as u64, Ordering::Relaxed);
    }

    /// Returns the last instant of the flight's clock that a shell reported.
    #[must_use]
    pub fn now(&self) -> Nanos {
        Nanos(self.now.load(Ordering::Relaxed) as i64)
    }

    pub(crate) fn set_position(&self, axis: Axis, steps: f64) {
        let shifted = ((steps * 1e3) as i64 as u64).wrapping_add(KNOWN);
        self.positions[axis.index()].store(shifted, Ordering::Relaxed);
    }

    /// Returns where `axis` was expected to be when it was last heard of, in steps:
    /// for a display, never for the record.
    #[must_use]
    pub fn position(&self, axis: Axis) -> Option<f64> {
        let shifted = self.positions[axis.index()].load(Ordering::Relaxed);
        (shifted != 0).then(|| shifted.wrapping_sub(KNOWN) as i64 as f64 / 1e3)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_not_known_before_it_was_told() {
        let display = Display::default();
        assert_eq!(display.position(Axis::Y), None);
        for steps in [0.0, -27_951.25, 1e9] {
            display.set_position(Axis::Y, steps);
            assert_eq!(display.position(Axis::Y), Some(steps));
        }
        assert_eq!(display.position(Axis::X), None);
    }
}
