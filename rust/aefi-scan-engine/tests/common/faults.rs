//! The faults that are tried on every kind of bench, and what their flights owe.

use aefi_bench_sim::mcu::Drive;
use aefi_scan_engine::{Cause, Nanos};

use super::verdict::Flown;

/// A counter that was believed is off by no more, in steps.
pub const FALSE_BY: f64 = 2.0;
/// A ramp of the flights' speed between lines, and what passes until it is begun.
const OVERSHOOT: f64 = 1_200.0;
/// From a fault at the end of a flight: retries of exchanges, a move that is sent again,
/// another pass over the lines.
const LATEST: Nanos = Nanos::from_millis(16_000);

/// A fault, with `{n}` where a number is drawn, and the link it strikes.
pub const FAULTS: [(&str, &str); 29] = [
    ("lose-reply", "stage"),
    ("lose-reply", "acquisition"),
    ("garble-reply", "stage"),
    ("garble-reply", "acquisition"),
    ("cut-reply", "stage"),
    ("cut-reply", "acquisition"),
    ("double-reply", "stage"),
    ("double-reply", "acquisition"),
    ("double-late {n}", "stage"),
    ("flip-digit {n}", "stage"),
    ("delay-reply 40", "stage"),
    ("delay-reply 300", "acquisition"),
    ("lose-request", "stage"),
    ("lose-request", "acquisition"),
    ("flip-request {n}", "stage"),
    ("flip-request {n}", "acquisition"),
    ("cut-request", "stage"),
    ("cut-request", "acquisition"),
    ("double-request", "stage"),
    ("double-request", "acquisition"),
    ("lose-replies", "stage"),
    ("lose-replies", "acquisition"),
    ("silence", "stage"),
    ("silence", "acquisition"),
    ("hang-up", "stage"),
    ("hang-up", "acquisition"),
    ("hand-jog", "stage"),
    ("hand-stop", "stage"),
    ("hand-abort", "stage"),
];

/// What a person reads of an end.
pub fn outcome(flown: &Flown) -> &'static str {
    match flown.cause() {
        None if flown.end.totals[0] == flown.plan.frames() as u64 => "whole",
        None => "completed, frames missed",
        Some(Cause::Silent { .. }) => "failed: no answer",
        Some(Cause::LinkLost { .. }) => "failed: link lost",
        Some(Cause::Protocol { .. }) => "failed: refused",
        Some(Cause::Setting { .. }) => "failed: setting",
        Some(Cause::Identity { .. }) => "failed: another device",
        Some(Cause::PositionJump { .. }) => "failed: impossible position",
        Some(Cause::Astray { .. }) => "failed: left its way",
        Some(Cause::OtherHand { .. }) => "failed: another hand",
        Some(Cause::CutShort { .. }) => "failed: stopped by another",
        Some(Cause::Motion { .. }) => "failed: motion not ordered",
        Some(_) => "failed",
    }
}

/// What always holds.
pub fn check(flown: &Flown) {
    flown.check();
    flown.check_end_by(flown.end.began + LATEST);
    let latest = flown.end.ended + Nanos::from_millis(3_000);
    flown.check_rest_by(latest);
    flown.check_committed(OVERSHOOT);
    let drive = flown.bench.chips().synthesizer.drive();
    let is_off = drive == Drive::default();
    assert!(is_off || !flown.end.excitation_off, "{flown}");
    let said = flown.end.outcome.cause.as_ref().map(ToString::to_string);
    assert!(said.is_none_or(|said| said.len() > 10), "{flown}");
}
