//! The microcontroller at the end of its line, and the readings it takes.

use std::collections::VecDeque;
use std::f64::consts::TAU;

use aefi_scan_engine::Nanos;

use crate::faults::{Fault, LinkFaults, ReplyFaults};
use crate::field::{Field, Voltages};
use crate::lock_in::{LockIn, Scene};
use crate::mcu::{Chips, Command, Converter, Drive, Parser, ReplyWriter};
use crate::motion::Trajectory;
use crate::random::Random;
use crate::settings::{AcquisitionSettings, Confirmation, FieldSettings};
use crate::truth::Conversion;
use crate::wire::{Delivery, Line};

/// Level of the unused channels 7 and 8, and its scatter, in codes (§2).
const UNUSED_CODE: f64 = -875_500.0;
const UNUSED_SCATTER: f64 = 150.0;

/// Where the two axes are, and how long a step is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ways<'a> {
    pub(crate) axes: [&'a Trajectory; 2],
    pub(crate) mm_per_step: f64,
}

/// A reading whose field is not final before its integration has ended: a stage
/// command may still change the way.
#[derive(Debug, Clone)]
struct Reading {
    conversion: Conversion,
    noise: [f64; 8],
    converter: Converter,
    after: LockIn,
}

/// A reply in the order of sending, timed and as the line carries it.
#[derive(Debug, Clone)]
struct Outgoing {
    earliest: Nanos,
    lost_ticks: i64,
    text: String,
    reading: Option<Reading>,
    faults: ReplyFaults,
    delivery: Delivery,
}

/// Ends a request.
const END: u8 = b'*';

#[derive(Debug, Clone)]
pub(crate) struct AcquisitionLink {
    pub(crate) faults: LinkFaults,
    pub(crate) chips: Chips,
    pub(crate) conversions: Vec<Conversion>,
    line: Line,
    parser: Parser,
    writer: ReplyWriter,
    settings: AcquisitionSettings,
    field_settings: FieldSettings,
    field: Field,
    lock_in: LockIn,
    /// All changes of how the spheres are driven.
    pub(crate) drives: Vec<(Nanos, Drive)>,
    /// The first of them that a reading to come may show.
    first_drive: usize,
    drift_phases: Voltages,
    random: Random,
    outbox: VecDeque<Outgoing>,
    boots_until: Nanos,
    busy_until: Nanos,
    replied_until: Nanos,
}

impl AcquisitionLink {
    pub(crate) fn new(
        settings: &AcquisitionSettings,
        field: &FieldSettings,
        line: Line,
        faults: LinkFaults,
        mut random: Random,
        start: Nanos,
    ) -> Self {
        Self {
            faults,
            chips: Chips::new(settings),
            conversions: Vec::new(),
            line,
            parser: Parser::default(),
            writer: ReplyWriter::new(settings.reply_form.clone()),
            settings: settings.clone(),
            field_settings: field.clone(),
            field: Field::new(field),
            lock_in: LockIn::settled(start, field.baseline_v, field.lag_s),
            drives: vec![(start, Drive::default())],
            first_drive: 0,
            drift_phases: [0; 6].map(|_| TAU * random.uniform()),
            random,
            outbox: VecDeque::new(),
            boots_until: start,
            busy_until: start,
            replied_until: Nanos(i64::MIN),
        }
    }

    pub(crate) fn write(&mut self, now: Nanos, bytes: &[u8], ways: Ways) {
        if now < self.boots_until {
            return; // Nobody listens yet.
        }
        let bytes = &self.faults.damaged(now, bytes, END);
        let (start, _) = self.line.send(now, bytes.len());
        for (index, byte) in bytes.iter().enumerate() {
            if let Some(command) = self.parser.push(*byte) {
                let arrived = self.line.arrival(start, index);
                self.suffer(arrived);
                self.execute(arrived.max(self.busy_until), command, ways);
            }
        }
    }

    /// Starts anew, where an opened port does that.
    pub(crate) fn boot(&mut self, at: Nanos) {
        if self.settings.boot > Nanos::ZERO {
            self.boots_until = at + self.settings.boot;
            self.chips = Chips::new(&self.settings);
            self.drives.push((at, self.chips.synthesizer.drive()));
            self.parser = Parser::default();
            self.outbox.clear();
        }
    }

    fn is_dead(&self) -> bool {
        self.faults.is_silent || self.faults.is_hung_up
    }

    fn execute(&mut self, at: Nanos, command: Command, ways: Ways) {
        if self.is_dead() {
            return;
        }
        self.faults.count_command();
        self.suffer(at);
        let at = at.max(self.busy_until);
        let faults = self.faults.of_reply(at);
        let text = self.writer.confirmation(command);
        match command {
            Command::Select(address) => self.chips.select(address),
            Command::Write(value) => self.write_register(at, value),
            Command::Acquire(n) => return self.acquire(at, n, text, faults, ways),
            Command::NotUnderstood => {}
        }
        self.push(at, text, None, faults, ways);
    }

    fn write_register(&mut self, at: Nanos, value: u16) {
        self.chips.write_selected(value);
        let drive = self.chips.synthesizer.drive();
        if self.drives.last().is_none_or(|(_, last)| *last != drive) {
            self.drives.push((at, drive));
        }
    }

    fn acquire(&mut self, at: Nanos, n: u8, text: String, faults: ReplyFaults, ways: Ways) {
        if self.settings.forgets_selection {
            self.chips.forget_selection();
        }
        let span_s = f64::from(n) / self.chips.converter.rate_hz();
        let conversion = Conversion {
            start: at,
            end: at + Nanos::from_secs_f64(span_s),
        };
        self.busy_until = conversion.end;
        if self.settings.keep_conversions {
            self.conversions.push(conversion);
        }
        let reading = Reading {
            conversion,
            noise: [0; 8].map(|_| self.random.normal()),
            converter: self.chips.converter.clone(),
            after: self.lock_in,
        };
        match self.settings.reply_form.confirmation {
            Confirmation::WithData => {
                self.push(conversion.end, text, Some(reading), faults, ways);
            }
            Confirmation::AtOnce => {
                self.push(at, text, None, ReplyFaults::default(), ways);
                self.push(conversion.end, String::new(), Some(reading), faults, ways);
            }
        }
    }

    fn push(
        &mut self,
        at: Nanos,
        text: String,
        reading: Option<Reading>,
        faults: ReplyFaults,
        ways: Ways,
    ) {
        let earliest = at + self.line.draw_turnaround() + faults.delay;
        let mut outgoing = Outgoing {
            earliest,
            lost_ticks: self.line.draw_lost_ticks(),
            text,
            reading,
            faults,
            delivery: self.line.deliver(earliest, 0, Vec::new()),
        };
        let (state, free) = self.last_planned();
        self.render(&mut outgoing, state, free, ways);
        self.outbox.push_back(outgoing);
    }

    /// Returns the low-pass after the last reading and the end of the last reply.
    fn last_planned(&self) -> (LockIn, Nanos) {
        let readings = self.outbox.iter().rev();
        let mut readings = readings.filter_map(|outgoing| outgoing.reading.as_ref());
        let state = readings.next().map_or(self.lock_in, |last| last.after);
        let last = self.outbox.back();
        (state, last.map_or(self.replied_until, |o| o.delivery.ends))
    }

    /// Works all waiting replies out again, because the stage will move otherwise
    /// than they assumed.
    pub(crate) fn plan_again(&mut self, ways: Ways) {
        let (mut state, mut free) = (self.lock_in, self.replied_until);
        let mut outbox = std::mem::take(&mut self.outbox);
        for outgoing in &mut outbox {
            self.render(outgoing, state, free, ways);
            state = outgoing.reading.as_ref().map_or(state, |r| r.after);
            free = outgoing.delivery.ends;
        }
        self.outbox = outbox;
    }

    fn render(&self, outgoing: &mut Outgoing, state: LockIn, free: Nanos, ways: Ways) {
        let mut text = outgoing.text.clone();
        if let Some(reading) = &mut outgoing.reading {
            reading.after = state;
            text += &self.writer.data(&self.convert(reading, ways));
        }
        let mut bytes = outgoing.faults.apply(text.into_bytes());
        if self.faults.loses_replies {
            bytes.clear();
        }
        let starts = outgoing.earliest.max(free);
        outgoing.delivery = self.line.deliver(starts, outgoing.lost_ticks, bytes);
    }

    /// Integrates the field over the reading; leaves the low-pass at its end.
    fn convert(&self, reading: &mut Reading, ways: Ways) -> [i32; 8] {
        let scene = Scene {
            field: &self.field,
            ways: ways.axes,
            mm_per_step: ways.mm_per_step,
            drives: &self.drives[self.first_drive..],
        };
        let Conversion { start, end } = reading.conversion;
        reading.after.advance(start, &scene);
        let means = reading.after.average(end, &scene);
        let unused = |noise| (UNUSED_CODE + UNUSED_SCATTER * noise) as i32;
        let mut codes = reading.noise.map(unused);
        for (i, mean) in means.iter().enumerate() {
            let noise = reading.noise[i] * self.field_settings.noise_v;
            let volts = mean + noise + self.drift(i, start);
            codes[i] = reading.converter.code(i, volts);
        }
        codes
    }

    fn drift(&self, channel: usize, at: Nanos) -> f64 {
        let turns = at.as_secs_f64() / self.field_settings.drift_period_s;
        self.field_settings.drift_v * (TAU * turns + self.drift_phases[channel]).sin()
    }

    /// Lets the faults that are due until `at` strike.
    pub(crate) fn suffer(&mut self, at: Nanos) {
        while let Some((when, fault)) = self.faults.strike(at) {
            match fault {
                Fault::StallDetector(span) => {
                    self.busy_until = self.busy_until.max(when + span);
                }
                Fault::HangUp => self.outbox.clear(),
                _ => {}
            }
        }
    }

    pub(crate) fn next_arrival(&self) -> Option<Nanos> {
        let mut deliveries = self.outbox.iter().map(|outgoing| &outgoing.delivery);
        let first = deliveries.find(|delivery| !delivery.bytes.is_empty());
        first.map(|delivery| delivery.readable)
    }

    pub(crate) fn read(&mut self, now: Nanos, into: &mut Vec<u8>) {
        let is_due = |outgoing: &Outgoing| outgoing.delivery.readable <= now;
        while self.outbox.front().is_some_and(is_due) {
            let outgoing = self.outbox.pop_front().expect("just seen");
            into.extend_from_slice(&outgoing.delivery.bytes);
            self.replied_until = outgoing.delivery.ends;
            if let Some(reading) = outgoing.reading {
                self.commit(reading.after);
            }
        }
    }

    /// What led to this state is history; older excitations are forgotten.
    fn commit(&mut self, state: LockIn) {
        self.lock_in = state;
        let past = self.drives.partition_point(|(since, _)| *since <= state.at);
        self.first_drive = past.saturating_sub(1);
    }
}
