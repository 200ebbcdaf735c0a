//! The link threads' logic and the correlator allocate nothing while they fly.
#![allow(unsafe_code)] // A counting allocator cannot be written without.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use aefi_bench_sim::{FaultScript, SimulatedBench};
use aefi_scan_engine::controls::Controls;
use aefi_scan_engine::conversation::{Conversation, DeviceLogic, Output};
use aefi_scan_engine::correlator::Correlator;
use aefi_scan_engine::machine::detector::DetectorMachine;
use aefi_scan_engine::machine::stage::StageMachine;
use aefi_scan_engine::ring::{Consumer, Producer, ring};
use aefi_scan_engine::{FlightPlan, Link, Nanos, Trigger, VirtualBench};
use common::{bench, plan, setup};

thread_local! {
    static WATCHING: Cell<bool> = const { Cell::new(false) };
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WATCHING.get() {
            SEEN.set(SEEN.get() + 1);
        }
        // SAFETY: the caller's promise is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts allocations inside `work`, once watching is asked for.
fn watched<R>(watch: bool, work: impl FnOnce() -> R) -> R {
    WATCHING.set(watch);
    let result = work();
    WATCHING.set(false);
    result
}

struct Talk<L: DeviceLogic> {
    link: Link,
    conversation: Conversation<L>,
    records: Producer<L::Record>,
    turn: Nanos,
}

impl<L: DeviceLogic> Talk<L> {
    fn new(link: Link, logic: L, byte_time: Nanos) -> (Self, Consumer<L::Record>) {
        let (records, out) = ring(1 << 16);
        let talk = Self {
            link,
            conversation: Conversation::new(logic, byte_time),
            records,
            turn: Nanos::ZERO,
        };
        (talk, out)
    }

    /// One event of this link at `now`; only the engine's own part is watched.
    fn step(&mut self, now: Nanos, bench: &mut SimulatedBench, watch: bool) {
        let records = &mut self.records;
        if bench.next_arrival(self.link).is_some_and(|at| at <= now) {
            let mut bytes = Vec::new();
            bench.read(self.link, now, &mut bytes);
            watched(watch, || {
                self.conversation
                    .received(now, &bytes, &mut |record| records.push(record));
            });
            self.turn = now + Nanos::from_micros(20);
            return;
        }
        let output = watched(watch, || {
            let output = self.conversation.poll(now, &mut |r| records.push(r));
            if matches!(output, Output::Write(_)) {
                self.conversation.wrote(now, &mut |r| records.push(r));
            }
            output
        });
        self.turn = match output {
            Output::Write(request) => {
                bench.write(self.link, now, request.bytes());
                now + Nanos::from_micros(20)
            }
            Output::Wait(until) => until.max(now + Nanos(1)),
            Output::Over => Nanos::NEVER,
        };
    }

    fn next(&self, bench: &SimulatedBench) -> Nanos {
        bench
            .next_arrival(self.link)
            .unwrap_or(Nanos::NEVER)
            .min(self.turn)
    }
}

#[test]
fn a_flight_allocates_nothing_once_it_flies() {
    fly_watched(plan(6, 20));
}

#[test]
fn a_flight_that_reads_at_positions_allocates_nothing_either() {
    let trigger = Trigger::Positions;
    fly_watched(FlightPlan {
        trigger,
        ..plan(6, 20)
    });
}

fn fly_watched(plan: FlightPlan) {
    SEEN.set(0);
    let settings = bench(5);
    let setup = setup(plan, &settings);
    let mut bench = SimulatedBench::starting_at(settings, &FaultScript::default(), Nanos::ZERO);
    let controls = Arc::new(Controls::default());
    let machine = StageMachine::new(
        Arc::clone(&setup.plan),
        setup.stage.clone(),
        Arc::clone(&controls),
    );
    let (mut stage, mut stage_out) = Talk::new(Link::Stage, machine, setup.stage.byte_time);
    let (machine, mut news) = DetectorMachine::new(
        Arc::clone(&setup.plan),
        setup.detector,
        Arc::clone(&controls),
    );
    let (mut detector, mut detector_out) =
        Talk::new(Link::Acquisition, machine, setup.detector.byte_time);
    let mut correlator =
        Correlator::new(Arc::clone(&setup.plan), Arc::clone(&controls), Nanos::ZERO);
    let mut frames = 0;
    loop {
        let now = stage.next(&bench).min(detector.next(&bench));
        if now == Nanos::NEVER {
            break;
        }
        // The set-up may allocate: a second is more than it takes.
        let watch = now > Nanos::from_millis(1_000);
        if stage.next(&bench) == now {
            stage.step(now, &mut bench, watch);
        } else {
            detector.step(now, &mut bench, watch);
        }
        watched(watch, || {
            let out = &mut |product| {
                frames += u64::from(matches!(
                    product,
                    aefi_scan_engine::correlator::Product::Frame(_)
                ));
            };
            while let Some(record) = stage_out.pop() {
                news.tell(record);
                correlator.take_stage(record, out);
            }
            while let Some(record) = detector_out.pop() {
                correlator.take_detector(record);
            }
            correlator.correlate(out);
        });
    }
    assert!(frames >= 100, "{frames} frames were flown");
    assert_eq!(SEEN.get(), 0, "allocations in flight");
}
