//! What a record costs on its way through a ring. Never the bottleneck: a position
//! takes the line a thousand times longer.
#![allow(missing_docs)] // criterion's macros make public items.

use std::hint::black_box;

use aefi_scan_engine::records::{Fix, Reading};
use aefi_scan_engine::ring::ring;
use aefi_scan_engine::{Axis, Nanos, Steps};
use criterion::{Criterion, criterion_group, criterion_main};

const FIX: Fix = Fix {
    axis: Axis::X,
    sent: Nanos(1),
    received: Nanos(4),
    earliest: Nanos(2),
    latest: Nanos(3),
    counts: Steps(5),
    flags: 0,
};

const READING: Reading = Reading {
    sent: Nanos(1),
    received: Nanos(4),
    earliest: Nanos(2),
    latest: Nanos(3),
    codes: [0; 8],
    due: Nanos(0),
    aim: None,
};

fn through_a_ring<T: Copy>(c: &mut Criterion, name: &str, record: T) {
    let (mut producer, mut consumer) = ring(1024);
    c.bench_function(name, |b| {
        b.iter(|| {
            producer.push(black_box(record));
            consumer.pop()
        });
    });
}

fn rings(c: &mut Criterion) {
    through_a_ring(c, "push and pop a fix", FIX);
    through_a_ring(c, "push and pop a reading", READING);
    let (mut producer, _consumer) = ring(1);
    c.bench_function("push into a full ring", |b| {
        b.iter(|| producer.push(black_box(FIX)));
    });
}

criterion_group!(benches, rings);
criterion_main!(benches);
