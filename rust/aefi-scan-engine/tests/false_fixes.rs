//! Flipped digits and replies that come again, at constant speed: none is believed that
//! is off by more than two steps, no interval is false, no flight fails by them.

mod common;

use std::fmt::Write as _;

use aefi_bench_sim::FaultScript;
use aefi_scan_engine::records::Fix;
use common::draws::Draws;
use common::verdict::Flown;
use common::{bench, plan, virtual_flight};

const FAULTS: usize = 100_000;
const FRAMES: usize = 120;
/// Between two faults: the fixes around one of them are true.
const APART_MS: u64 = 30;
/// From the first look at the line's run-up to its last frame.
const CRUISE_MS: std::ops::Range<u64> = 900..9_600;

/// Flies one line with faults all along; returns it and how many there were.
fn flown(draws: &mut Draws) -> (Flown, usize) {
    let mut script = String::new();
    let mut count = 0;
    let mut at = CRUISE_MS.start;
    while at < CRUISE_MS.end {
        let fault = if draws.draw(0..2) == 0 {
            format!("flip-digit {}", draws.draw(0..9))
        } else {
            format!("double-late {}", draws.draw(1_000..3_000))
        };
        writeln!(script, "at {}s do {fault} stage", at as f64 / 1e3).expect("text grows");
        count += 1;
        at += APART_MS + draws.draw(0..5_u64);
    }
    let plan = plan(1, FRAMES);
    let faults: FaultScript = script.parse().expect("a script");
    let flight = virtual_flight(plan.clone(), bench(5), &faults);
    let mut flown = Flown::new("false fixes".to_owned(), plan, flight, |_, _| {});
    flown.false_by = 2.0;
    (flown, count)
}

#[test]
fn of_a_hundred_thousand_false_fixes_none_is_believed_and_no_interval_is_false() {
    let mut draws = Draws::seeded(60);
    let (mut struck, mut rejected) = (0, 0);
    while struck < FAULTS {
        let (flown, count) = flown(&mut draws);
        flown.check();
        flown.check_whole();
        struck += count;
        let doubts = Fix::IMPOSSIBLE | Fix::OUTLIER;
        rejected += (flown.log.fixes.iter())
            .filter(|fix| fix.flags & doubts != 0)
            .count();
    }
    println!("{struck} faults, {rejected} fixes rejected");
    assert!(rejected > struck / 2, "{rejected} of {struck}");
}
