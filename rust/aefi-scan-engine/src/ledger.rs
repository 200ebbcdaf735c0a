//! The one final state of each planned frame.

/// The final state of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameState {
    /// Enough readings at constant speed.
    Ok,
    /// Enough readings, but too late.
    Late,
    /// Passed with too few readings, or without its pulse.
    Missed,
    /// Flown again although it was ok.
    Duplicate,
    /// Its readings lie outside its window.
    OutOfWindow,
    /// Being filled when the flight was stopped, aborted or failed.
    Aborted,
    /// Never begun.
    NotReached,
}

impl FrameState {
    /// All states; the place in this list is the state's code.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Late,
        Self::Missed,
        Self::Duplicate,
        Self::OutOfWindow,
        Self::Aborted,
        Self::NotReached,
    ];

    /// Returns the state's code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Frames by their final state; the sum is always the number planned.
#[derive(Debug, Clone)]
pub struct Ledger {
    states: Vec<Option<FrameState>>,
}

impl Ledger {
    /// Returns a ledger in which no frame has ended.
    #[must_use]
    pub fn new(frames: usize) -> Self {
        Self {
            states: vec![None; frames],
        }
    }

    /// Gives `frame` its final state and returns whether it was the first.
    ///
    /// A frame keeps the first final state it was given.
    pub fn end(&mut self, frame: usize, state: FrameState) -> bool {
        let entry = &mut self.states[frame];
        if entry.is_some() {
            return false;
        }
        *entry = Some(state);
        true
    }

    /// Returns the state of `frame`, if it has ended.
    #[must_use]
    pub fn state(&self, frame: usize) -> Option<FrameState> {
        self.states[frame]
    }

    /// Returns how many frames stand in each state, by code. What has not ended
    /// counts as not reached.
    #[must_use]
    pub fn totals(&self) -> [u64; 7] {
        let mut totals = [0; 7];
        for state in &self.states {
            totals[usize::from(state.unwrap_or(FrameState::NotReached).code())] += 1;
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_ends_once_and_the_sum_is_what_was_planned() {
        let mut ledger = Ledger::new(3);
        assert!(ledger.end(0, FrameState::Ok));
        assert!(!ledger.end(0, FrameState::Missed));
        assert!(ledger.end(2, FrameState::Missed));
        assert_eq!(ledger.state(0), Some(FrameState::Ok));
        assert_eq!(ledger.totals(), [1, 0, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn the_code_is_the_place_in_the_list() {
        for (place, state) in FrameState::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.code()), place);
        }
    }
}
