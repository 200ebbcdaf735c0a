//! Readings that show what was before, and lines without excitation.

mod common;

use aefi_bench_sim::FaultScript;
use aefi_scan_engine::{Demand, FlightPlan, FlightState, FrameState, Nanos};
use common::{Log, bench, fly, outside_of, plan, true_places, true_places_before, virtual_flight};

const LAG: Nanos = Nanos::from_millis(20);

fn lagging() -> FlightPlan {
    FlightPlan {
        lag: LAG,
        ..plan(3, 12)
    }
}

#[test]
fn a_reading_is_placed_where_the_stage_was_before_its_lag() {
    let mut flight = virtual_flight(lagging(), bench(5), &FaultScript::default());
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.totals, [36, 0, 0, 0, 0, 0, 0]);
    let placed = |found: Vec<(usize, _, f64)>| {
        let known = |n: &usize| !log.readings[*n].place[0].low.is_nan();
        found.into_iter().filter(|(n, _, _)| known(n)).count()
    };
    let before = true_places_before(&log, flight.bench(), LAG);
    assert_eq!(placed(outside_of(&log, before)), 0);
    let now = true_places(&log, flight.bench());
    assert!(
        placed(outside_of(&log, now)) > 50,
        "the lag makes a difference"
    );
}

#[test]
fn the_same_frames_are_ok_whatever_the_lag_is() {
    for lag_ms in [0, 20, 100, 500, 2000, 10_000] {
        for extra_passes in [0, 1] {
            let lag = Nanos::from_millis(lag_ms);
            let plan = FlightPlan {
                lag,
                extra_passes,
                ..plan(3, 12)
            };
            let mut flight = virtual_flight(plan, bench(5), &FaultScript::default());
            let (log, end) = fly(&mut flight, |_, _| {});
            assert_eq!(end.outcome.state, FlightState::Completed, "{lag_ms} ms");
            assert_eq!(end.totals, [36, 0, 0, 0, 0, 0, 0], "{lag_ms} ms");
            let places = true_places_before(&log, flight.bench(), lag);
            let in_frames = |n: &usize| log.readings[*n].frame.is_some();
            let outside = outside_of(&log, places).into_iter();
            assert_eq!(outside.filter(|(n, _, _)| in_frames(n)).count(), 0);
        }
    }
}

#[test]
fn a_lost_reply_costs_a_lagging_line_no_more_than_its_own_frames() {
    let lag = Nanos::from_millis(500);
    let lagging = FlightPlan { lag, ..plan(3, 12) };
    let missed_at = |lag: Nanos, at_ms: i64| {
        let script = format!("at {}s do lose-reply acquisition", at_ms as f64 / 1e3);
        let faults: FaultScript = script.parse().expect("a script");
        let plan = FlightPlan {
            lag,
            ..lagging.clone()
        };
        let (log, end) = fly(&mut virtual_flight(plan, bench(5), &faults), |_, _| {});
        assert_eq!(end.outcome.state, FlightState::Completed, "{script}");
        let missed = log.frames.iter();
        missed.filter(|f| f.state != FrameState::Ok).count()
    };
    let most = (700..7_000)
        .step_by(60)
        .map(|at| missed_at(Nanos::ZERO, at))
        .max();
    for at in (700..7_500).step_by(60) {
        let missed = missed_at(lag, at);
        assert!(
            Some(missed) <= most,
            "{missed} frames at {at} ms, without a lag {most:?}"
        );
    }
}

#[test]
fn a_stop_does_not_wait_for_what_lags() {
    let plan = FlightPlan {
        lag: Nanos::from_millis(5_000),
        ..plan(3, 12)
    };
    let mut flight = virtual_flight(plan, bench(5), &FaultScript::default());
    let (_, end) = fly(&mut flight, |event, flight| {
        if event == 2000 {
            flight.controls().demands.demand(Demand::Stop);
        }
    });
    assert_eq!(end.outcome.state, FlightState::Stopped);
    assert!(end.ended < Nanos::from_millis(4_000), "{:?}", end.ended);
    assert!(end.excitation_off);
}

#[test]
fn a_lag_that_nobody_believes_is_refused() {
    for lag in [Nanos(-1), Nanos::from_millis(10_001)] {
        let refused = FlightPlan { lag, ..plan(1, 4) }.checked();
        let words = refused.expect_err("out of range").to_string();
        assert!(
            words.contains("lag") && words.contains("0 to 10"),
            "{words}"
        );
    }
}

/// Every second line without excitation.
fn differential() -> FlightPlan {
    let mut plan = plan(6, 8);
    for line in plan.lines.iter_mut().skip(1).step_by(2) {
        line.muted = true;
    }
    plan
}

/// Mean of the largest voltage, of driven and of muted frames, in codes.
fn means(log: &Log, plan: &FlightPlan) -> [Vec<f64>; 2] {
    [false, true].map(|muted| {
        let of = |line: &usize| plan.lines[*line].muted == muted;
        let frames = log.frames.iter().filter(|frame| of(&frame.line));
        let frames = frames.filter(|frame| frame.state == FrameState::Ok);
        frames.map(|frame| frame.mean[0].abs()).collect()
    })
}

fn assert_told_apart(log: &Log) {
    let [driven, muted] = means(log, &differential());
    let least = driven.iter().copied().fold(f64::INFINITY, f64::min);
    // Half a millivolt is there without excitation too.
    let most = muted.iter().copied().fold(0.0, f64::max);
    assert!(
        most < 0.05 * least,
        "muted up to {most}, driven from {least} codes"
    );
}

#[test]
fn muted_lines_show_no_field_and_driven_ones_all_of_it() {
    let mut flight = virtual_flight(differential(), bench(5), &FaultScript::default());
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.outcome.state, FlightState::Completed);
    assert_eq!(end.totals, [48, 0, 0, 0, 0, 0, 0]);
    assert!(end.excitation_off);
    assert_told_apart(&log);
}

#[test]
fn a_pause_at_any_event_leaves_every_line_its_excitation() {
    let mut total = 0;
    fly(
        &mut virtual_flight(differential(), bench(5), &FaultScript::default()),
        |event, _| total = event,
    );
    for at in (0..total).step_by(total as usize / 60) {
        let mut flight = virtual_flight(differential(), bench(5), &FaultScript::default());
        let (log, end) = fly(&mut flight, |event, flight| {
            if event == at {
                flight.controls().demands.demand(Demand::Pause);
            }
            if flight.is_waiting_for_demand() {
                flight.controls().demands.resume();
            }
        });
        assert_eq!(end.totals, [48, 0, 0, 0, 0, 0, 0], "paused at event {at}");
        assert_told_apart(&log);
    }
}

#[test]
fn broken_exchanges_while_the_excitation_changes_confuse_no_line() {
    for command in 1..60 {
        for fault in ["lose-reply", "garble-reply", "double-reply", "lose-request"] {
            let script = format!("at n{command} do {fault} acquisition");
            let faults: FaultScript = script.parse().expect("a script");
            // A resynchronisation may cost the selection of the register.
            let mut settings = bench(5);
            settings.acquisition.forgets_selection = true;
            let mut flight = virtual_flight(differential(), settings, &faults);
            let (log, end) = fly(&mut flight, |_, _| {});
            assert_eq!(end.outcome.state, FlightState::Completed, "{script}");
            assert_told_apart(&log);
        }
    }
}
