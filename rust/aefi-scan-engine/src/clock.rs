//! Where time comes from.

use crate::units::Nanos;

/// A monotonic clock.
pub trait Clock: Send {
    /// Returns the present instant.
    fn now(&self) -> Nanos;
}

/// The system's monotonic clock; on Unix the very nanoseconds that Python's
/// `time.monotonic_ns()` and the simulated bench's truth are stamped with.
#[derive(Debug, Clone, Copy, Default)]
pub struct MonotonicClock;

#[cfg(unix)]
impl Clock for MonotonicClock {
    fn now(&self) -> Nanos {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        Nanos(time.tv_sec * 1_000_000_000 + time.tv_nsec)
    }
}

#[cfg(not(unix))]
impl Clock for MonotonicClock {
    fn now(&self) -> Nanos {
        use std::sync::OnceLock;
        use std::time::Instant;
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        let elapsed = ORIGIN.get_or_init(Instant::now).elapsed();
        Nanos(i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX))
    }
}
