//! A panic in any thread of a flight stops the stage; in real time, in process.

mod common;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aefi_bench_sim::{BenchSettings, FaultScript, Pacing, SimulatedBench};
use aefi_scan_engine::clock::{Clock, MonotonicClock};
use aefi_scan_engine::shell::{FlightEnd, FlightSetup, threads};
use aefi_scan_engine::spool::SpoolTarget;
use aefi_scan_engine::transport::Transport;
use aefi_scan_engine::{Cause, FlightState, Link, Nanos, VirtualBench};
use common::{bench, plan, setup};

type SharedBench = Arc<Mutex<SimulatedBench>>;

/// A link to a bench in this process, which panics when it has read so often.
struct InProcess {
    bench: SharedBench,
    link: Link,
    reads_left: u32,
}

impl InProcess {
    fn with<R>(&self, work: impl FnOnce(&mut SimulatedBench) -> R) -> R {
        work(&mut self.bench.lock().expect("nobody panics with the lock"))
    }
}

impl Transport for InProcess {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(|bench| bench.write(self.link, MonotonicClock.now(), bytes));
        Ok(())
    }

    fn read(&mut self, into: &mut [u8], patience: Nanos) -> io::Result<usize> {
        self.reads_left -= 1;
        assert!(self.reads_left > 0, "as planned");
        let deadline = MonotonicClock.now() + patience;
        loop {
            let now = MonotonicClock.now();
            let mut bytes = Vec::new();
            let is_due = |bench: &mut SimulatedBench| {
                let due = bench.next_arrival(self.link).is_some_and(|at| at <= now);
                if due {
                    bench.read(self.link, now, &mut bytes);
                }
                due
            };
            if self.with(is_due) {
                into[..bytes.len()].copy_from_slice(&bytes);
                return Ok(bytes.len());
            }
            if now >= deadline {
                return Ok(0);
            }
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// A clock that makes the thread of this name panic once, after a second.
#[derive(Clone)]
struct Bomb {
    began: Nanos,
    thread: &'static str,
    is_spent: Arc<AtomicBool>,
}

impl Clock for Bomb {
    fn now(&self) -> Nanos {
        let now = MonotonicClock.now();
        let is_due = now - self.began > Nanos::from_millis(1000);
        if is_due && thread::current().name() == Some(self.thread) {
            assert!(self.is_spent.swap(true, Ordering::Relaxed), "as planned");
        }
        now
    }
}

const NEVER: u32 = u32::MAX;

fn fast_bench() -> BenchSettings {
    let mut settings = bench(5);
    settings.stage.pacing = Pacing::line_only();
    settings
}

/// Flies in real time until something panics, and lets the stage come to rest.
fn fly(
    stage_reads: u32,
    detector_reads: u32,
    clock: impl Clock + Clone + 'static,
    spool: Option<SpoolTarget>,
) -> (FlightEnd, SimulatedBench) {
    let settings = fast_bench();
    let setup = FlightSetup {
        spool,
        ..setup(plan(4, 40), &settings)
    };
    let now = MonotonicClock.now();
    let bench = SimulatedBench::starting_at(settings, &FaultScript::default(), now);
    let bench = Arc::new(Mutex::new(bench));
    let link = |link, reads_left| InProcess {
        bench: Arc::clone(&bench),
        link,
        reads_left,
    };
    let stage = link(Link::Stage, stage_reads);
    let detector = link(Link::Acquisition, detector_reads);
    let mut flight = threads::start(&setup, stage, detector, clock).expect("it starts");
    let end = loop {
        if let Some(end) = flight.end() {
            break end.clone();
        }
        thread::sleep(Duration::from_millis(5));
    };
    drop(flight);
    let mut bench = Arc::into_inner(bench)
        .expect("the links are closed")
        .into_inner()
        .expect("nobody panicked with the lock");
    // Whatever is still under way at the controller happens.
    bench.read(
        Link::Stage,
        MonotonicClock.now() + Nanos::from_millis(2000),
        &mut Vec::new(),
    );
    (end, bench)
}

fn stops_of(bench: &SimulatedBench) -> Vec<String> {
    let stops = bench.controller().stops();
    stops
        .iter()
        .map(|stop| format!("{:?}", stop.kind))
        .collect()
}

#[test]
fn a_panic_of_the_stages_thread_leaves_by_an_abort() {
    let (end, bench) = fly(400, NEVER, MonotonicClock, None);
    assert_eq!(end.outcome.state, FlightState::Failed);
    assert_eq!(end.outcome.cause, Some(Cause::Panicked { thread: "stage" }));
    assert_eq!(stops_of(&bench), ["Abort"]);
    assert!(end.is_position_suspect());
    assert_eq!(end.totals.iter().sum::<u64>(), 160);
}

#[test]
fn a_panic_of_the_detectors_thread_stops_the_stage_with_its_ramp() {
    let (end, bench) = fly(NEVER, 60, MonotonicClock, None);
    assert_eq!(end.outcome.state, FlightState::Failed);
    assert_eq!(
        end.outcome.cause,
        Some(Cause::Panicked { thread: "detector" })
    );
    assert_eq!(stops_of(&bench), ["Stop"]);
    assert!(!end.excitation_off, "nobody switched it off");
    assert!(!end.is_position_suspect());
}

#[test]
fn a_panic_of_the_correlator_stops_the_stage_with_its_ramp() {
    let clock = Bomb {
        began: MonotonicClock.now(),
        thread: "aefi-correlator",
        is_spent: Arc::default(),
    };
    let folder = std::env::temp_dir().join(format!("aefi-panic-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let spool = SpoolTarget {
        path: folder.join("a.spool"),
        note: String::new(),
    };
    let (end, bench) = fly(NEVER, NEVER, clock, Some(spool));
    std::fs::remove_dir_all(&folder).expect("the folder");
    assert_eq!(end.outcome.state, FlightState::Failed);
    assert_eq!(
        end.outcome.cause,
        Some(Cause::Panicked {
            thread: "correlator"
        })
    );
    assert_eq!(stops_of(&bench), ["Stop"]);
    assert!(end.excitation_off);
}
