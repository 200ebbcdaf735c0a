//! What a flight keeps although it does not believe it, and what it knows of its link.

mod common;

use aefi_bench_sim::{BenchSettings, FaultScript, Pacing, SimulatedBench};
use aefi_scan_engine::records::{Fix, PlacedReading};
use aefi_scan_engine::shell::virtual_time::VirtualFlight;
use aefi_scan_engine::{Axis, Cause, FlightState, FrameState, Link, Nanos, VirtualBench};
use common::{Log, bench, fly, outside, plan, setup, virtual_flight};

fn script(text: &str) -> FaultScript {
    text.parse().expect("a script")
}

fn thinking(turnaround_us: i64) -> BenchSettings {
    let mut settings = bench(5);
    settings.stage.pacing = Pacing::Paced {
        turnaround: Nanos::from_micros(turnaround_us),
        jitter: Nanos::ZERO,
        latency_tick: Nanos::ZERO,
    };
    settings
}

/// Flies with `known` of the turnaround told to the engine.
fn flown(turnaround_us: i64, known_us: i64) -> (Log, SimulatedBench) {
    let settings = thinking(turnaround_us);
    let mut setup = setup(plan(4, 20), &settings);
    setup.stage.reply_delay = Nanos::from_micros(known_us);
    let bench = SimulatedBench::starting_at(settings, &FaultScript::default(), Nanos::ZERO);
    let mut flight = VirtualFlight::new(&setup, bench, Nanos::ZERO);
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.outcome.state, FlightState::Completed);
    (log, flight.into_bench())
}

fn median_width(log: &Log) -> f64 {
    let mut widths: Vec<f64> = log
        .readings
        .iter()
        .filter(|placed| placed.frame.is_some())
        .map(|placed| placed.place[1].high - placed.place[1].low)
        .collect();
    widths.sort_by(f64::total_cmp);
    widths[widths.len() / 2]
}

#[test]
fn what_is_known_of_the_delay_narrows_the_interval_and_it_still_holds() {
    let (unknown, bench) = flown(1000, 0);
    assert!(outside(&unknown, &bench).is_empty());
    let (known, bench) = flown(1000, 1000);
    assert!(outside(&known, &bench).is_empty());
    let (wide, narrow) = (median_width(&unknown), median_width(&known));
    assert!(narrow < wide - 1.0, "{narrow} against {wide} steps");
}

#[test]
fn a_controller_whose_clock_is_off_is_followed_and_no_interval_is_false() {
    for clock_rate in [0.9995, 1.0005] {
        for (speed, baud_code) in [(1500, 5), (6000, 5), (6000, 1)] {
            let mut settings = thinking(0);
            settings.stage.baud_code = baud_code;
            settings.stage.clock_rate = clock_rate;
            let mut plan = plan(2, 60);
            plan.speed = speed;
            for line in &mut plan.lines {
                let sign = line.direction() as i64;
                line.start.0 -= sign * 1_500;
                line.end.0 += sign * 1_500;
            }
            let setup = setup(plan, &settings);
            let bench = SimulatedBench::starting_at(settings, &FaultScript::default(), Nanos::ZERO);
            let mut flight = VirtualFlight::new(&setup, bench, Nanos::ZERO);
            let (log, end) = fly(&mut flight, |_, _| {});
            assert_eq!(end.outcome.state, FlightState::Completed);
            let bench = flight.into_bench();
            let outside = outside(&log, &bench).into_iter();
            let known =
                outside.filter(|(n, _, _)| log.readings[*n].flags & PlacedReading::UNPLACED == 0);
            assert_eq!(
                known.count(),
                0,
                "{clock_rate}, {speed} steps/s, code {baud_code}"
            );
            // A true fix that is left out, at the end of a ramp, only widens.
            let outlier = |fix: &&Fix| fix.flags & Fix::OUTLIER != 0;
            let outliers = log.fixes.iter().filter(outlier).count();
            assert!(
                outliers <= 1 + log.fixes.len() / 1000,
                "{clock_rate}: {outliers}"
            );
        }
    }
}

#[test]
fn a_reply_faster_than_was_promised_is_not_held_to_the_promise() {
    let (log, bench) = flown(200, 1000);
    assert!(outside(&log, &bench).is_empty());
}

#[test]
fn an_impossible_position_is_kept_flagged_and_not_used() {
    let faults = script("at n200 do power-cycle");
    let mut flight = virtual_flight(plan(4, 20), bench(5), &faults);
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.outcome.state, FlightState::Failed);
    assert!(matches!(
        end.outcome.cause,
        Some(Cause::PositionJump { .. } | Cause::Protocol { .. })
    ));
    let is_flagged = |fix: &&Fix| fix.flags & Fix::IMPOSSIBLE != 0;
    let mut flagged = log.fixes.iter().filter(is_flagged);
    assert!(flagged.any(|fix| fix.axis == Axis::Y && fix.counts.0 == 0));
    for (number, axis, position) in outside(&log, flight.bench()) {
        let place = log.readings[number].place[axis.index()];
        assert!(
            place.position.is_nan(),
            "reading {number}: {place:?}, was at {position}"
        );
    }
}

#[test]
fn a_reply_that_comes_late_gives_a_wide_fix_that_only_bounds() {
    let faults = script("at n300 do delay-reply 40\nat n420 do delay-reply 30");
    let mut flight = virtual_flight(plan(4, 20), bench(5), &faults);
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.outcome.state, FlightState::Completed);
    let wide = log.fixes.iter().filter(|fix| fix.flags & Fix::WIDE != 0);
    assert!((1..=4).contains(&wide.count()));
    assert!(outside(&log, flight.bench()).is_empty());
}

#[test]
fn readings_that_no_fixes_enclose_are_kept_and_said_to_have_no_place() {
    let mut flight = virtual_flight(plan(2, 8), bench(5), &script("at n150 do hang-up"));
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.outcome.state, FlightState::Failed);
    let unplaced = |placed: &&PlacedReading| placed.flags & PlacedReading::UNPLACED != 0;
    assert!(log.readings.iter().any(|placed| unplaced(&placed)));
    for placed in &log.readings {
        let is_unknown = placed.place.iter().any(|place| place.position.is_nan());
        assert_eq!(unplaced(&placed), is_unknown);
    }
}

// -- the controller's watch on its host ------------------------------------------------

const TIME_OUT: u32 = 2048;

/// The status of X as the controller tells it `later`.
fn status_of_x(bench: &mut SimulatedBench, at: Nanos) -> u32 {
    bench.write(Link::Stage, at, b"@00MST\r");
    let arrival = bench.next_arrival(Link::Stage).expect("a reply");
    let mut reply = Vec::new();
    bench.read(Link::Stage, arrival + Nanos::from_millis(50), &mut reply);
    let text = String::from_utf8(reply).expect("ASCII");
    text.split(':')
        .next()
        .and_then(|x| x.parse().ok())
        .expect("a number")
}

fn watched_flight() -> VirtualFlight<SimulatedBench> {
    let settings = bench(5);
    let mut setup = setup(plan(2, 8), &settings);
    setup.stage.host_watch_ms = 1000;
    let bench = SimulatedBench::starting_at(settings, &FaultScript::default(), Nanos::ZERO);
    VirtualFlight::new(&setup, bench, Nanos::ZERO)
}

#[test]
fn a_host_that_dies_in_flight_is_reported_by_the_controller() {
    let mut flight = watched_flight();
    for _ in 0..2000 {
        assert!(flight.step(&mut |_| {}), "the flight is not over");
    }
    let now = flight.now();
    let mut bench = flight.into_bench();
    // What was under way arrives, and nobody answers.
    bench.read(Link::Stage, now + Nanos::from_millis(100), &mut Vec::new());
    let late = now + Nanos::from_millis(3000);
    assert_ne!(status_of_x(&mut bench, late) & TIME_OUT, 0);
}

#[test]
fn the_watch_ends_with_the_flight_however_it_ends() {
    for demand in [
        None,
        Some(aefi_scan_engine::Demand::Stop),
        Some(aefi_scan_engine::Demand::Abort),
    ] {
        let mut flight = watched_flight();
        let (_, end) = fly(&mut flight, |event, flight| {
            if let (2000, Some(demand)) = (event, demand) {
                flight.controls().demands.demand(demand);
            }
        });
        let mut bench = flight.into_bench();
        let late = end.ended + Nanos::from_millis(10_000);
        assert_eq!(status_of_x(&mut bench, late) & TIME_OUT, 0, "{demand:?}");
    }
}

// -- a pause does not hide a fault -----------------------------------------------------

#[test]
fn a_detector_that_dies_in_a_pause_ends_the_flight_before_it_is_resumed() {
    let mut flight = virtual_flight(
        plan(4, 20),
        bench(5),
        &script("at 3s do silence acquisition"),
    );
    let (log, end) = fly(&mut flight, |event, flight| {
        if event == 3000 {
            flight
                .controls()
                .demands
                .demand(aefi_scan_engine::Demand::Pause);
        }
    });
    assert_eq!(end.outcome.state, FlightState::Failed);
    let cause = end.outcome.cause.expect("it is named").to_string();
    assert!(cause.contains("acquisition"), "{cause}");
    assert_eq!(end.totals.iter().sum::<u64>(), 80);
    assert!(outside(&log, flight.bench()).is_empty());
}

// -- what the end tells of stops -------------------------------------------------------

#[test]
fn a_stop_that_is_not_obeyed_is_followed_by_an_abort_and_both_are_told() {
    for (faults, aborts) in [("", 0), ("at 0s do ignore-stop", 1)] {
        let mut flight = virtual_flight(plan(1, 100), bench(5), &script(faults));
        let (_, end) = fly(&mut flight, |event, flight| {
            if event == 3000 {
                flight
                    .controls()
                    .demands
                    .demand(aefi_scan_engine::Demand::Stop);
            }
        });
        assert_eq!(end.outcome.state, FlightState::Stopped);
        assert_eq!((end.stops.stops, end.stops.aborts), (1, aborts));
        assert_eq!(end.stops.drives_off, 0);
        assert_eq!(end.is_position_suspect(), aborts > 0);
    }
}

#[test]
fn requests_that_come_back_are_told_from_replies_also_where_those_are_damaged() {
    let mut settings = bench(5);
    settings.stage.echoes = true;
    let faults = "at n60 do lose-reply stage\nat n90 do garble-reply stage\n\
                  at n120 do cut-reply stage\nat n150 do double-reply stage";
    let mut flight = virtual_flight(plan(4, 20), settings, &script(faults));
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.outcome.state, FlightState::Completed);
    assert!(outside(&log, flight.bench()).is_empty());
    let link = end.stage_link;
    assert!(link.echoed_bytes >= 6 * (link.requests - 10), "{link:?}");
    assert!(link.timeouts + link.misunderstood <= 8, "{link:?}");
    assert!(link.stray_bytes < 100, "{link:?}");
}

#[test]
fn a_reading_known_less_well_than_a_frame_is_wide_fills_none() {
    // 15 ms between two fixes at 1500 steps/s, and frames of 5 steps.
    let mut narrow = plan(1, 20);
    narrow.lines[0].frames = 20 * 20;
    let narrow = narrow.checked().expect("a plan");
    let mut flight = virtual_flight(narrow, bench(1), &FaultScript::default());
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.outcome.state, FlightState::Completed);
    let wide = |placed: &&PlacedReading| placed.flags & PlacedReading::WIDE != 0;
    let in_window = log.readings.iter().filter(wide).count();
    assert!(in_window > 20, "{in_window}");
    assert!(log.readings.iter().filter(wide).all(|r| r.frame.is_none()));
    assert_eq!(end.totals[usize::from(FrameState::Ok.code())], 0);
}
