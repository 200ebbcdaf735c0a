//! The shell of real ports: one thread a link, one for the correlation.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::Clock;
use crate::controls::{Controls, Demand};
use crate::conversation::{Conversation, DeviceLogic, LinkHealth, Next};
use crate::correlator::Correlator;
use crate::error::{Cause, EngineError};
use crate::machine::detector::{DetectorMachine, MotionNews};
use crate::machine::stage::StageMachine;
use crate::outcome::{FlightState, Outcome, StopsSent};
use crate::protocol::Request;
use crate::protocol::pmx::Command;
use crate::realtime::{Realtime, SettingReport, ThisSystem};
use crate::records::{DetectorRecord, StageRecord};
use crate::ring::{Consumer, Loss, Producer, ring};
use crate::spool::SpoolOutcome;
use crate::transport::Transport;
use crate::units::Nanos;

use super::{CORRELATOR, DETECTOR, Flight, FlightEnd, FlightSetup, ProductsIn, STAGE, products};

/// Records on their way to the correlator: seconds of work for it.
const RECORDS: usize = 65_536;
/// The correlator looks after new records this often; nothing waits for it.
const CORRELATION_PERIOD: Duration = Duration::from_millis(2);
/// A silent port is looked after at least this often, so that a demand is heard.
const LONGEST_WAIT: Nanos = Nanos::from_millis(20);

/// Starts a flight over two open links and returns at once.
///
/// The links are closed when the flight has ended.
///
/// # Errors
///
/// If the spool can't be made, or the system refuses a thread.
pub fn start<S, D, C>(
    setup: &FlightSetup,
    stage: S,
    detector: D,
    clock: C,
) -> Result<Flight, EngineError>
where
    S: Transport + 'static,
    D: Transport + 'static,
    C: Clock + Clone + 'static,
{
    let controls = Arc::new(Controls::default());
    let began = clock.now();
    controls.display.set_now(began);
    let (output, products) = products(setup, began)?;
    let realtime = setup.realtime;
    let for_process = realtime.for_process(&ThisSystem);
    let (stage_in, stage_out) = ring(RECORDS);
    let (detector_in, detector_out) = ring(RECORDS);
    let (machine, news) = DetectorMachine::new(
        Arc::clone(&setup.plan),
        setup.detector,
        Arc::clone(&controls),
    );
    let stage_link = StageLink {
        inner: LinkThread {
            transport: stage,
            clock: clock.clone(),
            controls: Arc::clone(&controls),
            spin: realtime.spin,
            records: StageSink {
                records: stage_in,
                news,
            },
        },
        machine: StageMachine::new(
            Arc::clone(&setup.plan),
            setup.stage.clone(),
            Arc::clone(&controls),
        ),
        byte_time: setup.stage.byte_time,
        realtime,
        stop: setup.stage.request(Command::Stop),
        abort: setup.stage.request(Command::Abort),
    };
    let detector_link = DetectorLink {
        inner: LinkThread {
            transport: detector,
            clock: clock.clone(),
            controls: Arc::clone(&controls),
            spin: Nanos::ZERO,
            records: detector_in,
        },
        machine,
        byte_time: setup.detector.byte_time,
        realtime,
    };
    let desk = Desk {
        correlator: Correlator::new(Arc::clone(&setup.plan), Arc::clone(&controls), began),
        stage: stage_out,
        detector: detector_out,
        output,
    };
    let launch = || {
        let runner = Runner {
            stage: spawn("aefi-stage", move || stage_link.run())?,
            detector: spawn("aefi-detector", move || detector_link.run())?,
            desk,
            controls: Arc::clone(&controls),
            began,
            for_process,
        };
        spawn("aefi-correlator", move || runner.run(&clock))
    };
    // If a thread is refused, those before it end.
    let runner = launch().inspect_err(|_| drop(OverGuard::new(&controls)))?;
    Ok(Flight {
        controls,
        products,
        began,
        frames: setup.plan.frames(),
        // A link's thread waits for its port, never longer than `LONGEST_WAIT`.
        sleepers: Vec::new(),
        runner: Some(runner),
        end: None,
        owner: std::process::id(),
    })
}

fn spawn<R: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<JoinHandle<R>, EngineError> {
    let builder = thread::Builder::new().name(name.into());
    builder
        .spawn(work)
        .map_err(|error| EngineError::thread(&error))
}

/// The thread that correlates, and then gathers what the others leave.
struct Runner {
    stage: JoinHandle<StageEnd>,
    detector: JoinHandle<DetectorEnd>,
    desk: Desk,
    controls: Arc<Controls>,
    began: Nanos,
    for_process: Vec<SettingReport>,
}

impl Runner {
    fn run(mut self, clock: &impl Clock) -> FlightEnd {
        let over = OverGuard::new(&self.controls);
        let run = catch_unwind(AssertUnwindSafe(|| self.desk.run(clock, &self.controls)));
        drop(over);
        let (mut outcome, stops, stage_link, mut realtime) =
            self.stage.join().unwrap_or_else(|_| panicked_stage());
        if run.is_err() {
            outcome = panicked(CORRELATOR);
        }
        let desk = &mut self.desk;
        let unseen = run.unwrap_or_else(|_| [desk.stage.loss(), desk.detector.loss()]);
        let (excitation_off, detector_link, of_detector) = self.detector.join().unwrap_or_default();
        realtime.extend(of_detector);
        Realtime::take_back(&ThisSystem, &self.for_process);
        realtime.extend(self.for_process);
        let ended = clock.now();
        self.controls.display.set_now(ended);
        let mut end = FlightEnd {
            outcome,
            stops,
            totals: desk.correlator.ledger().totals(),
            began: self.began,
            ended,
            excitation_off,
            stage_link,
            detector_link,
            lateness: desk.correlator.lateness(),
            latch: desk.correlator.latch(),
            unseen,
            spool: SpoolOutcome::default(),
            realtime,
        };
        desk.output.close_spool(&mut end);
        self.controls.display.set_state(end.outcome.state);
        end
    }
}

/// Runs a device's logic over its open link, on the caller's thread, to its end; `spin`
/// is as in [`Realtime`].
///
/// The records go the way of a flight's, into a ring, where nobody takes them out.
pub fn run_to_end<L: DeviceLogic, T: Transport, C: Clock>(
    logic: L,
    byte_time: Nanos,
    transport: T,
    clock: C,
    spin: Nanos,
) -> (L, LinkHealth) {
    let (records, _unread) = ring(RECORDS);
    let mut link = LinkThread {
        transport,
        clock,
        controls: Arc::new(Controls::default()),
        spin,
        records,
    };
    link.run(logic, byte_time)
}

fn panicked(thread: &'static str) -> Outcome {
    Outcome {
        state: FlightState::Failed,
        cause: Some(Cause::Panicked { thread }),
    }
}

/// What the stage's thread leaves.
type StageEnd = (Outcome, StopsSent, LinkHealth, Vec<SettingReport>);

/// What is known of a stage whose thread panicked: an abort was its last word.
fn panicked_stage() -> StageEnd {
    let stops = StopsSent {
        aborts: 1,
        ..StopsSent::default()
    };
    (panicked(STAGE), stops, LinkHealth::default(), Vec::new())
}

/// Where a link's records go.
trait Sink<R> {
    fn take(&mut self, record: R);
}

impl<R> Sink<R> for Producer<R> {
    fn take(&mut self, record: R) {
        self.push(record);
    }
}

/// The stage's records go to the correlator, and to the detector if it asks.
struct StageSink {
    records: Producer<StageRecord>,
    news: MotionNews,
}

impl Sink<StageRecord> for StageSink {
    fn take(&mut self, record: StageRecord) {
        self.news.tell(record);
        self.records.push_ranked(record, record.is_replaceable());
    }
}

/// Drives one conversation over one transport until it is over.
struct LinkThread<T, C, R> {
    transport: T,
    clock: C,
    controls: Arc<Controls>,
    /// See [`Realtime::spin`].
    spin: Nanos,
    records: R,
}

impl<T: Transport, C: Clock, R> LinkThread<T, C, R> {
    /// Asks the system for what this thread and its port need; on this thread.
    fn ask_system(&mut self, link: &str, realtime: Realtime) -> Vec<SettingReport> {
        realtime.for_link(link, &ThisSystem, || self.transport.hurry())
    }

    fn run<L>(&mut self, logic: L, byte_time: Nanos) -> (L, LinkHealth)
    where
        L: DeviceLogic,
        R: Sink<L::Record>,
    {
        let mut talk = Conversation::new(logic, byte_time);
        loop {
            let (clock, records, transport) = (&self.clock, &mut self.records, &mut self.transport);
            self.controls.display.set_now(clock.now());
            let write = |_, request: &Request| transport.write_all(request.bytes());
            match talk.drive(|| clock.now(), write, &mut |record| records.take(record)) {
                Next::Wrote(_) => {}
                Next::Wait(until) => self.listen(&mut talk, until),
                Next::Over => return talk.into_parts(),
            }
        }
    }

    fn listen<L>(&mut self, talk: &mut Conversation<L>, until: Nanos)
    where
        L: DeviceLogic,
        R: Sink<L::Record>,
    {
        let mut bytes = [0; 256];
        let now = self.clock.now();
        let until = until.min(now + LONGEST_WAIT);
        let read = match talk.expected(self.spin) {
            Some(span) => self.read_awake(&mut bytes, now, until, span),
            None => self.transport.read(&mut bytes, until - now),
        };
        match read {
            Ok(count) => {
                let at = self.clock.now();
                talk.received(at, &bytes[..count], &mut |record| self.records.take(record));
            }
            Err(error) => self.lose(talk, &error),
        }
    }

    /// Sleeps, but not in the span in which the reply is expected: to be woken takes as
    /// long as the engine's own part of some exchanges.
    fn read_awake(
        &mut self,
        into: &mut [u8],
        now: Nanos,
        until: Nanos,
        [from, to]: [Nanos; 2],
    ) -> io::Result<usize> {
        if now < from {
            return self.transport.read(into, from.min(until) - now);
        }
        while self.clock.now() < to.min(until) {
            let count = self.transport.read_now(into)?;
            if count > 0 {
                return Ok(count);
            }
            std::hint::spin_loop();
        }
        let now = self.clock.now();
        self.transport.read(into, (until - now).max(Nanos::ZERO))
    }

    fn lose<L>(&mut self, talk: &mut Conversation<L>, error: &io::Error)
    where
        L: DeviceLogic,
        R: Sink<L::Record>,
    {
        let at = self.clock.now();
        talk.lost(at, &error.to_string(), &mut |record| {
            self.records.take(record);
        });
    }
}

/// The stage's link thread; whatever happens in it, the stage is told to stop.
struct StageLink<T, C> {
    inner: LinkThread<T, C, StageSink>,
    machine: StageMachine,
    byte_time: Nanos,
    realtime: Realtime,
    stop: Request,
    abort: Request,
}

impl<T: Transport, C: Clock> StageLink<T, C> {
    fn run(mut self) -> StageEnd {
        let mut over = OverGuard::new(&self.inner.controls);
        let settings = self.inner.ask_system(STAGE, self.realtime);
        let (inner, machine, byte_time) = (&mut self.inner, self.machine, self.byte_time);
        let flown = catch_unwind(AssertUnwindSafe(|| inner.run(machine, byte_time)));
        let Ok((machine, health)) = flown else {
            // Nothing is known any more but that nobody watches: stand still at once.
            // A link that takes no bytes leaves the end of the line as the last stop.
            let _ = self.inner.transport.write_all(self.abort.bytes());
            let (outcome, stops, health, _) = panicked_stage();
            return (outcome, stops, health, settings);
        };
        let outcome = machine.outcome().cloned();
        over.is_needed = outcome.is_none();
        let outcome = outcome.unwrap_or_else(|| panicked(STAGE));
        if matches!(outcome.cause, Some(Cause::LinkLost { .. })) {
            // A link of which only one direction works may carry it.
            let _ = self.inner.transport.write_all(self.stop.bytes());
        }
        (outcome, machine.stops(), health, settings)
    }
}

/// What the detector's thread leaves: whether the excitation is off, and the rest.
type DetectorEnd = (bool, LinkHealth, Vec<SettingReport>);

/// The detector's link thread; without it the stage does not fly on.
struct DetectorLink<T, C> {
    inner: LinkThread<T, C, Producer<DetectorRecord>>,
    machine: DetectorMachine,
    byte_time: Nanos,
    realtime: Realtime,
}

impl<T: Transport, C: Clock> DetectorLink<T, C> {
    fn run(mut self) -> DetectorEnd {
        let settings = self.inner.ask_system(DETECTOR, self.realtime);
        let (inner, machine, byte_time) = (&mut self.inner, self.machine, self.byte_time);
        let flown = catch_unwind(AssertUnwindSafe(|| inner.run(machine, byte_time)));
        let Ok((machine, health)) = flown else {
            let cause = Cause::Panicked { thread: DETECTOR };
            self.inner.controls.agreement.set_detector_fault(cause);
            return (false, LinkHealth::default(), settings);
        };
        (machine.is_excitation_off(), health, settings)
    }
}

/// Ends what other threads do for a flight when the one that holds this ends,
/// by a panic too.
struct OverGuard {
    controls: Arc<Controls>,
    is_needed: bool,
}

impl OverGuard {
    fn new(controls: &Arc<Controls>) -> Self {
        Self {
            controls: Arc::clone(controls),
            is_needed: true,
        }
    }
}

impl Drop for OverGuard {
    fn drop(&mut self) {
        if self.is_needed {
            self.controls.demands.demand(Demand::Stop);
            self.controls.agreement.set_stage_over();
        }
    }
}

/// Where records meet: the correlator and its rings.
struct Desk {
    correlator: Correlator,
    stage: Consumer<StageRecord>,
    detector: Consumer<DetectorRecord>,
    output: ProductsIn,
}

impl Desk {
    /// Correlates until both links are over; returns what found no room.
    fn run(&mut self, clock: &impl Clock, controls: &Controls) -> [Loss; 2] {
        loop {
            // Asked before emptying: what is over has nothing more to say.
            let stage_over = self.stage.is_closed();
            let detector_over = self.detector.is_closed();
            self.empty();
            if detector_over {
                self.correlator.end_detector();
            }
            let output = &mut self.output;
            self.correlator
                .correlate(&mut |product| output.push(product));
            if stage_over && detector_over {
                let output = &mut self.output;
                self.correlator.finish(&mut |product| output.push(product));
                return [self.stage.loss(), self.detector.loss()];
            }
            output.tick(clock, controls);
            thread::sleep(CORRELATION_PERIOD);
        }
    }

    fn empty(&mut self) {
        let output = &mut self.output;
        while let Some(record) = self.stage.pop() {
            self.correlator
                .take_stage(record, &mut |product| output.push(product));
        }
        while let Some(record) = self.detector.pop() {
            self.correlator.take_detector(record);
        }
    }
}
