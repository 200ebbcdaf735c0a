//! Links and devices that misbehave, at many moments each, in virtual time.
//!
//! Whatever happens: the flight ends with a name, the ledger adds up, the stage
//! rests, and every interval holds the truth.

mod common;

use aefi_bench_sim::{Axis, FaultScript, SimulatedBench};
use aefi_scan_engine::shell::FlightEnd;
use aefi_scan_engine::{Cause, FlightState};
use common::{Log, bench, fly, outside, plan, virtual_flight};

const FRAMES: u64 = 16;

fn flight_with(fault: &str, moment: &str) -> (Log, FlightEnd, SimulatedBench) {
    let script: FaultScript = format!("at {moment} do {fault}").parse().expect("a fault");
    let mut flight = virtual_flight(plan(2, 8), bench(5), &script);
    let (log, end) = fly(&mut flight, |_, _| {});
    (log, end, flight.into_bench())
}

fn check_what_always_holds(log: &Log, end: &FlightEnd, bench: &SimulatedBench, what: &str) {
    assert_eq!(end.totals.iter().sum::<u64>(), FRAMES, "{what}");
    let ended = log.frames.len() as u64;
    assert_eq!(
        FRAMES - end.totals[6],
        ended,
        "{what}: ended frames are handed out"
    );
    let known = |n: &usize| !log.readings[*n].place[0].low.is_nan();
    let wrong: Vec<_> = outside(log, bench)
        .into_iter()
        .filter(|(n, _, _)| known(n))
        .collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?}");
}

fn check_rest(end: &FlightEnd, bench: &SimulatedBench, what: &str) {
    let truth = bench.truth();
    for axis in [Axis::X, Axis::Y] {
        let speed = truth.velocity(axis, end.ended);
        assert!(
            speed.abs() < 1e-9,
            "{what}: {axis:?} moves at {speed} steps/s"
        );
    }
}

#[test]
fn another_device_is_left_alone() {
    let (log, end, bench) = flight_with("wrong-identity", "0s");
    let cause = &end.outcome.cause;
    assert!(matches!(cause, Some(Cause::Identity { .. })), "{cause:?}");
    assert!(log.frames.is_empty());
    assert!(bench.truth().stops().is_empty());
    for axis in [Axis::X, Axis::Y] {
        assert!(bench.truth().segments(axis).len() <= 1, "nothing moved");
    }
}

#[test]
fn a_stalled_detector_stops_the_stage() {
    let (log, end, bench) = flight_with("stall-detector 60000", "2.0s");
    assert!(
        matches!(&end.outcome.cause, Some(Cause::Silent { device, .. }) if *device == "acquisition")
    );
    check_what_always_holds(&log, &end, &bench, "stalled detector");
    check_rest(&end, &bench, "stalled detector");
}

/// A detector that sleeps through some frames: 0.4 s in the first line.
const SLEEPY: &str = "at 1.3s do stall-detector 400";

fn sleepy_flight(extra_passes: u32) -> (Log, FlightEnd, SimulatedBench) {
    let mut plan = plan(2, 12);
    plan.extra_passes = extra_passes;
    let script: FaultScript = SLEEPY.parse().expect("a fault");
    let mut flight = virtual_flight(plan, bench(5), &script);
    let (log, end) = fly(&mut flight, |_, _| {});
    (log, end, flight.into_bench())
}

#[test]
fn frames_that_the_detector_slept_through_are_missed() {
    let (_, end, _) = sleepy_flight(0);
    assert_eq!(end.outcome.state, FlightState::Completed);
    assert!(end.totals[2] > 0, "{:?}", end.totals);
    assert_eq!(end.totals.iter().sum::<u64>(), 24);
}

#[test]
fn an_extra_pass_fills_what_was_missed_and_nothing_twice() {
    let (log, end, bench) = sleepy_flight(2);
    assert_eq!(end.outcome.state, FlightState::Completed);
    assert_eq!(end.totals[0], 24, "{:?}", end.totals);
    let mut ids: Vec<_> = log.frames.iter().map(|frame| frame.frame).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..24).collect::<Vec<_>>());
    let filled = log.frames.iter().filter(|frame| frame.pass == 1).count();
    assert!(filled > 0 && filled < 12, "{filled} frames of pass 1");
    assert_eq!(log.lines.len(), 3, "one line was flown again");
    check_rest(&end, &bench, "gap fill");
}

#[test]
fn passes_are_bounded() {
    let mut plan = plan(2, 12);
    plan.extra_passes = 3;
    plan.min_readings = 1000;
    let mut flight = virtual_flight(plan, bench(5), &FaultScript::default());
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.outcome.state, FlightState::Completed);
    assert_eq!(end.totals[2], 24, "no frame can have so many readings");
    assert_eq!(log.lines.len(), 2 * 4);
    assert_eq!(log.frames.len(), 24);
}

#[test]
fn a_stop_or_a_pause_while_gaps_are_filled_keeps_the_ledger_whole() {
    use aefi_scan_engine::Demand;
    for demand in [Demand::Pause, Demand::Stop, Demand::Abort] {
        for at in (2500..6500).step_by(89) {
            let mut plan = plan(2, 12);
            plan.extra_passes = 1;
            let script: FaultScript = SLEEPY.parse().expect("a fault");
            let mut flight = virtual_flight(plan, bench(5), &script);
            let (log, end) = fly(&mut flight, |event, flight| {
                if event == at {
                    flight.controls().demands.demand(demand);
                }
                if flight.is_waiting_for_demand() {
                    flight.controls().demands.resume();
                }
            });
            let what = format!("{demand:?} at event {at}: {:?}", end.totals);
            assert_eq!(end.totals.iter().sum::<u64>(), 24, "{what}");
            let mut ids: Vec<_> = log.frames.iter().map(|frame| frame.frame).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), log.frames.len(), "{what}");
            assert_eq!(24 - end.totals[6], ids.len() as u64, "{what}");
            if demand == Demand::Pause {
                assert_eq!(end.totals[0], 24, "{what}");
            }
        }
    }
}
