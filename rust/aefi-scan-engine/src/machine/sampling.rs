//! Register writes and then readings back to back, outside a flight; pure.

use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::flight_plan::RegisterWrite;
use crate::protocol::Request;
use crate::protocol::mcu::{self, Averaging};
use crate::records::Reading;
use crate::units::Nanos;

use super::detector::{DEVICE, DetectorConfig, confirms_resync};
use super::register_script::{PATIENCE, Script, SwitchOff};

/// Room for so many readings is made before the first one comes.
const RESERVED: usize = 65_536;

/// What is asked of the microcontroller at once.
#[derive(Debug)]
pub struct Sampling {
    config: DetectorConfig,
    writes: Vec<RegisterWrite>,
    script: Script,
    /// In the script's stead where the writes take the excitation away.
    off: Option<SwitchOff>,
    averaging: Averaging,
    wanted: usize,
    readings: Vec<Reading>,
    outcome: Option<Result<(), Cause>>,
}

impl Sampling {
    /// Returns what writes `writes` and then takes `wanted` readings.
    #[must_use]
    pub fn new(
        config: DetectorConfig,
        writes: Vec<RegisterWrite>,
        averaging: Averaging,
        wanted: usize,
    ) -> Self {
        Self {
            config,
            writes,
            script: Script::default(),
            off: None,
            averaging,
            wanted,
            readings: Vec::with_capacity(wanted.min(RESERVED)),
            outcome: None,
        }
    }

    /// Returns what takes the excitation away by `writes`, whatever the link does.
    ///
    /// # Panics
    ///
    /// Never: one is a possible averaging.
    #[must_use]
    pub fn switching_off(config: DetectorConfig, writes: Vec<RegisterWrite>) -> Self {
        let one = Averaging::new(1).expect("one is in range");
        Self {
            off: Some(SwitchOff::default()),
            ..Self::new(config, writes, one, 0)
        }
    }

    /// Returns the readings, if all that was asked for was done.
    ///
    /// # Errors
    ///
    /// What the device or its link did wrong.
    pub fn into_readings(self) -> Result<Vec<Reading>, Cause> {
        self.outcome.unwrap_or(Ok(())).map(|()| self.readings)
    }

    fn writing(&mut self) -> Option<Request> {
        let allowance = self.config.allowance;
        match &mut self.off {
            Some(off) => off.request(&self.writes, allowance),
            None => self.script.request(&self.writes, allowance),
        }
    }

    fn is_writing(&self) -> bool {
        self.off.is_some() || self.script.request(&self.writes, Nanos::ZERO).is_some()
    }

    fn advance(&mut self) {
        match &mut self.off {
            Some(off) => off.acknowledged(),
            None => self.script = self.script.advanced(),
        }
    }

    /// Returns how it ends now that nothing is left to be asked for.
    fn end(&self) -> Result<(), Cause> {
        match self.off {
            Some(off) if !off.is_heard() => {
                Err(self.config.silence(self.averaging, off.failures()))
            }
            _ => Ok(()),
        }
    }
}

impl DeviceLogic for Sampling {
    type Record = ();

    const TERMINATOR: u8 = mcu::TERMINATOR;

    fn next(&mut self, _now: Nanos, _records: &mut dyn FnMut(())) -> Turn {
        if self.outcome.is_some() {
            return Turn::Over;
        }
        if let Some(request) = self.writing() {
            return Turn::Ask(request);
        }
        if self.readings.len() < self.wanted {
            return Turn::Ask(self.config.measure(self.averaging));
        }
        self.outcome = Some(self.end());
        Turn::Over
    }

    fn is_urgent(&self) -> bool {
        self.outcome.is_some() || self.off.is_some_and(|off| off.is_blind())
    }

    fn asked(&mut self, _sent: Nanos, _records: &mut dyn FnMut(())) {}

    fn replied(&mut self, reply: Reply<'_>, _records: &mut dyn FnMut(())) -> bool {
        if self.is_writing() {
            let is_acknowledged = mcu::acknowledges(reply.text);
            if is_acknowledged {
                self.advance();
            }
            return is_acknowledged;
        }
        let Ok(codes) = mcu::reading(reply.text) else {
            return false;
        };
        let config = self.config;
        let reading = config.reading(&reply, codes, self.averaging, Nanos::ZERO);
        self.readings.push(reading);
        true
    }

    fn failed(&mut self, _now: Nanos, failures: u32, _records: &mut dyn FnMut(())) {
        if let Some(off) = &mut self.off {
            return off.failed();
        }
        self.script = self.script.rewound();
        if failures >= PATIENCE {
            self.outcome = Some(Err(self.config.silence(self.averaging, failures)));
        }
    }

    fn lost(&mut self, _now: Nanos, reason: &str, _records: &mut dyn FnMut(())) {
        self.outcome = Some(Err(Cause::LinkLost {
            device: DEVICE,
            reason: reason.to_owned(),
        }));
    }

    fn resync(&self) -> Request {
        self.config.resync(self.averaging)
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        confirms_resync(line, self.averaging)
    }

    /// It is an acquisition, which may cost the selection of a register.
    fn resynced(&mut self) {
        match &mut self.off {
            Some(off) => off.rewind(),
            None => self.script = self.script.rewound(),
        }
    }
}
