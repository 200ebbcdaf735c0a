//! What the owner asks for.

use crate::sync::atomic::{AtomicU8, Ordering};

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

/// The demand in force.
#[derive(Debug, Default)]
pub struct Demands {
    demand: AtomicU8,
}

impl Demands {
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

    /// Returns whether somebody wants the flight to end.
    pub(crate) fn is_to_end(&self) -> bool {
        self.demanded() >= Demand::Stop
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stronger_demand_replaces_a_weaker_one_and_never_the_other_way() {
        let demands = Demands::default();
        demands.demand(Demand::Stop);
        demands.demand(Demand::Pause);
        assert_eq!(demands.demanded(), Demand::Stop);
        assert!(!demands.resume(), "a stop is not taken back");
        demands.demand(Demand::Abort);
        assert_eq!(demands.demanded(), Demand::Abort);
    }

    #[test]
    fn a_pause_is_taken_back_once() {
        let demands = Demands::default();
        demands.demand(Demand::Pause);
        assert!(demands.resume());
        assert!(!demands.resume());
        assert_eq!(demands.demanded(), Demand::Fly);
    }
}
