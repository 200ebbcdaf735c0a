//! Whole flights in virtual time, judged by the simulator's truth.

mod common;

use aefi_bench_sim::FaultScript;
use aefi_scan_engine::{FlightState, FrameState};
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
