//! Trigger sources in virtual time, judged by the simulator's truth.

mod common;

use aefi_bench_sim::{FaultScript, SimulatedBench};
use aefi_scan_engine::records::PlacedReading;
use aefi_scan_engine::{Axis, FlightPlan, FrameState, Nanos, Trigger};
use common::{Log, bench, fly, outside, plan, virtual_flight};

fn flown(trigger: Trigger, min_readings: u32, baud_code: u8) -> (Log, SimulatedBench, FlightPlan) {
    let plan = FlightPlan {
        trigger,
        min_readings,
        ..plan(4, 12)
    };
    let mut flight = virtual_flight(plan.clone(), bench(baud_code), &FaultScript::default());
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.totals.iter().sum::<u64>(), 48);
    (log, flight.into_bench(), plan)
}

/// Where the fast axis truly was in the middle of a reading's conversions.
fn true_place(placed: &PlacedReading, bench: &SimulatedBench) -> f64 {
    let truth = bench.truth();
    let conversions = truth.conversions();
    let at = conversions.partition_point(|c| c.start < placed.reading.sent);
    let conversion = conversions[at];
    let middle = Nanos(i64::midpoint(conversion.start.0, conversion.end.0));
    truth.position(aefi_bench_sim::Axis::Y, middle)
}

#[test]
fn readings_at_positions_meet_the_middle_of_their_frames() {
    for baud_code in [5, 1] {
        let (log, bench, plan) = flown(Trigger::Positions, 1, baud_code);
        assert!(log.frames.iter().all(|frame| frame.state == FrameState::Ok));
        assert_eq!(log.frames.len(), 48);
        assert!(log.frames.iter().all(|frame| frame.count == 1));
        assert!(outside(&log, &bench).is_empty());
        for placed in &log.readings {
            let frame = placed.reading.aim.expect("each is taken for a frame");
            assert_eq!(placed.frame, Some(frame));
            let (line, place) = plan.locate(frame);
            let line = plan.lines[line];
            let centre = f64::midpoint(line.edge(place), line.edge(place + 1));
            let miss = true_place(placed, &bench) - centre;
            let pitch = (line.edge(1) - line.edge(0)).abs();
            assert!(miss.abs() < pitch / 8.0, "frame {frame}: {miss} steps off");
        }
    }
}

#[test]
fn several_readings_a_frame_are_spaced_evenly() {
    let (log, bench, plan) = flown(Trigger::Positions, 2, 5);
    assert!(log.frames.iter().all(|frame| frame.state == FrameState::Ok));
    assert_eq!(log.readings.len(), 2 * 48);
    let line = plan.lines[0];
    let pitch = (line.edge(1) - line.edge(0)).abs();
    let places: Vec<f64> = log.readings[..24]
        .iter()
        .map(|placed| true_place(placed, &bench))
        .collect();
    for pair in places.windows(2) {
        let gap = (pair[1] - pair[0]) / pitch;
        assert!((gap - 0.5).abs() < 0.1, "{gap} of a frame apart");
    }
}

#[test]
fn a_period_is_kept_and_fills_every_frame() {
    let period = Nanos::from_millis(32);
    let (log, bench, _) = flown(Trigger::Periodic(period), 1, 5);
    assert!(log.frames.iter().all(|frame| frame.state == FrameState::Ok));
    assert!(outside(&log, &bench).is_empty());
    let first = log.readings[0].reading.due;
    for placed in &log.readings {
        assert_eq!((placed.reading.due - first).0 % period.0, 0);
        assert!(
            placed.reading.late() < Nanos::from_millis(1),
            "{:?} of {:?}",
            placed.reading.late(),
            placed.reading.due - first
        );
    }
}

#[test]
fn a_detector_too_slow_for_its_triggers_is_told_frame_by_frame() {
    // 20 readings a frame need 3.8 ms each; the detector takes more than 10 ms.
    let (log, bench, plan) = flown(Trigger::Positions, 20, 5);
    assert!(outside(&log, &bench).is_empty());
    let states: Vec<FrameState> = log.frames.iter().map(|frame| frame.state).collect();
    assert!(!states.contains(&FrameState::Ok), "{states:?}");
    for placed in &log.readings {
        let (Some(aim), Some(met)) = (placed.reading.aim, placed.frame) else {
            continue;
        };
        assert_eq!(aim / plan.lines[0].frames, met / plan.lines[0].frames);
    }
}

#[test]
fn a_reply_that_is_late_makes_the_next_frames_late_or_missed_and_no_other() {
    let script: FaultScript = "at n30 do delay-reply 120 acquisition"
        .parse()
        .expect("a script");
    let plan = FlightPlan {
        trigger: Trigger::Positions,
        ..plan(4, 12)
    };
    let mut flight = virtual_flight(plan, bench(5), &script);
    let (log, end) = fly(&mut flight, |_, _| {});
    assert_eq!(end.totals.iter().sum::<u64>(), 48);
    let bad = log
        .frames
        .iter()
        .filter(|frame| frame.state != FrameState::Ok);
    assert!((1..=4).contains(&bad.count()), "{:?}", end.totals);
}

#[test]
fn a_pause_in_a_line_that_reads_at_positions_loses_and_doubles_nothing() {
    for stop_at in (100..4000).step_by(130) {
        let plan = FlightPlan {
            trigger: Trigger::Positions,
            ..plan(3, 8)
        };
        let mut flight = virtual_flight(plan, bench(5), &FaultScript::default());
        let (log, end) = fly(&mut flight, |event, flight| {
            if event == stop_at {
                flight
                    .controls()
                    .demands
                    .demand(aefi_scan_engine::Demand::Pause);
            }
            if flight.is_waiting_for_demand() {
                flight.controls().demands.resume();
            }
        });
        let mut frames: Vec<usize> = log.frames.iter().map(|frame| frame.frame).collect();
        frames.sort_unstable();
        assert_eq!(frames, (0..24).collect::<Vec<_>>(), "paused at {stop_at}");
        assert_eq!(end.totals[0], 24, "paused at {stop_at}: {:?}", end.totals);
    }
}

#[test]
fn the_fast_axis_is_the_one_that_is_followed() {
    let (log, _, plan) = flown(Trigger::Positions, 1, 5);
    assert_eq!(plan.fast, Axis::Y);
    let aims: Vec<_> = log
        .readings
        .iter()
        .map(|placed| placed.reading.aim)
        .collect();
    assert_eq!(aims, (0..48).map(Some).collect::<Vec<_>>());
}

#[test]
fn a_frame_whose_reading_leaves_too_late_is_late() {
    let mut late = 0;
    for ms in 25..60 {
        let plan = FlightPlan {
            trigger: Trigger::Periodic(Nanos::from_millis(32)),
            ..plan(4, 12)
        };
        let script = format!("at 1.4s do delay-reply {ms} acquisition");
        let faults: FaultScript = script.parse().expect("a script");
        let mut flight = virtual_flight(plan, bench(5), &faults);
        let (log, end) = fly(&mut flight, |_, _| {});
        let of = |state: FrameState| end.totals[usize::from(state.code())];
        assert_eq!(
            of(FrameState::Ok) + of(FrameState::Late) + of(FrameState::Missed),
            48
        );
        late += of(FrameState::Late);
        for frame in log.frames {
            // A quarter of the period may pass.
            let is_late = frame.late > Nanos::from_millis(8);
            assert_eq!(
                frame.state == FrameState::Late,
                is_late && frame.count > 0,
                "{ms} ms"
            );
        }
    }
    assert!(late > 0, "some are");
}
