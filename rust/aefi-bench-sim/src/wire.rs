//! When bytes arrive: ten bit times each, turnaround, latency tick.

use std::collections::VecDeque;

use aefi_scan_engine::Nanos;

use crate::random::Random;
use crate::settings::Pacing;

/// A reply on its way to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// First bit on the wire.
    pub(crate) starts: Nanos,
    /// Last bit on the wire.
    pub(crate) ends: Nanos,
    /// When the host can read it, as one chunk.
    pub(crate) readable: Nanos,
    pub(crate) bytes: Vec<u8>,
}

/// One line between host and device.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pacing: Pacing,
    ns_per_byte: f64,
    tick_phase: Nanos,
    lost_tick_share: f64,
    request_end: Nanos,
    random: Random,
}

impl Line {
    pub(crate) fn new(pacing: Pacing, baud: u32, mut random: Random) -> Self {
        let tick = match pacing {
            Pacing::Paced { latency_tick, .. } => latency_tick,
            Pacing::Unpaced => Nanos::ZERO,
        };
        let phase = random.uniform() * tick.0 as f64;
        let mut line = Self {
            pacing,
            ns_per_byte: 0.0,
            tick_phase: Nanos(phase as i64),
            lost_tick_share: 0.0,
            request_end: Nanos(i64::MIN),
            random,
        };
        line.set_baud(baud);
        line
    }

    pub(crate) fn with_ticks(mut self, phase: Option<Nanos>, lost_share: f64) -> Self {
        self.tick_phase = phase.unwrap_or(self.tick_phase);
        self.lost_tick_share = lost_share;
        self
    }

    pub(crate) fn set_baud(&mut self, baud: u32) {
        self.ns_per_byte = match self.pacing {
            Pacing::Paced { .. } => 10e9 / f64::from(baud),
            Pacing::Unpaced => 0.0,
        };
    }

    fn wire_time(&self, bytes: usize) -> Nanos {
        Nanos((bytes as f64 * self.ns_per_byte).round() as i64)
    }

    /// Puts a request of `bytes` bytes on the wire behind the one before; returns
    /// its first and its last instant.
    pub(crate) fn send(&mut self, now: Nanos, bytes: usize) -> (Nanos, Nanos) {
        let start = now.max(self.request_end);
        self.request_end = start + self.wire_time(bytes);
        (start, self.request_end)
    }

    /// Returns when byte number `index` of a request begun at `start` has arrived.
    pub(crate) fn arrival(&self, start: Nanos, index: usize) -> Nanos {
        start + self.wire_time(index + 1)
    }

    /// Draws the span between the end of a request and its reply.
    pub(crate) fn draw_turnaround(&mut self) -> Nanos {
        match self.pacing {
            Pacing::Paced {
                turnaround, jitter, ..
            } => turnaround + Nanos((self.random.uniform() * jitter.0 as f64) as i64),
            Pacing::Unpaced => Nanos::ZERO,
        }
    }

    /// Draws how many latency ticks a reply misses.
    pub(crate) fn draw_lost_ticks(&mut self) -> i64 {
        i64::from(self.random.uniform() < self.lost_tick_share)
    }

    /// Returns a delivery that starts at `starts`.
    pub(crate) fn deliver(&self, starts: Nanos, lost_ticks: i64, bytes: Vec<u8>) -> Delivery {
        let ends = starts + self.wire_time(bytes.len());
        Delivery {
            starts,
            ends,
            readable: self.next_tick(ends, lost_ticks),
            bytes,
        }
    }

    fn next_tick(&self, at: Nanos, lost: i64) -> Nanos {
        match self.pacing {
            Pacing::Paced { latency_tick, .. } if latency_tick > Nanos::ZERO => {
                let (tick, phase) = (latency_tick.0, self.tick_phase.0);
                let ticks = (at.0 - phase).div_euclid(tick)
                    + i64::from((at.0 - phase).rem_euclid(tick) > 0);
                Nanos(phase + (ticks + lost) * tick)
            }
            _ => at,
        }
    }

    pub(crate) fn is_physical(&self) -> bool {
        self.ns_per_byte > 0.0
    }
}

/// Moves what is readable at `now` from the front of `queue` to `into`.
pub(crate) fn take_readable(
    queue: &mut VecDeque<Delivery>,
    now: Nanos,
    into: &mut Vec<u8>,
) -> Option<Nanos> {
    let mut ends = None;
    while queue.front().is_some_and(|front| front.readable <= now) {
        let delivery = queue.pop_front()?;
        into.extend_from_slice(&delivery.bytes);
        ends = Some(delivery.ends);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pacing: Pacing) -> Line {
        Line::new(pacing, 115_200, Random::new(1, 1)).with_ticks(Some(Nanos(5)), 0.0)
    }

    #[test]
    fn a_byte_takes_ten_bit_times_and_requests_queue_up() {
        let mut line = line(Pacing::line_only());
        let (start, end) = line.send(Nanos(100), 6);
        assert_eq!((start, end), (Nanos(100), Nanos(100 + 520_833)));
        assert_eq!(line.arrival(start, 5), end);
        assert_eq!(line.send(Nanos(200), 1).0, end);
    }

    #[test]
    fn replies_become_readable_at_the_next_tick() {
        let line = line(Pacing::Paced {
            turnaround: Nanos::ZERO,
            jitter: Nanos::ZERO,
            latency_tick: Nanos::from_millis(16),
        });
        let reply = line.deliver(Nanos::from_millis(3), 0, vec![0; 4]);
        assert_eq!(reply.readable, Nanos(16_000_005));
        assert_eq!(line.next_tick(Nanos(16_000_005), 0), Nanos(16_000_005));
        assert_eq!(line.next_tick(Nanos(16_000_005), 1), Nanos(32_000_005));
    }
}
