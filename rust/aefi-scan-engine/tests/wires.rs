//! Trigger sources by wire in virtual time, judged by the simulator's truth.

mod common;

use aefi_bench_sim::settings::{BenchSettings, Encoder};
use aefi_bench_sim::{FaultScript, Pacing, SimulatedBench, Truth};
use aefi_scan_engine::protocol::mcu::Averaging;
use aefi_scan_engine::records::{EndedFrame, Fix};
use aefi_scan_engine::{Axis, Cause, Demand, FlightPlan, FlightState, FrameState, Nanos, Trigger};
use common::draws::Draws;
use common::verdict::Flown;
use common::{bench, plan, virtual_flight};

/// AMT11 at 2048 lines and 3200 steps a turn.
const PULSES_PER_COUNT: f64 = 0.390_625;
const SYNC: Trigger = Trigger::SyncOutput {
    pulses_per_count: PULSES_PER_COUNT,
};
const OUTPUT: Trigger = Trigger::DigitalOutput { output: 5 };
const Y: aefi_bench_sim::Axis = aefi_bench_sim::Axis::Y;
/// What a predicted pulse may be off, in steps: two of speed and one of rounding.
const AIM_STEPS: f64 = 3.0;
/// A quarter of a frame: what a pulse may be late beside that.
const LATE_STEPS: f64 = 115.0 / 4.0 + AIM_STEPS;

fn wired(baud_code: u8, pulses_per_count: f64) -> BenchSettings {
    let mut settings = bench(baud_code);
    settings.stage.encoder = Encoder::Wired { pulses_per_count };
    settings
}

fn triggered(trigger: Trigger, lines: usize, frames: usize, speed: u32) -> FlightPlan {
    FlightPlan {
        trigger,
        speed,
        ..plan(lines, frames)
    }
}

fn flown(what: &str, plan: FlightPlan, settings: BenchSettings, faults: &str) -> Flown {
    let faults: FaultScript = faults.parse().expect("a script");
    let flight = virtual_flight(plan.clone(), settings, &faults);
    Flown::new(what.to_owned(), plan, flight, |_, _| {})
}

/// The pulses that really came: when.
fn edges(truth: &Truth, trigger: Trigger) -> Vec<Nanos> {
    match trigger {
        Trigger::DigitalOutput { output } => truth
            .output_edges()
            .iter()
            .filter(|edge| edge.on && edge.output == usize::from(output))
            .map(|edge| edge.at)
            .collect(),
        _ => truth.sync_edges().iter().map(|edge| edge.at).collect(),
    }
}

/// The frame that a place on the axes lies in, and how far from its centre.
fn met(plan: &FlightPlan, truth: &Truth, at: Nanos) -> Option<(usize, f64)> {
    let slow = truth.position(aefi_bench_sim::Axis::X, at);
    let line = plan
        .lines
        .iter()
        .find(|line| (line.slow.0 as f64 - slow).abs() < 0.5)?;
    let position = truth.position(Y, at);
    let place = line.place(position)?;
    Some((line.first_frame + place, position - line.centre(place)))
}

/// How many pulses each frame had; each lies within `tolerance` of a centre.
fn pulses(flown: &Flown, tolerance: f64) -> Vec<usize> {
    let (truth, plan) = (flown.bench.truth(), &flown.plan);
    let mut found = vec![0; plan.frames()];
    for at in edges(&truth, plan.trigger) {
        let (frame, off) = met(plan, &truth, at)
            .unwrap_or_else(|| panic!("{flown}: a pulse at {at:?}, outside of all frames"));
        assert!(off.abs() <= tolerance, "{flown}: {off} steps off at {at:?}");
        found[frame] += 1;
    }
    found
}

/// The last pulse of a frame that is ok is off by no more than it is said to be late,
/// beside the prediction.
fn check_lateness(flown: &Flown) {
    let (truth, plan) = (flown.bench.truth(), &flown.plan);
    let mut last = vec![f64::NAN; plan.frames()];
    for at in edges(&truth, plan.trigger) {
        let (frame, off) = met(plan, &truth, at).expect("in a frame");
        last[frame] = off;
    }
    for ended in ok(&flown.log.frames) {
        let room = 2.0 * AIM_STEPS + ended.late.as_secs_f64() * f64::from(plan.speed);
        assert!(last[ended.frame].abs() <= room, "{flown}: {ended:?}");
    }
}

fn ok(frames: &[EndedFrame]) -> impl Iterator<Item = &EndedFrame> {
    frames.iter().filter(|frame| frame.state == FrameState::Ok)
}

/// Nothing is left on a wire when the flight is over.
fn check_off(flown: &Flown) {
    let mut controller = flown.bench.controller().clone();
    assert_eq!(controller.execute(flown.end.ended, "SYNYS"), "0", "{flown}");
    assert_eq!(controller.execute(flown.end.ended, "LTYS"), "0", "{flown}");
    assert_eq!(controller.outputs(flown.end.ended), 0, "{flown}");
}

#[test]
fn each_frame_has_one_pulse_of_the_compare_within_a_count_of_its_centre() {
    for (baud_code, speed, pulses_per_count) in [
        (5, 1500, PULSES_PER_COUNT),
        (5, 3000, PULSES_PER_COUNT),
        (5, 1500, 4.0),
        (5, 1500, 1.0),
        (1, 800, PULSES_PER_COUNT),
    ] {
        let what = format!("code {baud_code}, {speed} steps/s, {pulses_per_count}");
        let plan = triggered(Trigger::SyncOutput { pulses_per_count }, 4, 12, speed);
        let flown = flown(&what, plan, wired(baud_code, pulses_per_count), "");
        flown.check();
        flown.check_whole();
        assert_eq!(pulses(&flown, pulses_per_count), vec![1; 48], "{flown}");
        check_off(&flown);
    }
}

#[test]
fn each_frame_has_one_pulse_of_the_output_where_it_was_predicted() {
    for (baud_code, speed) in [(5, 1500), (5, 3000), (1, 800)] {
        let what = format!("code {baud_code}, {speed} steps/s");
        let plan = triggered(OUTPUT, 4, 12, speed);
        let flown = flown(&what, plan, bench(baud_code), "");
        flown.check();
        flown.check_whole();
        assert_eq!(pulses(&flown, AIM_STEPS), vec![1; 48], "{flown}");
        check_off(&flown);
    }
}

/// Frames as short as planning lets them be (`aefi_bluesky/domain/feasibility/flight_rules.py`), in
/// times of the hot query; twice as long ones are aimed at better.
#[test]
fn the_shortest_frames_that_are_planned_have_their_pulses() {
    let whole_counts = 115.0_f64.div_euclid(PULSES_PER_COUNT) * PULSES_PER_COUNT;
    let seen = whole_counts - 3.0 - PULSES_PER_COUNT / 2.0;
    for (baud_code, hot_query_s) in [(1, 13.5e-3), (3, 4.125e-3), (5, 2.042e-3)] {
        for (trigger, room, exchanges, tolerance) in [
            (SYNC, seen, 9.0, PULSES_PER_COUNT),
            (OUTPUT, 115.0, 3.0, LATE_STEPS),
            (OUTPUT, 115.0, 6.0, 2.0 * AIM_STEPS),
        ] {
            let speed = (room / (hot_query_s * exchanges)) as u32;
            for phase in [0, 17, 94] {
                let mut settings = wired(baud_code, PULSES_PER_COUNT);
                settings.acquisition.pacing = Pacing::line_only();
                let mut plan = FlightPlan {
                    averaging: Averaging::new(1).expect("in range"),
                    ..triggered(trigger, 4, 40, speed)
                };
                for line in &mut plan.lines {
                    // Beyond the ramp, way to settle.
                    let more = 1500 + i64::from(speed) / 10 + phase;
                    let more = more * line.direction() as i64;
                    (line.start.0, line.end.0) = (line.start.0 - more, line.end.0 + more);
                }
                let what = format!("{trigger:?}, code {baud_code}, {speed} steps/s, {phase}");
                let flown = flown(&what, plan, settings, "");
                flown.check();
                flown.check_whole();
                assert_eq!(pulses(&flown, tolerance), vec![1; 160], "{flown}");
            }
        }
    }
}

/// A pause at a random event: a frame that was stopped in may have two pulses, but
/// none is ok without one.
fn check_pauses(trigger: Trigger, tolerance: f64, seed: u8) {
    let mut draws = Draws::seeded(seed);
    for _ in 0..100 {
        let pause_at = draws.draw(100_u64..4000);
        let plan = triggered(trigger, 3, 8, 1500);
        let settings = wired(5, PULSES_PER_COUNT);
        let flight = virtual_flight(plan.clone(), settings, &FaultScript::default());
        let flown = Flown::new(
            format!("{trigger:?} paused at {pause_at}"),
            plan,
            flight,
            |event, flight| {
                if event == pause_at {
                    flight.controls().demands.demand(Demand::Pause);
                }
                if flight.is_waiting_for_demand() {
                    flight.controls().demands.resume();
                }
            },
        );
        flown.check();
        flown.check_whole();
        let found = pulses(&flown, tolerance);
        assert!(found.iter().all(|count| (1..=2).contains(count)), "{flown}");
        let doubled = found.iter().filter(|count| **count == 2).count();
        assert!(doubled <= 1, "{flown}: {found:?}");
        check_off(&flown);
    }
}

#[test]
fn a_pause_leaves_no_frame_without_its_pulse_of_the_compare() {
    check_pauses(SYNC, PULSES_PER_COUNT, 21);
}

#[test]
fn a_pause_leaves_no_frame_without_its_pulse_of_the_output() {
    // A pulse asked for before the stop comes while the axis slows down.
    check_pauses(OUTPUT, 2.0 * AIM_STEPS, 22);
}

#[test]
fn a_stop_goes_first_and_leaves_nothing_armed() {
    for trigger in [SYNC, OUTPUT, Trigger::Latch] {
        for stop_at in (100..2500).step_by(61) {
            let plan = triggered(trigger, 3, 8, 1500);
            let settings = wired(5, PULSES_PER_COUNT);
            let flight = virtual_flight(plan.clone(), settings, &FaultScript::default());
            let mut asked = Nanos::NEVER;
            let flown = Flown::new(
                format!("{trigger:?} stopped at {stop_at}"),
                plan,
                flight,
                |event, flight| {
                    if event == stop_at {
                        asked = flight.now();
                        flight.controls().demands.demand(Demand::Stop);
                    }
                },
            );
            flown.check();
            flown.check_rest();
            assert_eq!(flown.end.outcome.state, FlightState::Stopped, "{flown}");
            // The exchange under way, `PP` or `MST` at the longest, and the stop itself.
            let stop = flown.bench.truth().stops()[0].at;
            assert!(stop - asked < Nanos::from_millis(6), "{flown}: {asked:?}");
            check_off(&flown);
        }
    }
}

#[test]
fn frames_too_short_to_arm_in_time_are_missed_and_every_ok_one_has_its_pulse() {
    // At 9600 Bd a frame of 77 ms takes more exchanges than there is time for.
    let plan = triggered(SYNC, 4, 12, 1500);
    let flown = flown("9600 Bd", plan, wired(1, PULSES_PER_COUNT), "");
    flown.check();
    assert!(flown.is_completed(), "{flown}");
    let found = pulses(&flown, PULSES_PER_COUNT);
    let mut fired = 0;
    for frame in &flown.log.frames {
        let expected = match frame.state {
            FrameState::Ok => 1,
            FrameState::Missed => 0,
            other => panic!("{flown}: {other:?}"),
        };
        assert!(frame.count > 0, "{flown}: its readings came");
        assert_eq!(found[frame.frame], expected, "{flown}: {frame:?}");
        fired += expected;
    }
    assert!((12..48).contains(&fired), "{flown}: {found:?}");
    check_off(&flown);
}

#[test]
fn gap_fill_fires_again_for_what_was_missed_and_for_nothing_else() {
    let plan = FlightPlan {
        extra_passes: 3,
        ..triggered(SYNC, 4, 12, 1500)
    };
    // At 9600 Bd the compare misses every other frame.
    let flown = flown("gaps", plan, wired(1, PULSES_PER_COUNT), "");
    flown.check();
    flown.check_whole();
    assert_eq!(pulses(&flown, PULSES_PER_COUNT), vec![1; 48], "{flown}");
    let frames = flown.log.frames.iter();
    let later = frames.filter(|frame| frame.pass > 0).count();
    assert!((12..36).contains(&later), "{flown}: {later}");
}

#[test]
fn gap_fill_sets_the_output_again_for_what_is_not_known_to_have_had_it() {
    let mut filled = 0;
    for command in (150..400).step_by(3) {
        let script = format!("at n{command} do lose-reply stage");
        let plan = FlightPlan {
            extra_passes: 2,
            ..triggered(OUTPUT, 2, 10, 1500)
        };
        let flown = flown(&script, plan, bench(5), &script);
        flown.check();
        flown.check_whole();
        check_lateness(&flown);
        // One that is late is in its frame still.
        let found = pulses(&flown, 115.0 / 2.0);
        let doubled = found.iter().filter(|count| **count == 2).count();
        let later = flown
            .log
            .frames
            .iter()
            .filter(|frame| frame.pass > 0)
            .count();
        // Its first pulse was late, or came and its reply did not.
        assert!(doubled <= later.min(1), "{flown}: {found:?}");
        assert!(found.iter().all(|count| (1..=2).contains(count)), "{flown}");
        filled += usize::from(later > 0);
    }
    assert!(filled > 5, "{filled} flights had gaps");
}

#[test]
fn any_lost_reply_costs_frames_that_are_told_and_no_pulse_is_made_up() {
    for trigger in [SYNC, OUTPUT] {
        let mut commands = 0;
        for (fault, command) in ["lose-reply", "garble-reply", "cut-reply", "double-reply"]
            .into_iter()
            .flat_map(|fault| (60..260).step_by(3).map(move |command| (fault, command)))
        {
            let plan = triggered(trigger, 2, 10, 1500);
            let script = format!("at n{command} do {fault} stage");
            let settings = wired(5, PULSES_PER_COUNT);
            let flown = flown(&format!("{trigger:?} {script}"), plan, settings, &script);
            flown.check();
            assert!(flown.is_completed(), "{flown}");
            let tolerance = if trigger == SYNC {
                PULSES_PER_COUNT
            } else {
                LATE_STEPS
            };
            let found = pulses(&flown, tolerance);
            for frame in ok(&flown.log.frames) {
                assert_eq!(found[frame.frame], 1, "{flown}: {frame:?}");
            }
            if trigger == OUTPUT {
                check_lateness(&flown);
            }
            let bad = flown.plan.frames() - ok(&flown.log.frames).count();
            assert!(bad <= 4, "{flown}");
            check_off(&flown);
            commands += 1;
        }
        assert_eq!(commands, 4 * 67);
    }
}

#[test]
fn an_encoder_that_disagrees_with_the_counter_is_refused_by_name() {
    for (settings, told) in [
        (bench(5), PULSES_PER_COUNT),
        (wired(5, PULSES_PER_COUNT), 0.5),
    ] {
        let pulses_per_count = told;
        let plan = triggered(Trigger::SyncOutput { pulses_per_count }, 2, 4, 1500);
        let flown = flown("disagree", plan, settings, "");
        let cause = flown.cause().expect("refused");
        assert!(matches!(cause, Cause::Encoder { axis: 'Y', .. }), "{flown}");
        let words = cause.to_string();
        assert!(words.contains("position of encoder and counter disagree"));
        assert_eq!(flown.log.lines.len(), 0);
    }
}

#[test]
fn a_foreign_edge_becomes_a_fix_with_the_position_latched() {
    let plan = triggered(Trigger::Latch, 3, 8, 1500);
    let mut flight = virtual_flight(plan.clone(), bench(5), &FaultScript::default());
    let mut log = common::Log::default();
    // The foreign device: an edge each 37 ms for as long as the flight lasts.
    let (mut truths, mut next) = (Vec::new(), Nanos::from_millis(500));
    loop {
        let now = flight.now();
        if now >= next {
            let position = flight.bench().trajectory(Y).position_at(now);
            flight.bench_mut().controller_mut().set_input(now, 6, true);
            flight.bench_mut().controller_mut().set_input(now, 6, false);
            truths.push((now, position));
            next = now + Nanos::from_millis(37);
        }
        if !flight.step(&mut |product| log.take(product)) {
            break;
        }
    }
    let end = flight.finish(&mut |product| log.take(product));
    assert_eq!(end.totals[0], 24);
    let latched: Vec<&Fix> = log
        .fixes
        .iter()
        .filter(|fix| fix.flags == Fix::LATCHED)
        .collect();
    for fix in &latched {
        assert_eq!(fix.axis, Axis::Y);
        let held = truths
            .iter()
            .filter(|(at, _)| fix.earliest <= *at && *at <= fix.latest)
            .find(|(_, position)| position.round() as i64 == fix.counts.0);
        assert!(held.is_some(), "{fix:?}");
    }
    // Every edge within a window: the next is armed long before it comes.
    let in_windows = |at: &Nanos| {
        let mut lines = log.lines.iter();
        lines.any(|line| line.entered <= Some(*at) && line.left.is_none_or(|left| *at <= left))
    };
    let missed = truths.iter().filter(|(at, position)| {
        let counts = position.round() as i64;
        in_windows(at) && !latched.iter().any(|fix| fix.counts.0 == counts)
    });
    assert_eq!(missed.count(), 0);
    assert!(latched.len() >= 45, "{}", latched.len());
    let bench: SimulatedBench = flight.into_bench();
    let mut controller = bench.controller().clone();
    assert_eq!(controller.execute(end.ended, "LTYS"), "0");
}
