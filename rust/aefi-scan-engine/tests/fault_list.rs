//! Every fault of the list at random moments of a flight: survived, or the end has
//! the fault's own name and comes in time.
//!
//! A fault strikes each link 100 times with a command and 100 times at an instant,
//! drawn over the whole flight; always the same ones.

mod common;

use aefi_bench_sim::FaultScript;
use aefi_scan_engine::protocol::ProtocolError;
use aefi_scan_engine::{Cause, Demand, FlightState, Nanos};
use common::draws::Draws;
use common::verdict::Flown;
use common::{bench, plan, setup, virtual_flight};
use proptest::prelude::*;

const EVENTS: usize = 100;
const STAGE: &str = "stage";
const ACQUISITION: &str = "acquisition";
const LINKS: [&str; 2] = [STAGE, ACQUISITION];

/// Three unanswered attempts, the stop, its ramp and the look at where the stage
/// rests, and as much again for a detector that does not answer either.
const TO_GIVE_UP: Nanos = Nanos::from_millis(3_000);
/// The longest way of these flights at the slowest speed, and a half more.
const TO_COAST: Nanos = Nanos::from_millis(2_000);
/// From a move to the first look at it, and the ramp of the stop that follows.
const UNTIL_SEEN: f64 = 300.0;
/// Every line of these flights a second time.
const ANOTHER_PASS: Nanos = Nanos::from_millis(4_000);
/// A last line whose detector dies this late is flown to its end.
const DETECTOR_PATIENCE: Nanos = Nanos::from_millis(700);

fn fly_with(script: &str) -> Flown {
    fly_demanding(script, |_| None)
}

/// Flies with faults; what `demand` says is demanded.
fn fly_demanding(script: &str, mut demand: impl FnMut(Nanos) -> Option<Demand>) -> Flown {
    let mut plan = plan(2, 8);
    // What a broken exchange with the detector costs, a second pass brings back.
    plan.extra_passes = 1;
    let faults: FaultScript = script.parse().expect("a script");
    let flight = virtual_flight(plan.clone(), bench(5), &faults);
    Flown::new(script.to_owned(), plan, flight, |_, flight| {
        if let Some(demand) = demand(flight.now()) {
            flight.controls().demands.demand(demand);
        }
        if flight.is_waiting_for_demand() {
            flight.controls().demands.resume();
        }
    })
}

/// A moment of a fault, and when it can strike at the earliest and at the latest.
#[derive(Clone)]
struct Moment {
    text: String,
    instant: Option<Nanos>,
}

impl Moment {
    fn is_before_the_first_fix(&self) -> bool {
        let number = self.text.strip_prefix('n').map(str::parse::<u64>);
        number.is_some_and(|n| n.is_ok_and(|n| n <= 3))
            || self.instant.is_some_and(|at| at < Nanos::from_millis(10))
    }
}

/// Moments over a whole undisturbed flight, by the commands of `link` and by time.
struct Moments {
    flight: Flown,
    draws: Draws,
}

impl Moments {
    fn seeded(seed: u8) -> Self {
        let flight = fly_with("");
        flight.check();
        flight.check_whole();
        Self {
            flight,
            draws: Draws::seeded(seed),
        }
    }

    fn by_command(&mut self, link: &str) -> Moment {
        let end = &self.flight.end;
        let health = if link == STAGE {
            end.stage_link
        } else {
            end.detector_link
        };
        Moment {
            text: format!("n{}", self.draws.draw(1..=health.requests)),
            instant: None,
        }
    }

    fn by_time(&mut self) -> Moment {
        let at = Nanos(self.draws.draw(0..self.flight.end.ended.0));
        Moment {
            text: format!("{}s", at.as_secs_f64()),
            instant: Some(at),
        }
    }

    fn hundred_of_each(&mut self, link: &str) -> Vec<Moment> {
        let commands: Vec<_> = (0..EVENTS).map(|_| self.by_command(link)).collect();
        let times: Vec<_> = (0..EVENTS).map(|_| self.by_time()).collect();
        [commands, times].concat()
    }

    /// When a flight in which `fault` struck at `moment` must be over.
    fn latest_end(&self, moment: &Moment) -> Nanos {
        moment.instant.unwrap_or(self.flight.end.ended) + TO_GIVE_UP
    }
}

/// Flies `fault` at all its moments; what always holds is checked.
fn at_each_moment(seed: u8, fault: &str, link: &str, check: impl Fn(&Flown, &Moment, &Moments)) {
    let mut moments = Moments::seeded(seed);
    for moment in moments.hundred_of_each(link) {
        let flown = fly_with(&format!("at {} do {fault} {link}", moment.text));
        flown.check();
        check(&flown, &moment, &moments);
    }
}

fn survives(flown: &Flown, moments: &Moments) {
    flown.check_whole();
    flown.check_rest();
    flown.check_committed(0.0);
    flown.check_end_by(moments.flight.end.ended + ANOTHER_PASS + TO_GIVE_UP);
}

fn is_silent(flown: &Flown, link: &str) -> bool {
    matches!(flown.cause(), Some(Cause::Silent { device, .. }) if *device == link)
}

/// A fault that ends a flight may strike, or be noticed, when nothing is left to fly.
fn was_too_late(flown: &Flown, moment: &Moment, patience: Nanos) -> bool {
    let last = flown.log.lines.last();
    let [ok, _, missed, ..] = flown.end.totals;
    flown.is_completed()
        && ok + missed == flown.plan.frames() as u64
        && moment
            .instant
            .is_none_or(|at| last.is_some_and(|line| at + patience >= line.ended))
}

macro_rules! damaged_replies {
    ($($name:ident: $seed:literal, $fault:literal;)*) => {$(
        #[test]
        fn $name() {
            for link in LINKS {
                at_each_moment($seed, $fault, link, |flown, _, moments| survives(flown, moments));
            }
        }
    )*};
}

damaged_replies! {
    a_lost_reply_is_survived: 1, "lose-reply";
    a_garbled_reply_is_survived: 2, "garble-reply";
    a_cut_reply_is_survived: 3, "cut-reply";
    a_doubled_reply_is_survived: 4, "double-reply";
}

#[test]
fn a_late_reply_is_never_given_to_the_next_request() {
    let mut moments = Moments::seeded(5);
    for link in LINKS {
        for moment in moments.hundred_of_each(link) {
            let ms = moments.draws.draw(1..600);
            let at = &moment.text;
            let flown = fly_with(&format!("at {at} do delay-reply {ms} {link}"));
            flown.check();
            // A device keeps the order of its replies: all others are late with it.
            if ms <= 250 || flown.is_completed() {
                survives(&flown, &moments);
            } else {
                assert!(is_silent(&flown, link), "{flown}");
                flown.check_rest();
                flown.check_committed(0.0);
                flown.check_end_by(moments.latest_end(&moment));
            }
        }
    }
}

#[test]
fn a_silent_stage_ends_the_flight_by_its_name() {
    at_each_moment(6, "silence", STAGE, |flown, moment, moments| {
        flown.check_end_by(moments.latest_end(moment));
        flown.check_committed(0.0);
        flown.check_rest_by(flown.end.ended + TO_COAST);
        assert!(flown.end.excitation_off, "{flown}");
        if !was_too_late(flown, moment, Nanos::ZERO) {
            assert!(is_silent(flown, STAGE), "{flown}");
        }
    });
}

#[test]
fn a_silent_detector_ends_the_flight_by_its_name() {
    at_each_moment(7, "silence", ACQUISITION, |flown, moment, moments| {
        flown.check_end_by(moments.latest_end(moment));
        flown.check_committed(0.0);
        flown.check_rest();
        assert!(!flown.end.excitation_off, "{flown}: nobody can know");
        if !was_too_late(flown, moment, DETECTOR_PATIENCE) {
            assert!(is_silent(flown, ACQUISITION), "{flown}");
        }
    });
}

#[test]
fn an_unplugged_port_ends_the_flight_by_its_name() {
    for link in LINKS {
        at_each_moment(8, "hang-up", link, |flown, moment, moments| {
            flown.check_end_by(moments.latest_end(moment));
            flown.check_committed(0.0);
            if link == STAGE {
                flown.check_rest_by(flown.end.ended + TO_COAST);
            } else {
                flown.check_rest();
            }
            assert_eq!(flown.end.excitation_off, link == STAGE, "{flown}");
            // In virtual time a lost port is seen at the end of an exchange.
            if !was_too_late(flown, moment, Nanos::from_millis(200)) {
                let cause = flown.cause();
                let is_named =
                    matches!(cause, Some(Cause::LinkLost { device, .. }) if *device == link);
                assert!(is_named, "{flown}");
            }
        });
    }
}

/// Which axis moved at `at`, judged by the way just before.
fn moved(flown: &Flown, at: Nanos) -> bool {
    [aefi_bench_sim::Axis::X, aefi_bench_sim::Axis::Y]
        .into_iter()
        .any(|axis| flown.bench.trajectory(axis).is_moving_at(at - Nanos(1)))
}

fn is_refused(flown: &Flown, word: &str) -> bool {
    matches!(
        flown.cause(),
        Some(Cause::Protocol { error: ProtocolError::Refused { reply, .. }, .. }) if reply == word
    )
}

fn is_motion_fault(flown: &Flown, name: &str) -> bool {
    matches!(flown.cause(), Some(Cause::Motion { fault, .. }) if fault.contains(name))
}

#[test]
fn a_limit_or_an_alarm_ends_the_flight_by_its_name() {
    for (fault, name, refusal) in [
        ("limit", "limit error", "?LIMIT"),
        ("alarm", "alarm", "?ALARM"),
    ] {
        at_each_moment(9, fault, STAGE, |flown, moment, moments| {
            flown.check_rest();
            flown.check_committed(0.0);
            assert!(flown.end.excitation_off, "{flown}");
            match moment.instant {
                Some(at) if moved(flown, at) => {
                    assert!(is_motion_fault(flown, name), "{flown}");
                    flown.check_end_by(moments.latest_end(moment));
                }
                // A switch ahead of an axis that never goes there hurts nobody.
                _ if flown.is_completed() => flown.check_whole(),
                _ => assert!(
                    is_motion_fault(flown, name) || is_refused(flown, refusal),
                    "{flown}"
                ),
            }
        });
    }
}

#[test]
fn a_controller_in_its_error_state_is_named_at_the_next_move() {
    at_each_moment(10, "errored", STAGE, |flown, moment, moments| {
        flown.check_rest();
        flown.check_committed(0.0);
        flown.check_end_by(moments.flight.end.ended + TO_GIVE_UP);
        assert!(flown.end.excitation_off, "{flown}");
        if flown.is_completed() {
            let last = flown.log.lines.last().expect("it was flown");
            assert!(moment.instant.is_none_or(|at| at >= last.began), "{flown}");
            flown.check_whole();
        } else {
            assert!(is_refused(flown, "?ERRORED"), "{flown}");
        }
    });
}

#[test]
fn a_controller_that_was_switched_off_is_not_believed() {
    let mut moments = Moments::seeded(11);
    for moment in moments.hundred_of_each(STAGE) {
        if moment.is_before_the_first_fix() {
            continue; // Then its counters are all there is to believe.
        }
        let flown = fly_with(&format!("at {} do power-cycle", moment.text));
        flown.check();
        flown.check_rest();
        flown.check_end_by(moments.latest_end(&moment));
        // A move that it takes to be elsewhere goes wrong until that is seen.
        flown.check_committed(UNTIL_SEEN);
        assert!(flown.end.excitation_off, "{flown}");
        if !was_too_late(&flown, &moment, Nanos::ZERO) {
            let cause = flown.cause();
            let is_named = matches!(
                cause,
                Some(Cause::PositionJump { .. } | Cause::Setting { .. })
            );
            assert!(is_named, "{flown}");
        }
    }
}

#[test]
fn a_detector_that_stalls_is_waited_for_or_named() {
    let mut moments = Moments::seeded(12);
    for moment in moments.hundred_of_each(ACQUISITION) {
        let ms = moments.draws.draw(1..3_000);
        let flown = fly_with(&format!("at {} do stall-detector {ms}", moment.text));
        flown.check();
        flown.check_rest();
        flown.check_committed(0.0);
        flown.check_end_by(moments.flight.end.ended + TO_GIVE_UP);
        if flown.is_completed() {
            let [ok, _, missed, ..] = flown.end.totals;
            assert_eq!(ok + missed, flown.plan.frames() as u64, "{flown}");
        } else {
            assert!(is_silent(&flown, ACQUISITION) && ms > 150, "{flown}");
        }
    }
}

#[test]
fn a_stop_that_is_ignored_is_followed_by_a_stronger_one() {
    let mut moments = Moments::seeded(13);
    let expected = [
        (Demand::Pause, FlightState::Completed),
        (Demand::Stop, FlightState::Stopped),
        (Demand::Abort, FlightState::Aborted),
    ];
    for (demand, state) in expected {
        for _ in 0..EVENTS {
            let at = moments.by_time().instant.expect("a time");
            let mut asked_for = Some(demand);
            let flown = fly_demanding("at 0s do ignore-stop", |now| {
                asked_for.take_if(|_| now >= at)
            });
            flown.check();
            flown.check_committed(0.0);
            flown.check_end_by(match demand {
                Demand::Pause => moments.flight.end.ended + TO_GIVE_UP + TO_GIVE_UP,
                _ => at + TO_GIVE_UP,
            });
            assert!(flown.end.excitation_off, "{flown}");
            if matches!(flown.cause(), Some(Cause::Unstoppable { .. })) {
                // Nothing is stronger than an abort but to take the drives' current
                // away; the simulator's pulses go on to their target.
                assert_eq!(demand, Demand::Abort, "{flown}");
                flown.check_rest_by(flown.end.ended + TO_COAST);
                flown.check_drives_off();
                continue;
            }
            flown.check_rest();
            let last = flown.log.lines.last();
            if flown.is_completed() && last.is_some_and(|line| at >= line.ended) {
                continue; // Nothing was left to be stopped.
            }
            assert_eq!(flown.end.outcome.state, state, "{flown}");
            if demand == Demand::Pause {
                flown.check_whole();
            }
        }
    }
}

#[test]
fn another_device_that_answers_after_reconnecting_is_left_alone() {
    let mut moments = Moments::seeded(14);
    for _ in 0..EVENTS {
        let at = moments.by_time().instant.expect("a time");
        let first = fly_demanding(
            &format!("at {}s do wrong-identity", at.as_secs_f64()),
            |now| (now >= at).then_some(Demand::Stop),
        );
        first.check();
        first.check_rest();
        let stops = first.bench.truth().stops().len();
        let segments = |flown: &Flown| {
            let way = |axis| flown.bench.trajectory(axis).segments().len();
            [aefi_bench_sim::Axis::X, aefi_bench_sim::Axis::Y].map(way)
        };
        let before = segments(&first);
        let now = first.end.ended + Nanos::from_millis(100);
        let setup = setup(first.plan.clone(), first.bench.settings());
        let flight =
            aefi_scan_engine::shell::virtual_time::VirtualFlight::new(&setup, first.bench, now);
        let second = Flown::new(first.what, first.plan, flight, |_, _| {});
        let is_named = matches!(second.cause(), Some(Cause::Identity { .. }));
        assert!(is_named, "{second}");
        assert!(second.log.frames.is_empty(), "{second}");
        assert!(second.end.excitation_off, "{second}");
        assert_eq!(second.bench.truth().stops().len(), stops, "{second}");
        assert_eq!(segments(&second), before, "{second}");
        second.check_end_by(now + TO_GIVE_UP);
    }
}

#[test]
fn another_device_that_answers_after_a_broken_exchange_is_named() {
    let mut moments = Moments::seeded(15);
    for moment in moments.hundred_of_each(STAGE) {
        let at = &moment.text;
        let flown = fly_with(&format!(
            "at {at} do wrong-identity\nat {at} do lose-reply stage"
        ));
        flown.check();
        flown.check_committed(0.0);
        flown.check_rest_by(flown.end.ended + TO_COAST);
        flown.check_end_by(moments.latest_end(&moment));
        if !was_too_late(&flown, &moment, Nanos::ZERO) {
            let is_named = matches!(flown.cause(), Some(Cause::Identity { .. }));
            assert!(is_named, "{flown}");
        }
    }
}

#[test]
fn a_doubt_that_was_dispelled_names_no_later_end() {
    let mut moments = Moments::seeded(17);
    for _ in 0..EVENTS {
        let at = moments.draws.draw(30..1_000);
        let later = at + moments.draws.draw(20..300);
        let flown = fly_with(&format!(
            "at n{at} do garble-reply\nat n{at} do delay-reply 120\nat n{later} do silence"
        ));
        flown.check();
        assert!(is_silent(&flown, STAGE), "{flown}");
    }
}

#[test]
fn two_faults_in_one_flight_leave_a_whole_ledger_and_a_name() {
    const FAULTS: [&str; 14] = [
        "lose-reply",
        "delay-reply 130",
        "delay-reply 700",
        "garble-reply",
        "cut-reply",
        "double-reply",
        "silence",
        "hang-up",
        "limit",
        "alarm",
        "errored",
        "wrong-identity",
        "ignore-stop",
        "stall-detector 500",
    ];
    let mut moments = Moments::seeded(16);
    for _ in 0..300 {
        let script: Vec<_> = (0..2)
            .map(|_| {
                let fault = moments.draws.draw(prop::sample::select(&FAULTS[..]));
                let link = moments.draws.draw(prop::sample::select(&LINKS[..]));
                let moment = if moments.draws.draw(any::<bool>()) {
                    moments.by_command(link)
                } else {
                    moments.by_time()
                };
                format!("at {} do {fault} {link}", moment.text)
            })
            .collect();
        let flown = fly_with(&script.join("\n"));
        flown.check();
        flown.check_committed(0.0);
        flown.check_rest_by(flown.end.ended + TO_COAST);
        flown.check_end_by(moments.flight.end.ended + TO_GIVE_UP + TO_GIVE_UP);
    }
}
