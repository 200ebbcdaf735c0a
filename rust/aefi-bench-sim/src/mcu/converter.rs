//! ADS131A04: registers to gain, reference and rate; volts to codes (§3).

use crate::settings::AcquisitionSettings;

const FIRST: u16 = 11;
const SYSTEM: usize = 0;
const CLOCK_1: usize = 2;
const CLOCK_2: usize = 3;
const GAINS: usize = 6;

const OVERSAMPLING: [f64; 16] = [
    4096.0, 2048.0, 1024.0, 800.0, 768.0, 512.0, 400.0, 384.0, 256.0, 200.0, 192.0, 128.0, 96.0,
    64.0, 48.0, 32.0,
];

/// Both converter chips.
#[derive(Debug, Clone, PartialEq)]
pub struct Converter {
    clock_hz: f64,
    /// Registers 11 to 20.
    registers: [u16; 10],
}

impl Converter {
    pub(super) fn new(settings: &AcquisitionSettings) -> Self {
        let mut registers = [0; 10];
        registers[SYSTEM] = 0x60;
        registers[CLOCK_1] = settings.clock_registers[0];
        registers[CLOCK_2] = settings.clock_registers[1];
        Self {
            clock_hz: settings.converter_clock_hz,
            registers,
        }
    }

    /// Writes register 11 to 20; only eight bits exist.
    pub(super) fn write(&mut self, address: u16, value: u16) {
        self.registers[usize::from(address - FIRST)] = value & 0xFF;
    }

    /// Returns the conversions per second (§3.3).
    #[must_use]
    pub fn rate_hz(&self) -> f64 {
        // The divider stands in bits 3:1, so the masked value is twice the code.
        let chip = divider(self.registers[CLOCK_1] >> 1);
        let modulator = divider(self.registers[CLOCK_2] >> 5);
        let oversampling = OVERSAMPLING[usize::from(self.registers[CLOCK_2] & 0xF)];
        self.clock_hz / (chip * modulator * oversampling)
    }

    /// Returns the reference voltage. An external one (reset value) is taken as
    /// 2.442 V too, as all stored scans do (§3.1).
    #[must_use]
    pub fn reference_v(&self) -> f64 {
        if self.registers[SYSTEM] & 0x10 == 0 {
            2.442
        } else {
            4.0
        }
    }

    /// Returns the gain of input `channel`, 0 to 7; both chips share registers.
    #[must_use]
    pub fn gain(&self, channel: usize) -> f64 {
        let code = self.registers[GAINS + channel % 4] & 7;
        f64::from(1u16 << code.min(4))
    }

    /// Returns the code of a voltage at input `channel`. Whether the firmware
    /// rounds or truncates means is open (§2): rounded.
    #[must_use]
    pub fn code(&self, channel: usize, volts: f64) -> i32 {
        let full_scale = f64::from(1 << 23);
        let code = volts * self.gain(channel) / self.reference_v() * full_scale;
        code.round().clamp(-full_scale, full_scale - 1.0) as i32
    }
}

/// Divider codes 1 to 7 stand for 2 to 14; 0 is reserved and taken as no division.
fn divider(code: u16) -> f64 {
    match code & 0b111 {
        0 => 1.0,
        code => f64::from(2 * code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Converter {
        Converter::new(&AcquisitionSettings::default())
    }

    #[test]
    fn the_start_up_registers_give_1000_conversions_per_second() {
        assert!((started().rate_hz() - 1000.0).abs() < 1e-9);
    }

    #[test]
    fn the_oversampling_code_rules_the_rate() {
        let mut converter = started();
        converter.write(14, 37);
        assert!((converter.rate_hz() - 8000.0).abs() < 1e-9);
        converter.write(13, 8);
        assert!((converter.rate_hz() - 2000.0).abs() < 1e-9);
    }

    #[test]
    fn codes_follow_reference_and_gain_and_stay_in_24_bits() {
        let mut converter = started();
        assert_eq!(converter.code(0, 1.103_012_323_379_516_7e-3), 3789);
        assert_eq!(converter.code(0, 5.0), 8_388_607);
        assert_eq!(converter.code(0, -5.0), -8_388_608);
        converter.write(17, 4);
        assert_eq!(converter.code(0, 6.893_827_021_121_98e-5), 3789);
        assert_eq!(converter.code(4, 6.893_827_021_121_98e-5), 3789);
        converter.write(11, 120);
        assert_eq!(converter.code(1, 1.806_735_992_431_640_6e-3), 3789);
    }
}
