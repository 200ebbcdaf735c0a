//! Single producer, single consumer: bounded, and what does not fit is counted.
//!
//! The promise: a push never waits and never allocates; records come out in the
//! order they went in; every record that found no room is counted, and the first
//! and last of them are known by their index in the order of production.

use std::sync::Arc;

use crate::sync::atomic::{AtomicU64, Ordering};

/// What a ring had no room for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loss {
    /// Records lost.
    pub count: u64,
    /// Index of the first one lost, from 0, in the order of production.
    pub first: u64,
    /// Index of the last one lost.
    pub last: u64,
}

#[derive(Debug, Default)]
struct Counts {
    lost: AtomicU64,
    first: AtomicU64,
    last: AtomicU64,
}

/// The end that records go in.
#[derive(Debug)]
pub struct Producer<T> {
    inner: rtrb::Producer<T>,
    produced: u64,
    counts: Arc<Counts>,
}

/// The end that records come out.
#[derive(Debug)]
pub struct Consumer<T> {
    inner: rtrb::Consumer<T>,
    counts: Arc<Counts>,
}

/// Returns both ends of a ring for `capacity` records.
#[must_use]
pub fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    let counts = Arc::new(Counts::default());
    (
        Producer {
            inner: producer,
            produced: 0,
            counts: Arc::clone(&counts),
        },
        Consumer {
            inner: consumer,
            counts,
        },
    )
}

impl<T> Producer<T> {
    /// Puts `record` in, or counts it as lost if there is no room.
    pub fn push(&mut self, record: T) {
        let index = self.produced;
        self.produced += 1;
        if self.inner.push(record).is_err() {
            self.count_loss(index);
        }
    }

    /// Puts `record` in like [`Self::push`]; but an eighth of the ring is kept for
    /// records that nothing replaces.
    pub fn push_ranked(&mut self, record: T, is_replaceable: bool) {
        if is_replaceable && self.inner.slots() <= self.inner.buffer().capacity() / 8 {
            self.count_loss(self.produced);
            self.produced += 1;
        } else {
            self.push(record);
        }
    }

    /// Returns how many records fit without a loss.
    #[must_use]
    pub fn room(&self) -> usize {
        self.inner.slots()
    }

    /// Returns whether nobody takes records out any more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.inner.is_abandoned()
    }

    fn count_loss(&self, index: u64) {
        // Relaxed first, Release last: who sees the count sees the indices too.
        if self.counts.lost.load(Ordering::Relaxed) == 0 {
            self.counts.first.store(index, Ordering::Relaxed);
        }
        self.counts.last.store(index, Ordering::Relaxed);
        self.counts.lost.fetch_add(1, Ordering::Release);
    }
}

impl<T> Consumer<T> {
    /// Takes the oldest record out.
    pub fn pop(&mut self) -> Option<T> {
        self.inner.pop().ok()
    }

    /// Returns how many records wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.slots()
    }

    /// Returns whether the producer is gone: what waits now is all there is.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_abandoned()
    }

    /// Returns what found no room so far.
    #[must_use]
    pub fn loss(&self) -> Loss {
        // Acquire pairs with the Release in `count_loss`.
        let count = self.counts.lost.load(Ordering::Acquire);
        Loss {
            count,
            first: self.counts.first.load(Ordering::Relaxed),
            last: self.counts.last.load(Ordering::Relaxed),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_in_order() {
        let (mut producer, mut consumer) = ring(4);
        (0..3).for_each(|n| producer.push(n));
        let out: Vec<_> = std::iter::from_fn(|| consumer.pop()).collect();
        assert_eq!(out, [0, 1, 2]);
        assert_eq!(consumer.loss(), Loss::default());
    }

    #[test]
    fn what_finds_no_room_is_counted_and_located() {
        let (mut producer, mut consumer) = ring(2);
        (0..5).for_each(|n| producer.push(n));
        assert_eq!(
            consumer.loss(),
            Loss {
                count: 3,
                first: 2,
                last: 4
            }
        );
        assert_eq!(consumer.pop(), Some(0));
        assert_eq!(consumer.pop(), Some(1));
        assert_eq!(consumer.pop(), None);
    }
}
