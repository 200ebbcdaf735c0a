//! A real serial port, owned by one program at a time.

use std::io::{self, Read, Write};
use std::time::Duration;

use serialport::SerialPort;

use super::Transport;
use crate::error::OpenError;
use crate::realtime::{self, SettingOutcome};
use crate::units::Nanos;

/// How long a port may take no bytes.
const WRITE_PATIENCE: Duration = Duration::from_secs(1);

/// How a port is to be opened; eight data bits, no parity, one stop bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SerialSettings {
    /// The port's name, as the system knows it.
    pub port: String,
    /// Bits per second.
    pub baud: u32,
    /// What else opening does.
    pub opening: Opening,
}

/// What happens when a port is opened: some boards start anew by a change of these lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opening {
    /// The level of the line "data terminal ready"; nothing leaves it to the system,
    /// which raises it.
    pub dtr: Option<bool>,
    /// The same of "request to send".
    pub rts: Option<bool>,
    /// How long nothing is asked, then.
    pub delay: Nanos,
}

impl Opening {
    fn apply(&self, port: &mut NativePort) -> serialport::Result<()> {
        if let Some(level) = self.dtr {
            port.write_data_terminal_ready(level)
                .map_err(|cause| unset("DTR", &cause))?;
        }
        if let Some(level) = self.rts {
            port.write_request_to_send(level)
                .map_err(|cause| unset("RTS", &cause))?;
        }
        std::thread::sleep(Duration::from_nanos(self.delay.0.max(0) as u64));
        Ok(())
    }
}

fn unset(line: &str, cause: &serialport::Error) -> serialport::Error {
    let told = format!("its line {line} cannot be set: {cause}");
    serialport::Error::new(serialport::ErrorKind::Unknown, told)
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
    /// A port that somebody has open already, if without a lock, is left alone. The crate takes both locks on Unix: `flock` keeps out every program that asks
    /// for it, root's included; `TIOCEXCL` keeps out those that do not ask. Windows
    /// opens no port twice.
    ///
    /// # Errors
    ///
    /// If the port is missing, held by somebody else, or no serial port.
    pub fn open(settings: &SerialSettings) -> Result<Self, OpenError> {
        OpenError::if_held(&settings.port)?;
        let refused = |cause| OpenError::from_serial(&settings.port, &cause);
        let mut port = serialport::new(&settings.port, settings.baud)
            .timeout(WRITE_PATIENCE)
            .open_native()
            .map_err(refused)?;
        settings.opening.apply(&mut port).map_err(refused)?;
        port.clear(serialport::ClearBuffer::All)
            .and_then(|()| never_block(&port))
            .map_err(refused)?;
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

/// Lets reads and writes return at once where there is nothing to be had or no room.
#[cfg(unix)]
fn never_block(port: &NativePort) -> serialport::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::os::fd::AsRawFd;
    fcntl(port.as_raw_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(io::Error::from)?;
    Ok(())
}

#[cfg(windows)]
fn never_block(_port: &NativePort) -> serialport::Result<()> {
    Ok(())
}

/// Writes what there is room for, without asking before.
#[cfg(unix)]
fn write_now(port: &mut NativePort, bytes: &[u8]) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let written = nix::unistd::write(port.as_raw_fd(), bytes).map_err(io::Error::from);
    or_nothing(written)
}

#[cfg(windows)]
fn write_now(_port: &mut NativePort, _bytes: &[u8]) -> io::Result<usize> {
    Ok(0)
}

#[cfg(unix)]
fn read_now(port: &mut NativePort, into: &mut [u8]) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let read = nix::unistd::read(port.as_raw_fd(), into).map_err(io::Error::from);
    or_nothing(or_gone(read))
}

#[cfg(windows)]
fn read_now(port: &mut NativePort, into: &mut [u8]) -> io::Result<usize> {
    port.set_timeout(Duration::ZERO)?;
    or_nothing(or_gone(port.read(into)))
}

/// An end of file is the end of the link.
fn or_gone(read: io::Result<usize>) -> io::Result<usize> {
    match read {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        other => other,
    }
}

/// Nothing to be had, by now or for a signal's sake, is no error.
fn or_nothing(moved: io::Result<usize>) -> io::Result<usize> {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    match moved {
        Err(error) if matches!(error.kind(), TimedOut | WouldBlock | Interrupted) => Ok(0),
        other => other,
    }
}

impl Transport for SerialTransport {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let port = self.port()?;
        let written = write_now(port, bytes)?;
        if written == bytes.len() {
            return Ok(());
        }
        port.set_timeout(WRITE_PATIENCE)?;
        port.write_all(&bytes[written..])
    }

    fn read(&mut self, into: &mut [u8], patience: Nanos) -> io::Result<usize> {
        let patience = Duration::from_nanos(patience.0.max(0) as u64);
        let port = self.port()?;
        port.set_timeout(patience)?;
        or_nothing(or_gone(port.read(into)))
    }

    fn read_now(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_now(self.port()?, into)
    }

    fn hurry(&mut self) -> SettingOutcome {
        realtime::hurry_port(&self.name)
    }
}
