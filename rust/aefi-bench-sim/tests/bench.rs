//! The bench in virtual time, as the engine's event queue sees it.

use aefi_bench_sim::mcu::START_UP_SEQUENCE;
use aefi_bench_sim::{Axis, BenchSettings, FaultScript, Pacing, SimulatedBench};
use aefi_scan_engine::{Link, Nanos, VirtualBench};

/// A host that sends a request and waits for what comes.
struct Host {
    bench: SimulatedBench,
    now: Nanos,
}

impl Host {
    fn new(settings: BenchSettings) -> Self {
        Self {
            bench: SimulatedBench::new(settings),
            now: Nanos::ZERO,
        }
    }

    fn with_faults(settings: BenchSettings, script: &str) -> Self {
        let faults: FaultScript = script.parse().expect("is a script");
        Self {
            bench: SimulatedBench::starting_at(settings, &faults, Nanos::ZERO),
            now: Nanos::ZERO,
        }
    }

    fn send(&mut self, link: Link, bytes: &[u8]) {
        self.bench.write(link, self.now, bytes);
    }

    /// Reads whatever comes until nothing is on its way.
    fn drain(&mut self, link: Link) -> String {
        let mut reply = Vec::new();
        while let Some(at) = self.bench.next_arrival(link) {
            self.now = self.now.max(at);
            self.bench.read(link, self.now, &mut reply);
        }
        reply.iter().map(|byte| char::from(*byte)).collect()
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(Link::Stage, format!("@00{command}\r").as_bytes());
        self.drain(Link::Stage)
    }

    fn measure(&mut self, n: u8) -> Vec<i32> {
        self.send(Link::Acquisition, format!("m{n}*").as_bytes());
        let reply = self.drain(Link::Acquisition);
        let data = reply.lines().last().expect("a data line");
        let values = data.split_terminator('\t').map(str::parse);
        values.collect::<Result<_, _>>().expect("integers")
    }

    fn set(&mut self, address: u16, value: u16) {
        self.send(Link::Acquisition, format!("a{address}*").as_bytes());
        self.drain(Link::Acquisition);
        self.send(Link::Acquisition, format!("d{value}*").as_bytes());
        self.drain(Link::Acquisition);
    }

    fn excite(&mut self) {
        for (address, value) in START_UP_SEQUENCE {
            self.set(address, value);
        }
        // Full level on both channels, in phase.
        for (address, value) in [(53, 5500), (52, 5500), (66, 0)] {
            self.set(address, value);
        }
    }

    fn wait(&mut self, span: Nanos) {
        self.now = self.now + span;
    }
}

fn settings(baud_code: u8) -> BenchSettings {
    let mut settings = BenchSettings::default();
    settings.stage.baud_code = baud_code;
    settings.stage.pacing = Pacing::line_only();
    settings
}

fn quiet() -> BenchSettings {
    let mut settings = settings(5);
    settings.field.noise_v = 0.0;
    settings.field.drift_v = 0.0;
    settings.acquisition.pacing = Pacing::line_only();
    settings
}

#[test]
fn exchange_rates_are_those_of_the_line() {
    // Reference §8.1: PX with five digits, PP with two of them, per baud code.
    let table = [
        (1, 80.0, 44.0),
        (2, 160.0, 87.0),
        (3, 320.0, 175.0),
        (4, 480.0, 262.0),
        (5, 960.0, 524.0),
    ];
    for (code, single, both) in table {
        let mut settings = settings(code);
        settings.stage.start_steps = [20_000.0, 20_000.0, 0.0, 0.0];
        for (command, expected) in [("PX", single), ("PP", both)] {
            let mut host = Host::new(settings.clone());
            for _ in 0..200 {
                host.ask(command);
            }
            let rate = 200.0 / host.now.as_secs_f64();
            assert!(
                (rate / expected - 1.0).abs() < 0.02,
                "{command} at code {code}: expected {expected}/s, was {rate}/s"
            );
        }
    }
}

#[test]
fn a_counter_is_latched_when_the_last_request_byte_arrives() {
    let mut host = Host::new(settings(5));
    host.ask("HS=800");
    let sent = host.now;
    host.ask("X20000");
    // The move begins with the arrival of its CR, ten bytes after the write.
    let begun = sent + Nanos(10 * 10_000_000_000 / 115_200);
    host.now = begun + Nanos::from_millis(1000);
    assert_eq!(host.ask("PX"), "800\r");
    assert!((host.bench.truth().position(Axis::X, begun)).abs() < 1e-6);
}

#[test]
fn a_host_that_talks_into_a_reply_loses_it() {
    let mut host = Host::new(BenchSettings::default());
    host.send(Link::Stage, b"@00PX\r@00PY\r");
    assert_eq!(host.drain(Link::Stage), "0\r");
    assert_eq!(host.bench.collisions(), 1);
}

#[test]
fn unpaced_replies_are_there_at_once() {
    let mut settings = BenchSettings::default();
    settings.stage.pacing = Pacing::Unpaced;
    let mut host = Host::new(settings);
    assert_eq!(host.ask("PP"), "0:0:0:0\r");
    assert_eq!(host.now, Nanos::ZERO);
}

#[test]
fn readings_come_on_the_latency_tick() {
    let mut host = Host::new(BenchSettings::default());
    host.measure(10);
    let begin = host.now;
    for _ in 0..100 {
        host.measure(10);
    }
    assert_eq!(host.now - begin, Nanos::from_millis(1600));
}

#[test]
fn without_a_tick_a_reading_takes_its_conversions_and_its_bytes() {
    let mut host = Host::new(quiet());
    host.measure(1);
    let spent = host.now.as_secs_f64();
    assert!((0.0013..0.0016).contains(&spent), "was {spent} s");
    let truth = host.bench.truth();
    let conversion = truth.conversions()[0];
    assert_eq!(conversion.end - conversion.start, Nanos::from_millis(1));
}

#[test]
fn without_excitation_the_readings_are_those_of_july_2025() {
    let mut host = Host::new(quiet());
    let codes = host.measure(10);
    let july = [-1722, -2517, -137, -3476, -1968, 3794];
    for (code, expected) in codes.iter().zip(july) {
        assert!((code - expected).abs() <= 2, "{codes:?}");
    }
    assert!((codes[6] + 875_500).abs() < 1000 && (codes[7] + 875_500).abs() < 1000);
}

#[test]
fn the_excitation_rises_and_decays_with_the_lag() {
    let mut host = Host::new(quiet());
    host.excite();
    host.wait(Nanos::from_millis(300));
    let full = f64::from(host.measure(1)[2]);
    host.set(53, 0);
    host.set(52, 0);
    let muted = f64::from(host.measure(1)[2]);
    host.wait(Nanos::from_millis(300));
    let baseline = f64::from(host.measure(1)[2]);
    assert!(full > 2_000_000.0, "was {full}");
    assert!(muted > 0.5 * full && muted < full, "was {muted} of {full}");
    assert!((baseline + 137.0).abs() <= 2.0, "was {baseline}");
}

#[test]
fn a_moving_sensor_reads_the_mean_over_its_way_behind_the_lag() {
    let mut settings = quiet();
    settings.stage.start_steps = [29_128.0, 25_000.0, 0.0, 0.0];
    let mut still = Host::new(settings.clone());
    still.excite();
    let mut flying = Host::new(settings);
    flying.excite();
    flying.ask("HS=3000");
    flying.ask("Y29000");
    flying.wait(Nanos::from_millis(1000));
    let code = flying.measure(10)[2];
    let truth = flying.bench.truth();
    let conversion = truth.conversions()[0];
    // Half the span before the end, one time constant (10 ms) late.
    let seen = conversion.end - Nanos::from_millis(15);
    let place = truth.position(Axis::Y, seen).round();
    still.ask(&format!("Y{place:.0}"));
    still.wait(Nanos::from_millis(20_000));
    let expected = still.measure(10)[2];
    // The lag smooths the curve as well as shifting it: (lag·v)²/2 · f'' is 33 µV.
    assert!((code - expected).abs() < 150, "{code} against {expected}");
    assert!(
        (code - expected).abs() > 20,
        "a lag that only shifts is no lag"
    );
}

#[test]
fn a_stop_during_a_reading_changes_the_reading() {
    let run = |stop: bool| {
        let mut settings = quiet();
        settings.stage.start_steps = [29_128.0, 24_000.0, 0.0, 0.0];
        let mut host = Host::new(settings);
        host.excite();
        host.ask("HS=3000");
        host.ask("Y30000");
        host.wait(Nanos::from_millis(900));
        host.send(Link::Acquisition, b"m127*");
        if stop {
            host.ask("ABORT");
        }
        let reply = host.drain(Link::Acquisition);
        let field = reply
            .lines()
            .last()
            .and_then(|line| line.split('\t').nth(2));
        field
            .and_then(|code| code.parse::<i32>().ok())
            .expect("a code")
    };
    assert!((run(true) - run(false)).abs() > 100);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut settings = BenchSettings {
            seed,
            ..BenchSettings::default()
        };
        settings.acquisition.lost_tick_share = 0.1;
        let mut host = Host::new(settings);
        let codes: Vec<_> = (0..50).map(|_| host.measure(3)).collect();
        (codes, host.now)
    };
    assert_eq!(run(4), run(4));
    assert_ne!(run(4).0, run(5).0);
}

#[test]
fn reply_faults_strike_where_the_script_says() {
    let script = "at n2 do lose-reply\nat n3 do garble-reply\nat n4 do cut-reply\n\
                  at n5 do double-reply\nat n6 do delay-reply 300";
    let mut host = Host::with_faults(settings(5), script);
    let replies: Vec<String> = (0..5).map(|_| host.ask("VER")).collect();
    let expected = ["V180BL\r", "", "V18\u{b0}BL\r", "V18", "V180BL\rV180BL\r"];
    assert_eq!(replies, expected);
    let before = host.now;
    assert_eq!(host.ask("VER"), "V180BL\r");
    assert!(host.now - before > Nanos::from_millis(300));
}

#[test]
fn a_limit_in_flight_stops_the_axis_until_it_is_cleared() {
    let mut host = Host::with_faults(settings(5), "at 2s do limit");
    host.ask("X20000");
    host.now = Nanos::from_millis(3000);
    assert_eq!(host.ask("MST"), "144:0:0:0:0:0:0:36:0\r");
    let stopped = host.bench.truth().position(Axis::X, host.now);
    let struck = host
        .bench
        .truth()
        .position(Axis::X, Nanos::from_millis(2000));
    assert!((stopped - struck).abs() < 1e-9);
    assert_eq!(host.ask("X0"), "?LIMIT\r");
    host.ask("CLRX");
    assert_eq!(host.ask("X0"), "OK\r");
}

#[test]
fn an_ignored_stop_is_answered_and_recorded_but_not_obeyed() {
    let mut host = Host::with_faults(settings(5), "at 0s do ignore-stop");
    host.ask("X20000");
    assert_eq!(host.ask("STOP"), "OK\r");
    host.wait(Nanos::from_millis(1000));
    assert!(host.ask("MST").starts_with('4'));
    assert_eq!(host.ask("STOP"), "OK\r");
    host.wait(Nanos::from_millis(1000));
    assert!(host.ask("MST").starts_with('0'));
    assert_eq!(host.bench.truth().stops().len(), 2);
}

#[test]
fn silence_and_hang_up_leave_nothing_to_read() {
    for fault in ["silence", "hang-up"] {
        let mut host = Host::with_faults(settings(5), &format!("at n2 do {fault}"));
        assert_eq!(host.ask("VER"), "V180BL\r");
        assert_eq!(host.ask("VER"), "");
        assert_eq!(host.ask("VER"), "");
        assert_eq!(host.bench.is_gone(Link::Stage), fault == "hang-up");
    }
}

#[test]
fn a_stalled_detector_answers_late() {
    let mut host = Host::with_faults(quiet(), "at n2 do stall-detector 500");
    host.measure(1);
    let before = host.now;
    host.measure(1);
    assert!(host.now - before > Nanos::from_millis(500));
}

#[test]
fn a_wrong_identity_is_another_device() {
    let mut host = Host::with_faults(settings(5), "at 0s do wrong-identity");
    assert_ne!(host.ask("DN"), "4EX00\r");
    assert_ne!(host.ask("VER"), "V180BL\r");
}
