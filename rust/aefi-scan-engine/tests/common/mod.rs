//! A simulated bench, a plan for it, and a flight in virtual time judged by the
//! simulator's truth.
#![allow(dead_code, clippy::missing_panics_doc)]

pub mod draws;
pub mod faults;
pub mod links;
pub mod verdict;

use std::sync::Arc;

use aefi_bench_sim::{BenchSettings, FaultScript, SimulatedBench};
use aefi_scan_engine::protocol::mcu::Averaging;
use aefi_scan_engine::realtime::Realtime;
use aefi_scan_engine::records::Product;
use aefi_scan_engine::records::{EndedFrame, EndedLine, Fix, PlacedReading};
use aefi_scan_engine::shell::virtual_time::VirtualFlight;
use aefi_scan_engine::shell::{FlightEnd, FlightSetup};
use aefi_scan_engine::{
    Axis, DetectorConfig, FlightPlan, Line, Nanos, RegisterWrite, StageConfig, Steps, Trigger,
};

/// Where the test maps lie, in steps of both axes.
const ORIGIN: i64 = 20_000;
const PITCH: i64 = 115;

pub fn bench(baud_code: u8) -> BenchSettings {
    let mut settings = BenchSettings::default();
    settings.stage.baud_code = baud_code;
    settings.stage.start_steps = [20_000.0, 20_000.0, 0.0, 0.0];
    settings
}

/// A serpentine of `lines` lines of `frames` frames, fast axis Y, 1500 steps/s.
pub fn plan(lines: usize, frames: usize) -> FlightPlan {
    let span = PITCH * frames as i64;
    let approach = 500;
    let line = |index: usize| {
        let (low, high) = (ORIGIN, ORIGIN + span);
        let (first, last, sign) = if index.is_multiple_of(2) {
            (low, high, 1)
        } else {
            (high, low, -1)
        };
        Line {
            slow: Steps(ORIGIN + PITCH * index as i64),
            start: Steps(first - sign * approach),
            window_start: first as f64,
            window_stop: last as f64,
            end: Steps(last + sign * approach),
            first_frame: index * frames,
            frames,
            muted: false,
        }
    };
    FlightPlan {
        fast: Axis::Y,
        speed: 1500,
        positioning_speed: 3000,
        start_speed: 1000,
        ramp_ms: 300,
        lines: (0..lines).map(line).collect(),
        averaging: Averaging::new(10).expect("in range"),
        min_readings: 1,
        lag: Nanos::ZERO,
        trigger: Trigger::FreeRunning,
        extra_passes: 0,
        excitation: [(62, 4), (63, 6291), (39, 12_593), (53, 2750), (52, 2750)]
            .map(|(address, value)| RegisterWrite { address, value })
            .to_vec(),
        excitation_off: [(53, 0), (52, 0)]
            .map(|(address, value)| RegisterWrite { address, value })
            .to_vec(),
    }
    .checked()
    .expect("the test plan can be flown")
}

/// The engine's view of a simulated bench.
pub fn setup(plan: FlightPlan, settings: &BenchSettings) -> FlightSetup {
    let baud = [9600, 19_200, 38_400, 57_600, 115_200][usize::from(settings.stage.baud_code) - 1];
    FlightSetup {
        plan: Arc::new(plan),
        stage: StageConfig {
            name: "4EX00".into(),
            address: 0,
            byte_time: Nanos(10_000_000_000 / baud),
            allowance: Nanos::from_millis(100),
            reply_delay: Nanos::ZERO,
            status_period: Nanos::from_millis(500),
            host_watch_ms: 0,
        },
        detector: DetectorConfig {
            byte_time: Nanos(10_000_000_000 / i64::from(settings.acquisition.baud)),
            allowance: Nanos::from_millis(150),
            conversion: Nanos::from_millis(1),
        },
        spool: None,
        realtime: Realtime::default(),
    }
}

/// All that a flight produced.
#[derive(Debug, Default)]
pub struct Log {
    pub fixes: Vec<Fix>,
    pub readings: Vec<PlacedReading>,
    pub frames: Vec<EndedFrame>,
    pub lines: Vec<EndedLine>,
}

impl Log {
    pub fn take(&mut self, product: Product) {
        match product {
            Product::Fix(fix) => self.fixes.push(fix),
            Product::Reading(reading) => self.readings.push(reading),
            Product::Frame(frame) => self.frames.push(frame),
            Product::Line(line) => self.lines.push(line),
        }
    }
}

pub fn virtual_flight(
    plan: FlightPlan,
    settings: BenchSettings,
    faults: &FaultScript,
) -> VirtualFlight<SimulatedBench> {
    let setup = setup(plan, &settings);
    let bench = SimulatedBench::starting_at(settings, faults, Nanos::ZERO);
    VirtualFlight::new(&setup, bench, Nanos::ZERO)
}

/// Flies to the end; `before` is called before each event with its number.
pub fn fly(
    flight: &mut VirtualFlight<SimulatedBench>,
    mut before: impl FnMut(u64, &VirtualFlight<SimulatedBench>),
) -> (Log, FlightEnd) {
    let mut log = Log::default();
    let mut event = 0;
    loop {
        before(event, flight);
        event += 1;
        assert!(event < 50_000_000, "the flight never ends");
        if !flight.step(&mut |product| log.take(product)) {
            break;
        }
    }
    let end = flight.finish(&mut |product| log.take(product));
    (log, end)
}

/// Where both axes really were in the middle of each reading's integration.
pub fn true_places(log: &Log, bench: &SimulatedBench) -> Vec<[f64; 2]> {
    true_places_before(log, bench, Nanos::ZERO)
}

/// The same so long before that.
pub fn true_places_before(log: &Log, bench: &SimulatedBench, lag: Nanos) -> Vec<[f64; 2]> {
    let conversions = bench.conversions();
    let mut next = 0;
    let mut place = |(number, placed): (usize, &PlacedReading)| {
        let (sent, received) = (placed.reading.sent, placed.reading.received);
        while conversions[next].start < sent {
            next += 1;
        }
        let conversion = conversions[next];
        assert!(
            conversion.end <= received,
            "reading {number} has its conversion"
        );
        let middle = Nanos(i64::midpoint(conversion.start.0, conversion.end.0));
        [aefi_bench_sim::Axis::X, aefi_bench_sim::Axis::Y]
            .map(|axis| bench.trajectory(axis).position_at(middle - lag))
    };
    log.readings.iter().enumerate().map(&mut place).collect()
}

/// Readings whose interval does not hold the truth, of both axes.
pub fn outside(log: &Log, bench: &SimulatedBench) -> Vec<(usize, Axis, f64)> {
    outside_of(log, true_places(log, bench))
}

/// Readings whose interval does not hold the place given for each, of both axes.
pub fn outside_of(log: &Log, places: Vec<[f64; 2]>) -> Vec<(usize, Axis, f64)> {
    let mut found = Vec::new();
    for (number, truth) in places.into_iter().enumerate() {
        for axis in Axis::BOTH {
            let (place, position) = (
                log.readings[number].place[axis.index()],
                truth[axis.index()],
            );
            if !(place.low <= position && position <= place.high) {
                found.push((number, axis, position));
            }
        }
    }
    found
}
