//! Register writes of the microcontroller, one after the other.

use crate::flight_plan::RegisterWrite;
use crate::protocol::{Request, mcu};
use crate::units::Nanos;

/// A place in a list of register writes: select, write, next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Script {
    entry: usize,
    selected: bool,
}

impl Script {
    pub(super) fn request(self, writes: &[RegisterWrite], allowance: Nanos) -> Option<Request> {
        let entry = writes.get(self.entry)?;
        Some(if self.selected {
            mcu::write(entry.value, allowance)
        } else {
            mcu::select(entry.address, allowance)
        })
    }

    pub(super) fn advanced(self) -> Self {
        Self {
            entry: self.entry + usize::from(self.selected),
            selected: !self.selected,
        }
    }

    /// A pair is begun anew as a whole: what the device selected is not known.
    pub(super) fn rewound(self) -> Self {
        Self {
            entry: self.entry,
            selected: false,
        }
    }
}

/// Failed exchanges in a row after which the device counts as silent.
pub(super) const PATIENCE: u32 = 3;
/// The same while the excitation is switched off: a second is well spent on it.
const LAST_PATIENCE: u32 = 8;
/// Rounds of writes after which the excitation counts as off.
const ROUNDS: u32 = 2;

/// Writes that are sent whatever the link does: they take the excitation away.
///
/// A device that answers is waited for, as with all writes. One that does not may hear
/// all the same: so each request is sent in its turn, without waiting for a sign. No
/// register can be read back, and a request that was damaged on its way is acknowledged
/// as well: so all is written twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SwitchOff {
    script: Script,
    failures: u32,
    /// Whether a request of this round had no answer.
    is_unheard: bool,
    /// Rounds of which every request had one.
    heard: u32,
}

impl SwitchOff {
    /// Returns the same for a device that did not answer before.
    pub(super) fn of_silent_device() -> Self {
        Self {
            failures: PATIENCE,
            ..Self::default()
        }
    }

    /// Returns the next request; nothing if all was done that can be.
    pub(super) fn request(
        &mut self,
        writes: &[RegisterWrite],
        allowance: Nanos,
    ) -> Option<Request> {
        let next = self.script.request(writes, allowance);
        if next.is_some() {
            return next;
        }
        self.heard += u32::from(!self.is_unheard);
        if self.is_heard() || self.failures >= LAST_PATIENCE {
            return None;
        }
        (self.script, self.is_unheard) = (Script::default(), false);
        self.script.request(writes, allowance)
    }

    /// Returns whether requests must not wait for a resynchronisation.
    pub(super) fn is_blind(&self) -> bool {
        self.failures >= PATIENCE
    }

    /// Returns whether every request was acknowledged in as many rounds as it takes.
    pub(super) fn is_heard(&self) -> bool {
        self.heard >= ROUNDS
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn acknowledged(&mut self) {
        self.script = self.script.advanced();
    }

    /// Begins the pair of requests under way anew.
    pub(super) fn rewind(&mut self) {
        self.script = self.script.rewound();
    }

    pub(super) fn failed(&mut self) {
        let was_blind = self.is_blind();
        self.failures += 1;
        if was_blind {
            self.is_unheard = true;
            self.script = self.script.advanced();
        } else {
            self.rewind();
        }
    }
}
