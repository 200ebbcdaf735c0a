//! The detector's part of a flight: excitation on, readings back to back, off.

use std::sync::Arc;

use crate::controls::Controls;
use crate::conversation::{DeviceLogic, Reply, Turn};
use crate::error::Cause;
use crate::flight_plan::{FlightPlan, RegisterWrite};
use crate::protocol::mcu::Averaging;
use crate::protocol::{Request, mcu};
use crate::records::{DetectorRecord, Reading, StageRecord};
use crate::ring::{Consumer, Producer, ring};
use crate::trigger::{Due, Shot, TriggerSource};
use crate::units::Nanos;

use super::register_script::{PATIENCE, Script, SwitchOff};

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

    fn integration(&self, averaging: Averaging) -> Nanos {
        Nanos(self.conversion.0 * i64::from(averaging.get()))
    }

    /// Time from the request of a reading to its reply beyond the wire's, at most.
    fn patience(&self, averaging: Averaging) -> Nanos {
        self.allowance + self.integration(averaging)
    }

    pub(super) fn measure(&self, averaging: Averaging) -> Request {
        mcu::measure(averaging, self.patience(averaging))
    }

    /// Returns the reading that `reply` is: the middle of the integration lies half of
    /// it inside the exchange's span, and what it shows is `lag` older.
    pub(super) fn reading(
        &self,
        reply: &Reply<'_>,
        codes: [i32; mcu::CODES],
        averaging: Averaging,
        lag: Nanos,
    ) -> Reading {
        let line = reply.text.rsplit(|byte| *byte == mcu::TERMINATOR).next();
        let data = line.map_or(0, <[u8]>::len) + 1;
        let half = Nanos(self.integration(averaging).0 / 2);
        let earliest = reply.sent + self.wire(reply.request_len) + half - lag;
        let latest = reply.received - self.wire(data) - half - lag;
        Reading {
            sent: reply.sent,
            received: reply.received,
            earliest: earliest.min(latest),
            latest: latest.max(earliest),
            codes,
            due: reply.sent,
            aim: None,
        }
    }

    /// Returns a request whose confirmation is unmistakable: for another count than
    /// the one in use.
    pub(super) fn resync(&self, averaging: Averaging) -> Request {
        let other = Averaging::new(resync_count(averaging));
        self.measure(other.expect("one and two are in range"))
    }

    pub(super) fn silence(&self, averaging: Averaging, attempts: u32) -> Cause {
        let request = self.measure(averaging);
        Cause::Silent {
            device: DEVICE,
            command: String::from_utf8_lossy(request.bytes()).into_owned(),
            attempts,
            waited_ms: self.patience(averaging).0 / 1_000_000,
        }
    }
}

/// Returns whether `line` confirms the request of [`DetectorConfig::resync`].
pub(super) fn confirms_resync(line: &[u8], averaging: Averaging) -> bool {
    mcu::confirmation(line) == Some(i64::from(resync_count(averaging)))
}

fn resync_count(averaging: Averaging) -> u8 {
    if averaging.get() == 1 { 2 } else { 1 }
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
pub(super) const DEVICE: &str = "acquisition";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    SwitchingOn(Script),
    Measuring,
    /// Off or on between two lines.
    Muting(Script, bool),
    /// All lines are flown: what the last one shows is still on its way.
    Lagging(Nanos),
    SwitchingOff(SwitchOff),
    Over,
}

/// The detector's logic in one flight.
#[derive(Debug)]
pub struct DetectorMachine {
    plan: Arc<FlightPlan>,
    config: DetectorConfig,
    controls: Arc<Controls>,
    phase: Phase,
    is_off: bool,
    muted: bool,
    /// What gives the levels back after a muted line.
    levels: Vec<RegisterWrite>,
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
        let half = Nanos(config.integration(plan.averaging).0 / 2);
        let lead = config.wire(request.bytes().len()) + half - plan.lag;
        let machine = Self {
            source: plan.trigger.source(&plan, lead),
            levels: plan.levels(),
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
            muted: false,
        };
        (machine, MotionNews(follows.then_some(news)))
    }

    /// Returns whether the device has acknowledged every write that takes the
    /// excitation away.
    #[must_use]
    pub fn is_excitation_off(&self) -> bool {
        self.is_off
    }

    /// Asks the source; while nothing is due, no older reading will come.
    fn next_in_measurement(&mut self, now: Nanos, records: &mut dyn FnMut(DetectorRecord)) -> Turn {
        while let Some(record) = self.motion.pop() {
            self.source.observe(&record);
        }
        let due = self.source.due(now);
        match due {
            Due::Now(shot) => self.shot = shot,
            Due::NotBefore(_) => records(self.horizon(now)),
        }
        due.turn(self.config.measure(self.plan.averaging))
    }

    fn advance(&mut self) {
        self.phase = match self.phase {
            Phase::SwitchingOn(script) => Phase::SwitchingOn(script.advanced()),
            Phase::Muting(script, mute) => Phase::Muting(script.advanced(), mute),
            Phase::SwitchingOff(mut off) => {
                off.acknowledged();
                Phase::SwitchingOff(off)
            }
            other => other,
        };
    }

    /// Begins a pair of select and write anew as a whole.
    fn rewind(&mut self) {
        match &mut self.phase {
            Phase::SwitchingOn(script) | Phase::Muting(script, _) => *script = script.rewound(),
            Phase::SwitchingOff(off) => off.rewind(),
            _ => {}
        }
    }

    /// Even a silent device is told to switch off.
    fn give_up(&mut self, cause: Cause) {
        self.controls.agreement.set_detector_fault(cause);
        self.phase = match self.phase {
            Phase::SwitchingOff(_) | Phase::Over => self.phase,
            _ => Phase::SwitchingOff(SwitchOff::of_silent_device()),
        };
    }

    /// All lines were flown, and nobody wants the flight to end at once.
    fn is_to_lag(&self) -> bool {
        let controls = &self.controls;
        controls.agreement.is_flown_to_the_end() && !controls.demands.is_to_end()
    }

    /// What a reading that begins at `now` shows is older by the lag.
    fn horizon(&self, now: Nanos) -> DetectorRecord {
        DetectorRecord::Horizon(now - self.plan.lag)
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
                    if self.controls.agreement.is_stage_over() {
                        self.phase = Phase::SwitchingOff(SwitchOff::default());
                    } else if let Some(request) = script.request(writes, self.config.allowance) {
                        return Turn::Ask(request);
                    } else {
                        self.controls.agreement.set_detector_ready();
                        self.phase = Phase::Measuring;
                    }
                }
                Phase::Measuring if self.is_to_lag() => {
                    self.phase = Phase::Lagging(now + self.plan.lag);
                }
                Phase::Measuring | Phase::Muting(..) if self.controls.agreement.is_stage_over() => {
                    self.phase = Phase::SwitchingOff(SwitchOff::default());
                }
                Phase::Lagging(until) if now < until && !self.controls.demands.is_to_end() => {
                    return self.next_in_measurement(now, records);
                }
                Phase::Lagging(_) => self.phase = Phase::SwitchingOff(SwitchOff::default()),
                Phase::Measuring if self.controls.agreement.is_mute_wanted() != self.muted => {
                    records(self.horizon(now));
                    self.phase = Phase::Muting(Script::default(), !self.muted);
                }
                Phase::Measuring => return self.next_in_measurement(now, records),
                Phase::Muting(script, mute) => {
                    let off = &self.plan.excitation_off;
                    let writes = if mute { off } else { &self.levels };
                    if let Some(request) = script.request(writes, self.config.allowance) {
                        return Turn::Ask(request);
                    }
                    self.muted = mute;
                    self.controls.agreement.set_muted(mute);
                    self.phase = Phase::Measuring;
                }
                Phase::SwitchingOff(mut off) => {
                    let writes = &self.plan.excitation_off;
                    let request = off.request(writes, self.config.allowance);
                    self.phase = Phase::SwitchingOff(off);
                    if let Some(request) = request {
                        return Turn::Ask(request);
                    }
                    self.is_off = off.is_heard();
                    if !self.is_off {
                        let cause = self.config.silence(self.plan.averaging, off.failures());
                        self.controls.agreement.set_detector_fault(cause);
                    }
                    self.phase = Phase::Over;
                }
                Phase::Over => return Turn::Over,
            }
        }
    }

    fn is_urgent(&self) -> bool {
        match &self.phase {
            Phase::Over => true,
            Phase::SwitchingOff(off) => off.is_blind(),
            _ => false,
        }
    }

    fn asked(&mut self, _sent: Nanos, _records: &mut dyn FnMut(DetectorRecord)) {}

    fn replied(&mut self, reply: Reply<'_>, records: &mut dyn FnMut(DetectorRecord)) -> bool {
        if !matches!(self.phase, Phase::Measuring | Phase::Lagging(_)) {
            let is_acknowledged = mcu::acknowledges(reply.text);
            if is_acknowledged {
                self.advance();
            }
            return is_acknowledged;
        }
        let Ok(codes) = mcu::reading(reply.text) else {
            return false;
        };
        let plan = &self.plan;
        let reading = Reading {
            due: self.shot.due.min(reply.sent),
            aim: self.shot.aim,
            ..self.config.reading(&reply, codes, plan.averaging, plan.lag)
        };
        self.source.observe_reading(&reading);
        records(DetectorRecord::Reading(reading));
        true
    }

    fn failed(&mut self, now: Nanos, failures: u32, records: &mut dyn FnMut(DetectorRecord)) {
        records(self.horizon(now));
        match &mut self.phase {
            Phase::SwitchingOff(off) => off.failed(),
            _ => self.rewind(),
        }
        if failures >= PATIENCE {
            self.give_up(self.config.silence(self.plan.averaging, failures));
        }
    }

    fn lost(&mut self, now: Nanos, reason: &str, records: &mut dyn FnMut(DetectorRecord)) {
        records(self.horizon(now));
        let cause = Cause::LinkLost {
            device: DEVICE,
            reason: reason.to_owned(),
        };
        self.controls.agreement.set_detector_fault(cause);
        self.phase = Phase::Over;
    }

    fn resync(&self) -> Request {
        self.config.resync(self.plan.averaging)
    }

    fn is_resync(&self, line: &[u8]) -> bool {
        confirms_resync(line, self.plan.averaging)
    }

    /// It is an acquisition, which may cost the selection of a register.
    fn resynced(&mut self) {
        self.rewind();
    }
}
