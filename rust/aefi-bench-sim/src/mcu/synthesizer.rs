//! AD9106: registers to what drives the spheres (§4).

use std::f64::consts::TAU;

/// Gain register value of 100 % level in the application (§4.3).
const FULL_LEVEL: f64 = 5500.0;
/// Mode of a channel that puts out a sine.
const SINE: u16 = 0x31;

/// What the two excitation channels put out, as phasors relative to full level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Drive {
    /// DDS1 (spheres S3 and S4): real and imaginary part.
    pub first: [f64; 2],
    /// DDS2 (spheres S1 and S2): real and imaginary part.
    pub second: [f64; 2],
}

/// The synthesizer chip.
#[derive(Debug, Clone, PartialEq)]
pub struct Synthesizer {
    clock_hz: f64,
    registers: [u16; 128],
}

impl Synthesizer {
    pub(super) fn new(clock_hz: f64) -> Self {
        Self {
            clock_hz,
            registers: [0; 128],
        }
    }

    /// Addresses that do not exist are ignored.
    pub(super) fn write(&mut self, address: u16, value: u16) {
        if let Some(register) = self.registers.get_mut(usize::from(address)) {
            *register = value;
        }
    }

    /// Returns the frequency put out: the chip has 24 bits of the word (§4.1).
    #[must_use]
    pub fn frequency_hz(&self) -> f64 {
        let word = u32::from(self.registers[62]) << 8 | u32::from(self.registers[63] >> 8);
        f64::from(word) * self.clock_hz / f64::from(1 << 24)
    }

    /// Returns what drives the spheres.
    #[must_use]
    pub fn drive(&self) -> Drive {
        let modes = self.registers[39];
        Drive {
            first: self.channel(modes & 0xFF, 53, 67),
            second: self.channel(modes >> 8, 52, 66),
        }
    }

    /// A constant output (or 0 Hz) leaves nothing behind synchronous detection.
    fn channel(&self, mode: u16, gain: usize, phase: usize) -> [f64; 2] {
        if mode != SINE || self.frequency_hz() == 0.0 {
            return [0.0; 2];
        }
        // Two's complement in bits 15:4: steps of 16.
        let gain = (self.registers[gain] & 0xFFF0).cast_signed();
        let level = f64::from(gain) / FULL_LEVEL;
        let angle = f64::from(self.registers[phase]) / 65536.0 * TAU;
        [level * angle.cos(), level * angle.sin()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(values: &[(u16, u16)]) -> Synthesizer {
        let mut synthesizer = Synthesizer::new(16e6);
        for (address, value) in values {
            synthesizer.write(*address, *value);
        }
        synthesizer
    }

    #[test]
    fn the_frequency_word_is_truncated_to_24_bits() {
        let rows = [
            (0, 27, 0.0),
            (0, 268, 0.954),
            (4, 6291, 999.451),
            (8, 12_583, 1999.855),
            (614, 26_214, 149_999.619),
            (4096, 0, 1e6),
        ];
        for (high, low, expected) in rows {
            let found = written(&[(62, high), (63, low)]).frequency_hz();
            assert!((found - expected).abs() < 1e-3, "{high} {low}: was {found}");
        }
    }

    #[test]
    fn nothing_is_driven_after_reset_or_with_gain_only() {
        assert_eq!(written(&[(53, 550)]).drive(), Drive::default());
    }

    #[test]
    fn the_drive_is_linear_in_gain_and_follows_the_phase() {
        let drive = written(&[(39, 12_593), (62, 8), (53, 2752), (52, 5504), (66, 32_768)]).drive();
        assert!((drive.first[0] - 2752.0 / 5500.0).abs() < 1e-12);
        assert!((drive.second[0] + 5504.0 / 5500.0).abs() < 1e-12);
    }
}
