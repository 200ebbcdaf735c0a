//! What it costs to write a request and to understand a reply.
#![allow(missing_docs)] // criterion's macros make public items.

use std::hint::black_box;

use aefi_scan_engine::protocol::mcu;
use aefi_scan_engine::protocol::pmx::Command;
use aefi_scan_engine::{Axis, Nanos};
use criterion::{Criterion, criterion_group, criterion_main};

fn codec(c: &mut Criterion) {
    let (position, all) = (Command::Position(Axis::X), Command::Positions);
    c.bench_function("request PX", |b| {
        b.iter(|| black_box(position).request(0, Nanos::ZERO));
    });
    c.bench_function("reply PX", |b| {
        b.iter(|| position.integer(black_box(b"-123456")));
    });
    c.bench_function("reply PP", |b| {
        b.iter(|| all.positions(black_box(b"123456:-98765:0:0")));
    });
    c.bench_function("reply MST", |b| {
        b.iter(|| Command::Status.status(black_box(b"4:0:0:0:0:0:0:36:0")));
    });
    let codes = b"m=   10\n-2512\t3674\t-201\t5072\t-2872\t5533\t12\t-7\t";
    c.bench_function("reply m", |b| b.iter(|| mcu::reading(black_box(codes))));
}

criterion_group!(benches, codec);
criterion_main!(benches);
