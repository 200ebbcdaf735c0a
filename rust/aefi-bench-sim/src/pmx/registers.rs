//! Settings that are just numbers with a name: read with `NAME`, set with `NAME=n`.

use std::collections::BTreeMap;

use super::refusal::{Answer, Refusal, number, ok};
use super::request::Request;
use crate::motion::Axis;
use crate::settings::StageSettings;

/// Largest rate of the controller, pulses/s.
const MAX_SPEED: i64 = 6_000_000;
const MAX_NUMBER: i64 = 1 << 31;

#[derive(Debug, Clone)]
struct Register {
    value: i64,
    lowest: i64,
    highest: i64,
    /// Whether `STORE` saves it (§3.1).
    stored: bool,
    /// Decimal places on the wire.
    thousandths: bool,
}

/// All number registers, and the part of them that is in flash.
#[derive(Debug, Clone)]
pub(super) struct Registers {
    table: BTreeMap<String, Register>,
    flash: BTreeMap<String, i64>,
}

impl Registers {
    pub(super) fn new(settings: &StageSettings) -> Self {
        let mut registers = Self {
            table: BTreeMap::new(),
            flash: BTreeMap::new(),
        };
        registers.define_speeds(settings);
        registers.define_system();
        registers.define_loop_and_joystick();
        registers
    }

    fn define(&mut self, name: String, value: i64, (lowest, highest): (i64, i64), stored: bool) {
        let register = Register {
            value,
            lowest,
            highest,
            stored,
            thousandths: false,
        };
        self.table.insert(name, register);
    }

    fn define_axes(&mut self, name: &str, value: i64, range: (i64, i64), stored: bool) {
        for axis in Axis::ALL {
            self.define(format!("{name}{}", axis.letter()), value, range, stored);
        }
    }

    fn define_speeds(&mut self, settings: &StageSettings) {
        let globals = [
            ("HS", settings.high_speed, MAX_SPEED),
            ("LS", settings.low_speed, MAX_SPEED),
            ("ACC", settings.acceleration_ms, MAX_NUMBER),
            ("DEC", settings.acceleration_ms, MAX_NUMBER),
        ];
        for (name, value, highest) in globals {
            self.define(name.to_owned(), value, (1, highest), false);
            self.define_axes(name, 0, (0, highest), false);
        }
        self.define_axes("SCV", 0, (0, 1), true);
        self.define_axes("SSPDM", 0, (0, 7), false);
        self.define("EDEC".to_owned(), 0, (0, 1), true);
        self.define("IACC".to_owned(), 0, (0, 1), true);
    }

    fn define_system(&mut self) {
        let flags = ["EOP", "DIP", "DOP", "IERR", "SAP"];
        for name in flags {
            self.define(name.to_owned(), 0, (0, 1), true);
        }
        self.define("EOBOOT".to_owned(), 0, (0, 15), true);
        self.define("DOBOOT".to_owned(), 0, (0, 255), true);
        self.define("SLOAD".to_owned(), 0, (0, 15), true);
        self.define("TOC".to_owned(), 0, (0, MAX_NUMBER), true);
        self.define_axes("PO", 0, (0, 31), true);
        for i in 0..100 {
            self.define(format!("V{i}"), 0, (-MAX_NUMBER, MAX_NUMBER), i >= 50);
        }
    }

    fn define_loop_and_joystick(&mut self) {
        self.define_axes("SL", 0, (0, 1), true);
        for name in ["SLT", "SLE", "SLA", "JMAX", "JMIN"] {
            self.define_axes(name, 0, (0, MAX_NUMBER), true);
        }
        self.define_axes("SLR", 1000, (1, 999_999), true);
        for axis in Axis::ALL {
            let ratio = self.table.get_mut(&format!("SLR{}", axis.letter()));
            ratio.expect("defined above").thousandths = true;
        }
        self.define("JE".to_owned(), 0, (0, 15), true);
        for i in 1..=12 {
            self.define(format!("JV{i}"), 0, (0, MAX_NUMBER), true);
        }
        for i in 1..=16 {
            self.define(format!("JL{i}"), 0, (-MAX_NUMBER, MAX_NUMBER), true);
        }
    }

    /// Returns the value of a register that exists.
    pub(super) fn get(&self, name: &str) -> i64 {
        self.table.get(name).map_or(0, |register| register.value)
    }

    /// Returns the value of `name` for an axis, zero meaning "use the global one".
    pub(super) fn of_axis(&self, name: &str, axis: Axis) -> i64 {
        self.get(&format!("{name}{}", axis.letter()))
    }

    pub(super) fn answer(&mut self, request: &Request) -> Option<Answer> {
        let Some(register) = self.table.get_mut(request.name) else {
            return out_of_range(request);
        };
        Some(match request.value() {
            None => Ok(register.show()),
            Some(text) => register.set(text),
        })
    }

    pub(super) fn store(&mut self) {
        let stored = self.table.iter().filter(|(_, register)| register.stored);
        self.flash = stored.map(|(name, r)| (name.clone(), r.value)).collect();
    }

    /// Returns the registers as they are after a power cycle.
    pub(super) fn power_cycled(&self, settings: &StageSettings) -> Self {
        let mut fresh = Self::new(settings);
        for (name, value) in &self.flash {
            if let Some(register) = fresh.table.get_mut(name) {
                register.value = *value;
            }
        }
        fresh.flash.clone_from(&self.flash);
        fresh
    }
}

impl Register {
    fn show(&self) -> String {
        if self.thousandths {
            return format!("{:.3}", self.value as f64 / 1000.0);
        }
        self.value.to_string()
    }

    /// What lies outside the range is not understood: the reference names no
    /// reply for it.
    fn set(&mut self, text: &str) -> Answer {
        let scale = if self.thousandths { 1000.0 } else { 1.0 };
        let value = text.parse::<f64>().map_err(|_| Refusal::NotUnderstood)? * scale;
        let value = value.round() as i64;
        if !(self.lowest..=self.highest).contains(&value) {
            return Err(Refusal::NotUnderstood);
        }
        self.value = value;
        ok()
    }
}

/// `V100` and its like: a known name with an index that does not exist.
fn out_of_range(request: &Request) -> Option<Answer> {
    let indexed = ["V", "JV", "JL"];
    let known =
        |prefix: &str| request.name.len() > prefix.len() && request.index_after(prefix).is_some();
    indexed
        .iter()
        .any(|prefix| known(prefix))
        .then_some(Err(Refusal::Index))
}

/// Device number and baud code: set now, in force after `STORE` and power-on (§2.1).
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) device_number: u8,
    pub(super) baud_code: u8,
    flash: (u8, u8),
}

impl Identity {
    pub(super) fn new(device_number: u8, baud_code: u8) -> Self {
        Self {
            device_number,
            baud_code,
            flash: (device_number, baud_code),
        }
    }

    pub(super) fn answer(&mut self, request: &Request) -> Option<Answer> {
        match request.name {
            "DN" => Some(self.device(request.value())),
            "DB" => Some(request.number().and_then(|code| self.baud(code))),
            _ => None,
        }
    }

    fn device(&mut self, value: Option<&str>) -> Answer {
        let Some(value) = value else {
            return Ok(format!("4EX{:02}", self.device_number));
        };
        let digits = value.strip_prefix("4EX").filter(|digits| digits.len() == 2);
        let number = digits.and_then(|digits| digits.parse().ok());
        self.device_number = number.ok_or(Refusal::NotUnderstood)?;
        ok()
    }

    fn baud(&mut self, code: Option<i64>) -> Answer {
        match code {
            None => number(i64::from(self.baud_code)),
            Some(code @ 1..=5) => {
                self.baud_code = code as u8;
                ok()
            }
            Some(_) => Err(Refusal::NotUnderstood),
        }
    }

    pub(super) fn store(&mut self) {
        self.flash = (self.device_number, self.baud_code);
    }

    pub(super) fn power_cycled(&self) -> Self {
        Self::new(self.flash.0, self.flash.1)
    }
}
