//! The faults of `fault_matrix` in real time, on the serial ports of a served bench.
#![cfg(unix)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use aefi_bench_sim::serve::{ServeOptions, Server};
use aefi_scan_engine::clock::MonotonicClock;
use aefi_scan_engine::records::Product;
use aefi_scan_engine::shell::{Flight, FlightEnd, threads};
use aefi_scan_engine::transport::serial::{Opening, SerialSettings, SerialTransport};
use common::draws::Draws;
use common::faults::{FALSE_BY, FAULTS, check, outcome};
use common::verdict::Flown;
use common::{Log, bench, plan, setup};

const INSTANTS: usize = 3;
/// More at once would keep each other from their core.
const AT_ONCE: usize = 3;
/// A flight of one line, undisturbed.
const FLIGHT_MS: i64 = 2_000;

fn open(port: &std::path::Path, baud: u32) -> SerialTransport {
    let port = port.to_string_lossy().into_owned();
    SerialTransport::open(&SerialSettings {
        port,
        baud,
        opening: Opening::default(),
    })
    .expect("the port is free")
}

fn drain(flight: &mut Flight, log: &mut Log) {
    let products = flight.products();
    while let Some(fix) = products.fixes.pop() {
        log.take(Product::Fix(fix));
    }
    while let Some(reading) = products.readings.pop() {
        log.take(Product::Reading(reading));
    }
    while let Some(frame) = products.frames.pop() {
        log.take(Product::Frame(frame));
    }
    while let Some(line) = products.lines.pop() {
        log.take(Product::Line(line));
    }
}

fn to_the_end(mut flight: Flight) -> (Log, FlightEnd) {
    let mut log = Log::default();
    let end = loop {
        if let Some(end) = flight.end() {
            break end.clone();
        }
        drain(&mut flight, &mut log);
        thread::sleep(Duration::from_millis(5));
    };
    drain(&mut flight, &mut log);
    (log, end)
}

/// Flies a line of six frames over two ptys; the ports are free afterwards.
fn fly_with(script: &str) -> Flown {
    let mut plan = plan(1, 6);
    plan.extra_passes = 1;
    let settings = bench(5);
    let setup = setup(plan.clone(), &settings);
    let options = ServeOptions {
        faults: script.parse().expect("a script"),
        ..ServeOptions::default()
    };
    let mut server = Server::open(settings.clone(), options).expect("ptys can be had");
    let paths = [server.stage_path(), server.acquisition_path()].map(ToOwned::to_owned);
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let serving = thread::spawn(move || server.run(&flag).map(|()| server));
    let ports = || {
        (
            open(&paths[0], 115_200),
            open(&paths[1], settings.acquisition.baud),
        )
    };
    let (stage, detector) = ports();
    let flight = threads::start(&setup, stage, detector, MonotonicClock).expect("it starts");
    let (log, end) = to_the_end(flight);
    if !script.contains("hang-up") {
        drop(ports());
    }
    stop.store(true, Ordering::Relaxed);
    let server = serving
        .join()
        .expect("no panic")
        .expect("served to the end");
    Flown {
        what: script.to_owned(),
        plan,
        log,
        end,
        bench: server.bench().clone(),
        false_by: FALSE_BY,
    }
}

#[test]
#[ignore = "takes minutes of real time: make test-ptys"]
fn every_fault_on_serial_ports_leaves_true_frames_a_stage_at_rest_and_a_name() {
    let mut draws = Draws::seeded(90);
    let mut scripts = Vec::new();
    for (fault, link) in FAULTS {
        for _ in 0..INSTANTS {
            let at = draws.draw(0..FLIGHT_MS) as f64 / 1e3;
            let fault = fault.replace("{n}", &draws.draw(0..2_000_u32).to_string());
            scripts.push(format!("at {at}s do {fault} {link}"));
        }
    }
    let scripts = Mutex::new(scripts);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let next = || scripts.lock().unwrap_or_else(PoisonError::into_inner).pop();
                while let Some(script) = next() {
                    let flown = fly_with(&script);
                    check(&flown);
                    println!("{script}: {}", outcome(&flown));
                }
            });
        }
    });
}
