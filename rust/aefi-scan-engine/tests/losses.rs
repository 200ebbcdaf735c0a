//! What is lost on purpose is what is missed, and what finds no room is accounted for.

mod common;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use aefi_bench_sim::{Axis, FaultScript, Pacing, SimulatedBench};
use aefi_scan_engine::controls::Controls;
use aefi_scan_engine::correlator::Correlator;
use aefi_scan_engine::records::Product;
use aefi_scan_engine::ring::{Consumer, Loss, Producer, ring};
use aefi_scan_engine::shell::virtual_time::VirtualFlight;
use aefi_scan_engine::{Demand, FrameState, Nanos};
use common::draws::Draws;
use common::links::links;
use common::verdict::Flown;
use common::{Log, bench, outside, plan, setup};

// -- losses on purpose ---------------------------------------------------------------

const LINES: usize = 2;
const PER_LINE: usize = 8;
const FRAMES: usize = LINES * PER_LINE;
/// More frames in a row take the detector for dead.
const IN_A_ROW: usize = 3;
/// Six steps: more than an estimate of a prompt reading is off at a frame's edge.
const EDGE: Nanos = Nanos::from_millis(4);

fn fly_with(script: &str, seed: u64) -> Flown {
    let mut settings = bench(5);
    settings.seed = seed;
    settings.acquisition.pacing = Pacing::Paced {
        turnaround: Nanos::ZERO,
        jitter: Nanos::from_micros(500),
        latency_tick: Nanos::ZERO,
    };
    let plan = plan(LINES, PER_LINE);
    let mut setup = setup(plan.clone(), &settings);
    setup.detector.allowance = Nanos::from_millis(100);
    let faults: FaultScript = script.parse().expect("a script");
    let bench = SimulatedBench::starting_at(settings, &faults, Nanos::ZERO);
    let flight = VirtualFlight::new(&setup, bench, Nanos::ZERO);
    let flown = Flown::new(script.to_owned(), plan, flight, |_, _| {});
    flown.check();
    flown
}

/// When the stage enters the first and leaves the last of these frames of one line.
/// It does so in every flight, whatever the detector does.
fn passage(undisturbed: &Flown, frames: &Range<usize>) -> (Nanos, Nanos) {
    let index = frames.start / PER_LINE;
    let line = &undisturbed.plan.lines[index];
    let flown = &undisturbed.log.lines[index];
    let way = undisturbed.bench.trajectory(Axis::Y);
    let at = |edge| {
        way.first_at(edge, flown.began, flown.ended)
            .expect("the line passes all its edges")
    };
    let entered = at(line.edge(frames.start - line.first_frame));
    (entered, at(line.edge(frames.end - line.first_frame)))
}

/// No reading has its middle in these frames, and the one that waited meanwhile is
/// lost: nobody can say when it was taken.
fn without(undisturbed: &Flown, frames: &Range<usize>) -> String {
    let half = Nanos::from_millis(i64::from(undisturbed.plan.averaging.get())).0 / 2;
    let (entered, left) = passage(undisturbed, frames);
    let from = entered - Nanos(half) - EDGE;
    let ms = (left - from - Nanos(half) + EDGE).0 / 1_000_000 + 1;
    let at = from.as_secs_f64();
    format!("at {at}s do stall-detector {ms}\nat {at}s do lose-reply acquisition\n")
}

/// Frames that lie side by side in one line, not too many of them, and one between.
fn runs(draws: &mut Draws) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    for line in 0..LINES {
        let (mut next, end) = (line * PER_LINE, (line + 1) * PER_LINE);
        while next < end {
            let length = draws.draw(0..=IN_A_ROW).min(end - next);
            if length > 0 {
                runs.push(next..next + length);
            }
            next += length + 1;
        }
    }
    runs
}

#[test]
fn the_ledger_misses_just_the_frames_whose_readings_were_taken_away() {
    let mut draws = Draws::seeded(1);
    let mut taken_away = 0;
    for seed in 0..1_000 {
        let undisturbed = fly_with("", seed);
        undisturbed.check_whole();
        let runs = runs(&mut draws);
        let script: String = runs.iter().map(|run| without(&undisturbed, run)).collect();
        let injected: BTreeSet<_> = runs.into_iter().flatten().collect();
        let flown = fly_with(&script, seed);
        let missed = flown.log.frames.iter();
        let missed = missed.filter(|frame| frame.state == FrameState::Missed);
        let missed: BTreeSet<_> = missed.map(|frame| frame.frame).collect();
        assert_eq!(missed, injected, "seed {seed}: {flown}");
        let ok = (FRAMES - injected.len()) as u64;
        assert_eq!(flown.end.totals[0], ok, "seed {seed}: {flown}");
        taken_away += injected.len();
    }
    assert!(taken_away > 5_000, "{taken_away} frames were taken away");
}

// -- rings that overflow -------------------------------------------------------------

/// Room for half a second of each.
const FIXES: usize = 256;
const READINGS: usize = 32;

/// A ring whose records know their index, and the account of them.
struct Counted<T> {
    producer: Producer<(u64, T)>,
    consumer: Consumer<(u64, T)>,
    produced: u64,
    consumed: Vec<u64>,
}

impl<T> Counted<T> {
    fn new(capacity: usize) -> Self {
        let (producer, consumer) = ring(capacity);
        Self {
            producer,
            consumer,
            produced: 0,
            consumed: Vec::new(),
        }
    }

    fn push(&mut self, record: T) {
        self.push_ranked(record, false);
    }

    fn push_ranked(&mut self, record: T, is_replaceable: bool) {
        self.producer
            .push_ranked((self.produced, record), is_replaceable);
        self.produced += 1;
    }

    fn pop(&mut self) -> Option<T> {
        let (index, record) = self.consumer.pop()?;
        self.consumed.push(index);
        Some(record)
    }

    /// Produced is consumed and lost; the range of what was lost is exact.
    fn check(&self, what: &str) -> Loss {
        let loss = self.consumer.loss();
        let consumed: BTreeSet<_> = self.consumed.iter().copied().collect();
        assert!(self.consumed.is_sorted(), "{what}: in order");
        assert_eq!(consumed.len(), self.consumed.len(), "{what}: once");
        assert_eq!(
            self.produced,
            consumed.len() as u64 + loss.count,
            "{what}: {loss:?}"
        );
        let missing: Vec<_> = (0..self.produced)
            .filter(|index| !consumed.contains(index))
            .collect();
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            assert_eq!((loss.first, loss.last), (*first, *last), "{what}");
        }
        loss
    }
}

/// A flight whose correlator and whose consumer sleep now and then.
struct Drowsy {
    /// From when to when nobody correlates.
    correlator: (Nanos, Nanos),
    /// From when to when nobody consumes.
    consumer: (Nanos, Nanos),
    pause: Nanos,
}

fn sleeps((from, to): (Nanos, Nanos), now: Nanos) -> bool {
    from <= now && now < to
}

/// Whatever is lost, no frame is without a state and no interval is false.
fn check_products(log: &Log, totals: [u64; 7], frames: u64, bench: &SimulatedBench, what: &str) {
    assert_eq!(totals.iter().sum::<u64>(), frames, "{what}");
    let once: BTreeSet<_> = log.frames.iter().map(|ended| ended.frame).collect();
    assert_eq!(once.len(), log.frames.len(), "{what}: no frame ends twice");
    assert_eq!(frames - totals[6], once.len() as u64, "{what}");
    let known = |n: usize| !log.readings[n].place[0].low.is_nan();
    let mut wrong = outside(log, bench).into_iter();
    assert_eq!(wrong.find(|(n, ..)| known(*n)), None, "{what}");
}

/// Flies and checks the accounts; returns what was lost on the four ways.
fn fly_drowsily(drowsy: &Drowsy, what: &str) -> [Loss; 4] {
    let settings = bench(5);
    let plan = plan(2, 8);
    let frames = plan.frames() as u64;
    let setup = setup(plan, &settings);
    let mut bench = SimulatedBench::starting_at(settings, &FaultScript::default(), Nanos::ZERO);
    let controls = Arc::new(Controls::default());
    let (mut stage, mut detector, _news) = links(&setup, &controls);
    let mut correlator =
        Correlator::new(Arc::clone(&setup.plan), Arc::clone(&controls), Nanos::ZERO);
    let (mut stage_ring, mut fixes) = (Counted::new(FIXES), Counted::new(FIXES));
    let (mut detector_ring, mut readings) = (Counted::new(READINGS), Counted::new(READINGS));
    let mut log = Log::default();
    let mut pause = Some(drowsy.pause);
    let mut correlate = |stage: &mut Counted<_>,
                         detector: &mut Counted<_>,
                         fixes: &mut Counted<_>,
                         readings: &mut Counted<_>,
                         is_over| {
        let out = &mut |product| {
            log.take(product);
            match product {
                Product::Fix(fix) => fixes.push(fix),
                Product::Reading(reading) => readings.push(reading),
                _ => {}
            }
        };
        while let Some(record) = stage.pop() {
            correlator.take_stage(record, out);
        }
        while let Some(record) = detector.pop() {
            correlator.take_detector(record);
        }
        correlator.correlate(out);
        if is_over {
            correlator.finish(out);
        }
        correlator.ledger().totals()
    };
    let plainly: &dyn Fn(&mut dyn FnMut()) = &|work| work();
    let mut last = Nanos::ZERO;
    loop {
        let now = stage.next(&bench).min(detector.next(&bench));
        if now == Nanos::NEVER {
            break;
        }
        last = now;
        assert!(now < Nanos::from_millis(30_000), "{what}: never ends");
        if pause.take_if(|at| now >= *at).is_some() {
            controls.demands.demand(Demand::Pause);
        }
        if stage.conversation.logic().is_waiting_for_demand() {
            let _ = controls.demands.resume();
        }
        if stage.next(&bench) == now {
            stage.step(
                now,
                &mut bench,
                &mut |r| stage_ring.push_ranked(r, r.is_replaceable()),
                plainly,
            );
        } else {
            detector.step(now, &mut bench, &mut |r| detector_ring.push(r), plainly);
        }
        if !sleeps(drowsy.correlator, now) {
            correlate(
                &mut stage_ring,
                &mut detector_ring,
                &mut fixes,
                &mut readings,
                false,
            );
        }
        if !sleeps(drowsy.consumer, now) {
            while fixes.pop().is_some() {}
            while readings.pop().is_some() {}
        }
    }
    assert!(last > drowsy.pause, "{what}: paused in flight");
    let totals = correlate(
        &mut stage_ring,
        &mut detector_ring,
        &mut fixes,
        &mut readings,
        true,
    );
    while fixes.pop().is_some() {}
    while readings.pop().is_some() {}
    check_products(&log, totals, frames, &bench, what);
    [
        stage_ring.check(&format!("{what}, stage records")),
        detector_ring.check(&format!("{what}, detector records")),
        fixes.check(&format!("{what}, fixes")),
        readings.check(&format!("{what}, readings")),
    ]
}

#[test]
fn rings_that_overflow_tell_what_they_lost_across_a_pause_too() {
    let mut draws = Draws::seeded(2);
    let mut overflows = [0; 4];
    for number in 0..100 {
        let mut instant = || Nanos::from_millis(draws.draw(200_i64..3_000));
        let sleep = instant();
        let wake = sleep + instant();
        let drowsy = Drowsy {
            // One of the two: a correlator that sleeps has nothing to hand out.
            correlator: if number % 2 == 0 {
                (sleep, wake)
            } else {
                (Nanos::NEVER, Nanos::NEVER)
            },
            consumer: if number % 2 == 1 {
                (sleep, wake)
            } else {
                (Nanos::NEVER, Nanos::NEVER)
            },
            pause: instant(),
        };
        let what = format!(
            "flight {number}, asleep from {sleep:?} to {wake:?}, pause {:?}",
            drowsy.pause
        );
        let losses = fly_drowsily(&drowsy, &what);
        for (sum, loss) in overflows.iter_mut().zip(losses) {
            *sum += usize::from(loss.count > 0);
        }
    }
    assert!(overflows.iter().all(|count| *count > 20), "{overflows:?}");
}
