//! Whole flights in virtual time, judged by the simulator's truth.

mod common;

use aefi_bench_sim::FaultScript;
use aefi_scan_engine::{Demand, FlightState, FrameState};
use common::{bench, fly, outside, plan, virtual_flight};

#[test]
fn every_frame_of_an_undisturbed_flight_is_ok_and_in_order() {
    let mut flight = virtual_flight(plan(4, 10), bench(5), &FaultScript::default());
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(
        end.outcome.state,
        FlightState::Completed,
        "{:?}",
        end.outcome
    );
    let ids: Vec<_> = log.frames.iter().map(|frame| frame.frame).collect();
    assert_eq!(ids, (0..40).collect::<Vec<_>>());
    assert!(log.frames.iter().all(|frame| frame.state == FrameState::Ok));
    assert_eq!(log.lines.len(), 4);
    assert_eq!(end.totals, [40, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_truth_lies_inside_every_interval() {
    for baud_code in [1, 5] {
        let mut flight = virtual_flight(plan(3, 12), bench(baud_code), &FaultScript::default());
        let (log, _) = fly(&mut flight, |_, _| {});
        assert!(log.readings.len() > 100);
        let unknown = log
            .readings
            .iter()
            .filter(|r| r.place[0].low.is_nan())
            .count();
        assert!(unknown <= 30, "{unknown} readings before the first fix");
        let wrong: Vec<_> = outside(&log, flight.bench())
            .into_iter()
            .filter(|(n, _, _)| !log.readings[*n].place[0].low.is_nan())
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_pause_at_any_event_loses_and_doubles_no_frame() {
    for at in (100..3000).step_by(37) {
        let mut flight = virtual_flight(plan(2, 8), bench(5), &FaultScript::default());
        let (log, end) = fly(&mut flight, |event, flight| {
            if event == at {
                flight.controls().demand(Demand::Pause);
            }
            if flight.is_waiting_for_demand() {
                flight.controls().resume();
            }
        });
        assert_eq!(end.outcome.state, FlightState::Completed, "event {at}");
        let mut ids: Vec<_> = log.frames.iter().map(|frame| frame.frame).collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..16).collect::<Vec<_>>(), "event {at}");
        assert_eq!(end.totals[0], 16, "event {at}");
    }
}

#[test]
fn a_stop_or_an_abort_at_any_event_ends_named_and_at_rest() {
    for demand in [Demand::Stop, Demand::Abort] {
        for at in (1..3000).step_by(53) {
            let mut flight = virtual_flight(plan(2, 8), bench(5), &FaultScript::default());
            let (log, end) = fly(&mut flight, |event, flight| {
                if event == at {
                    flight.controls().demand(demand);
                }
            });
            let expected = match demand {
                Demand::Stop => FlightState::Stopped,
                _ => FlightState::Aborted,
            };
            assert_eq!(end.outcome.state, expected, "event {at}");
            assert_eq!(end.totals.iter().sum::<u64>(), 16, "event {at}");
            let ended = log.frames.len() as u64;
            assert_eq!(
                end.totals[6],
                16 - ended,
                "event {at}: the rest is not reached"
            );
            let truth = flight.bench().truth();
            for axis in [aefi_bench_sim::Axis::X, aefi_bench_sim::Axis::Y] {
                let speed = truth.velocity(axis, end.ended);
                assert!(speed.abs() < 1e-9, "event {at}: {axis:?} moves at {speed}");
            }
        }
    }
}
