//! The microcontroller and its chips: bytes in, lines out.
//!
//! Sections (§) are those of `mcu-acquisition.md`; the firmware itself was never
//! seen, so what is not recorded there is configurable.

mod converter;
mod parser;
mod replies;
mod synthesizer;

pub use converter::Converter;
pub use parser::{Command, Parser};
pub use replies::ReplyWriter;
pub use synthesizer::{Drive, Synthesizer};

use crate::settings::AcquisitionSettings;

/// The registers behind the microcontroller.
#[derive(Debug, Clone)]
pub struct Chips {
    /// Both ADS131A04, which get the same values.
    pub converter: Converter,
    /// The AD9106.
    pub synthesizer: Synthesizer,
    /// None after it was forgotten.
    selected: Option<u16>,
}

/// The sequence that the host writes without a configuration, address and value
/// (§4.4); tests bring a bench up with it.
pub const START_UP_SEQUENCE: [(u16, u16); 26] = [
    (13, 2),
    (14, 32),
    (17, 0),
    (18, 0),
    (19, 0),
    (20, 0),
    (63, 12_583),
    (62, 8),
    (38, 12_593),
    (39, 12_593),
    (34, 0),
    (35, 0),
    (36, 0),
    (37, 0),
    (49, 0),
    (53, 0),
    (67, 0),
    (48, 0),
    (52, 0),
    (66, 32_768),
    (47, 0),
    (51, 10_000),
    (65, 16_384),
    (46, 0),
    (50, 10_000),
    (64, 0),
];

impl Chips {
    /// Returns the chips as they are when the microcontroller has started.
    #[must_use]
    pub fn new(settings: &AcquisitionSettings) -> Self {
        Self {
            converter: Converter::new(settings),
            synthesizer: Synthesizer::new(settings.synthesizer_clock_hz),
            selected: Some(0),
        }
    }

    /// Selects the register that the next write goes to.
    pub fn select(&mut self, address: u16) {
        self.selected = Some(address);
    }

    /// Forgets which register is selected.
    pub fn forget_selection(&mut self) {
        self.selected = None;
    }

    /// Writes the selected register; numbers rule which chip it is (§1.2).
    pub fn write_selected(&mut self, value: u16) {
        if let Some(address) = self.selected {
            self.write(address, value);
        }
    }

    /// Writes `value` to the register `address`.
    pub fn write(&mut self, address: u16, value: u16) {
        match address {
            11..=20 => self.converter.write(address, value),
            _ => self.synthesizer.write(address, value),
        }
    }
}
