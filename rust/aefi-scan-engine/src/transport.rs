//! The bytes of one link, whatever carries them.

pub mod holders;
pub mod serial;

use std::io;

use crate::realtime::SettingOutcome;
use crate::units::Nanos;

/// One serial link.
pub trait Transport: Send {
    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// If the link is gone or takes nothing.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits at most `patience` for bytes and returns how many were put into
    /// `into`; zero if none came.
    ///
    /// # Errors
    ///
    /// If the link is gone.
    fn read(&mut self, into: &mut [u8], patience: Nanos) -> io::Result<usize>;

    /// Puts what has come into `into` without waiting, and returns how much that was.
    ///
    /// # Errors
    ///
    /// If the link is gone.
    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.read(into, Nanos::ZERO)
    }

    /// Lets what carries the bytes hand each reply on at once, and tells whether it
    /// does.
    fn hurry(&mut self) -> SettingOutcome {
        SettingOutcome::NotAvailable("no serial port".into())
    }
}

/// A link that is lent for a while.
impl<T: Transport + ?Sized> Transport for &mut T {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        (**self).write_all(bytes)
    }

    fn read(&mut self, into: &mut [u8], patience: Nanos) -> io::Result<usize> {
        (**self).read(into, patience)
    }

    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (**self).read_now(into)
    }

    fn hurry(&mut self) -> SettingOutcome {
        (**self).hurry()
    }
}
