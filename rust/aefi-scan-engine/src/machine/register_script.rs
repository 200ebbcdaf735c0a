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
