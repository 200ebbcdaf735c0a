//! The shell of virtual time: one event queue for the engine and its bench.
//!
//! Events are taken in the order of (time, link). The same bench gives the same
//! run; an hour passes in less than a second; and whoever steps through the events
//! can demand something at each single one.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::clock::MonotonicClock;
use crate::controls::{Controls, Demand};
use crate::conversation::{Conversation, DeviceLogic, Next};
use crate::correlator::Correlator;
use crate::error::EngineError;
use crate::machine::detector::{DetectorMachine, MotionNews};
use crate::machine::stage::StageMachine;
use crate::outcome::{FlightState, Outcome};
use crate::protocol::Request;
use crate::realtime::Realtime;
use crate::records::Product;
use crate::ring::Loss;
use crate::spool::SpoolOutcome;
use crate::units::Nanos;
use crate::virtual_bench::{Link, VirtualBench};

use super::{Flight, FlightEnd, FlightSetup, products};

/// The time a host takes from a reply to its next request.
const HOST_TIME: Nanos = Nanos::from_micros(20);
/// While the flight is paused, or its consumer sleeps, virtual time stands still.
const STANDSTILL: Duration = Duration::from_millis(5);

/// One link in virtual time.
#[derive(Debug)]
struct VirtualLink<L: DeviceLogic> {
    link: Link,
    talk: Conversation<L>,
    /// When the host turns to this link again, unless bytes arrive before.
    turn: Option<Nanos>,
    is_gone: bool,
    is_over: bool,
}

impl<L: DeviceLogic> VirtualLink<L> {
    fn new(link: Link, logic: L, byte_time: Nanos, now: Nanos) -> Self {
        Self {
            link,
            talk: Conversation::new(logic, byte_time),
            turn: Some(now),
            is_gone: false,
            is_over: false,
        }
    }

    /// Returns when something happens here next.
    fn next<B: VirtualBench>(&self, bench: &B) -> Option<Nanos> {
        if self.is_over {
            return None;
        }
        let arrival = bench.next_arrival(self.link);
        [self.turn, arrival].into_iter().flatten().min()
    }

    fn step<B: VirtualBench>(
        &mut self,
        now: Nanos,
        bench: &mut B,
        bytes: &mut Vec<u8>,
        records: &mut dyn FnMut(L::Record),
    ) {
        if bench.next_arrival(self.link).is_some_and(|at| at <= now) {
            bytes.clear();
            bench.read(self.link, now, bytes);
            self.talk.received(now, bytes, records);
            // The host needs its time only if the reply is complete.
            self.turn = Some(now + HOST_TIME);
            return;
        }
        if bench.is_gone(self.link) && !self.is_gone {
            self.is_gone = true;
            self.talk.lost(now, "the port is gone", records);
        }
        let link = self.link;
        let write = |at, request: &Request| {
            bench.write(link, at, request.bytes());
            Ok(())
        };
        match self.talk.drive(|| now, write, records) {
            Next::Wrote(at) => self.turn = Some(at + HOST_TIME),
            Next::Wait(until) => self.turn = Some(until.max(now + Nanos(1))),
            Next::Over => self.is_over = true,
        }
    }
}

/// A flight in virtual time, event by event.
#[derive(Debug)]
pub struct VirtualFlight<B> {
    bench: B,
    now: Nanos,
    began: Nanos,
    stage: VirtualLink<StageMachine>,
    detector: VirtualLink<DetectorMachine>,
    correlator: Correlator,
    news: MotionNews,
    controls: Arc<Controls>,
    realtime: Realtime,
    bytes: Vec<u8>,
}

impl<B: VirtualBench> VirtualFlight<B> {
    /// Returns the flight before its first event, at `now` of the bench's time.
    #[must_use]
    pub fn new(setup: &FlightSetup, bench: B, now: Nanos) -> Self {
        let controls = Arc::new(Controls::default());
        controls.display.set_now(now);
        let stage = StageMachine::new(
            Arc::clone(&setup.plan),
            setup.stage.clone(),
            Arc::clone(&controls),
        );
        let (detector, news) = DetectorMachine::new(
            Arc::clone(&setup.plan),
            setup.detector,
            Arc::clone(&controls),
        );
        Self {
            bench,
            now,
            began: now,
            stage: VirtualLink::new(Link::Stage, stage, setup.stage.byte_time, now),
            detector: VirtualLink::new(Link::Acquisition, detector, setup.detector.byte_time, now),
            correlator: Correlator::new(Arc::clone(&setup.plan), Arc::clone(&controls), now),
            news,
            controls,
            realtime: setup.realtime,
            bytes: Vec::with_capacity(256),
        }
    }

    /// Returns what the flight's owner would hold.
    #[must_use]
    pub fn controls(&self) -> &Arc<Controls> {
        &self.controls
    }

    /// Returns the present of the flight.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Returns the bench.
    #[must_use]
    pub fn bench(&self) -> &B {
        &self.bench
    }

    /// Returns the bench, to reach what is wired to it beside the links.
    pub fn bench_mut(&mut self) -> &mut B {
        &mut self.bench
    }

    /// Gives the bench back.
    #[must_use]
    pub fn into_bench(self) -> B {
        self.bench
    }

    /// Returns whether nothing happens before somebody asks for it.
    #[must_use]
    pub fn is_waiting_for_demand(&self) -> bool {
        self.stage.talk.logic().is_waiting_for_demand()
    }

    /// Lets the next event happen; returns false when there is none any more.
    pub fn step(&mut self, out: &mut dyn FnMut(Product)) -> bool {
        let stage = self.stage.next(&self.bench);
        let detector = self.detector.next(&self.bench);
        let Some(next) = [stage, detector].into_iter().flatten().min() else {
            return false;
        };
        self.now = self.now.max(next);
        self.controls.display.set_now(self.now);
        if stage == Some(next) {
            let (correlator, news) = (&mut self.correlator, &mut self.news);
            self.stage
                .step(self.now, &mut self.bench, &mut self.bytes, &mut |record| {
                    news.tell(record);
                    correlator.take_stage(record, out);
                });
        } else {
            let correlator = &mut self.correlator;
            self.detector
                .step(self.now, &mut self.bench, &mut self.bytes, &mut |record| {
                    correlator.take_detector(record);
                });
            if self.detector.is_over {
                self.correlator.end_detector();
            }
        }
        self.correlator.correlate(out);
        true
    }

    /// Ends the flight whose events are over.
    pub fn finish(&mut self, out: &mut dyn FnMut(Product)) -> FlightEnd {
        self.correlator.finish(out);
        let outcome = self.stage.talk.logic().outcome().cloned();
        let outcome = outcome.unwrap_or(Outcome {
            state: FlightState::Failed,
            cause: None,
        });
        self.controls.display.set_state(outcome.state);
        FlightEnd {
            outcome,
            stops: self.stage.talk.logic().stops(),
            totals: self.correlator.ledger().totals(),
            began: self.began,
            ended: self.now,
            excitation_off: self.detector.talk.logic().is_excitation_off(),
            stage_link: self.stage.talk.health(),
            detector_link: self.detector.talk.health(),
            lateness: self.correlator.lateness(),
            latch: self.correlator.latch(),
            unseen: [Loss::default(); 2],
            spool: SpoolOutcome::default(),
            realtime: self
                .realtime
                .unavailable(&["stage", "detector"], "virtual time"),
        }
    }
}

/// Runs a device's logic over its link of `bench` from `now` on, to its end, and returns
/// it and when that was.
pub fn run_to_end<L: DeviceLogic, B: VirtualBench>(
    logic: L,
    link: Link,
    byte_time: Nanos,
    bench: &mut B,
    now: Nanos,
) -> (L, Nanos) {
    let (talk, now) = converse_to_end(logic, link, byte_time, bench, now);
    (talk.into_parts().0, now)
}

/// The same, and returns the whole conversation.
pub fn converse_to_end<L: DeviceLogic, B: VirtualBench>(
    logic: L,
    link: Link,
    byte_time: Nanos,
    bench: &mut B,
    now: Nanos,
) -> (Conversation<L>, Nanos) {
    let mut link = VirtualLink::new(link, logic, byte_time, now);
    let (mut now, mut bytes) = (now, Vec::new());
    while let Some(next) = link.next(bench) {
        now = now.max(next);
        link.step(now, bench, &mut bytes, &mut |_| {});
    }
    (link.talk, now)
}

/// Starts a flight in virtual time on a thread of its own and returns at once.
///
/// `done` gets the bench back, after the flight's last event and before its end is
/// known to the owner, or at once if the spool can't be made.
///
/// # Errors
///
/// If the spool can't be made, or the system refuses the thread.
pub fn start<B>(
    setup: &FlightSetup,
    bench: B,
    now: Nanos,
    done: impl FnOnce(B, Nanos) + Send + 'static,
) -> Result<Flight, EngineError>
where
    B: VirtualBench + Send + 'static,
{
    let (mut output, products) = match products(setup, now) {
        Ok(ends) => ends,
        Err(error) => {
            done(bench, now);
            return Err(error.into());
        }
    };
    let mut flight = VirtualFlight::new(setup, bench, now);
    let controls = Arc::clone(flight.controls());
    let shared = Arc::clone(&controls);
    let runner = thread::Builder::new()
        .name("aefi-virtual".into())
        .spawn(move || {
            loop {
                // Real time: a spool is for the death of the host.
                output.tick(&MonotonicClock, &shared);
                let abandoned = output.is_abandoned();
                let ending = shared.demands.demanded() >= Demand::Stop;
                let crowded = output.is_crowded() && !abandoned && !ending;
                if crowded || flight.is_waiting_for_demand() {
                    thread::park_timeout(STANDSTILL);
                    continue;
                }
                if abandoned {
                    shared.demands.demand(Demand::Stop);
                }
                if !flight.step(&mut |product| output.push(product)) {
                    break;
                }
            }
            let mut end = flight.finish(&mut |product| output.push(product));
            output.close_spool(&mut end);
            shared.display.set_state(end.outcome.state);
            done(flight.into_bench(), end.ended);
            end
        })
        .map_err(|error| EngineError::thread(&error))?;
    Ok(Flight {
        controls,
        products,
        began: now,
        frames: setup.plan.frames(),
        sleepers: vec![runner.thread().clone()],
        runner: Some(runner),
        end: None,
        owner: std::process::id(),
    })
}
