//! Strict pairing of requests and replies on one link; pure.
//!
//! A request is written, its reply is awaited, then comes the next. When a reply
//! stays out, the link is out of step: a late one could be taken for the reply to
//! a later request. So a resynchronising request follows, whose reply cannot be
//! mistaken, and all that comes before that reply is discarded.

mod rhythm;

use std::io;

use crate::health::{Histogram, Summary};
use crate::protocol::Request;
use crate::units::Nanos;

use rhythm::Rhythm;

/// What a device's logic wants next.
#[derive(Debug, Clone, Copy)]
pub enum Turn {
    /// A request to be written now.
    Ask(Request),
    /// Nothing before this instant, unless a control arrives.
    Rest(Nanos),
    /// Nothing any more.
    Over,
}

/// A reply and when it was under way.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The instant before the request was written.
    pub sent: Nanos,
    /// The instant after the reply was complete.
    pub received: Nanos,
    /// Length of the request in bytes.
    pub request_len: usize,
    /// The reply's lines, without the last terminator.
    pub text: &'a [u8],
}

/// The part of a conversation that knows the device.
pub trait DeviceLogic {
    /// What the device's records are.
    type Record;

    /// The byte that ends a line of this device.
    const TERMINATOR: u8;

    /// The byte that begins requests and no reply, if there is one: a line that begins
    /// with it is an echo of the adapter's.
    const REQUEST_MARK: Option<u8> = None;

    /// Returns what to do at `now`.
    fn next(&mut self, now: Nanos, records: &mut dyn FnMut(Self::Record)) -> Turn;

    /// Returns whether the next request must not wait for a resynchronisation.
    fn is_urgent(&self) -> bool;

    /// Takes notice that the request just asked for is about to be written.
    fn asked(&mut self, sent: Nanos, records: &mut dyn FnMut(Self::Record));

    /// Takes the reply to the last request; returns whether it was understood.
    fn replied(&mut self, reply: Reply<'_>, records: &mut dyn FnMut(Self::Record)) -> bool;

    /// Takes notice that the last request had no reply, or one that was not
    /// understood, for the `failures`th time in a row.
    fn failed(&mut self, now: Nanos, failures: u32, records: &mut dyn FnMut(Self::Record));

    /// Takes notice that the link is gone, for the system's `reason`.
    fn lost(&mut self, now: Nanos, reason: &str, records: &mut dyn FnMut(Self::Record));

    /// Returns a request that changes nothing and whose reply is unmistakable.
    fn resync(&self) -> Request;

    /// Returns whether `line` is the first line of the reply to [`Self::resync`].
    fn is_resync(&self, line: &[u8]) -> bool;

    /// Takes notice that [`Self::resync`] was answered: between the last request and the
    /// next, it may have changed what the device remembers of the last one.
    fn resynced(&mut self) {}

    /// Takes notice of a `line` that came before the reply to [`Self::resync`], or
    /// in its stead.
    fn overheard(&mut self, _line: &[u8]) {}
}

/// What the shell is to do after [`Conversation::drive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// A request was written at this instant: look again for what to do.
    Wrote(Nanos),
    /// Wait for bytes, a control or this instant.
    Wait(Nanos),
    /// Nothing any more.
    Over,
}

#[derive(Debug, Clone, Copy)]
enum Output {
    Write(Request),
    Wait(Nanos),
    Over,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Asking { request: Request, resync: bool },
    Waiting { request: Request, sent: Nanos },
    Resyncing { request: Request, sent: Nanos },
}

/// What became of a link's exchanges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkHealth {
    /// Requests written.
    pub requests: u64,
    /// Replies that stayed out.
    pub timeouts: u64,
    /// Replies that were not understood.
    pub misunderstood: u64,
    /// Bytes that belonged to no request.
    pub stray_bytes: u64,
    /// Bytes of requests that came back.
    pub echoed_bytes: u64,
    /// From a request to the end of its reply.
    pub round_trip: Summary,
    /// From a request to the next one.
    pub period: Summary,
    /// From a reply to the next request: what the host itself takes.
    pub own: Summary,
    /// Sum of all round trips: the time spent waiting for the link.
    pub busy: Nanos,
}

const BUFFER: usize = 512;
/// Room for the longest reply of either device, in the deadline of each exchange.
const LONGEST_REPLY: usize = 96;

/// One link's conversation: the device's logic and what is under way.
#[derive(Debug)]
pub struct Conversation<L> {
    logic: L,
    state: State,
    byte_time: Nanos,
    out_of_step: bool,
    failures: u32,
    buffer: [u8; BUFFER],
    filled: usize,
    health: LinkHealth,
    round_trip: Histogram,
    period: Histogram,
    own: Histogram,
    rhythm: Rhythm,
    last_sent: Option<Nanos>,
    /// When the reply to the last request was complete; nothing once the next is out, or
    /// if the logic rested between.
    last_received: Option<Nanos>,
}

impl<L: DeviceLogic> Conversation<L> {
    /// Returns an idle conversation on a link that needs `byte_time` for a byte.
    pub fn new(logic: L, byte_time: Nanos) -> Self {
        Self {
            logic,
            state: State::Idle,
            byte_time,
            out_of_step: false,
            failures: 0,
            buffer: [0; BUFFER],
            filled: 0,
            health: LinkHealth::default(),
            round_trip: Histogram::default(),
            period: Histogram::default(),
            own: Histogram::default(),
            rhythm: Rhythm::default(),
            last_sent: None,
            last_received: None,
        }
    }

    /// Returns the device's logic.
    pub fn logic(&self) -> &L {
        &self.logic
    }

    /// Returns the device's logic and the link's counted anomalies.
    pub fn into_parts(self) -> (L, LinkHealth) {
        let health = self.health();
        (self.logic, health)
    }

    /// Returns the link's counted anomalies.
    pub fn health(&self) -> LinkHealth {
        LinkHealth {
            round_trip: self.round_trip.summary(),
            period: self.period.summary(),
            own: self.own.summary(),
            ..self.health
        }
    }

    /// Does what is due by the clock `now`, and returns what comes next. A request is
    /// recorded with the instant just before `write` puts it on the link; a link that
    /// does not take it is lost.
    pub fn drive(
        &mut self,
        now: impl Fn() -> Nanos,
        write: impl FnOnce(Nanos, &Request) -> io::Result<()>,
        records: &mut dyn FnMut(L::Record),
    ) -> Next {
        match self.poll(now(), records) {
            Output::Write(request) => {
                let sent = now();
                self.wrote(sent, records);
                if let Err(error) = write(sent, &request) {
                    self.lost(now(), &error.to_string(), records);
                }
                Next::Wrote(sent)
            }
            Output::Wait(until) => Next::Wait(until),
            Output::Over => Next::Over,
        }
    }

    fn poll(&mut self, now: Nanos, records: &mut dyn FnMut(L::Record)) -> Output {
        match self.state {
            State::Idle => self.begin(now, records),
            State::Asking { request, .. } => Output::Write(request),
            State::Waiting { request, sent } | State::Resyncing { request, sent } => {
                let deadline = self.deadline(&request, sent);
                if now < deadline {
                    return Output::Wait(deadline);
                }
                self.health.timeouts += 1;
                self.fail(now, records);
                self.begin(now, records)
            }
        }
    }

    fn begin(&mut self, now: Nanos, records: &mut dyn FnMut(L::Record)) -> Output {
        if self.out_of_step && !self.logic.is_urgent() {
            return self.ask(self.logic.resync(), true);
        }
        match self.logic.next(now, records) {
            Turn::Ask(request) => self.ask(request, false),
            Turn::Rest(until) => {
                self.last_received = None;
                Output::Wait(until)
            }
            Turn::Over => Output::Over,
        }
    }

    /// Returns the span in which the reply under way is likely to be complete: up to
    /// `around` before and after the usual time of a request that is repeated.
    #[must_use]
    pub fn expected(&self, around: Nanos) -> Option<[Nanos; 2]> {
        match self.state {
            State::Waiting { sent, .. } => self.rhythm.expected(sent, around),
            _ => None,
        }
    }

    fn ask(&mut self, request: Request, resync: bool) -> Output {
        self.state = State::Asking { request, resync };
        Output::Write(request)
    }

    fn wrote(&mut self, sent: Nanos, records: &mut dyn FnMut(L::Record)) {
        let State::Asking { request, resync } = self.state else {
            return;
        };
        self.health.requests += 1;
        if let Some(last) = self.last_sent.replace(sent) {
            self.period.record(sent - last);
        }
        if let Some(received) = self.last_received.take() {
            self.own.record(sent - received);
        }
        self.rhythm.ask(&request);
        self.state = if resync {
            State::Resyncing { request, sent }
        } else {
            self.logic.asked(sent, records);
            State::Waiting { request, sent }
        };
    }

    /// Takes bytes that were readable at `at`.
    pub fn received(&mut self, at: Nanos, bytes: &[u8], records: &mut dyn FnMut(L::Record)) {
        for byte in bytes {
            self.take(at, *byte, records);
        }
    }

    fn take(&mut self, at: Nanos, byte: u8, records: &mut dyn FnMut(L::Record)) {
        match self.state {
            State::Idle | State::Asking { .. } => self.stray(1),
            State::Waiting { request, sent } => {
                self.keep(byte);
                if self.lines() == request.lines {
                    self.finish(&request, sent, at, records);
                }
            }
            State::Resyncing { request, .. } => {
                self.keep(byte);
                self.discard_up_to_resync(request.lines);
            }
        }
    }

    /// A request that comes back is left out, whatever its link makes of it.
    fn drop_echo(&mut self) {
        let Some(line) = self.buffer[..self.filled].strip_suffix(&[L::TERMINATOR]) else {
            return;
        };
        let before = line.iter().rposition(|byte| *byte == L::TERMINATOR);
        let begin = before.map_or(0, |end| end + 1);
        if L::REQUEST_MARK.is_some() && line.get(begin).copied() == L::REQUEST_MARK {
            self.health.echoed_bytes += (self.filled - begin) as u64;
            self.filled = begin;
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.filled == BUFFER {
            // No reply is that long: what came is noise.
            self.stray(BUFFER);
            self.filled = 0;
        }
        self.buffer[self.filled] = byte;
        self.filled += 1;
        self.drop_echo();
    }

    fn lines(&self) -> usize {
        let ends = self.buffer[..self.filled].iter();
        ends.filter(|byte| **byte == L::TERMINATOR).count()
    }

    fn finish(
        &mut self,
        request: &Request,
        sent: Nanos,
        received: Nanos,
        records: &mut dyn FnMut(L::Record),
    ) {
        let bytes = request.bytes().len() + self.filled;
        let is_copy = received < sent + self.wire(bytes);
        if is_copy || self.is_late_resync(request) {
            // Faster than the wire carries it: a copy of the reply before.
            self.stray(self.filled);
            self.filled = 0;
            return;
        }
        self.state = State::Idle;
        self.round_trip.record(received - sent);
        self.rhythm.took(received - sent);
        self.last_received = Some(received);
        self.health.busy = self.health.busy + (received - sent);
        let reply = Reply {
            sent,
            received,
            request_len: request.bytes().len(),
            text: &self.buffer[..self.filled - 1],
        };
        let understood = self.logic.replied(reply, records);
        self.filled = 0;
        if understood {
            self.failures = 0;
        } else {
            self.health.misunderstood += 1;
            self.fail(received, records);
        }
    }

    /// Of several resynchronising requests the first reply counts; the others come
    /// while later requests wait for theirs.
    fn is_late_resync(&self, request: &Request) -> bool {
        let mut lines = self.buffer[..self.filled].split(|byte| *byte == L::TERMINATOR);
        let first = lines.next().unwrap_or_default();
        self.logic.is_resync(first) && request.bytes() != self.logic.resync().bytes()
    }

    fn discard_up_to_resync(&mut self, lines: usize) {
        let text = &self.buffer[..self.filled];
        let first = text.split(|byte| *byte == L::TERMINATOR).next();
        if self.lines() == 0 {
            return;
        }
        let first = first.unwrap_or_default();
        if !self.logic.is_resync(first) {
            self.logic.overheard(first);
            self.stray(self.filled);
            self.filled = 0;
        } else if self.lines() == lines {
            self.filled = 0;
            self.state = State::Idle;
            self.out_of_step = false;
            self.logic.resynced();
        }
    }

    fn stray(&mut self, bytes: usize) {
        self.health.stray_bytes += bytes as u64;
        // What came unasked may have more behind it.
        self.out_of_step = true;
    }

    fn fail(&mut self, now: Nanos, records: &mut dyn FnMut(L::Record)) {
        self.state = State::Idle;
        self.filled = 0;
        self.out_of_step = true;
        self.failures += 1;
        self.logic.failed(now, self.failures, records);
    }

    /// Takes notice that the link is gone.
    pub fn lost(&mut self, now: Nanos, reason: &str, records: &mut dyn FnMut(L::Record)) {
        self.state = State::Idle;
        self.out_of_step = false;
        self.logic.lost(now, reason, records);
    }

    fn wire(&self, bytes: usize) -> Nanos {
        Nanos(self.byte_time.0 * bytes as i64)
    }

    fn deadline(&self, request: &Request, sent: Nanos) -> Nanos {
        sent + self.wire(request.bytes().len() + LONGEST_REPLY) + request.allowance
    }
}
