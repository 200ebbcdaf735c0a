//! Pause, stop and abort at random events of a flight: 300 of each kind.

mod common;

use aefi_bench_sim::{Axis, FaultScript};
use aefi_scan_engine::{Cause, Demand, FlightPlan, FlightState, FrameState, Nanos};
use common::draws::Draws;
use common::verdict::Flown;
use common::{bench, plan, virtual_flight};
use proptest::prelude::*;

const EVENTS: usize = 300;
/// A stop, its ramp and the look at where the stage rests; from an exchange on.
const TO_REST: Nanos = Nanos::from_millis(1_000);

fn map() -> FlightPlan {
    plan(3, 6)
}

/// Flies with `demand` before each of these events; a pause is taken back at once.
fn fly_demanding(demand: Demand, events: &[u64]) -> (Flown, Demanded) {
    let flight = virtual_flight(map(), bench(5), &FaultScript::default());
    let mut demanded = Demanded::default();
    let what = format!("{demand:?} before {events:?}");
    let flown = Flown::new(what, map(), flight, |event, flight| {
        if events.contains(&event) {
            flight.controls().demands.demand(demand);
            demanded.at.push(flight.now());
        }
        if flight.is_waiting_for_demand() {
            demanded.pauses += 1;
            assert_eq!(flight.controls().display.state(), FlightState::Paused);
            flight.controls().demands.resume();
        }
    });
    flown.check();
    flown.check_rest();
    flown.check_committed(0.0);
    assert!(flown.end.excitation_off, "{flown}");
    (flown, demanded)
}

/// When something was demanded, and how often the flight stood still.
#[derive(Default)]
struct Demanded {
    at: Vec<Nanos>,
    pauses: usize,
}

/// The instant of each event of an undisturbed flight.
struct Undisturbed {
    flown: Flown,
    instants: Vec<Nanos>,
}

fn undisturbed() -> Undisturbed {
    let flight = virtual_flight(map(), bench(5), &FaultScript::default());
    let mut instants = Vec::new();
    let flown = Flown::new("nothing".to_owned(), map(), flight, |_, flight| {
        instants.push(flight.now());
    });
    flown.check();
    flown.check_whole();
    Undisturbed { flown, instants }
}

impl Undisturbed {
    fn events(&self, is_meant: impl Fn(&Flown, Nanos) -> bool) -> Vec<u64> {
        let instants = self.instants.iter().zip(0..);
        let meant = instants.filter(|(at, _)| is_meant(&self.flown, **at));
        meant.map(|(_, event)| event).collect()
    }
}

fn check_pauses(flown: &Flown, demanded: &Demanded) {
    flown.check_whole();
    assert!(demanded.pauses <= demanded.at.len(), "{flown}");
}

/// Pauses a flight each before 300 events for which `is_meant` holds.
fn pause_where(seed: u8, is_meant: impl Fn(&Flown, Nanos) -> bool) {
    let events = undisturbed().events(is_meant);
    let mut draws = Draws::seeded(seed);
    let mut pauses = 0;
    for _ in 0..EVENTS {
        let event = events[draws.draw(0..events.len())];
        let (flown, demanded) = fly_demanding(Demand::Pause, &[event]);
        check_pauses(&flown, &demanded);
        pauses += demanded.pauses;
    }
    // Before the first and after the last line there may be nothing to be paused.
    assert!(pauses > EVENTS / 2, "{pauses} of {EVENTS} pauses came");
}

#[test]
fn a_pause_at_any_event_loses_and_doubles_no_frame() {
    pause_where(1, |_, _| true);
}

#[test]
fn a_pause_in_a_ramp_loses_and_doubles_no_frame() {
    pause_where(2, |flown, at| {
        let segment = flown.bench.trajectory(Axis::Y).segment_at(at);
        segment.acceleration != 0.0
    });
}

#[test]
fn a_pause_in_a_turnaround_loses_and_doubles_no_frame() {
    pause_where(3, |flown, at| {
        let mut lines = flown.log.lines.iter().skip(1);
        lines.any(|line| line.turnaround_from <= at && at < line.began)
    });
}

#[test]
fn two_pauses_in_a_row_lose_and_double_no_frame() {
    let events = undisturbed().instants.len() as u64;
    let mut draws = Draws::seeded(4);
    let mut twice = 0;
    for _ in 0..EVENTS {
        let first = draws.draw(0..events);
        // So soon that the flight is still coming to rest, or off again just now.
        let second = first + draws.draw(1_u64..600);
        let (flown, demanded) = fly_demanding(Demand::Pause, &[first, second]);
        check_pauses(&flown, &demanded);
        twice += usize::from(demanded.pauses == 2);
    }
    assert!(
        twice > EVENTS / 4,
        "{twice} of {EVENTS} flights paused twice"
    );
}

#[test]
fn many_pauses_lose_and_double_no_frame() {
    let events = undisturbed().instants.len() as u64;
    let mut draws = Draws::seeded(5);
    for _ in 0..EVENTS / 10 {
        let all = draws.draw(prop::collection::vec(0..2 * events, 10));
        let (flown, demanded) = fly_demanding(Demand::Pause, &all);
        check_pauses(&flown, &demanded);
    }
}

/// Ends flights each before 300 random events, at times after a pause before.
fn end_at_any_event(seed: u8, demand: Demand, state: FlightState) {
    let undisturbed = undisturbed();
    let events = undisturbed.instants.len() as u64;
    let mut draws = Draws::seeded(seed);
    for _ in 0..EVENTS {
        let event = draws.draw(0..events);
        let (flown, demanded) = fly_demanding(demand, &[event]);
        let at = demanded.at[0];
        let [ok, _, missed, _, _, aborted, not_reached] = flown.end.totals;
        if flown.is_completed() {
            let last = flown.log.lines.last().expect("they were flown");
            assert!(at >= last.ended, "{flown}");
            continue;
        }
        assert_eq!(flown.end.outcome.state, state, "{flown}");
        flown.check_end_by(at + TO_REST);
        assert!(
            missed + aborted <= 6,
            "{flown}: only the line in flight suffers"
        );
        assert_eq!(ok + missed + aborted + not_reached, 18, "{flown}");
        let passed = undisturbed.flown.log.frames.iter();
        let passed = passed.filter(|frame| frame.at + TO_REST < at).count() as u64;
        assert!(
            ok >= passed.saturating_sub(6),
            "{flown}: what was flown is kept"
        );
    }
}

#[test]
fn a_stop_at_any_event_ends_the_flight_by_its_name() {
    end_at_any_event(6, Demand::Stop, FlightState::Stopped);
}

#[test]
fn an_abort_at_any_event_ends_the_flight_by_its_name() {
    end_at_any_event(7, Demand::Abort, FlightState::Aborted);
}

/// Pauses before the event `first`, never resumes, and demands `demand` then.
#[test]
fn a_pause_is_ended_by_a_stop_or_an_abort() {
    let events = undisturbed().instants.len() as u64;
    let mut draws = Draws::seeded(8);
    for (demand, state) in [
        (Demand::Stop, FlightState::Stopped),
        (Demand::Abort, FlightState::Aborted),
    ] {
        for _ in 0..EVENTS {
            // On the way to rest, or at rest.
            let first = draws.draw(0..events);
            let second = first + draws.draw(0_u64..300);
            let flight = virtual_flight(map(), bench(5), &FaultScript::default());
            let what = format!("pause before {first}, {demand:?} before {second}");
            let flown = Flown::new(what, map(), flight, |event, flight| {
                if event == first {
                    flight.controls().demands.demand(Demand::Pause);
                }
                if event >= second {
                    flight.controls().demands.demand(demand);
                }
            });
            flown.check();
            flown.check_rest();
            flown.check_committed(0.0);
            assert!(
                flown.is_completed() || flown.end.outcome.state == state,
                "{flown}"
            );
        }
    }
}

/// The controller may report idle for up to 250 ms after it accepted a move (Arcus
/// reference §5): just then a stop that is ignored looks obeyed.
#[test]
fn a_stage_that_reports_idle_too_early_is_not_taken_to_rest() {
    let mut settings = bench(5);
    settings.stage.status_lag = Nanos::from_millis(250);
    let mut draws = Draws::seeded(14);
    for ignored in ["", "at 0s do ignore-stop"] {
        for demand in [Demand::Stop, Demand::Abort] {
            for _ in 0..EVENTS / 4 {
                let at = Nanos::from_millis(draws.draw(1_i64..3_000));
                let script: FaultScript = ignored.parse().expect("a script");
                let flight = virtual_flight(map(), settings.clone(), &script);
                let what = format!("{demand:?} at {at:?}, {ignored:?}");
                let flown = Flown::new(what, map(), flight, |_, flight| {
                    if flight.now() >= at {
                        flight.controls().demands.demand(demand);
                    }
                });
                flown.check();
                flown.check_committed(0.0);
                if matches!(flown.cause(), Some(Cause::Unstoppable { .. })) {
                    continue; // Said, and the drives have no current.
                }
                flown.check_rest();
            }
        }
    }
}

#[test]
fn a_pause_shows_that_it_is_being_obeyed_and_a_stop_does_not() {
    for (demand, is_shown) in [(Demand::Pause, true), (Demand::Stop, false)] {
        let flight = virtual_flight(map(), bench(5), &FaultScript::default());
        let mut shown = Vec::new();
        let what = format!("{demand:?}");
        Flown::new(what, map(), flight, |event, flight| {
            if event == 3_000 {
                flight.controls().demands.demand(demand);
            }
            shown.push(flight.controls().display.state());
            if flight.is_waiting_for_demand() {
                flight.controls().demands.resume();
            }
        });
        assert_eq!(
            shown.contains(&FlightState::Pausing),
            is_shown,
            "{demand:?}"
        );
        assert_eq!(shown.contains(&FlightState::Paused), is_shown, "{demand:?}");
    }
}

#[test]
fn a_stop_goes_before_the_resynchronisation_of_a_link_that_lost_its_replies() {
    let faults: FaultScript = "at 1.2s do lose-replies stage".parse().expect("a script");
    let flight = virtual_flight(map(), bench(5), &faults);
    let flown = Flown::new("no replies".to_owned(), map(), flight, |_, flight| {
        if flight.now() >= Nanos::from_millis(1_250) {
            flight.controls().demands.demand(Demand::Stop);
        }
    });
    flown.check();
    let stops = flown.bench.truth().stops().to_vec();
    // The request under way is waited for, 100 ms and its wire time; none follows it.
    assert!(stops[0].at < Nanos::from_millis(1_320), "{stops:?}");
    // A stop that has no answer is sent once more.
    assert!(stops.len() >= 2, "{stops:?}");
}

#[test]
fn a_frame_in_which_a_stop_ends_the_flight_is_broken_off_and_those_behind_not_reached() {
    let mut broken_off = 0;
    for ms in (900..1_300).step_by(20) {
        let flight = virtual_flight(map(), bench(5), &FaultScript::default());
        let flown = Flown::new(format!("a stop at {ms} ms"), map(), flight, |_, flight| {
            if flight.now() >= Nanos::from_millis(ms) {
                flight.controls().demands.demand(Demand::Stop);
            }
        });
        flown.check();
        let of = |state: FrameState| flown.end.totals[usize::from(state.code())];
        // The ramp passes three.
        assert!(
            of(FrameState::Missed) + of(FrameState::Aborted) <= 4,
            "{flown}"
        );
        assert!(of(FrameState::NotReached) >= 12, "{flown}");
        broken_off += of(FrameState::Aborted);
    }
    assert!(broken_off >= 5, "{broken_off} of 20");
}
