//! The atomics shared by a flight's threads, in every order that memory may show.
//!
//! `make test-loom`. The sources are taken in a second time, so that what the crate
//! keeps for itself is reached; they are built upon loom's atomics.
#![cfg(loom)]

#[path = "../src/controls/mod.rs"]
#[allow(dead_code)]
mod controls;
#[path = "../src/ring.rs"]
#[allow(dead_code)]
mod ring;
#[path = "../src/sync.rs"]
mod sync;

use aefi_scan_engine::{error, outcome, units};

use controls::{Controls, Demand};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use outcome::FlightState;
use ring::{Loss, ring};

/// Runs `here` and `there` at once, in every order.
fn at_once<H, T>(controls: &Arc<Controls>, here: H, there: T)
where
    H: FnOnce(&Controls),
    T: FnOnce(&Controls) + 'static,
{
    let shared = Arc::clone(controls);
    let other = thread::spawn(move || there(&shared));
    here(controls);
    other.join().expect("the other thread ends");
}

#[test]
fn a_resume_takes_no_stop_back() {
    for demand in [Demand::Stop, Demand::Abort] {
        loom::model(move || {
            let controls = Arc::new(Controls::default());
            controls.demands.demand(Demand::Pause);
            at_once(
                &controls,
                |controls| {
                    controls.demands.resume();
                },
                move |controls| controls.demands.demand(demand),
            );
            assert_eq!(controls.demands.demanded(), demand);
        });
    }
}

#[test]
fn a_pause_after_a_resume_or_before_is_taken_back_or_in_force() {
    loom::model(|| {
        let controls = Arc::new(Controls::default());
        let shared = Arc::clone(&controls);
        let other = thread::spawn(move || shared.demands.resume());
        controls.demands.demand(Demand::Pause);
        let resumed = other.join().expect("the other thread ends");
        assert_eq!(controls.demands.demanded() == Demand::Fly, resumed);
    });
}

#[test]
fn the_strongest_of_three_demands_wins() {
    loom::model(|| {
        let controls = Arc::new(Controls::default());
        let ask = |demand| {
            let shared = Arc::clone(&controls);
            thread::spawn(move || shared.demands.demand(demand))
        };
        let others = [ask(Demand::Abort), ask(Demand::Stop)];
        controls.demands.demand(Demand::Pause);
        controls.demands.resume();
        for other in others {
            other.join().expect("the other thread ends");
        }
        assert_eq!(controls.demands.demanded(), Demand::Abort);
    });
}

#[test]
fn who_sees_a_demand_sees_what_was_done_before_it() {
    loom::model(|| {
        let controls = Arc::new(Controls::default());
        let done = Arc::new(AtomicUsize::new(0));
        let before = Arc::clone(&done);
        at_once(
            &controls,
            |controls| {
                if controls.demands.demanded() == Demand::Stop {
                    assert_eq!(done.load(Ordering::Relaxed), 1);
                }
            },
            move |controls| {
                before.store(1, Ordering::Relaxed);
                controls.demands.demand(Demand::Stop);
            },
        );
    });
}

#[test]
fn a_resume_frame_is_seen_with_its_own_break() {
    loom::model(|| {
        let controls = Arc::new(Controls::default());
        at_once(
            &controls,
            |controls| {
                for (epoch, frame) in [(1, 7), (2, 9)] {
                    let seen = controls.agreement.resume_frame(epoch);
                    assert!(seen.is_none_or(|seen| seen == frame), "{epoch}: {seen:?}");
                    if seen.is_some() {
                        // What was counted before is seen with it.
                        assert!(controls.display.done().1 >= frame);
                    }
                }
            },
            |controls| {
                for (epoch, frame) in [(1, 7), (2, 9)] {
                    controls.display.set_done(epoch as usize, frame);
                    controls.agreement.set_resume_frame(epoch, frame);
                }
            },
        );
        assert_eq!(controls.agreement.resume_frame(2), Some(9));
        assert_eq!(controls.agreement.resume_frame(1), None);
    });
}

#[test]
fn who_sees_a_resume_frame_sees_which_frames_have_ended() {
    loom::model(|| {
        let controls = Arc::new(Controls::default());
        controls.agreement.expect_frames(8);
        at_once(
            &controls,
            |controls| {
                if controls.agreement.resume_frame(1).is_some() {
                    assert!(controls.agreement.has_ended(6));
                }
            },
            |controls| {
                controls.agreement.set_ended(6);
                controls.agreement.set_resume_frame(1, 7);
            },
        );
    });
}

#[test]
fn each_break_has_a_number_of_its_own() {
    loom::model(|| {
        let controls = Arc::new(Controls::default());
        let shared = Arc::clone(&controls);
        let other = thread::spawn(move || shared.agreement.next_break());
        let mut numbers = [
            controls.agreement.next_break(),
            other.join().expect("it ends"),
        ];
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
    });
}

#[test]
fn a_state_is_published_after_what_came_before() {
    loom::model(|| {
        let controls = Arc::new(Controls::default());
        at_once(
            &controls,
            |controls| {
                if controls.display.state() == FlightState::Completed {
                    assert_eq!(controls.display.done(), (2, 16));
                }
                if controls.agreement.is_stage_over() {
                    assert_eq!(controls.display.done(), (2, 16));
                }
                if controls.agreement.is_detector_ready() {
                    assert_ne!(controls.display.done(), (0, 0));
                }
            },
            |controls| {
                controls.display.set_done(1, 8);
                controls.agreement.set_detector_ready();
                controls.display.set_done(2, 16);
                controls.agreement.set_stage_over();
                controls.display.set_state(FlightState::Completed);
            },
        );
    });
}

/// The records travel through rtrb, which has models of its own; what is ours is the
/// account of those that found no room.
#[test]
fn who_sees_losses_sees_where_they_are() {
    loom::model(|| {
        let (mut producer, consumer) = ring(1);
        let other = thread::spawn(move || (0..4).for_each(|record| producer.push(record)));
        let Loss { count, first, last } = consumer.loss();
        assert!(count == 0 || first == 1, "{count}, from {first} to {last}");
        assert!(
            count == 0 || (count..=3).contains(&last),
            "{count}, to {last}"
        );
        other.join().expect("the other thread ends");
        let (count, first, last) = (3, 1, 3);
        assert_eq!(consumer.loss(), Loss { count, first, last });
    });
}
