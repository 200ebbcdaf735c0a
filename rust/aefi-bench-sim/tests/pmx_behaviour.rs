//! What the controller does between its replies.

use aefi_bench_sim::motion::Axis;
use aefi_bench_sim::pmx::Controller;
use aefi_bench_sim::settings::{Encoder, StageSettings};
use aefi_scan_engine::Nanos;

/// A controller, the commands it got, and the time.
struct Stage {
    controller: Controller,
    now: Nanos,
}

impl Stage {
    fn new(settings: &StageSettings) -> Self {
        Self {
            controller: Controller::new(settings, Nanos::ZERO),
            now: Nanos::ZERO,
        }
    }

    fn with(commands: &[&str]) -> Self {
        let mut stage = Self::new(&StageSettings::default());
        for command in commands {
            assert_eq!(stage.ask(command), "OK", "{command}");
        }
        stage
    }

    fn ask(&mut self, command: &str) -> String {
        self.controller.execute(self.now, command)
    }

    fn wait_s(&mut self, seconds: f64) -> &mut Self {
        self.now = self.now + Nanos::from_secs_f64(seconds);
        self
    }

    fn position(&self, axis: Axis) -> f64 {
        self.controller.trajectory(axis).position_at(self.now)
    }

    /// Returns when the axis comes to rest.
    fn end_s(&self, axis: Axis) -> f64 {
        let end = self.controller.trajectory(axis).end();
        end.expect("the motion ends").as_secs_f64()
    }
}

#[test]
fn stop_ramps_down_and_abort_stops_dead() {
    let fast = ["LS=100", "HS=1100", "ACC=500", "X20000"];
    let mut stopped = Stage::with(&fast);
    let before = stopped.wait_s(5.0).position(Axis::X);
    stopped.ask("STOPX");
    stopped.wait_s(2.0);
    // (1100² - 100²) / 2a with a = 2000 steps/s².
    assert!((stopped.position(Axis::X) - before - 300.0).abs() < 1e-3);
    let mut aborted = Stage::with(&fast);
    let before = aborted.wait_s(5.0).position(Axis::X);
    aborted.ask("ABORT");
    assert!((aborted.wait_s(2.0).position(Axis::X) - before).abs() < 1e-6);
}

#[test]
fn individual_registers_win_and_zero_means_the_global_one() {
    let stage = Stage::with(&["HS=500", "HSX=2000", "LSX=2000", "X1000", "Y1000"]);
    assert!((stage.end_s(Axis::X) - 0.5).abs() < 1e-6);
    assert!((stage.end_s(Axis::Y) - 2.0).abs() < 1e-6);
}

#[test]
fn a_deceleration_of_its_own_needs_edec() {
    let moves = ["LS=100", "HS=1100", "ACC=500", "DEC=1000"];
    let mut plain = Stage::with(&moves);
    plain.ask("X20000");
    let mut own = Stage::with(&moves);
    own.ask("EDEC=1");
    own.ask("X20000");
    // T = D/HS + ½·ramp·(1 - LS/HS) for each ramp.
    let share = 0.5 * (1.0 - 100.0 / 1100.0);
    let base = 20_000.0 / 1100.0;
    assert!((plain.end_s(Axis::X) - base - share).abs() < 0.001);
    assert!((own.end_s(Axis::X) - base - share * 1.5).abs() < 0.001);
}

#[test]
fn acceleration_times_out_of_range_are_adjusted_silently() {
    let mut stage = Stage::with(&["HS=1500", "LS=10", "ACC=99999", "X50000"]);
    assert_eq!(stage.ask("ACC"), "99999");
    // Reference §6.2: at most 29 800 ms at HS 1500, LS 10.
    let expected = 50_000.0 / 1500.0 + 29.8 * (1.0 - 10.0 / 1500.0);
    assert!((stage.end_s(Axis::X) - expected).abs() < 0.001);
}

#[test]
fn a_joined_move_runs_on_one_clock_and_stops_together() {
    let mut stage = Stage::with(&["HS=1000", "X3000Y1500"]);
    assert!((stage.end_s(Axis::X) - stage.end_s(Axis::Y)).abs() < 1e-6);
    stage.wait_s(1.0);
    assert!((stage.position(Axis::X) - 2.0 * stage.position(Axis::Y)).abs() < 1e-6);
    stage.ask("STOPY");
    assert!(stage.wait_s(1.0).position(Axis::X) < 1100.0);
    assert_eq!(stage.ask("PS"), "0:0:0:0");
}

#[test]
fn a_single_move_after_a_joined_one_is_on_its_own() {
    let mut stage = Stage::with(&["X300Y300"]);
    stage.wait_s(2.0);
    stage.ask("X20000");
    stage.ask("Y20000");
    stage.wait_s(1.0).ask("STOPY");
    stage.wait_s(1.0);
    assert_eq!(stage.ask("PS"), "800:0:0:0");
}

#[test]
fn the_speed_of_a_jog_changes_on_the_fly() {
    let mut stage = Stage::with(&["LS=100", "HS=1000", "SSPDMX=1", "JX+"]);
    assert_eq!(stage.wait_s(2.0).ask("PS"), "1000:0:0:0");
    assert_eq!(stage.ask("SSPDMX=2"), "?PULSING");
    assert_eq!(stage.ask("SSPDX=500"), "OK");
    assert_eq!(stage.wait_s(2.0).ask("PS"), "500:0:0:0");
}

#[test]
fn a_retarget_goes_on_or_turns_back() {
    let mut stage = Stage::with(&["LS=100", "HS=1000", "X10000"]);
    stage.wait_s(3.0).ask("TX5000");
    assert_eq!(stage.wait_s(20.0).ask("PX"), "5000");
    stage.ask("X10000");
    stage.wait_s(3.0).ask("TX5500");
    assert_eq!(stage.wait_s(20.0).ask("PX"), "5500");
    assert_eq!(stage.ask("TX0"), "?TX0");
}

#[test]
fn moves_in_incremental_mode_start_from_here() {
    let mut stage = Stage::with(&["PX=100", "INC", "X50"]);
    assert_eq!(stage.wait_s(1.0).ask("PX"), "150");
}

#[test]
fn homing_leaves_each_axis_where_its_mode_says() {
    let settings = StageSettings {
        start_steps: [5000.0; 4],
        home_edge_steps: [1000.0; 4],
        high_speed: 1500,
        ..StageSettings::default()
    };
    // Mode 0 overshoots by 375 steps (reference §6.5); mode 1 ends where the
    // switch opens, 2 and 3 on an index pulse, 4 at the edge.
    let rests = [(0, 625.0), (1, -498.0), (2, 0.0), (3, 3200.0), (4, 1000.0)];
    for (mode, expected) in rests {
        let mut stage = Stage::new(&settings);
        assert_eq!(stage.ask("PX=5000"), "OK");
        assert_eq!(stage.ask(&format!("HX-{mode}")), "OK");
        stage.wait_s(60.0);
        let counter = if mode == 0 { "-375" } else { "0" };
        assert_eq!(stage.ask("PX"), counter, "mode {mode}");
        let rest = stage.position(Axis::X);
        assert!((rest - expected).abs() < 1e-3, "mode {mode}: was at {rest}");
    }
}

#[test]
fn with_ierr_a_limit_only_stops() {
    let mut stage = Stage::with(&["IERR=1", "JX-"]);
    assert_eq!(stage.wait_s(3.0).ask("MST"), "32:0:0:0:0:0:0:36:0");
    assert!((stage.position(Axis::X) - -500.0).abs() < 1e-9);
    assert_eq!(stage.ask("X0"), "OK");
}

#[test]
fn a_limit_error_may_stop_the_other_axes_too() {
    let mut stage = Stage::new(&StageSettings {
        limit_stops_all: true,
        ..StageSettings::default()
    });
    stage.ask("JX-");
    stage.ask("Y20000");
    stage.wait_s(3.0);
    assert_eq!(stage.ask("PP"), "-500:500:0:0");
    assert_eq!(stage.ask("Y600"), "OK");
}

#[test]
fn an_alarm_stops_at_once_and_latches() {
    let mut stage = Stage::with(&["X20000"]);
    stage.wait_s(1.0);
    stage.controller.set_alarm(stage.now, Axis::X, true);
    assert!(stage.wait_s(1.0).ask("MST").starts_with("520:"));
    stage.controller.set_alarm(stage.now, Axis::X, false);
    assert_eq!(stage.ask("X0"), "?ALARM");
    stage.ask("CLRX");
    assert_eq!(stage.ask("X0"), "OK");
}

#[test]
fn sync_and_latch_see_the_true_way_of_a_wired_encoder() {
    let mut stage = Stage::new(&StageSettings {
        encoder: Encoder::Wired {
            pulses_per_count: 0.5,
        },
        ..StageSettings::default()
    });
    for command in ["SYNXC=3", "SYNXP=1000", "SYNXO", "LTX=1", "X20000"] {
        assert_eq!(stage.ask(command), "OK");
    }
    assert_eq!(stage.wait_s(0.5).ask("SYNXS"), "1");
    assert_eq!(stage.ask("PE"), "800:0:0:0");
    stage.controller.set_input(stage.now, 4, true);
    assert_eq!(stage.wait_s(1.5).ask("SYNXS"), "2");
    assert_eq!(stage.ask("DO"), "1");
    assert_eq!(
        (stage.ask("LTXP"), stage.ask("LTXE")),
        ("400".into(), "800".into())
    );
    // Count 1000.5 is step 500.25, at 800 steps/s.
    let edge = stage.controller.sync_edges()[0].at.as_secs_f64();
    assert!((edge - 500.25 / 800.0).abs() < 1e-6, "was at {edge} s");
}

#[test]
fn the_watchdog_shows_in_the_status_of_x_until_cleared() {
    let mut stage = Stage::with(&["TOC=500"]);
    assert!(stage.wait_s(0.4).ask("MST").starts_with("0:"));
    assert!(stage.wait_s(0.6).ask("MST").starts_with("2048:"));
    stage.ask("CLRX");
    assert!(stage.ask("MST").starts_with("0:"));
}

#[test]
fn a_path_runs_without_gaps_and_counts_its_slots() {
    let mut stage = Stage::with(&["BO", "I1000:0:0:1000", "I1000:500:0:500"]);
    assert_eq!(stage.wait_s(0.5).ask("MST"), "4:0:0:0:1:0:1:34:0");
    stage.wait_s(1.0);
    assert_eq!(stage.ask("PP"), "1000:250:0:0");
    assert_eq!(stage.ask("MST"), "0:4:0:0:1:1:1:35:0");
}

#[test]
fn a_circle_returns_to_its_start_around_its_centre() {
    let mut stage = Stage::new(&StageSettings {
        start_steps: [5000.0, 5000.0, 0.0, 0.0],
        ..StageSettings::default()
    });
    for command in ["PX=1000", "PY=0", "CIRP0:0"] {
        assert_eq!(stage.ask(command), "OK");
    }
    // A quarter of 2π·1000 steps at 800 steps/s, clockwise.
    stage.wait_s(0.25 * std::f64::consts::TAU * 1000.0 / 800.0);
    let counters = stage.ask("PP");
    assert!(
        ["0:-1000:0:0", "-1:-1000:0:0", "1:-1000:0:0"].contains(&counters.as_str()),
        "{counters}"
    );
    assert_eq!(stage.wait_s(10.0).ask("PP"), "1000:0:0:0");
}

#[test]
fn a_status_lag_hides_a_fresh_move() {
    let mut stage = Stage::new(&StageSettings {
        status_lag: Nanos::from_millis(250),
        ..StageSettings::default()
    });
    stage.ask("X20000");
    assert!(stage.wait_s(0.2).ask("MST").starts_with("0:"));
    assert!(stage.wait_s(0.1).ask("MST").starts_with("4:"));
}

#[test]
fn a_power_cycle_forgets_counters_and_speeds_but_not_the_place() {
    let mut stage = Stage::with(&["HS=1500", "X1000"]);
    stage.wait_s(5.0);
    stage.controller.power_cycle(stage.now);
    assert_eq!(
        (stage.ask("PX"), stage.ask("HS")),
        ("0".into(), "800".into())
    );
    assert!((stage.position(Axis::X) - 1000.0).abs() < 1e-9);
}

#[test]
fn a_refusal_has_the_bytes_of_its_command_whatever_they_are() {
    let mut stage = Stage::new(&StageSettings::default());
    let mut replies = b"@00P\xe9\r"
        .iter()
        .filter_map(|byte| stage.controller.receive(Nanos::ZERO, *byte));
    assert_eq!(replies.next(), Some(b"?P\xe9\r".to_vec()));
}
