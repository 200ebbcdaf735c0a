//! What of the engine Python could not time from outside.

use std::time::Instant;

use aefi_scan_engine as engine;
use engine::clock::{Clock, MonotonicClock};
use engine::conversation::{Conversation, Next};
use engine::machine::poll::Polling;
use engine::protocol::Request;
use engine::protocol::pmx::Command;
use engine::records::Fix;
use engine::ring::{Producer, ring};
use engine::{Axis, Nanos, StageConfig, Steps};
use pyo3::prelude::*;

const REPLY: &[u8] = b"123456\r";
/// Samples timed at once; what was pushed is taken out between two batches.
const BATCH: usize = 16_384;

/// Returns ns a sample without any system call but the clock's: two stamps, parsing
/// and the push alone, and the whole exchange of a conversation.
#[pyfunction]
pub fn sample_path(py: Python<'_>, batches: u32) -> Vec<(f64, f64)> {
    py.detach(|| {
        let rounds = 0..batches;
        rounds
            .map(|_| (timed(stamp_parse_push), timed(converse)))
            .collect()
    })
}

fn timed(work: impl FnOnce(&mut Producer<Fix>)) -> f64 {
    let (mut producer, _consumer) = ring(BATCH);
    let began = Instant::now();
    work(&mut producer);
    began.elapsed().as_nanos() as f64 / BATCH as f64
}

fn stamp_parse_push(ring: &mut Producer<Fix>) {
    let (clock, query) = (MonotonicClock, Command::Position(Axis::X));
    for _ in 0..BATCH {
        let sent = clock.now();
        let received = clock.now();
        let text = std::hint::black_box(&REPLY[..REPLY.len() - 1]);
        ring.push(Fix {
            axis: Axis::X,
            sent,
            received,
            earliest: sent,
            latest: received,
            counts: Steps(query.integer(text).unwrap_or_default()),
            flags: 0,
        });
    }
}

fn converse(ring: &mut Producer<Fix>) {
    let clock = MonotonicClock;
    let mut talk = Conversation::new(Polling::new(config(), Axis::X, Nanos::NEVER), Nanos::ZERO);
    for _ in 0..BATCH {
        let mut keep = |fix| ring.push(fix);
        let write = |_, request: &Request| {
            std::hint::black_box(request.bytes());
            Ok(())
        };
        if let Next::Wrote(_) = talk.drive(|| clock.now(), write, &mut keep) {
            talk.received(clock.now(), std::hint::black_box(REPLY), &mut keep);
        }
    }
}

fn config() -> StageConfig {
    StageConfig {
        name: "4EX00".into(),
        address: 0,
        byte_time: Nanos::ZERO,
        allowance: Nanos::from_millis(100),
        reply_delay: Nanos::ZERO,
        status_period: Nanos::from_millis(250),
        host_watch_ms: 0,
    }
}
