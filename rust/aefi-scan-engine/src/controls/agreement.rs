//! What a flight's threads must agree on.

use std::sync::OnceLock;

use crate::error::Cause;
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// Where the stage, the detector and the correlator wait for each other, or tell each
/// other what they can't see.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    broken: AtomicU32,
    resume: AtomicU64,
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

impl Agreement {
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

    /// Counts a break of the flight and returns its number, from 1.
    pub(crate) fn next_break(&self) -> u32 {
        self.broken.fetch_add(1, Ordering::AcqRel) + 1
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

    pub(crate) fn is_stage_over(&self) -> bool {
        self.stage_over.load(Ordering::Acquire)
    }

    /// Says that every line was flown, before the stage's part is over.
    pub(crate) fn set_flown_to_the_end(&self) {
        self.flown_to_the_end.store(true, Ordering::Release);
    }

    pub(crate) fn set_detector_fault(&self, cause: Cause) {
        // The first cause is the one that counts.
        let _ = self.detector_fault.set(cause);
    }

    pub(crate) fn set_spool_fault(&self, cause: Cause) {
        let _ = self.spool_fault.set(cause);
    }

    /// Returns whether the stage's part ended with its last line.
    pub(crate) fn is_flown_to_the_end(&self) -> bool {
        self.is_stage_over() && self.flown_to_the_end.load(Ordering::Acquire)
    }

    /// Returns what failed beside the stage; the first cause of each counts.
    pub(crate) fn fault(&self) -> Option<&Cause> {
        self.detector_fault.get().or(self.spool_fault.get())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_alone() {
        let agreement = Agreement::default();
        agreement.set_ended(3);
        assert!(!agreement.has_ended(3), "nothing is expected yet");
        agreement.expect_frames(130);
        for frame in [0, 64, 129] {
            agreement.set_ended(frame);
        }
        let ended: Vec<usize> = (0..200)
            .filter(|frame| agreement.has_ended(*frame))
            .collect();
        assert_eq!(ended, [0, 64, 129]);
    }

    #[test]
    fn the_resume_frame_belongs_to_its_break() {
        let agreement = Agreement::default();
        assert_eq!(agreement.resume_frame(1), None);
        agreement.set_resume_frame(1, 42);
        assert_eq!(agreement.resume_frame(1), Some(42));
        assert_eq!(agreement.resume_frame(2), None);
    }
}
