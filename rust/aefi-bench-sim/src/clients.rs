//! Who has a pseudo-terminal open, as far as the system tells.
//!
//! A slave that is held open shows nothing of clients that come and go, and a
//! client that was killed leaves its exclusive mark on it. So the device's file is
//! watched. Where that can't be done, a port keeps what its clients did to it.

#[cfg(target_os = "linux")]
pub(crate) use self::linux::Clients;

#[cfg(not(target_os = "linux"))]
pub(crate) use self::elsewhere::Clients;

/// What happened to a port.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Changes {
    /// Whether a client has opened it.
    pub(crate) one_came: bool,
    /// Whether the last client has closed it, and none has come since.
    pub(crate) last_left: bool,
}

#[cfg(target_os = "linux")]
mod linux {
    use super::Changes;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

    /// Counts the clients of one device file.
    #[derive(Debug)]
    pub(crate) struct Clients {
        inotify: OwnedFd,
        count: u32,
    }

    impl Clients {
        /// Counts from none; handles that are open already don't count.
        pub(crate) fn watch(path: &Path) -> io::Result<Self> {
            let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            let events = WatchFlags::OPEN | WatchFlags::CLOSE_WRITE | WatchFlags::CLOSE_NOWRITE;
            inotify::add_watch(&inotify, path, events)?;
            Ok(Self { inotify, count: 0 })
        }

        /// Returns what becomes readable when a client comes or goes.
        #[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
        pub(crate) fn as_fd(&self) -> Option<&OwnedFd> {
            Some(&self.inotify)
        }

        /// Returns who came and went since the last call.
        pub(crate) fn changes(&mut self) -> Changes {
            let mut buffer = [MaybeUninit::uninit(); 1024];
            let mut events = Reader::new(&self.inotify, &mut buffer);
            let (mut came, mut left) = (false, false);
            while let Ok(event) = events.next() {
                if event.events().contains(ReadFlags::OPEN) {
                    self.count += 1;
                    came = true;
                } else {
                    self.count = self.count.saturating_sub(1);
                    left = true;
                }
            }
            Changes {
                one_came: came,
                last_left: left && self.count == 0,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::Changes;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    /// Sees nobody.
    #[derive(Debug)]
    pub(crate) struct Clients;

    impl Clients {
        pub(crate) fn watch(_path: &Path) -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) fn as_fd(&self) -> Option<&OwnedFd> {
            None
        }

        pub(crate) fn changes(&mut self) -> Changes {
            Changes::default()
        }
    }
}
