//! What holds for any motion and any bytes.

use aefi_bench_sim::motion::{Departure, Profile, Segment, plan_move};
use aefi_bench_sim::pmx::Controller;
use aefi_bench_sim::{Axis, BenchSettings, SimulatedBench, StageSettings};
use aefi_scan_engine::{Link, Nanos, VirtualBench};
use proptest::prelude::*;

/// Each segment begins where and as fast as the last one ended, up to the speed
/// jumps at `low` and the rounding of instants to 1 ns.
fn check_continuity(segments: &[Segment], high: f64) -> Result<(), TestCaseError> {
    for pair in segments.windows(2) {
        let end = pair[0].position_at(pair[1].start);
        let gap = (end - pair[1].position).abs();
        prop_assert!(gap < 1e-6 + high * 2e-9, "gap of {} steps", gap);
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_move_is_continuous_monotone_and_ends_at_its_target(
        low in 1.0..5000.0,
        high in 1.0..10_000.0,
        ramps in (0.001..2.0, 0.001..2.0),
        from in -60_000i32..60_000,
        to in -60_000i32..60_000,
    ) {
        let profile = Profile::new(low, high, ramps.0, ramps.1);
        let (from, to) = (f64::from(from), f64::from(to));
        let departure = Departure { start: Nanos::ZERO, position: from, velocity: 0.0 };
        let segments = plan_move(&profile, departure, to);
        check_continuity(&segments, high)?;
        let last = segments.last().expect("never empty");
        prop_assert!((last.position - to).abs() < 1e-12);
        let direction = (to - from).signum();
        for segment in &segments {
            prop_assert!(segment.velocity * direction >= 0.0);
            prop_assert!(segment.velocity.abs() <= high * (1.0 + 1e-9));
        }
    }

    #[test]
    fn a_retargeted_move_is_continuous_and_ends_at_its_target(
        speed in 0.0..3000.0,
        to in -20_000.0..20_000.0,
    ) {
        let profile = Profile::new(200.0, 3000.0, 0.4, 0.3);
        let departure = Departure { start: Nanos(7), position: 0.0, velocity: speed };
        let segments = plan_move(&profile, departure, to);
        check_continuity(&segments, 3000.0)?;
        prop_assert!((segments.last().expect("never empty").position - to).abs() < 1e-9);
    }

    #[test]
    fn an_axis_never_leaves_the_space_between_its_switches(
        commands in prop::collection::vec(
            prop_oneof![
                (-90_000i32..90_000).prop_map(|n| format!("X{n}")),
                (-90_000i32..90_000).prop_map(|n| format!("TX{n}")),
                Just("JX+".to_owned()), Just("JX-".to_owned()), Just("HX-0".to_owned()),
                Just("HX+2".to_owned()), Just("HX-4".to_owned()), Just("HX-1".to_owned()),
                Just("STOPX".to_owned()), Just("ABORT".to_owned()), Just("CLRX".to_owned()),
                Just("HSX=6000".to_owned()), Just("PX=0".to_owned()), Just("INC".to_owned()),
                Just("X3000Y2000".to_owned()), Just("CIRP0:100".to_owned()),
            ], 1..30),
        waits in prop::collection::vec(0i64..8000, 30),
    ) {
        let settings = StageSettings::default();
        let mut controller = Controller::new(&settings, Nanos::ZERO);
        let mut now = Nanos::ZERO;
        for (command, wait) in commands.iter().zip(waits) {
            controller.execute(now, command);
            now = now + Nanos::from_millis(wait);
        }
        let way = controller.trajectory(Axis::X);
        check_continuity(way.segments(), 6000.0)?;
        let high = settings.travel_steps[0] + settings.switch_margin_steps;
        for ms in (0..now.0 / 1_000_000 + 5000).step_by(50) {
            let position = way.position_at(Nanos::from_millis(ms));
            prop_assert!(position >= -500.0 - 1e-3 && position <= high + 1e-3);
        }
    }

    #[test]
    fn replies_do_not_depend_on_how_bytes_are_split(
        commands in prop::collection::vec("(@00)?[A-Z]{1,4}[-0-9=:]{0,6}\r|[ -~]{0,9}", 1..20),
        cuts in prop::collection::vec(1usize..7, 1..40),
    ) {
        let bytes = commands.concat().into_bytes();
        let mut whole = unpaced();
        whole.write(Link::Stage, Nanos::ZERO, &bytes);
        let mut split = unpaced();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            split.write(Link::Stage, Nanos::ZERO, now);
            rest = later;
            if rest.is_empty() { break; }
        }
        prop_assert_eq!(read_all(&mut whole), read_all(&mut split));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(
        stage in prop::collection::vec(any::<u8>(), 0..200),
        acquisition in prop::collection::vec(any::<u8>(), 0..200),
        text in "[A-Zm@0-9=:*\r-]{0,80}",
    ) {
        let mut bench = SimulatedBench::new(BenchSettings::default());
        bench.write(Link::Stage, Nanos::ZERO, &stage);
        bench.write(Link::Acquisition, Nanos::ZERO, &acquisition);
        bench.write(Link::Stage, Nanos(1), text.as_bytes());
        bench.write(Link::Acquisition, Nanos(1), text.as_bytes());
        Controller::new(&StageSettings::default(), Nanos::ZERO).execute(Nanos::ZERO, &text);
    }
}

fn unpaced() -> SimulatedBench {
    let mut settings = BenchSettings::default();
    settings.stage.pacing = aefi_bench_sim::Pacing::Unpaced;
    SimulatedBench::new(settings)
}

fn read_all(bench: &mut SimulatedBench) -> Vec<u8> {
    let mut replies = Vec::new();
    bench.read(Link::Stage, Nanos::from_millis(1), &mut replies);
    replies
}
