//! What passes between the threads of a flight and its owner, by atomics only.

use std::sync::OnceLock;

use crate::error::Cause;
use crate::outcome::FlightState;
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use crate::units::{Axis, Nanos};

/// What the owner asks for; a higher one replaces a lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// Fly.
    Fly,
    /// Come to rest and wait.
    Pause,
    /// Come to rest and end.
    Stop,
    /// Stand at once and end.
    Abort,
}

impl Demand {
    const ALL: [Self; 4] = [Self::Fly, Self::Pause, Self::Stop, Self::Abort];
}

/// Shifts positions away from zero.
const KNOWN: u64 = 1 << 63;

/// Shared by a flight's threads and its owner.
///
/// Each cell stands alone and is a hint or a request, so Relaxed is enough but
/// where a comment says otherwise; records travel through the rings.
#[derive(Debug, Default)]
pub struct Controls {
    demand: AtomicU8,
    state: AtomicU8,
    broken: AtomicU32,
    resume: AtomicU64,
    lines_done: AtomicUsize,
    frames_done: AtomicUsize,
    now: AtomicU64,
    /// Expected positions in thousandths of a step, X first, shifted so that zero
    /// means that nothing is known.
    positions: [AtomicU64; 2],
    detector_ready: AtomicBool,
    mute_wanted: AtomicBool,
    muted: AtomicBool,
    stage_over: AtomicBool,
    flown_to_the_end: AtomicBool,
    /// A bit for each frame, set when it ends: nothing is given for it any more.
    ended: OnceLock<Box<[AtomicU64]>>,
    detector_fault: OnceLock<Cause>,
    spool_fault: OnceLock<Cause>,
}

impl Controls {
    /// Asks for `demand`; a weaker demand than the one in force changes nothing.
    pub fn demand(&self, demand: Demand) {
        // Release and Acquire: who sees the demand sees what was done before it.
        self.demand.fetch_max(demand as u8, Ordering::Release);
    }

    /// Takes a pause back and returns whether there was one.
    pub fn resume(&self) -> bool {
        let (pause, fly) = (Demand::Pause as u8, Demand::Fly as u8);
        self.demand
            .compare_exchange(pause, fly, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Returns the demand in force.
    #[must_use]
    pub fn demanded(&self) -> Demand {
        Demand::ALL[usize::from(self.demand.load(Ordering::Acquire))]
    }

    /// Returns where the flight stands.
    #[must_use]
    pub fn state(&self) -> FlightState {
        FlightState::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub(crate) fn set_state(&self, state: FlightState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Says that break number `epoch` of the flight goes on at `frame`.
    pub(crate) fn set_resume_frame(&self, epoch: u32, frame: usize) {
        let packed = u64::from(epoch) << 32 | frame as u64;
        self.resume.store(packed, Ordering::Release);
    }

    /// Returns the frame at which the flight goes on after break number `epoch`,
    /// once that is known.
    pub(crate) fn resume_frame(&self, epoch: u32) -> Option<usize> {
        let packed = self.resume.load(Ordering::Acquire);
        (packed >> 32 == u64::from(epoch)).then_some((packed & 0xFFFF_FFFF) as usize)
    }

    /// Makes room for the ends of so many frames.
    pub(crate) fn expect_frames(&self, frames: usize) {
        self.ended.get_or_init(|| {
            (0..frames.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect()
        });
    }

    /// Says that `frame` has its final state. Who reads the resume frame that is set
    /// after it sees it.
    pub(crate) fn set_ended(&self, frame: usize) {
        if let Some(word) = self.ended.get().and_then(|bits| bits.get(frame / 64)) {
            word.fetch_or(1 << (frame % 64), Ordering::Relaxed);
        }
    }

    /// Returns whether `frame` has its final state, as far as that is known here.
    pub(crate) fn has_ended(&self, frame: usize) -> bool {
        let word = self.ended.get().and_then(|bits| bits.get(frame / 64));
        word.is_some_and(|word| word.load(Ordering::Relaxed) & 1 << (frame % 64) != 0)
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

    pub(crate) fn set_detector_ready(&self) {
        self.detector_ready.store(true, Ordering::Release);
    }

    pub(crate) fn is_detector_ready(&self) -> bool {
        self.detector_ready.load(Ordering::Acquire)
    }

    /// Asks for the excitation off, or on, for the line that comes next.
    pub(crate) fn want_mute(&self, muted: bool) {
        self.mute_wanted.store(muted, Ordering::Release);
    }

    pub(crate) fn is_mute_wanted(&self) -> bool {
        self.mute_wanted.load(Ordering::Acquire)
    }

    /// Says that the excitation is off, or on, by the device's word.
    pub(crate) fn set_muted(&self, muted: bool) {
        self.muted.store(muted, Ordering::Release);
    }

    /// Returns whether the excitation is as the line that comes next wants it.
    pub(crate) fn is_as_wanted(&self) -> bool {
        self.muted.load(Ordering::Acquire) == self.is_mute_wanted()
    }

    pub(crate) fn set_stage_over(&self) {
        self.stage_over.store(true, Ordering::Release);
    }

    /// Says that every line was flown, before the stage's part is over.
    pub(crate) fn set_flown_to_the_end(&self) {
        self.flown_to_the_end.store(true, Ordering::Release);
    }

    /// Returns whether the stage's part ended with its last line, and nobody wants the
    /// flight to end at once.
    pub(crate) fn is_flown_to_the_end(&self) -> bool {
        self.is_stage_over() && self.flown_to_the_end.load(Ordering::Acquire) && !self.is_to_end()
    }

    /// Returns whether somebody wants the flight to end.
    pub(crate) fn is_to_end(&self) -> bool {
        self.demanded() >= Demand::Stop
    }

    pub(crate) fn is_stage_over(&self) -> bool {
        self.stage_over.load(Ordering::Acquire)
    }

    pub(crate) fn set_detector_fault(&self, cause: Cause) {
        // The first cause is the one that counts.
        let _ = self.detector_fault.set(cause);
    }

    pub(crate) fn detector_fault(&self) -> Option<&Cause> {
        self.detector_fault.get()
    }

    pub(crate) fn set_spool_fault(&self, cause: Cause) {
        let _ = self.spool_fault.set(cause);
    }

    pub(crate) fn spool_fault(&self) -> Option<&Cause> {
        self.spool_fault.get()
    }

    /// Counts a break of the flight and returns its number, from 1.
    pub(crate) fn next_break(&self) -> u32 {
        self.broken.fetch_add(1, Ordering::AcqRel) + 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_demand_replaces_a_weaker_one_and_never_the_other_way() {
        let controls = Controls::default();
        controls.demand(Demand::Stop);
        controls.demand(Demand::Pause);
        assert_eq!(controls.demanded(), Demand::Stop);
        assert!(!controls.resume(), "a stop is not taken back");
        controls.demand(Demand::Abort);
        assert_eq!(controls.demanded(), Demand::Abort);
    }

    #[test]
    fn a_pause_is_taken_back_once() {
        let controls = Controls::default();
        controls.demand(Demand::Pause);
        assert!(controls.resume());
        assert!(!controls.resume());
        assert_eq!(controls.demanded(), Demand::Fly);
    }

    #[test]
    fn a_position_is_not_known_before_it_was_told() {
        let controls = Controls::default();
        assert_eq!(controls.position(Axis::Y), None);
        for steps in [0.0, -27_951.25, 1e9] {
            controls.set_position(Axis::Y, steps);
            assert_eq!(controls.position(Axis::Y), Some(steps));
        }
        assert_eq!(controls.position(Axis::X), None);
    }

    #[test]
    fn a_frame_ends_alone() {
        let controls = Controls::default();
        controls.set_ended(3);
        assert!(!controls.has_ended(3), "nothing is expected yet");
        controls.expect_frames(130);
        for frame in [0, 64, 129] {
            controls.set_ended(frame);
        }
        let ended: Vec<usize> = (0..200)
            .filter(|frame| controls.has_ended(*frame))
            .collect();
        assert_eq!(ended, [0, 64, 129]);
    }

    #[test]
    fn the_resume_frame_belongs_to_its_break() {
        let controls = Controls::default();
        assert_eq!(controls.resume_frame(1), None);
        controls.set_resume_frame(1, 42);
        assert_eq!(controls.resume_frame(1), Some(42));
        assert_eq!(controls.resume_frame(2), None);
    }
}
