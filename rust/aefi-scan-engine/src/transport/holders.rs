//! Which programs have a port open, where the system tells.
//!
//! A lock keeps out who asks for it. Who opened a port without one reads half of our
//! replies: so it is looked for before, and named.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

const PROCESSES: &str = "/proc";

/// A program that has a port open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process; nothing for this one.
    pub process: Option<u32>,
    /// The words it was started with.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some(process) => write!(f, "process {process}: {}", self.command),
            None => write!(f, "this program itself"),
        }
    }
}

/// Returns who has `port` open among the processes that this user may look into; on
/// Linux, nobody elsewhere. The other end of a pseudo-terminal does not count, nor does a
/// copy of this process that was forked from it: it has what its parent had.
#[must_use]
pub fn holders(port: &str) -> Vec<Holder> {
    let Ok(device) = fs::canonicalize(port) else {
        return Vec::new();
    };
    let Ok(processes) = fs::read_dir(PROCESSES) else {
        return Vec::new();
    };
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut found: Vec<u32> = numbers.filter(|number| holds(*number, &device)).collect();
    found.sort_unstable();
    found.into_iter().map(holder).collect()
}

fn folder(process: u32) -> PathBuf {
    Path::new(PROCESSES).join(process.to_string())
}

/// What ends while we look, or is somebody else's, holds nothing that we know of.
fn holds(process: u32, device: &Path) -> bool {
    let files = fs::read_dir(folder(process).join("fd"));
    let mut links = files.into_iter().flatten().flatten();
    links.any(|file| fs::read_link(file.path()).is_ok_and(|at| at == device))
        && !is_other_end(process, device)
        && !is_fork(process)
}

/// Returns whether the process has the master of the pseudo-terminal `device`.
fn is_other_end(process: u32, device: &Path) -> bool {
    let Some(number) = device.strip_prefix("/dev/pts").ok().and_then(Path::to_str) else {
        return false;
    };
    let index = format!("tty-index:\t{number}");
    let files = fs::read_dir(folder(process).join("fdinfo"));
    let mut infos = files.into_iter().flatten().flatten();
    infos.any(|file| {
        fs::read_to_string(file.path()).is_ok_and(|info| info.lines().any(|l| l == index))
    })
}

fn is_fork(process: u32) -> bool {
    if command(process) != command(std::process::id()) {
        return false;
    }
    let parents = std::iter::successors(parent(process), |process| parent(*process));
    parents
        .into_iter()
        .any(|process| process == std::process::id())
}

fn parent(process: u32) -> Option<u32> {
    let status = fs::read_to_string(folder(process).join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}

fn command(process: u32) -> String {
    let words = fs::read(folder(process).join("cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    words.trim_end_matches('\0').replace('\0', " ")
}

fn holder(process: u32) -> Holder {
    Holder {
        process: (process != std::process::id()).then_some(process),
        command: command(process),
    }
}
