//! What a bench in virtual time looks like to the engine's event queue.
//!
//! The simulated bench implements this trait, and nothing else of this crate is
//! used by it: driver and simulator share no line of parsing.

use crate::units::Nanos;

/// The serial links of one bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Link {
    /// The stage controller.
    Stage,
    /// The microcontroller behind which the acquisition sits.
    Acquisition,
}

/// A bench whose links exist in virtual time.
///
/// The host writes at an instant; what comes back becomes readable at instants
/// that the bench announces. Instants handed in never decrease.
pub trait VirtualBench {
    /// Takes bytes that the host wrote to `link` at `now`.
    fn write(&mut self, link: Link, now: Nanos, bytes: &[u8]);

    /// Returns the earliest instant at which the host can read bytes of `link`,
    /// if anything is on its way.
    fn next_arrival(&self, link: Link) -> Option<Nanos>;

    /// Appends to `into` what is readable on `link` at `now`, and forgets it.
    fn read(&mut self, link: Link, now: Nanos, into: &mut Vec<u8>);

    /// Returns whether `link` is gone for good, as an unplugged port is.
    fn is_gone(&self, link: Link) -> bool;
}
