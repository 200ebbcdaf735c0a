//! The bench in real time, behind two pseudo-terminals.

use std::path::PathBuf;

/// Where a served bench leaves its traces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServeOptions {
    /// File for the truth, as JSON lines (see [`crate::truth_log`]).
    pub truth: Option<PathBuf>,
    /// Folder in which the links `stage` and `acquisition` are made.
    pub link_folder: Option<PathBuf>,
    /// What goes wrong; seconds count from the opening.
    pub faults: crate::FaultScript,
}

#[cfg(unix)]
pub use self::unix::{Server, monotonic_now};

#[cfg(not(unix))]
pub use self::elsewhere::Server;

#[cfg(unix)]
mod unix {
    use std::fs;
    use std::io;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicBool, Ordering};

    use aefi_scan_engine::{Link, Nanos, VirtualBench};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fs::{Mode, OFlags};
    use rustix::io::Errno;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{
        OptionalActions, QueueSelector, ioctl_tiocnxcl, tcflush, tcgetattr, tcsetattr,
    };
    use rustix::time::{ClockId, clock_gettime};

    use super::ServeOptions;
    use crate::SimulatedBench;
    use crate::clients::Clients;
    use crate::settings::BenchSettings;
    use crate::truth_log::TruthLog;

    /// How long before a reply is due the thread stops sleeping and spins: the
    /// pacing has to come from the line model, not from the scheduler, which wakes
    /// a sleeper some 50 µs late.
    const SPIN: Nanos = Nanos::from_micros(80);
    /// How long after a reply the thread looks out for the next request without
    /// sleeping: the wake-up would be charged to the line.
    const ALERT: Nanos = Nanos::from_micros(200);
    /// Longest sleep, so that `stop` is seen.
    const NAP: Nanos = Nanos::from_millis(20);
    /// How often the truth file is written.
    const TRUTH_PERIOD: Nanos = Nanos::from_millis(100);

    /// Returns `CLOCK_MONOTONIC`, the clock of Python's `time.monotonic_ns()`.
    #[must_use]
    pub fn monotonic_now() -> Nanos {
        let now = clock_gettime(ClockId::Monotonic);
        Nanos(now.tv_sec * 1_000_000_000 + now.tv_nsec)
    }

    /// One end of a pseudo-terminal that plays a serial port.
    #[derive(Debug)]
    struct Port {
        link: Link,
        /// `None` after a hang-up.
        ends: Option<Ends>,
        path: PathBuf,
        /// Replies that the client has not made room for yet.
        unsent: Vec<u8>,
    }

    #[derive(Debug)]
    struct Ends {
        master: OwnedFd,
        /// Held open: without any open slave the master reads `EIO`.
        slave: OwnedFd,
        clients: Clients,
    }

    impl Port {
        fn master(&self) -> Option<&OwnedFd> {
            self.ends.as_ref().map(|ends| &ends.master)
        }

        fn open(link: Link) -> io::Result<Self> {
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let master = openpt(flags)?;
            grantpt(&master)?;
            unlockpt(&master)?;
            let name = ptsname(&master, Vec::new())?;
            let path = PathBuf::from(name.into_string().map_err(io::Error::other)?);
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            let slave = rustix::fs::open(&path, flags, Mode::empty())?;
            make_raw(&slave)?;
            let clients = Clients::watch(&path)?;
            rustix::io::ioctl_fionbio(&master, true)?;
            Ok(Self {
                link,
                ends: Some(Ends {
                    master,
                    slave,
                    clients,
                }),
                path,
                unsent: Vec::new(),
            })
        }

        /// A port that its last client has closed forgets what that did to it:
        /// unread replies, modes, exclusive use. What is behind it may start anew when
        /// it is opened.
        fn follow_clients(&mut self, bench: &mut SimulatedBench) -> io::Result<()> {
            let Some(ends) = &mut self.ends else {
                return Ok(());
            };
            let changes = ends.clients.changes();
            if changes.one_came && self.link == Link::Acquisition {
                bench.open_acquisition(monotonic_now());
            }
            if changes.last_left {
                self.unsent.clear();
                tcflush(&ends.slave, QueueSelector::IFlush)?;
                ioctl_tiocnxcl(&ends.slave)?;
                make_raw(&ends.slave)?;
            }
            Ok(())
        }

        /// Hands what the client wrote to the bench.
        fn receive(&self, bench: &mut SimulatedBench) -> io::Result<()> {
            let Some(master) = self.master() else {
                return Ok(());
            };
            let mut buffer = [0; 4096];
            match rustix::io::read(master, &mut buffer) {
                Ok(count) => {
                    bench.write(self.link, monotonic_now(), &buffer[..count]);
                    Ok(())
                }
                Err(Errno::AGAIN | Errno::INTR | Errno::IO) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }

        /// Hands what is due to the client.
        fn deliver(&mut self, bench: &mut SimulatedBench, now: Nanos) -> io::Result<()> {
            bench.read(self.link, now, &mut self.unsent);
            let (Some(master), false) = (self.master(), self.unsent.is_empty()) else {
                self.unsent.clear();
                return Ok(());
            };
            match rustix::io::write(master, &self.unsent) {
                Ok(count) => {
                    self.unsent.drain(..count);
                    Ok(())
                }
                // Nobody reads: as on a real line the bytes are kept for a while.
                Err(Errno::AGAIN | Errno::INTR | Errno::IO) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
    }

    /// A bench that runs in real time and is reached as two serial ports.
    #[derive(Debug)]
    pub struct Server {
        bench: SimulatedBench,
        ports: [Port; 2],
        links: Vec<PathBuf>,
        alert_until: Nanos,
        log: Option<TruthLog>,
    }

    impl Server {
        /// Opens both ports of a bench that is switched on now.
        ///
        /// # Errors
        ///
        /// What the system says about a pseudo-terminal, a link or the truth file.
        pub fn open(settings: BenchSettings, options: ServeOptions) -> io::Result<Self> {
            let ports = [Port::open(Link::Stage)?, Port::open(Link::Acquisition)?];
            let links = match &options.link_folder {
                Some(folder) => make_links(folder, &ports)?,
                None => Vec::new(),
            };
            let log = options.truth.map(|path| TruthLog::create(&path));
            let start = monotonic_now();
            Ok(Self {
                bench: SimulatedBench::starting_at(settings, &options.faults, start),
                ports,
                links,
                alert_until: start,
                log: log.transpose()?,
            })
        }

        /// Returns the path of the stage controller's port.
        #[must_use]
        pub fn stage_path(&self) -> &Path {
            &self.ports[0].path
        }

        /// Returns the path of the microcontroller's port.
        #[must_use]
        pub fn acquisition_path(&self) -> &Path {
            &self.ports[1].path
        }

        /// Returns the bench behind the ports.
        #[must_use]
        pub fn bench(&self) -> &SimulatedBench {
            &self.bench
        }

        /// Serves until `stop` is set, which it looks at every 20 ms at least.
        ///
        /// # Errors
        ///
        /// What the system says about a port or the truth file.
        pub fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
            ask_for_precise_timers();
            let mut log_due = monotonic_now();
            while !stop.load(Ordering::Relaxed) {
                self.turn(log_due)?;
                let now = monotonic_now();
                if now >= log_due {
                    self.write_truth(now)?;
                    log_due = now + TRUTH_PERIOD;
                }
            }
            self.write_truth(monotonic_now())
        }

        fn turn(&mut self, log_due: Nanos) -> io::Result<()> {
            let due = self.next_arrival();
            let until = due.unwrap_or(Nanos::NEVER) - SPIN;
            self.sleep(until.min(log_due).min(monotonic_now() + NAP))?;
            for port in &mut self.ports {
                port.follow_clients(&mut self.bench)?;
                port.receive(&mut self.bench)?;
            }
            let now = self.spin_to_due();
            if self.next_arrival().is_some_and(|due| due <= now) {
                self.alert_until = now + ALERT;
            }
            for port in &mut self.ports {
                port.deliver(&mut self.bench, now)?;
                if self.bench.is_gone(port.link) {
                    port.ends = None;
                }
            }
            Ok(())
        }

        fn next_arrival(&self) -> Option<Nanos> {
            let arrivals = self.ports.iter();
            arrivals
                .filter_map(|port| self.bench.next_arrival(port.link))
                .min()
        }

        /// Sleeps until a client has written or `until`.
        fn sleep(&self, until: Nanos) -> io::Result<()> {
            let now = monotonic_now();
            let is_alert = now < self.alert_until;
            let span = if is_alert { 0 } else { (until - now).0.max(0) };
            let timeout = Timespec {
                tv_sec: span / 1_000_000_000,
                tv_nsec: span % 1_000_000_000,
            };
            let ends = self.ports.iter().filter_map(|port| port.ends.as_ref());
            let mut polled: Vec<PollFd> = ends
                .flat_map(|ends| [Some(&ends.master), ends.clients.as_fd()])
                .flatten()
                .map(|fd| PollFd::new(fd, PollFlags::IN))
                .collect();
            match poll(&mut polled, Some(&timeout)) {
                Ok(_) | Err(Errno::INTR) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }

        /// Spins if the next reply is due in a moment; returns the time then.
        fn spin_to_due(&self) -> Nanos {
            let mut now = monotonic_now();
            if let Some(due) = self.next_arrival().filter(|due| *due - now <= SPIN) {
                while now < due {
                    std::hint::spin_loop();
                    now = monotonic_now();
                }
            }
            now
        }

        fn write_truth(&mut self, now: Nanos) -> io::Result<()> {
            self.bench.settle(now);
            match &mut self.log {
                Some(log) => log.write(&self.bench, now),
                None => Ok(()),
            }
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            for link in &self.links {
                // A link that somebody removed already is not missed.
                let _ = fs::remove_file(link);
            }
        }
    }

    /// Nothing is echoed, edited or translated.
    fn make_raw(slave: &OwnedFd) -> io::Result<()> {
        let mut modes = tcgetattr(slave)?;
        modes.make_raw();
        Ok(tcsetattr(slave, OptionalActions::Now, &modes)?)
    }

    fn make_links(folder: &Path, ports: &[Port; 2]) -> io::Result<Vec<PathBuf>> {
        fs::create_dir_all(folder)?;
        let link = |(name, port): (&str, &Port)| {
            let link = folder.join(name);
            if fs::symlink_metadata(&link).is_ok_and(|found| found.is_symlink()) {
                fs::remove_file(&link)?;
            }
            symlink(&port.path, &link)?;
            Ok(link)
        };
        ["stage", "acquisition"]
            .into_iter()
            .zip(ports)
            .map(link)
            .collect()
    }

    /// Where the system has it; a refusal only makes the spin start late.
    fn ask_for_precise_timers() {
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use super::ServeOptions;
    use crate::settings::BenchSettings;

    /// A bench behind pseudo-terminals, which this system does not have.
    #[derive(Debug)]
    pub struct Server {
        never: std::convert::Infallible,
    }

    impl Server {
        /// Refuses: there are no pseudo-terminals here.
        ///
        /// # Errors
        ///
        /// Always [`io::ErrorKind::Unsupported`].
        pub fn open(_settings: BenchSettings, _options: ServeOptions) -> io::Result<Self> {
            Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "pseudo-terminals are not available here: fly the bench in virtual time",
            ))
        }

        /// Returns nothing: no such server exists here.
        #[must_use]
        pub fn stage_path(&self) -> &Path {
            match self.never {}
        }

        /// Returns nothing: no such server exists here.
        #[must_use]
        pub fn acquisition_path(&self) -> &Path {
            match self.never {}
        }

        /// Returns nothing: no such server exists here.
        ///
        /// # Errors
        ///
        /// None.
        pub fn run(&mut self, _stop: &AtomicBool) -> io::Result<()> {
            match self.never {}
        }
    }
}
