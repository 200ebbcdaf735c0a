//! The detector's part of a flight: excitation on, readings back to back, off.

use std::sync::Arc;

use crate::controls::Controls;
use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::flight_plan::{FlightPlan, RegisterWrite};
use crate::protocol::{Request, mcu};
use crate::records::{DetectorRecord, Reading, StageRecord};
use crate::ring::{Consumer, Producer, ring};
use crate::trigger::{Due, Shot, TriggerSource};
use crate::units::Nanos;

/// What the engine must know of the microcontroller and its link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DetectorConfig {
    /// Wire time of a byte; zero on a link without pacing.
    pub byte_time: Nanos,
    /// Time from request to reply beyond wire and conversions, at most.
    pub allowance: Nanos,
    /// Period of a conversion: n of them make a reading.
    pub conversion: Nanos,
}

impl DetectorConfig {
    fn wire(&self, bytes: usize) -> Nanos {
        Nanos(self.byte_time.0 * bytes as i64)
    }

    fn integration(&self, plan: &FlightPlan) -> Nanos {
        Nanos(self.conversion.0 * i64::from(plan.averaging.get()))
    }
}

/// Where the detector's trigger source hears of the motion, if it wants to.
#[derive(Debug)]
pub struct MotionNews(Option<Producer<StageRecord>>);

impl MotionNews {
    /// Passes on what the stage reports. Never waits: news that find no room are
    /// older than those that follow.
    pub fn tell(&mut self, record: StageRecord) {
        if let Some(news) = &mut self.0 {
            news.push(record);
        }
    }
}

/// Records of the stage held for the detector during its longest exchange.
const NEWS: usize = 4096;
const DEVICE: &str = "acquisition";
/// Failed exchanges in a row after which the detector counts as dead.
const PATIENCE: u32 = 3;
/// The same while the excitation is switched off: a second is well spent on it.
const LAST_PATIENCE: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    SwitchingOn(Script),
    Measuring,
    SwitchingOff(Script),
    Over,
}

/// A place in a list of register writes: select, write, next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Script {
    entry: usize,
    selected: bool,
}

impl Script {
    fn request(self, writes: &[RegisterWrite], allowance: Nanos) -> Option<Request> {
        let entry = writes.get(self.entry)?;
        Some(if self.selected {
            mcu::write(entry.value, allowance)
        } else {
            mcu::select(entry.address, allowance)
        })
    }

    fn advanced(self) -> Self {
        Self {
            entry: self.entry + usize::from(self.selected),
            selected: !self.selected,
        }
    }

    /// A pair is begun anew as a whole: what the device selected is not known.
    fn rewound(self) -> Self {
        Self {
            entry: self.entry,
            selected: false,
        }
    }
}

/// The detector's logic in one flight.
#[derive(Debug)]
pub struct DetectorMachine {
    plan: Arc<FlightPlan>,
    config: DetectorConfig,
    controls: Arc<Controls>,
    phase: Phase,
    is_off: bool,
    source: Box<dyn TriggerSource>,
    /// What the source is told of the motion.
    motion: Consumer<StageRecord>,
    /// What the reading under way is taken for.
    shot: Shot,
}

impl DetectorMachine {
    /// Returns the logic before its first request, and where it hears of the motion.
    #[must_use]
    pub fn new(
        plan: Arc<FlightPlan>,
        config: DetectorConfig,
        controls: Arc<Controls>,
    ) -> (Self, MotionNews) {
        let follows = plan.trigger.follows_the_motion();
        let (news, motion) = ring(if follows { NEWS } else { 1 });
        let request = mcu::measure(plan.averaging, config.allowance);
        let lead = config.wire(request.bytes().len()) + Nanos(config.integration(&plan).0 / 2);
        let machine = Self {
            source: plan.trigger.source(&plan, lead),
            motion,
            shot: Shot {
                due: Nanos::ZERO,
                aim: None,
            },
            plan,
            config,
            controls,
            phase: Phase::SwitchingOn(Script::default()),
            is_off: false,
        };
        (machine, MotionNews(follows.then_some(news)))
    }

    /// Returns whether the device has acknowledged every write that takes the
    /// excitation away.
    #[must_use]
    pub fn is_excitation_off(&self) -> bool {
        self.is_off
    }

    fn measure(&self) -> Request {
        let allowance = self.config.allowance + self.config.integration(&self.plan);
        mcu::measure(self.plan.averaging, allowance)
    }

    /// The middle of the integration lies half of it inside the exchange's span.
    fn reading(&self, reply: &Reply<'_>, codes: [i32; mcu::CODES]) -> Reading {
        let line = reply.text.rsplit(|byte| *byte == mcu::TERMINATOR).next();
        let data = line.map_or(0, <[u8]>::len) + 1;
        let half = Nanos(self.config.integration(&self.plan).0 / 2);
        let earliest = reply.sent + self.config.wire(reply.request_len) + half;
        let latest = reply.received - self.config.wire(data) - half;
        Reading {
            sent: reply.sent,
            received: reply.received,
            earliest: earliest.min(latest),
            latest: latest.max(earliest),
            codes,
            due: self.shot.due.min(reply.sent),
            aim: self.shot.aim,
        }
    }

    /// Asks the source; while nothing is due, no older reading will come.
    fn next_in_measurement(&mut self, now: Nanos, records: &mut dyn FnMut(DetectorRecord)) -> Turn {
        while let Some(record) = self.motion.pop() {
            self.source.observe(&record);
        }
        let due = self.source.due(now);
        match due {
            Due::Now(shot) => self.shot = shot,
            Due::NotBefore(_) => records(DetectorRecord::Horizon(now)),
        }
        due.turn(self.measure())
    }

    fn advance(&mut self) {
        self.phase = match self.phase {
            Phase::SwitchingOn(script) => Phase::SwitchingOn(script.advanced()),
            Phase::SwitchingOff(script) => Phase::SwitchingOff(script.advanced()),
            other => other,
        };
    }

    fn rewind(&mut self) {
        self.phase = match self.phase {
            Phase::SwitchingOn(script) => Phase::SwitchingOn(script.rewound()),
            Phase::SwitchingOff(script) => Phase::SwitchingOff(script.rewound()),
            other => other,
        };
    }

    /// Even a silent device is told to switch off.
    fn give_up(&mut self, cause: Cause) {
        self.controls.set_detector_fault(cause);
        self.phase = match self.phase {
            Phase::SwitchingOff(_) | Phase::Over => Phase::Over,
            _ => Phase::SwitchingOff(Script::default()),
        };
    }

    fn silence(&self, failures: u32) -> Cause {
        Cause::Silent {
            device: DEVICE,
            command: String::from_utf8_lossy(self.measure().bytes()).into_owned(),
            attempts: failures,
            waited_ms: (self.config.allowance + self.config.integration(&self.plan)).0 / 1_000_000,
        }
    }
}

impl DeviceLogic for DetectorMachine {
    type Record = DetectorRecord;

    const TERMINATOR: u8 = mcu::TERMINATOR;

    fn next(&mut self, now: Nanos, records: &mut dyn FnMut(DetectorRecord)) -> Turn {
        loop {
            match self.phase {
                Phase::SwitchingOn(script) => {
                    let writes = &self.plan.excitation;
                    if self.controls.is_stage_over() {
                        self.phase = Phase::SwitchingOff(Script::default());
                    } else if let Some(request) = script.request(writes, self.config.allowance) {
                        return Turn::Ask(request);
                    } else {
                        self.controls.set_detector_ready();
                        self.phase = Phase::Measuring;
                    }
                }
                Phase::Measuring if self.controls.is_stage_over() => {
                    self.phase = Phase::SwitchingOff(Script::default());
                }
                Phase::Measuring => return self.next_in_measurement(now, records),
                Phase::SwitchingOff(script) => {
                    let writes = &self.plan.excitation_off;
                    if let Some(request) = script.request(writes, self.config.allowance) {
                        return Turn::Ask(request);
                    }
                    self.is_off = true;
                    self.phase = Phase::Over;
                }
                Phase::Over => return Turn::Over,
            }
        }
    }

    fn is_urgent(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn asked(&mut self, _sent: Nanos, _records: &mut dyn FnMut(DetectorRecord)) {}

    fn replied(&mut self, reply: Reply<'_>, records: &mut dyn FnMut(DetectorRecord)) -> bool {
        if self.phase != Phase::Measuring {
            let is_acknowledged = mcu::acknowledges(reply.text);
            if is_acknowledged {
                self.advance();
            }
            return is_acknowledged;
        }
        let Ok(codes) = mcu::reading(reply.text) else {
            return false;
        };
        let reading = self.reading(&reply, codes);
        self.source.observe_reading(&reading);
        records(DetectorRecord::Reading(reading));
        true
    }

    fn failed(&mut self, now: Nanos, failures: u32, records: &mut dyn FnMut(DetectorRecord)) {
        records(DetectorRecord::Horizon(now));
        self.rewind();
        let patience = match self.phase {
            Phase::SwitchingOff(_) => LAST_PATIENCE,
            _ => PATIENCE,
        };
        if failures >= patience {
            self.give_up(self.silence(failures));
        }
    }

    fn lost(&mut self, now: Nanos, reason: &str, records: &mut dyn FnMut(DetectorRecord)) {
        records(DetectorRecord::Horizon(now));
        let cause = Cause::LinkLost {
            device: DEVICE,
            reason: reason.to_owned(),
        };
        self.controls.set_detector_fault(cause);
        self.phase = Phase::Over;
    }

    fn resync(&self) -> Request {
        // Another count than the flight's own: its confirmation is unmistakable.
        let count = if self.plan.averaging.get() == 1 { 2 } else { 1 };
        let averaging = mcu::Averaging::new(count).expect("one and two are in range");
        let integration = Nanos(self.config.conversion.0 * i64::from(count));
        mcu::measure(averaging, self.config.allowance + integration)
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        let expected = if self.plan.averaging.get() == 1 { 2 } else { 1 };
        mcu::confirmation(line) == Some(expected)
    }
}
