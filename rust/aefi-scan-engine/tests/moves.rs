//! Moves outside flights: they end where they were sent, or say why not, and a stop at
//! any event brings the stage to rest. The simulator's truth is the judge.

mod common;

use std::sync::Arc;
use std::time::Duration;

use aefi_bench_sim::{FaultScript, SimulatedBench};
use aefi_scan_engine::machine::positioner::{
    AxisSetup, Goal, Move, MoveEnd, MoveOrders, Positioner,
};
use aefi_scan_engine::{Axis, Cause, Demand, EngineError, Link, Nanos, Steps};
use common::draws::Draws;
use common::links::Talk;
use common::{bench, plan, setup};

const SPEED: u32 = 3000;
const START: i64 = 20_000;
/// Three unanswered attempts, a stop and its ramp, twice, and the longest way.
const LONGEST: Nanos = Nanos::from_millis(12_000);

fn to(target: i64) -> Move {
    Move {
        goal: Goal::To(Steps(target)),
        speed: SPEED,
    }
}

const HOME: Move = Move {
    goal: Goal::Home {
        upwards: false,
        mode: 0,
    },
    speed: 1500,
};

/// A stage in virtual time whose moves are served event by event.
struct Stage {
    bench: SimulatedBench,
    orders: Arc<MoveOrders>,
    machine: Option<Positioner>,
    now: Nanos,
    events: u64,
}

impl Stage {
    fn with_faults(script: &str) -> Self {
        Self::with(script, Nanos::ZERO)
    }

    /// A stage that reports idle for so long after it accepted a move.
    fn with(script: &str, status_lag: Nanos) -> Self {
        let faults: FaultScript = script.parse().expect("a script");
        let mut settings = bench(5);
        settings.stage.status_lag = status_lag;
        // Near enough to the home input for a test.
        settings.stage.start_steps = [START as f64, START as f64, 0.0, 0.0];
        Self {
            bench: SimulatedBench::starting_at(settings, &faults, Nanos::ZERO),
            orders: Arc::default(),
            machine: None,
            now: Nanos::ZERO,
            events: 0,
        }
    }

    fn order(&self, axis: Axis, order: Move) {
        assert!(self.orders.place(axis, order), "{axis:?} is free");
    }

    /// Serves until nothing is ordered; `before` is called before each event.
    fn serve(&mut self, mut before: impl FnMut(u64, &MoveOrders)) {
        self.serve_in_time(|event, _, orders| before(event, orders));
    }

    /// The same, and `before` is told the time.
    fn serve_in_time(&mut self, mut before: impl FnMut(u64, Nanos, &MoveOrders)) {
        assert!(self.orders.begin(), "nobody else serves");
        let config = setup(plan(1, 2), &bench(5)).stage;
        let of_axis = AxisSetup {
            high_speed: SPEED,
            start_speed: 1000,
            ramp_ms: 300,
        };
        let machine = self.machine.take();
        let machine = machine.unwrap_or_else(|| {
            Positioner::new(config.clone(), [of_axis; 2], Arc::clone(&self.orders))
        });
        let mut talk = Talk::new(Link::Stage, machine, config.byte_time);
        // The first turn is now, not at the bench's beginning.
        loop {
            let next = talk.next(&self.bench);
            if next == Nanos::NEVER {
                break;
            }
            self.now = self.now.max(next);
            before(self.events, self.now, &self.orders);
            self.events += 1;
            let around: &dyn Fn(&mut dyn FnMut()) = &|work| work();
            talk.step(self.now, &mut self.bench, &mut |()| {}, around);
            assert!(self.events < 100_000, "the moves never end");
        }
        let (machine, _) = talk.conversation.into_parts();
        match machine.fault().cloned() {
            Some(cause) => self.orders.fail(&cause.into()),
            None => self.machine = machine.again(),
        }
    }

    fn end(&self, axis: Axis) -> MoveEnd {
        let end = self.orders.wait(axis, Duration::ZERO);
        end.expect("the move has ended")
    }

    /// Where an axis really is, as soon as all its motion is over.
    fn truth(&mut self, axis: Axis) -> f64 {
        let later = self.now + Nanos::from_millis(60_000);
        self.bench.settle(later);
        self.bench.trajectory(sim(axis)).position_at(later)
    }

    fn is_at_rest(&self) -> bool {
        Axis::BOTH
            .into_iter()
            .all(|axis| self.bench.trajectory(sim(axis)).velocity_at(self.now).abs() < 1e-9)
    }
}

fn sim(axis: Axis) -> aefi_bench_sim::Axis {
    match axis {
        Axis::X => aefi_bench_sim::Axis::X,
        Axis::Y => aefi_bench_sim::Axis::Y,
    }
}

#[test]
fn both_axes_go_their_ways_at_once() {
    let mut stage = Stage::with_faults("");
    stage.order(Axis::X, to(START + 3000));
    stage.order(Axis::Y, to(START - 6000));
    let mut together = false;
    stage.serve(|_, _| {});
    for segment in stage.bench.truth().segments(aefi_bench_sim::Axis::X) {
        let middle = Nanos(segment.start.0 + 1_000_000);
        together |= stage
            .bench
            .truth()
            .velocity(aefi_bench_sim::Axis::Y, middle)
            < -1.0
            && stage
                .bench
                .truth()
                .velocity(aefi_bench_sim::Axis::X, middle)
                > 1.0;
    }
    assert!(together, "x waited for y");
    for (axis, target) in [(Axis::X, START + 3000), (Axis::Y, START - 6000)] {
        assert_eq!(stage.end(axis), MoveEnd::Arrived);
        assert!((stage.truth(axis) - target as f64).abs() < 0.5);
        assert_eq!(stage.orders.positions()[axis.index()], Some(Steps(target)));
    }
}

#[test]
fn a_move_ordered_on_the_way_of_the_other_axis_begins_at_once() {
    let mut stage = Stage::with_faults("");
    stage.order(Axis::X, to(START + 6000));
    let mut ordered = false;
    stage.serve(|event, orders| {
        if event == 100 {
            ordered = orders.place(Axis::Y, to(START + 100));
            assert!(!orders.place(Axis::X, to(START)), "x is under way");
        }
    });
    assert!(ordered);
    assert_eq!(stage.end(Axis::Y), MoveEnd::Arrived);
    assert_eq!(stage.end(Axis::X), MoveEnd::Arrived);
}

#[test]
fn a_second_move_needs_no_second_set_up() {
    let mut stage = Stage::with_faults("");
    stage.order(Axis::X, to(START + 10));
    stage.serve(|_, _| {});
    let first = stage.events;
    stage.order(Axis::X, to(START + 20));
    stage.serve(|_, _| {});
    assert!(stage.events - first < first / 2, "{first} events at first");
    assert!((stage.truth(Axis::X) - (START + 20) as f64).abs() < 0.5);
}

#[test]
fn a_controller_that_was_switched_off_in_between_is_noticed_and_set_up_anew() {
    let mut stage = Stage::with_faults("");
    stage.order(Axis::X, to(START + 10));
    stage.serve(|_, _| {});
    let now = stage.now;
    stage.bench.power_cycle_stage(now);
    stage.order(Axis::X, to(START + 20));
    stage.serve(|_, _| {});
    assert!(matches!(
        stage.end(Axis::X),
        MoveEnd::Failed(EngineError::Device(
            Cause::PositionJump { .. } | Cause::Setting { .. }
        ))
    ));
    stage.order(Axis::X, to(50));
    stage.serve(|_, _| {});
    assert_eq!(stage.end(Axis::X), MoveEnd::Arrived);
    assert_eq!(stage.orders.positions()[0], Some(Steps(50)));
}

#[test]
fn a_stop_at_any_event_brings_the_stage_to_rest_and_the_next_move_is_served() {
    for event in 0..300 {
        let mut stage = Stage::with_faults("");
        stage.order(Axis::X, to(START + 2000));
        stage.order(Axis::Y, to(START - 2000));
        let demand = if event % 5 == 0 {
            Demand::Abort
        } else {
            Demand::Stop
        };
        stage.serve(|at, orders| {
            if at == event {
                orders.stop(demand);
            }
        });
        assert!(stage.is_at_rest(), "stopped at event {event}");
        for axis in Axis::BOTH {
            let found = stage.orders.positions()[axis.index()];
            let found = found.map_or(stage.truth(axis), |steps| steps.0 as f64);
            assert!((stage.truth(axis) - found).abs() < 1.0, "event {event}");
            let end = stage.end(axis);
            let arrived = (found - START as f64).abs() >= 2000.0;
            let expected = if arrived {
                MoveEnd::Arrived
            } else {
                MoveEnd::Stopped
            };
            assert!(
                end == MoveEnd::Stopped || end == expected,
                "{event}: {end:?}"
            );
        }
        stage.order(Axis::X, to(START));
        stage.serve(|_, _| {});
        assert_eq!(stage.end(Axis::X), MoveEnd::Arrived, "after event {event}");
        assert!((stage.truth(Axis::X) - START as f64).abs() < 0.5);
    }
}

#[test]
fn whatever_fails_a_move_arrives_or_says_why_and_ends_in_time() {
    let kinds = [
        "lose-reply",
        "delay-reply 300",
        "garble-reply",
        "cut-reply",
        "double-reply",
        "silence",
        "limit",
        "alarm",
        "errored",
        "power-cycle",
        "hang-up",
        "wrong-identity",
    ];
    let mut draws = Draws::seeded(11);
    for kind in kinds {
        for _ in 0..100 {
            // Nobody can know that the counters were lost before they were first read.
            let command = draws.draw(4_u64..200);
            let script = format!("at n{command} do {kind} stage");
            let mut stage = Stage::with_faults(&script);
            stage.order(Axis::X, to(START + 1500));
            stage.order(Axis::Y, to(START - 500));
            stage.serve(|_, _| {});
            assert!(stage.now < LONGEST, "{script} took {:?}", stage.now);
            for (axis, target) in [(Axis::X, START + 1500), (Axis::Y, START - 500)] {
                match stage.end(axis) {
                    MoveEnd::Arrived => {
                        let truth = stage.truth(axis);
                        assert!((truth - target as f64).abs() < 1.0, "{script}: at {truth}");
                    }
                    MoveEnd::Failed(error) => assert!(!error.to_string().is_empty()),
                    MoveEnd::Stopped => panic!("{script}: nobody stopped it"),
                }
            }
        }
    }
}

#[test]
fn a_lost_reply_costs_no_move() {
    for command in 1..120 {
        let mut stage = Stage::with_faults(&format!("at n{command} do lose-reply stage"));
        stage.order(Axis::X, to(START + 700));
        stage.serve(|_, _| {});
        assert_eq!(stage.end(Axis::X), MoveEnd::Arrived, "command {command}");
    }
}

#[test]
fn a_stop_that_is_ignored_is_followed_by_a_stronger_one() {
    let mut stage = Stage::with_faults("at n60 do ignore-stop stage");
    stage.order(Axis::X, to(START + 9000));
    stage.serve(|event, orders| {
        if event == 200 {
            orders.stop(Demand::Stop);
        }
    });
    assert_eq!(stage.end(Axis::X), MoveEnd::Stopped);
    assert!(stage.is_at_rest());
    assert!(stage.bench.truth().stops().len() >= 2, "an abort followed");
}

#[test]
fn home_is_where_the_input_is_and_can_be_stopped() {
    let mut stage = Stage::with_faults("");
    stage.order(Axis::X, to(2000));
    stage.serve(|_, _| {});
    stage.order(Axis::X, HOME);
    stage.serve(|_, _| {});
    assert_eq!(stage.end(Axis::X), MoveEnd::Arrived);
    let counter = stage.orders.positions()[0].expect("it was looked at").0;
    // Mode 0 ramps down beyond the edge (Arcus reference §6.5).
    assert!((-400..0).contains(&counter), "at {counter}");
    assert!((stage.truth(Axis::X) - counter as f64).abs() < 1.0);

    stage.order(Axis::X, to(2000));
    stage.serve(|_, _| {});
    stage.order(Axis::X, HOME);
    let begun = stage.events;
    stage.serve(|event, orders| {
        if event == begun + 60 {
            orders.stop(Demand::Stop);
        }
    });
    assert_eq!(stage.end(Axis::X), MoveEnd::Stopped);
    assert!(stage.is_at_rest());
    assert!(stage.truth(Axis::X) > 0.0, "it came to rest on the way");
}

#[test]
fn a_foreign_device_gets_no_command() {
    let mut stage = Stage::with_faults("at 0s do wrong-identity stage");
    stage.order(Axis::X, to(START + 10));
    stage.serve(|_, _| {});
    assert!(matches!(
        stage.end(Axis::X),
        MoveEnd::Failed(EngineError::Device(Cause::Identity { .. }))
    ));
    assert!(stage.bench.truth().stops().is_empty());
    assert!((stage.truth(Axis::X) - START as f64).abs() < 0.5);
}

#[test]
fn a_stage_that_reports_idle_too_early_is_not_taken_to_rest() {
    for event in 40..160 {
        let mut stage = Stage::with("", Nanos::from_millis(250));
        stage.order(Axis::X, to(START + 2000));
        stage.serve(|at, orders| {
            if at == event {
                orders.stop(Demand::Stop);
            }
        });
        assert!(stage.is_at_rest(), "stopped at event {event}");
        let found = stage.orders.positions()[0].expect("it was looked at").0;
        assert!(
            (stage.truth(Axis::X) - found as f64).abs() < 1.0,
            "event {event}"
        );
    }
}

#[test]
fn a_controller_that_forgets_itself_on_the_way_home_has_not_arrived() {
    for command in 40..140 {
        let mut stage = Stage::with_faults(&format!("at n{command} do power-cycle stage"));
        stage.order(Axis::X, HOME);
        stage.order(Axis::Y, HOME);
        stage.serve(|_, _| {});
        for axis in Axis::BOTH {
            if stage.end(axis) == MoveEnd::Arrived {
                let truth = stage.truth(axis);
                assert!(truth.abs() < 500.0, "command {command}: home at {truth}");
            }
        }
    }
}

#[test]
fn drives_that_had_to_be_switched_off_are_told_and_set_up_anew() {
    let script = "at n60 do ignore-stop stage\nat n100 do ignore-stop stage";
    let mut stage = Stage::with_faults(script);
    stage.order(Axis::X, to(START + 20_000));
    stage.serve(|event, orders| {
        if event == 200 {
            orders.stop(Demand::Stop);
        }
    });
    let end = stage.end(Axis::X);
    assert!(matches!(end, MoveEnd::Failed(_)), "{end:?}");
    assert_eq!(
        stage.orders.positions(),
        [None; 2],
        "nobody knows where it is"
    );
    // That is told at once; the simulator's pulses go on to their target.
    stage.now = stage.now + Nanos::from_millis(60_000);
    stage.order(Axis::X, to(START));
    stage.serve(|_, _| {});
    assert_eq!(stage.end(Axis::X), MoveEnd::Arrived);
    assert!(
        (stage.truth(Axis::X) - START as f64).abs() < 0.5,
        "it really moved"
    );
}

#[test]
fn what_is_ordered_while_the_other_axis_stops_is_not_stopped_with_it() {
    let mut stage = Stage::with_faults("");
    stage.order(Axis::X, to(START + 9000));
    let mut ordered = false;
    stage.serve(|event, orders| {
        if event == 200 {
            orders.stop(Demand::Stop);
            ordered = orders.place(Axis::Y, to(START + 500));
        }
    });
    assert!(ordered);
    assert_eq!(stage.end(Axis::X), MoveEnd::Stopped);
    assert_eq!(stage.end(Axis::Y), MoveEnd::Arrived);
}

#[test]
fn a_counter_that_was_lost_is_no_position_although_a_stop_was_asked_for() {
    let mut told = 0;
    for command in 80..160 {
        let mut stage = Stage::with_faults(&format!("at n{command} do power-cycle stage"));
        stage.order(Axis::X, to(START + 9000));
        stage.serve(|event, orders| {
            if event == 310 {
                orders.stop(Demand::Stop);
            }
        });
        let found = stage.orders.positions()[0].map(|steps| steps.0 as f64);
        if let MoveEnd::Failed(_) = stage.end(Axis::X) {
            told += 1;
            assert_eq!(found, None, "command {command}");
        } else {
            let truth = stage.truth(Axis::X);
            let off = (truth - found.expect("it was looked at")).abs();
            assert!(off < 1.0, "command {command}: {off} steps");
        }
    }
    assert!(told > 10, "{told} were told");
}

// -- what was meant, outside flights ---------------------------------------------------

fn failure(stage: &Stage, axis: Axis) -> Cause {
    match stage.end(axis) {
        MoveEnd::Failed(EngineError::Device(cause)) => cause,
        other => panic!("it fails by a cause, was {other:?}"),
    }
}

#[test]
fn a_move_that_somebody_else_stops_is_not_sent_on() {
    for hand in ["hand-stop", "hand-abort"] {
        let mut stage = Stage::with_faults(&format!("at 0.5s do {hand}"));
        stage.order(Axis::Y, to(START + 3000));
        stage.serve(|_, _| {});
        let cause = failure(&stage, Axis::Y);
        let Cause::CutShort { found, target, .. } = cause else {
            panic!("{hand}: {cause:?}");
        };
        assert_eq!(target, START + 3000, "{hand}");
        let way = stage.bench.trajectory(aefi_bench_sim::Axis::Y);
        assert!(
            (way.position_at(stage.now) - found as f64).abs() < 1.0,
            "{hand}"
        );
        assert!(
            way.end().is_some_and(|end| end < Nanos::from_millis(1_000)),
            "{hand}"
        );
    }
}

#[test]
fn an_axis_that_somebody_else_moves_beside_ours_stops_both() {
    let mut stage = Stage::with_faults("at 0.5s do hand-jog 5000");
    stage.order(Axis::Y, to(START + 3000));
    stage.serve(|_, _| {});
    let cause = failure(&stage, Axis::Y);
    let is_named = matches!(
        cause,
        Cause::OtherHand {
            axis: 'X',
            rested: START,
            ..
        }
    );
    assert!(is_named, "{cause:?}");
    for axis in [aefi_bench_sim::Axis::X, aefi_bench_sim::Axis::Y] {
        let way = stage.bench.trajectory(axis);
        assert!(!way.is_moving_at(stage.now), "{axis:?}");
        assert!(
            way.position_at(stage.now) < (START + 2500) as f64,
            "{axis:?}"
        );
    }
}

#[test]
fn a_move_with_a_changed_digit_stays_near_its_way() {
    let (mut arrived, mut stopped) = (0, 0);
    for flip in 0..70 {
        // The request of the move is the one behind the preparation and the speed.
        for number in 21..30 {
            let script = format!("at n{number} do flip-request {flip} stage");
            let mut stage = Stage::with_faults(&script);
            stage.order(Axis::Y, to(START + 3000));
            stage.serve(|_, _| {});
            match stage.end(Axis::Y) {
                MoveEnd::Arrived => arrived += 1,
                MoveEnd::Failed(_) => stopped += 1,
                MoveEnd::Stopped => panic!("{script}: nobody stopped it"),
            }
            for axis in [aefi_bench_sim::Axis::X, aefi_bench_sim::Axis::Y] {
                let way = stage.bench.trajectory(axis);
                let at = way.position_at(stage.now);
                assert!(!way.is_moving_at(stage.now), "{script}: {axis:?}");
                let (low, high) = (START as f64 - 1_200.0, START as f64 + 4_200.0);
                assert!(low <= at && at <= high, "{script}: {axis:?} at {at}");
            }
        }
    }
    assert!(
        arrived > 0 && stopped > 0,
        "{arrived} arrived, {stopped} stopped"
    );
}

#[test]
fn a_stop_goes_before_the_resynchronisation_of_a_link_that_lost_its_replies() {
    let mut stage = Stage::with_faults("at 0.5s do lose-replies stage");
    stage.order(Axis::Y, to(START + 6000));
    stage.serve_in_time(|_, now, orders| {
        if now >= Nanos::from_millis(550) {
            orders.stop(Demand::Stop);
        }
    });
    let stops = stage.bench.truth().stops().to_vec();
    assert!(stops.len() >= 2, "{stops:?}");
    // The request under way is waited for, 100 ms and its wire time; none follows it.
    assert!(stops[0].at < Nanos::from_millis(620), "{stops:?}");
}
