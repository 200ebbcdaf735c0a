//! What the line, the devices and other people can do, at random instants of a flight:
//! every frame that is ok is true, the stage rests where it may be, and the end has a
//! name. The table of the documents is what comes out (`make faults`).

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aefi_bench_sim::{Axis, FaultScript};
use aefi_scan_engine::{Cause, Nanos};
use common::draws::Draws;
use common::faults::{FALSE_BY, FAULTS, check, outcome};
use common::verdict::Flown;
use common::{bench, plan, virtual_flight};

const INSTANTS: usize = 100;
const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/reference/faults.md"
);
/// Behind it, the page has the table.
const MARK: &str = "<!-- made by make faults -->\n\n";

/// Flies two lines of eight frames with a fault.
fn fly_with(script: &str) -> Flown {
    let mut plan = plan(2, 8);
    plan.extra_passes = 1;
    let faults: FaultScript = script.parse().expect("a script");
    let flight = virtual_flight(plan.clone(), bench(5), &faults);
    let mut flown = Flown::new(script.to_owned(), plan, flight, |_, _| {});
    flown.false_by = FALSE_BY;
    flown
}

fn outcomes(
    number: usize,
    fault: &str,
    link: &str,
    undisturbed: Nanos,
) -> BTreeMap<&'static str, usize> {
    let mut draws = Draws::seeded(100 + number as u8);
    let mut found = BTreeMap::new();
    for _ in 0..INSTANTS {
        let at = Nanos(draws.draw(0..undisturbed.0));
        let n = draws.draw(0..2_000_u32);
        let fault = fault.replace("{n}", &n.to_string());
        let flown = fly_with(&format!("at {}s do {fault} {link}", at.as_secs_f64()));
        check(&flown);
        *found.entry(outcome(&flown)).or_default() += 1;
    }
    found
}

#[test]
fn every_fault_leaves_true_frames_a_stage_at_rest_and_a_name() {
    let undisturbed = fly_with("").end.ended;
    let mut table = String::from("| fault | link | outcomes of 100 |\n|---|---|---|\n");
    for (number, (fault, link)) in FAULTS.into_iter().enumerate() {
        let found = outcomes(number, fault, link, undisturbed);
        let found: Vec<_> = found
            .into_iter()
            .map(|(outcome, count)| format!("{count} {outcome}"))
            .collect();
        let name = fault.replace(" {n}", "");
        writeln!(table, "| `{name}` | {link} | {} |", found.join(", ")).expect("text grows");
    }
    let page = std::fs::read_to_string(PAGE).expect("the page is there");
    let (words, known) = page.split_once(MARK).expect("the page has a table");
    if std::env::var_os("AEFI_WRITE_TABLES").is_some() {
        let page = format!("{words}{MARK}{table}");
        std::fs::write(PAGE, page).expect("the page can be written");
    } else {
        assert_eq!(table, known, "make faults writes the table anew");
    }
}

#[test]
fn a_microcontroller_that_only_hears_is_switched_off() {
    let undisturbed = fly_with("").end.ended;
    let mut draws = Draws::seeded(200);
    for _ in 0..INSTANTS {
        let at = Nanos(draws.draw(0..undisturbed.0 * 9 / 10));
        let flown = fly_with(&format!(
            "at {}s do lose-replies acquisition",
            at.as_secs_f64()
        ));
        let drive = flown.bench.chips().synthesizer.drive();
        assert_eq!(drive, aefi_bench_sim::mcu::Drive::default(), "{flown}");
        assert!(!flown.end.excitation_off, "{flown}: nobody can know");
    }
}

#[test]
fn a_digit_of_a_move_that_is_changed_is_seen_before_the_axis_is_far() {
    // Every digit of every move of a flight, to every other digit.
    let whole = fly_with("");
    let moves: Vec<u64> = (1..=whole.end.stage_link.requests).collect();
    let mut astray = 0;
    for request in moves.into_iter().step_by(1) {
        for n in 0..3 {
            // The lowest bits of the first digits.
            let flip = 4 + n;
            let flown = fly_with(&format!("at n{request} do flip-request {flip} stage"));
            check(&flown);
            astray += usize::from(matches!(flown.cause(), Some(Cause::Astray { .. })));
        }
    }
    assert!(astray > 0, "some of them leave their way");
}

#[test]
fn another_hand_on_the_stage_is_named_and_its_row_is_not_ok() {
    let mut flown = fly_with("at 1.2s do hand-jog");
    check(&flown);
    let Some(Cause::OtherHand { axis, .. }) = flown.cause() else {
        panic!("{flown}");
    };
    assert_eq!(*axis, 'X');
    assert!(flown.end.is_position_suspect());
    // A stop from elsewhere is obeyed: nothing moves after it.
    flown = fly_with("at 1.2s do hand-stop");
    check(&flown);
    assert!(
        matches!(flown.cause(), Some(Cause::CutShort { axis: 'Y', .. })),
        "{flown}"
    );
    let stopped = flown.bench.trajectory(Axis::Y).end().expect("it rests");
    assert!(stopped < Nanos::from_millis(1_700), "{flown}");
}
