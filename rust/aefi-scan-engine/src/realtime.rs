//! What the system is asked for the sake of time, and what it answered.
//!
//! Nothing here is fatal and nothing silent: each setting ends as a
//! [`SettingReport`] that the flight's owner sees. A link's thread sleeps in the
//! system while it waits for a reply (poll, read). It is awake for a part of each
//! exchange only: under `SCHED_FIFO` a thread that never sleeps is frozen for 50 ms a
//! second by the kernel's throttling.

use std::fmt;

use crate::units::Nanos;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Realtime {
    /// Timers of the link threads may be 1 ns late by choice, not 50 µs.
    pub timer_slack: bool,
    /// `SCHED_FIFO` priority of the link threads, 1 to 99.
    pub fifo_priority: Option<u8>,
    /// Keep all memory of the process in RAM.
    pub lock_memory: bool,
    /// Let the serial adapters hand on each reply at once.
    pub low_latency: bool,
    /// The stage's thread waits awake for a reply that is expected so soon, and so much
    /// longer; zero if it always sleeps. Nothing is asked of the system for it.
    pub spin: Nanos,
}

/// What became of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOutcome {
    /// Nobody asked for it.
    NotAsked,
    /// It is in force.
    Applied,
    /// The system refused it, for this reason.
    Refused(String),
    /// There is nothing to be set, for this reason.
    NotAvailable(String),
}

impl fmt::Display for SettingOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => write!(f, "not asked"),
            Self::Applied => write!(f, "applied"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
            Self::NotAvailable(reason) => write!(f, "not available: {reason}"),
        }
    }
}

/// One setting of a flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingReport {
    /// The setting, and before it the link that it belongs to, if it does.
    pub name: String,
    /// What was asked; empty if nothing was.
    pub asked: String,
    /// What became of it.
    pub outcome: SettingOutcome,
}

impl SettingReport {
    /// Returns whether it was asked for and is not in force.
    #[must_use]
    pub fn is_in_vain(&self) -> bool {
        !matches!(
            self.outcome,
            SettingOutcome::NotAsked | SettingOutcome::Applied
        )
    }
}

/// A system that can be asked.
pub trait System {
    /// Lets timers of the calling thread be 1 ns late at most by choice.
    fn reduce_timer_slack(&self) -> SettingOutcome;
    /// Runs the calling thread by `SCHED_FIFO`.
    fn run_first(&self, priority: u8) -> SettingOutcome;
    /// Keeps the memory of the process in RAM.
    fn lock_memory(&self) -> SettingOutcome;
    /// Takes that back.
    fn unlock_memory(&self);
}

const MEMORY_LOCK: &str = "memory_lock";

impl Realtime {
    /// Asks for what belongs to the process.
    #[must_use]
    pub fn for_process(&self, system: &impl System) -> Vec<SettingReport> {
        let wish = self.lock_memory.then_some("all");
        vec![report(MEMORY_LOCK, wish, || system.lock_memory())]
    }

    /// Takes back what [`Self::for_process`] reports as applied, when the flight is over:
    /// the process goes on without it.
    pub fn take_back(system: &impl System, reports: &[SettingReport]) {
        let is_locked = |report: &SettingReport| {
            report.name == MEMORY_LOCK && report.outcome == SettingOutcome::Applied
        };
        if reports.iter().any(is_locked) {
            system.unlock_memory();
        }
    }

    /// Asks for what belongs to a link's thread, on that thread, and to its port.
    #[must_use]
    pub fn for_link(
        &self,
        link: &str,
        system: &impl System,
        hurry_port: impl FnOnce() -> SettingOutcome,
    ) -> Vec<SettingReport> {
        let name = |setting: &str| format!("{link}_{setting}");
        let slack = self.timer_slack.then_some("1 ns");
        let fifo = self.fifo_priority;
        let latency = self.low_latency.then_some("1 ms");
        vec![
            report(&name("timer_slack"), slack, || system.reduce_timer_slack()),
            report(&name("fifo_priority"), fifo, || {
                fifo.map_or(SettingOutcome::NotAsked, |fifo| system.run_first(fifo))
            }),
            report(&name("low_latency"), latency, hurry_port),
        ]
    }

    /// Returns what is reported where nothing can be set.
    #[must_use]
    pub fn unavailable(&self, links: &[&str], reason: &str) -> Vec<SettingReport> {
        let nothing = Nothing(reason);
        let mut reports = Vec::new();
        for link in links {
            reports.extend(self.for_link(link, &nothing, || nothing.answer()));
        }
        reports.extend(self.for_process(&nothing));
        reports
    }
}

fn report(
    name: &str,
    asked: Option<impl fmt::Display>,
    apply: impl FnOnce() -> SettingOutcome,
) -> SettingReport {
    SettingReport {
        name: name.to_owned(),
        outcome: if asked.is_some() {
            apply()
        } else {
            SettingOutcome::NotAsked
        },
        asked: asked.map(|asked| asked.to_string()).unwrap_or_default(),
    }
}

/// A system that has none of the settings, and says why.
struct Nothing<'a>(&'a str);

impl Nothing<'_> {
    fn answer(&self) -> SettingOutcome {
        SettingOutcome::NotAvailable(self.0.to_owned())
    }
}

impl System for Nothing<'_> {
    fn reduce_timer_slack(&self) -> SettingOutcome {
        self.answer()
    }
    fn run_first(&self, _priority: u8) -> SettingOutcome {
        self.answer()
    }
    fn lock_memory(&self) -> SettingOutcome {
        self.answer()
    }
    fn unlock_memory(&self) {}
}

/// The system that this runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThisSystem;

#[cfg(target_os = "linux")]
mod linux {
    use std::num::NonZeroU64;
    use std::path::{Path, PathBuf};
    use std::{fs, io};

    use rustix::mm::MlockAllFlags;
    use thread_priority::{
        Error, RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue,
        ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
    };

    use super::{SettingOutcome, System, ThisSystem};

    fn outcome(result: Result<(), impl Into<io::Error>>) -> SettingOutcome {
        match result.map_err(Into::into) {
            Ok(()) => SettingOutcome::Applied,
            Err(error) => SettingOutcome::Refused(error.to_string()),
        }
    }

    impl System for ThisSystem {
        fn reduce_timer_slack(&self) -> SettingOutcome {
            let shortest = NonZeroU64::new(1);
            outcome(rustix::thread::set_current_timer_slack(shortest))
        }

        fn run_first(&self, priority: u8) -> SettingOutcome {
            let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
            let Ok(value) = ThreadPriorityValue::try_from(priority) else {
                return SettingOutcome::Refused(format!("priority {priority} is not 1 to 99"));
            };
            let value = ThreadPriority::Crossplatform(value);
            let set = set_thread_priority_and_policy(thread_native_id(), value, policy);
            outcome(set.map_err(|error| match error {
                Error::OS(code) => io::Error::from_raw_os_error(code),
                other => io::Error::other(format!("priority {priority}: {other}")),
            }))
        }

        fn lock_memory(&self) -> SettingOutcome {
            let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE;
            outcome(rustix::mm::mlockall(all))
        }

        fn unlock_memory(&self) {
            // It was locked: nothing else can fail it.
            let _ = rustix::mm::munlockall();
        }
    }

    /// Lets the adapter of `port` hand on what arrives at once.
    ///
    /// FTDI's chips keep a short reply back until their latency timer has run off,
    /// 16 ms by default; 1 ms is the shortest (application note AN232B-04).
    #[must_use]
    pub fn hurry_port(port: &str) -> SettingOutcome {
        // A link by a lasting name leads to the device's own.
        let device = fs::canonicalize(port).unwrap_or_else(|_| PathBuf::from(port));
        let name = device.file_name().unwrap_or_default();
        let folder = Path::new("/sys/class/tty").join(name).join("device");
        hurry_adapter(&folder, port)
    }

    pub(super) fn hurry_adapter(folder: &Path, port: &str) -> SettingOutcome {
        let file = folder.join("latency_timer");
        let read = || fs::read_to_string(&file).map(|text| text.trim().to_owned());
        match read() {
            Ok(found) if found == "1" => return SettingOutcome::Applied,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return SettingOutcome::NotAvailable(format!("{port} has no latency timer"));
            }
            Err(error) => return SettingOutcome::Refused(error.to_string()),
        }
        match fs::write(&file, "1").and_then(|()| read()) {
            Ok(found) if found == "1" => SettingOutcome::Applied,
            Ok(found) => {
                SettingOutcome::Refused(format!("the timer reads {found} ms after asking for 1"))
            }
            Err(error) => SettingOutcome::Refused(format!("{}: {error}", file.display())),
        }
    }
}

#[cfg(target_os = "linux")]
pub use linux::hurry_port;

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Nothing, SettingOutcome, System, ThisSystem};

    const HERE: Nothing<'static> = Nothing("here, it is a setting of Linux");

    impl System for ThisSystem {
        fn reduce_timer_slack(&self) -> SettingOutcome {
            HERE.answer()
        }
        fn run_first(&self, _priority: u8) -> SettingOutcome {
            HERE.answer()
        }
        fn lock_memory(&self) -> SettingOutcome {
            HERE.answer()
        }
        fn unlock_memory(&self) {}
    }

    /// Says that the adapter of `port` can't be told to hurry from here.
    #[must_use]
    pub fn hurry_port(port: &str) -> SettingOutcome {
        SettingOutcome::NotAvailable(format!(
            "the latency timer of {port} is set in the driver's settings here"
        ))
    }
}

#[cfg(not(target_os = "linux"))]
pub use elsewhere::hurry_port;

#[cfg(test)]
mod tests {
    use super::*;

    /// An ordinary user's system: no priority, and little memory to lock.
    struct Ordinary;

    impl System for Ordinary {
        fn reduce_timer_slack(&self) -> SettingOutcome {
            SettingOutcome::Applied
        }
        fn run_first(&self, priority: u8) -> SettingOutcome {
            SettingOutcome::Refused(format!("priority {priority}: not permitted"))
        }
        fn lock_memory(&self) -> SettingOutcome {
            SettingOutcome::Refused("too little".into())
        }
        fn unlock_memory(&self) {
            unreachable!("nothing is locked");
        }
    }

    /// A system that locks memory and counts how often it is unlocked.
    #[derive(Default)]
    struct Locking(std::cell::Cell<u32>);

    impl System for Locking {
        fn reduce_timer_slack(&self) -> SettingOutcome {
            SettingOutcome::Applied
        }
        fn run_first(&self, _priority: u8) -> SettingOutcome {
            SettingOutcome::Applied
        }
        fn lock_memory(&self) -> SettingOutcome {
            SettingOutcome::Applied
        }
        fn unlock_memory(&self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn memory_that_was_locked_is_unlocked_and_no_other() {
        let system = Locking::default();
        Realtime::take_back(&system, &ALL.for_process(&system));
        assert_eq!(system.0.get(), 1);
        Realtime::take_back(&system, &Realtime::default().for_process(&system));
        assert_eq!(system.0.get(), 1);
        Realtime::take_back(&Ordinary, &ALL.for_process(&Ordinary));
    }

    const ALL: Realtime = Realtime {
        timer_slack: true,
        fifo_priority: Some(50),
        lock_memory: true,
        low_latency: true,
        spin: Nanos::ZERO,
    };

    fn told(reports: &[SettingReport]) -> Vec<(String, String)> {
        reports
            .iter()
            .map(|each| (each.name.clone(), each.outcome.to_string()))
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|&(name, outcome)| (name.to_owned(), outcome.to_owned()))
            .collect()
    }

    #[test]
    fn each_setting_asked_for_tells_what_became_of_it() {
        let missing = || SettingOutcome::NotAvailable("no timer".into());
        let mut reports = ALL.for_link("stage", &Ordinary, missing);
        reports.extend(ALL.for_process(&Ordinary));
        let expected = [
            ("stage_timer_slack", "applied"),
            ("stage_fifo_priority", "refused: priority 50: not permitted"),
            ("stage_low_latency", "not available: no timer"),
            ("memory_lock", "refused: too little"),
        ];
        assert_eq!(told(&reports), pairs(&expected));
        assert_eq!(reports[1].asked, "50");
        let in_vain: Vec<_> = reports.iter().map(SettingReport::is_in_vain).collect();
        assert_eq!(in_vain, [false, true, true, true]);
    }

    #[test]
    fn what_nobody_asked_for_is_left_alone_and_told() {
        let nothing = Realtime::default();
        let never = || unreachable!("nobody asked");
        let mut reports = nothing.for_link("stage", &Ordinary, never);
        reports.extend(nothing.for_process(&Ordinary));
        assert_eq!(reports.len(), 4);
        for each in reports {
            assert_eq!(each.outcome, SettingOutcome::NotAsked);
            assert_eq!(each.asked, "");
            assert!(!each.is_in_vain());
        }
    }

    #[test]
    fn where_nothing_can_be_set_every_setting_asked_for_says_why() {
        let reports = ALL.unavailable(&["stage", "detector"], "virtual time");
        assert_eq!(reports.len(), 7);
        for each in reports {
            assert_eq!(each.outcome.to_string(), "not available: virtual time");
        }
    }

    #[cfg(target_os = "linux")]
    mod on_linux {
        use std::fs;
        use std::thread;

        use super::super::linux::hurry_adapter;
        use super::*;

        #[test]
        fn the_timer_slack_of_a_thread_is_reduced() {
            let slack = thread::spawn(|| {
                assert_eq!(ThisSystem.reduce_timer_slack(), SettingOutcome::Applied);
                rustix::thread::current_timer_slack()
            });
            assert_eq!(slack.join().expect("it does not panic"), Ok(1));
        }

        #[test]
        fn a_priority_that_there_is_not_is_refused_to_root_too() {
            for priority in [0, 100, 255] {
                let outcome = thread::spawn(move || ThisSystem.run_first(priority)).join();
                let Ok(SettingOutcome::Refused(reason)) = outcome else {
                    panic!("priority {priority}: {outcome:?}");
                };
                assert!(reason.contains(&format!("priority {priority}")), "{reason}");
            }
        }

        #[test]
        fn an_adapter_is_told_to_hurry_by_its_file() {
            let folder = std::env::temp_dir().join(format!("aefi-latency-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a folder");
            let file = folder.join("latency_timer");
            fs::write(&file, "16\n").expect("a file");
            assert_eq!(hurry_adapter(&folder, "ttyUSB0"), SettingOutcome::Applied);
            assert_eq!(fs::read_to_string(&file).expect("a file"), "1");
            fs::remove_dir_all(&folder).expect("the folder");
            let gone = hurry_adapter(&folder, "ttyUSB0");
            assert_eq!(
                gone.to_string(),
                "not available: ttyUSB0 has no latency timer"
            );
        }
    }
}
