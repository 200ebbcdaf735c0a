//! The bench behind real pseudo-terminals, with plain files as clients.
#![cfg(unix)]

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aefi_bench_sim::serve::{ServeOptions, Server, monotonic_now};
use aefi_bench_sim::{BenchSettings, Pacing};

/// A server in a thread of its own that ends with the test.
struct Served {
    stage: PathBuf,
    acquisition: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Served {
    fn new(settings: BenchSettings, options: ServeOptions) -> Self {
        let mut server = Server::open(settings, options).expect("ptys can be had");
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        Self {
            stage: server.stage_path().to_owned(),
            acquisition: server.acquisition_path().to_owned(),
            stop,
            thread: Some(std::thread::spawn(move || server.run(&flag))),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("joined once");
        thread.join().expect("no panic").expect("served to the end");
    }
}

fn client(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(path).expect("opens")
}

/// Reads up to and including `end`.
fn read_line(port: &mut File, end: u8) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&end) {
        assert_eq!(port.read(&mut byte).expect("reads"), 1);
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("ASCII")
}

fn ask(port: &mut File, request: &str) -> String {
    port.write_all(request.as_bytes()).expect("writes");
    read_line(port, b'\r')
}

fn folder(name: &str) -> PathBuf {
    let name = format!("aefi-bench-sim-{name}-{}", std::process::id());
    std::env::temp_dir().join(name)
}

#[test]
fn both_links_answer_one_client_after_another() {
    let served = Served::new(BenchSettings::default(), ServeOptions::default());
    for _ in 0..2 {
        let mut stage = client(&served.stage);
        assert_eq!(ask(&mut stage, "@00DN\r"), "4EX00\r");
        let mut acquisition = client(&served.acquisition);
        acquisition.write_all(b"m10*").expect("writes");
        assert_eq!(read_line(&mut acquisition, b'\n'), "m=   10\n");
        assert_eq!(read_line(&mut acquisition, b'\n').matches('\t').count(), 8);
    }
}

#[test]
fn exchanges_take_the_time_of_the_line() {
    let mut settings = BenchSettings::default();
    settings.stage.pacing = Pacing::line_only();
    let served = Served::new(settings, ServeOptions::default());
    let mut stage = client(&served.stage);
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(ask(&mut stage, "@00PX\r"), "0\r");
    }
    // Eight bytes at 9600 Bd are 8.33 ms. The upper bound is for a busy machine.
    let spent = begin.elapsed();
    assert!(spent >= Duration::from_micros(20 * 8333), "was {spent:?}");
    assert!(spent < Duration::from_millis(600), "was {spent:?}");
}

#[test]
fn links_are_made_and_the_truth_is_written_in_monotonic_time() {
    let folder = folder("links");
    let truth = folder.join("truth.jsonl");
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let options = ServeOptions {
        truth: Some(truth.clone()),
        link_folder: Some(folder.clone()),
        ..ServeOptions::default()
    };
    let before = monotonic_now();
    {
        let _served = Served::new(BenchSettings::default(), options);
        let mut stage = client(&folder.join("stage"));
        assert_eq!(ask(&mut stage, "@00X100\r"), "OK\r");
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(ask(&mut stage, "@00PX\r"), "100\r");
        assert_eq!(ask(&mut stage, "@00STOP\r"), "OK\r");
    }
    assert!(!folder.join("stage").exists(), "links go with the server");
    let written = std::fs::read_to_string(&truth).expect("was written");
    std::fs::remove_dir_all(&folder).expect("can be removed");
    let moving = written
        .lines()
        .find(|line| line.contains("\"axis\":\"x\"") && line.contains("\"v\":800.0"))
        .expect("the move is in the truth");
    let start = moving.split("\"t0_ns\":").nth(1).expect("has a start");
    let start = start.split(',').next().expect("has an end");
    let start: i64 = start.parse().expect("is a number");
    assert!(start > before.0 && start < monotonic_now().0);
    assert!(written.contains("{\"command\":\"STOP\",\"axis\":null"));
}

#[test]
fn a_hang_up_ends_the_clients_file() {
    let options = ServeOptions {
        faults: "at n1 do hang-up".parse().expect("is a script"),
        ..ServeOptions::default()
    };
    let served = Served::new(BenchSettings::default(), options);
    let mut stage = client(&served.stage);
    stage.write_all(b"@00PX\r").expect("writes");
    let mut byte = [0];
    let gone = stage.read(&mut byte);
    assert!(matches!(gone, Ok(0) | Err(_)), "read {gone:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn replies_that_a_dead_client_left_are_not_given_to_the_next() {
    let served = Served::new(BenchSettings::default(), ServeOptions::default());
    let mut first = client(&served.stage);
    first.write_all(b"@00VER\r").expect("writes");
    std::thread::sleep(Duration::from_millis(60));
    drop(first);
    std::thread::sleep(Duration::from_millis(60));
    let mut second = client(&served.stage);
    assert_eq!(ask(&mut second, "@00PX\r"), "0\r");
}
