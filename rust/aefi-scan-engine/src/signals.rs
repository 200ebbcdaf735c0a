//! Which sequence of signals stops the motion; no clock, no thread.
//!
//! What is demanded is a pause, the weakest demand that stops: whether the flight
//! goes on or ends is for its owner, who hears of the signal too, if later.

use crate::controls::Demand;
use crate::units::Nanos;

/// A second signal counts up to this long after the first one, as in bluesky's
/// `SigintHandler`.
pub const MEMORY: Nanos = Nanos::from_millis(10_000);
/// What follows sooner is the same key press, as there.
pub const DEBOUNCE: Nanos = Nanos::from_millis(100);

/// Numbers of the signals that stop; all others do nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SignalRules {
    /// These stop at once.
    pub at_once: Vec<u8>,
    /// These stop at the second one: the first is left to whoever else hears it.
    pub on_second: Vec<u8>,
}

/// The signals so far, and what the next one means.
#[derive(Debug, Clone)]
pub struct SignalSequence {
    rules: SignalRules,
    last: Option<Nanos>,
}

impl SignalSequence {
    /// Returns the sequence before its first signal.
    #[must_use]
    pub fn new(rules: SignalRules) -> Self {
        Self { rules, last: None }
    }

    /// Returns what signal `number` at `now` demands, if anything.
    pub fn take(&mut self, number: u8, now: Nanos) -> Option<Demand> {
        if self.rules.at_once.contains(&number) {
            return Some(Demand::Pause);
        }
        if !self.rules.on_second.contains(&number) {
            return None;
        }
        let since = self.last.map(|last| now - last);
        if since.is_some_and(|span| span <= DEBOUNCE) {
            return None;
        }
        self.last = Some(now);
        since
            .is_some_and(|span| span <= MEMORY)
            .then_some(Demand::Pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPT: u8 = 2;
    const TERMINATE: u8 = 15;

    /// Returns what signals at these milliseconds demand.
    fn taken(signals: &[(u8, i64)]) -> Vec<bool> {
        let mut sequence = SignalSequence::new(SignalRules {
            at_once: vec![TERMINATE],
            on_second: vec![INTERRUPT],
        });
        signals
            .iter()
            .map(|&(number, ms)| {
                let demand = sequence.take(number, Nanos::from_millis(ms));
                assert!(matches!(demand, None | Some(Demand::Pause)));
                demand.is_some()
            })
            .collect()
    }

    #[test]
    fn a_signal_of_the_first_kind_stops_at_once_every_time() {
        let signals = [(TERMINATE, 0), (TERMINATE, 1), (TERMINATE, 20_000)];
        assert_eq!(taken(&signals), [true, true, true]);
    }

    #[test]
    fn the_first_interrupt_does_nothing_and_the_second_stops() {
        let signals = [(INTERRUPT, 0), (INTERRUPT, 300), (INTERRUPT, 900)];
        assert_eq!(taken(&signals), [false, true, true]);
    }

    #[test]
    fn an_interrupt_after_ten_seconds_is_a_first_one_again() {
        let signals = [(INTERRUPT, 0), (INTERRUPT, 10_001), (INTERRUPT, 20_001)];
        assert_eq!(taken(&signals), [false, false, true]);
    }

    #[test]
    fn a_key_that_bounces_is_one_interrupt() {
        let signals = [(INTERRUPT, 0), (INTERRUPT, 60), (INTERRUPT, 101)];
        assert_eq!(taken(&signals), [false, false, true]);
    }

    #[test]
    fn a_signal_without_a_rule_neither_stops_nor_counts() {
        let signals = [(INTERRUPT, 0), (28, 200), (1, 400)];
        assert_eq!(taken(&signals), [false, false, false]);
    }
}
