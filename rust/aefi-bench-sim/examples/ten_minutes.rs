//! How long ten minutes of flying take in virtual time.
//!
//! `cargo run --release -p aefi-bench-sim --example ten_minutes`

use std::time::Instant;

use aefi_bench_sim::{BenchSettings, Pacing, SimulatedBench};
use aefi_scan_engine::{Link, Nanos, VirtualBench};

fn main() {
    for (name, tick_ms) in [("16 ms tick", 16), ("no tick", 0)] {
        let begin = Instant::now();
        let (fixes, readings) = fly(Nanos::from_millis(tick_ms));
        println!(
            "{name}: {fixes} fixes, {readings} readings in {:?}",
            begin.elapsed()
        );
    }
}

/// Polls one axis at 115 200 Bd and reads all the while, to and fro.
fn fly(latency_tick: Nanos) -> (u32, u32) {
    let mut settings = BenchSettings::default();
    settings.stage.baud_code = 5;
    settings.stage.pacing = Pacing::line_only();
    settings.acquisition.pacing = Pacing::Paced {
        turnaround: Nanos::ZERO,
        jitter: Nanos::ZERO,
        latency_tick,
    };
    let mut bench = SimulatedBench::new(settings);
    let mut reply = Vec::new();
    let mut now = Nanos::ZERO;
    for command in [&b"a39*d12593*a62*d8*a53*d5500*"[..], b"m1*"] {
        bench.write(Link::Acquisition, now, command);
    }
    bench.write(Link::Stage, now, b"@00HS=3000\r");
    let (mut fixes, mut readings) = (0u32, 0u32);
    while now < Nanos::from_millis(600_000) {
        let arrivals =
            [Link::Stage, Link::Acquisition].map(|link| (bench.next_arrival(link), link));
        let [(Some(stage), _), (Some(acquisition), _)] = arrivals else {
            unreachable!("a request is always under way");
        };
        reply.clear();
        if stage <= acquisition {
            now = stage;
            bench.read(Link::Stage, now, &mut reply);
            let request: &[u8] = match fixes % 4000 {
                0 => b"@00Y20000\r",
                2000 => b"@00Y29000\r",
                _ => b"@00PY\r",
            };
            bench.write(Link::Stage, now, request);
            fixes += 1;
        } else {
            now = acquisition;
            bench.read(Link::Acquisition, now, &mut reply);
            if bench.next_arrival(Link::Acquisition).is_none() {
                bench.write(Link::Acquisition, now, b"m1*");
                readings += 1;
            }
        }
    }
    (fixes, readings)
}
