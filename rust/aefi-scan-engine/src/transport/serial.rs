//! A real serial port, owned by one program at a time.

use std::io::{self, Read, Write};
use std::time::Duration;

use serialport::SerialPort;

use super::Transport;
use crate::error::OpenError;
use crate::realtime::{self, SettingOutcome};
use crate::units::Nanos;

/// How a port is to be opened; eight data bits, no parity, one stop bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialSettings {
    /// The port's name, as the system knows it.
    pub port: String,
    /// Bits per second.
    pub baud: u32,
}

/// An open port, held exclusively until it is dropped by the process that opened it.
#[derive(Debug)]
pub struct SerialTransport {
    name: String,
    /// Nothing only while it is dropped.
    port: Option<NativePort>,
    owner: u32,
}

#[cfg(unix)]
type NativePort = serialport::TTYPort;
#[cfg(windows)]
type NativePort = serialport::COMPort;

impl SerialTransport {
    /// Opens a port exclusively and forgets what was waiting in it.
    ///
    /// The crate takes both locks on Unix: `flock` keeps out every program that asks
    /// for it, root's included; `TIOCEXCL` keeps out those that do not ask. Windows
    /// opens no port twice.
    ///
    /// # Errors
    ///
    /// If the port is missing, held by somebody else, or no serial port.
    pub fn open(settings: &SerialSettings) -> Result<Self, OpenError> {
        let port = serialport::new(&settings.port, settings.baud)
            .timeout(Duration::from_secs(1))
            .open_native()
            .map_err(|cause| OpenError::from_serial(&settings.port, &cause))?;
        port.clear(serialport::ClearBuffer::All)
            .map_err(|cause| OpenError::from_serial(&settings.port, &cause))?;
        Ok(Self {
            name: settings.port.clone(),
            port: Some(port),
            owner: std::process::id(),
        })
    }

    fn port(&mut self) -> io::Result<&mut NativePort> {
        self.port.as_mut().ok_or(io::ErrorKind::NotConnected.into())
    }
}

/// A child that was forked has the descriptor too: the parent takes its locks back by
/// itself, and the child takes nothing from the parent.
impl Drop for SerialTransport {
    fn drop(&mut self) {
        let port = self.port.take();
        if std::process::id() != self.owner {
            std::mem::forget(port);
        } else if let Some(mut port) = port {
            let_go(&mut port);
        }
    }
}

#[cfg(unix)]
fn let_go(port: &mut NativePort) {
    use std::os::fd::AsRawFd;
    // What fails here is not held any more: the port may be gone.
    let _ = port.set_exclusive(false);
    let _ = nix::fcntl::flock(port.as_raw_fd(), nix::fcntl::FlockArg::Unlock);
}

#[cfg(windows)]
fn let_go(_port: &mut NativePort) {}

impl Transport for SerialTransport {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.port()?.write_all(bytes)
    }

    fn read(&mut self, into: &mut [u8], patience: Nanos) -> io::Result<usize> {
        let patience = Duration::from_nanos(patience.0.max(0) as u64);
        let port = self.port()?;
        port.set_timeout(patience)?;
        match port.read(into) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn hurry(&mut self) -> SettingOutcome {
        realtime::hurry_port(&self.name)
    }
}
