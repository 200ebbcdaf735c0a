//! The link threads' logic and the correlator allocate nothing while they fly.
#![allow(unsafe_code)] // A counting allocator cannot be written without.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use aefi_bench_sim::settings::Encoder;
use aefi_bench_sim::{FaultScript, SimulatedBench};
use aefi_scan_engine::controls::Controls;
use aefi_scan_engine::correlator::Correlator;
use aefi_scan_engine::ring::ring;
use aefi_scan_engine::{FlightPlan, Nanos, Trigger};
use common::links::links;
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

#[test]
fn nor_does_one_that_gives_pulses_or_takes_edges() {
    for trigger in [
        Trigger::SyncOutput {
            pulses_per_count: 1.0,
        },
        Trigger::DigitalOutput { output: 5 },
        Trigger::Latch,
    ] {
        fly_watched(FlightPlan {
            trigger,
            ..plan(6, 20)
        });
    }
}

fn fly_watched(plan: FlightPlan) {
    SEEN.set(0);
    let mut settings = bench(5);
    settings.stage.encoder = Encoder::Wired {
        pulses_per_count: 1.0,
    };
    let setup = setup(plan, &settings);
    let mut bench = SimulatedBench::starting_at(settings, &FaultScript::default(), Nanos::ZERO);
    let controls = Arc::new(Controls::default());
    let (mut stage, mut detector, mut news) = links(&setup, &controls);
    let (mut stage_in, mut stage_out) = ring(1 << 16);
    let (mut detector_in, mut detector_out) = ring(1 << 16);
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
        // Only the engine's own part is watched.
        let around: &dyn Fn(&mut dyn FnMut()) = &|work| watched(watch, work);
        if stage.next(&bench) == now {
            stage.step(now, &mut bench, &mut |r| stage_in.push(r), around);
        } else {
            detector.step(now, &mut bench, &mut |r| detector_in.push(r), around);
        }
        watched(watch, || {
            let out = &mut |product| {
                frames += u64::from(matches!(
                    product,
                    aefi_scan_engine::records::Product::Frame(_)
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
