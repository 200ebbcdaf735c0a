//! Promises over many random flights in virtual time, judged by the truth.

mod common;

use std::collections::BTreeSet;

use aefi_bench_sim::{BenchSettings, FaultScript, Pacing, SimulatedBench};
use aefi_scan_engine::protocol::mcu::Averaging;
use aefi_scan_engine::ring::ring;
use aefi_scan_engine::{Demand, FlightPlan, FlightState, FrameState, Nanos};
use common::{Log, bench, fly, outside, plan, virtual_flight};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// Frames by how many delivered conversions were really made in them: none at all,
/// or some that lie so deep inside that no interval reaches the neighbour.
struct Lit {
    dark: BTreeSet<usize>,
    surely_lit: BTreeSet<usize>,
}

fn lit_frames(plan: &FlightPlan, log: &Log, bench: &SimulatedBench) -> Lit {
    let truth = bench.truth();
    let (mut touched, mut surely_lit) = (BTreeSet::new(), BTreeSet::new());
    // The widest interval of any reading: further inside, the frame is certain.
    let reach = log
        .readings
        .iter()
        .map(|r| r.place[1].high - r.place[1].low)
        .filter(|width| width.is_finite())
        .fold(0.0, f64::max);
    for ended in &log.lines {
        let line = &plan.lines[ended.line];
        let delivered = truth.conversions().iter().filter(|conversion| {
            log.readings.iter().any(|placed| {
                placed.reading.sent <= conversion.start && conversion.end <= placed.reading.received
            })
        });
        for conversion in delivered {
            let middle = Nanos(i64::midpoint(conversion.start.0, conversion.end.0));
            if middle < ended.began || middle > ended.ended {
                continue;
            }
            let position = truth.position(aefi_bench_sim::Axis::Y, middle);
            let may_hold = |place: &usize| {
                let (a, b) = (line.edge(*place), line.edge(*place + 1));
                position - reach <= a.max(b) && position + reach >= a.min(b)
            };
            let places: Vec<_> = (0..line.frames).filter(may_hold).collect();
            touched.extend(places.iter().map(|place| line.first_frame + place));
            // Near the window's ends the estimate may lie outside all frames.
            let inside = |p: f64| line.place(p).is_some();
            if let ([only], true, true) = (
                &places[..],
                inside(position - reach),
                inside(position + reach),
            ) {
                surely_lit.insert(line.first_frame + only);
            }
        }
    }
    Lit {
        dark: (0..plan.frames())
            .filter(|f| !touched.contains(f))
            .collect(),
        surely_lit,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_misses_just_what_the_detector_slept_through(
        seed in any::<u64>(),
        stalls in prop::collection::vec((1.0_f64..4.0, 60_i64..420), 0..4),
    ) {
        let script: Vec<_> = stalls
            .iter()
            .map(|(at, ms)| format!("at {at:.3}s do stall-detector {ms}"))
            .collect();
        let script = script.join("\n");
        let mut settings = bench(5);
        settings.seed = seed;
        let plan = plan(2, 8);
        let faults: FaultScript = script.parse().expect("a script");
        let mut flight = virtual_flight(plan.clone(), settings, &faults);
        let (log, end) = fly(&mut flight, |_, _| {});
        prop_assume!(end.outcome.state == FlightState::Completed);
        let lit = lit_frames(&plan, &log, flight.bench());
        for frame in &log.frames {
            let missed = frame.state == FrameState::Missed;
            prop_assert!(missed || !lit.dark.contains(&frame.frame), "{frame:?}");
            prop_assert!(!missed || !lit.surely_lit.contains(&frame.frame), "{frame:?}");
        }
        prop_assert_eq!(end.totals[0] + end.totals[2], 16);
    }
}

/// A bench and a plan with whatever speed, ramp, line and latency.
fn any_bench() -> impl Strategy<Value = (BenchSettings, FlightPlan)> {
    (
        (any::<u64>(), 1_u8..=5, 0_i64..3_000, 0_i64..500),
        prop::sample::select(vec![0_i64, 1, 2, 16]),
        (200_u32..4_000, 1_u32..1_200, 50_u32..600, 1_u8..30),
    )
        .prop_map(|((seed, baud, turnaround, jitter), tick, motion)| {
            let (speed, start_speed, ramp_ms, n) = motion;
            let mut settings = bench(baud);
            settings.seed = seed;
            settings.stage.pacing = Pacing::Paced {
                turnaround: Nanos::from_micros(turnaround),
                jitter: Nanos::from_micros(jitter),
                latency_tick: Nanos::ZERO,
            };
            settings.acquisition.pacing = Pacing::Paced {
                turnaround: Nanos::ZERO,
                jitter: Nanos::from_micros(jitter),
                latency_tick: Nanos::from_millis(tick),
            };
            let mut plan = plan(2, 10);
            plan.speed = speed;
            plan.start_speed = start_speed;
            plan.ramp_ms = ramp_ms;
            plan.averaging = Averaging::new(n).expect("in range");
            (settings, plan)
        })
}

#[test]
fn the_truth_lies_inside_every_one_of_a_hundred_thousand_intervals() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut judged = 0;
    while judged < 100_000 {
        let (settings, plan) = any_bench()
            .new_tree(&mut runner)
            .expect("a bench")
            .current();
        let what = format!("{settings:?} at {} steps/s", plan.speed);
        let mut flight = virtual_flight(plan, settings, &FaultScript::default());
        let (log, end) = fly(&mut flight, |_, _| {});
        assert_eq!(end.outcome.state, FlightState::Completed, "{what}");
        let known = |n: usize| !log.readings[n].place[0].low.is_nan();
        let wrong: Vec<_> = outside(&log, flight.bench())
            .into_iter()
            .filter(|(n, _, _)| known(*n))
            .collect();
        assert!(wrong.is_empty(), "{what}: {wrong:?}");
        judged += (0..log.readings.len()).filter(|n| known(*n)).count();
    }
    println!("{judged} readings, the truth inside every interval");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pauses_at_any_events_lose_and_double_no_frame(
        mut events in prop::collection::vec(1_u64..6_000, 1..4),
    ) {
        events.sort_unstable();
        let mut flight = virtual_flight(plan(3, 6), bench(5), &FaultScript::default());
        let mut pauses = 0;
        let (log, end) = fly(&mut flight, |event, flight| {
            if events.contains(&event) {
                flight.controls().demands.demand(Demand::Pause);
            }
            if flight.is_waiting_for_demand() {
                pauses += 1;
                flight.controls().demands.resume();
            }
        });
        prop_assert_eq!(&end.outcome.state, &FlightState::Completed);
        prop_assert!(pauses <= events.len());
        let mut ids: Vec<_> = log.frames.iter().map(|frame| frame.frame).collect();
        ids.sort_unstable();
        prop_assert_eq!(ids, (0..18).collect::<Vec<_>>());
        prop_assert_eq!(end.totals[0], 18);
        prop_assert_eq!(log.lines.len(), 3);
    }

    #[test]
    fn a_ring_hands_out_what_it_did_not_count_as_lost(
        capacity in 1_usize..50,
        bursts in prop::collection::vec((0_u64..40, 0_usize..40), 1..30),
    ) {
        let (mut producer, mut consumer) = ring(capacity);
        let (mut produced, mut out) = (0_u64, Vec::new());
        for (push, pop) in bursts {
            for _ in 0..push {
                producer.push(produced);
                produced += 1;
            }
            out.extend(std::iter::from_fn(|| consumer.pop()).take(pop));
        }
        out.extend(std::iter::from_fn(|| consumer.pop()));
        let loss = consumer.loss();
        prop_assert_eq!(out.len() as u64 + loss.count, produced);
        prop_assert!(out.windows(2).all(|pair| pair[0] < pair[1]), "in order");
        let missing: Vec<u64> = (0..produced).filter(|n| !out.contains(n)).collect();
        if let (Some(first), Some(last)) = (missing.first(), missing.last()) {
            prop_assert_eq!((loss.first, loss.last), (*first, *last));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_flight() {
    let once = || {
        let mut flight = virtual_flight(plan(2, 8), bench(5), &FaultScript::default());
        let (log, end) = fly(&mut flight, |_, _| {});
        (format!("{log:?}"), end)
    };
    assert_eq!(once(), once());
}
