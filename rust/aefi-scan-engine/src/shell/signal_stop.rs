//! Stops flights on signals whose numbers arrive as bytes of a socket.
//!
//! Whoever handles signals writes their numbers to [`SignalLine::descriptor`]; a
//! thread of its own reads them and pauses the flights watched, whatever the rest of
//! the process is busy with.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Flight;
use crate::controls::{Controls, Demand};
use crate::signals::SignalRules;

/// The flights that signals stop; none is kept alive by it.
#[derive(Debug, Clone, Default)]
pub struct SignalStop {
    flights: Arc<Mutex<Vec<Weak<Controls>>>>,
}

impl SignalStop {
    /// Lets signals stop `flight` too.
    pub fn watch(&self, flight: &Flight) {
        let mut flights = self.lock();
        flights.retain(|each| each.strong_count() > 0);
        flights.push(Arc::downgrade(&flight.controls));
    }

    /// Returns whether a pause of a flight watched is in force.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.any(|controls| controls.demands.demanded() == Demand::Pause)
    }

    /// Starts to act on signals; the end of what is returned ends that.
    ///
    /// # Errors
    ///
    /// If the system refuses a pair of sockets or a thread, or has no such sockets.
    pub fn listen(&self, rules: SignalRules) -> io::Result<SignalLine> {
        SignalLine::open(self.clone(), rules)
    }

    #[cfg(unix)]
    fn demand(&self, demand: Demand) {
        self.any(|controls| {
            controls.demands.demand(demand);
            false
        });
    }

    fn any(&self, mut is: impl FnMut(&Controls) -> bool) -> bool {
        let flights = self.lock();
        flights
            .iter()
            .filter_map(Weak::upgrade)
            .any(|each| is(&each))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Controls>>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
pub use unix::SignalLine;

#[cfg(unix)]
mod unix {
    use std::io::{self, Read};
    use std::net::Shutdown;
    use std::os::fd::{AsRawFd, RawFd};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::{self, Receiver, Sender};
    use std::sync::{Mutex, PoisonError};
    use std::thread::{self, JoinHandle};

    use super::SignalStop;
    use crate::clock::{Clock, MonotonicClock};
    use crate::signals::{SignalRules, SignalSequence};

    /// Where numbers of signals are written, and heard after they were acted on.
    #[derive(Debug)]
    pub struct SignalLine {
        pub(super) writer: UnixStream,
        heard: Mutex<Receiver<u8>>,
        reader: Mutex<Option<JoinHandle<()>>>,
        /// A child that was forked shares the socket, and must not close it.
        owner: u32,
    }

    impl SignalLine {
        pub(super) fn open(stop: SignalStop, rules: SignalRules) -> io::Result<Self> {
            let (writer, reader) = UnixStream::pair()?;
            // A signal handler must never wait.
            writer.set_nonblocking(true)?;
            let (tell, heard) = mpsc::channel();
            let sequence = SignalSequence::new(rules);
            let reader = thread::Builder::new()
                .name("aefi-signals".into())
                .spawn(move || act(reader, sequence, &stop, &tell))?;
            Ok(Self {
                writer,
                heard: Mutex::new(heard),
                reader: Mutex::new(Some(reader)),
                owner: std::process::id(),
            })
        }

        /// Returns the descriptor to write to; it stays open until this is dropped.
        #[must_use]
        pub fn descriptor(&self) -> RawFd {
            self.writer.as_raw_fd()
        }

        /// Waits for the next signal and returns its number, after it was acted on;
        /// none when the line is closed.
        pub fn hear(&self) -> Option<u8> {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.recv().ok()
        }

        /// Ends the thread; signals written before have been acted on.
        pub fn close(&self) {
            if std::process::id() != self.owner {
                return;
            }
            // It fails only if it was done before.
            let _ = self.writer.shutdown(Shutdown::Both);
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(reader) = reader.take() {
                // A panic in it has ended it too.
                let _ = reader.join();
            }
        }
    }

    impl Drop for SignalLine {
        fn drop(&mut self) {
            self.close();
        }
    }

    fn act(
        mut reader: UnixStream,
        mut sequence: SignalSequence,
        stop: &SignalStop,
        tell: &Sender<u8>,
    ) {
        let mut bytes = [0; 64];
        loop {
            let count = match reader.read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let now = MonotonicClock.now();
            for &number in &bytes[..count] {
                if let Some(demand) = sequence.take(number, now) {
                    stop.demand(demand);
                }
                // Nobody need listen.
                let _ = tell.send(number);
            }
        }
    }
}

/// Where numbers of signals are written; not available on this system.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct SignalLine {
    never: std::convert::Infallible,
}

#[cfg(not(unix))]
impl SignalLine {
    fn open(_stop: SignalStop, _rules: SignalRules) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "stopping on signals while the interpreter is held is not available here: \
             it needs the sockets of a Unix",
        ))
    }

    /// Never called: there is no line.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        match self.never {}
    }

    /// Never called: there is no line.
    pub fn hear(&self) -> Option<u8> {
        match self.never {}
    }

    /// Never called: there is no line.
    pub fn close(&self) {
        match self.never {}
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write;

    use super::*;

    fn watching(controls: &Arc<Controls>) -> SignalStop {
        let stop = SignalStop::default();
        stop.lock().push(Arc::downgrade(controls));
        stop
    }

    fn rules() -> SignalRules {
        SignalRules {
            at_once: vec![15],
            on_second: vec![2],
        }
    }

    fn write(line: &SignalLine, numbers: &[u8]) {
        let mut writer = line.writer.try_clone().expect("a socket can be cloned");
        writer.write_all(numbers).expect("there is room");
    }

    #[test]
    fn a_signal_pauses_the_flight_before_it_is_heard() {
        let controls = Arc::new(Controls::default());
        let stop = watching(&controls);
        let line = stop.listen(rules()).expect("a Unix has sockets");
        write(&line, &[2, 28, 15]);
        assert_eq!(line.hear(), Some(2));
        assert_eq!(line.hear(), Some(28));
        assert_eq!(line.hear(), Some(15));
        assert_eq!(controls.demands.demanded(), Demand::Pause);
        assert!(stop.is_holding());
    }

    #[test]
    fn a_line_that_is_closed_says_so_and_does_no_more() {
        let controls = Arc::new(Controls::default());
        let stop = watching(&controls);
        let line = stop.listen(rules()).expect("a Unix has sockets");
        line.close();
        line.close();
        assert_eq!(line.hear(), None);
        assert_eq!(controls.demands.demanded(), Demand::Fly);
    }

    #[test]
    fn a_flight_that_is_gone_is_not_kept() {
        let controls = Arc::new(Controls::default());
        let stop = watching(&controls);
        controls.demands.demand(Demand::Pause);
        drop(controls);
        assert!(!stop.is_holding());
    }
}
