//! What an exchange costs the engine beside the system calls of its port.
#![allow(missing_docs)] // criterion's macros make public items.

use std::hint::black_box;

use aefi_scan_engine::clock::{Clock, MonotonicClock};
use aefi_scan_engine::conversation::{Conversation, Next};
use aefi_scan_engine::estimator::AxisTrack;
use aefi_scan_engine::machine::poll::Polling;
use aefi_scan_engine::protocol::Request;
use aefi_scan_engine::records::Fix;
use aefi_scan_engine::ring::ring;
use aefi_scan_engine::{Axis, Nanos, StageConfig, Steps};
use criterion::{Criterion, criterion_group, criterion_main};

fn config() -> StageConfig {
    StageConfig {
        name: "4EX00".into(),
        address: 0,
        byte_time: Nanos::ZERO,
        reply_delay: Nanos::ZERO,
        allowance: Nanos::from_millis(100),
        status_period: Nanos::from_millis(500),
        host_watch_ms: 0,
    }
}

fn exchange(c: &mut Criterion) {
    let (mut producer, mut consumer) = ring(1024);
    let polling = Polling::new(config(), Axis::X, Nanos::NEVER);
    let mut talk = Conversation::new(polling, Nanos::ZERO);
    let clock = MonotonicClock;
    c.bench_function("exchange", |b| {
        b.iter(|| {
            let mut keep = |fix| producer.push(fix);
            let write = |_, request: &Request| {
                black_box(request.bytes());
                Ok(())
            };
            if let Next::Wrote(_) = talk.drive(|| clock.now(), write, &mut keep) {
                talk.received(clock.now(), black_box(b"123456\r"), &mut keep);
            }
            consumer.pop()
        });
    });
}

fn place(c: &mut Criterion) {
    let mut track = AxisTrack::default();
    track.take_motion(Nanos::ZERO, Steps(0), 1000.0);
    for n in 1..20 {
        let at = Nanos::from_millis(n);
        track.take_fix(&Fix {
            axis: Axis::X,
            sent: at,
            received: at,
            earliest: at,
            latest: at,
            counts: Steps(n),
            flags: 0,
        });
    }
    let time = Nanos::from_micros(15_500);
    c.bench_function("place of a reading", |b| {
        b.iter(|| track.locate(black_box(time), black_box(time)));
    });
}

criterion_group!(benches, exchange, place);
criterion_main!(benches);
