//! What is spooled is read again, whatever of the file is left.

mod common;

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use aefi_bench_sim::{FaultScript, SimulatedBench};
use aefi_scan_engine::records::Product;
use aefi_scan_engine::records::{
    EndedFrame, EndedLine, Estimate, Fix, PlacedReading, Reading, VOLTAGES,
};
use aefi_scan_engine::shell::virtual_time;
use aefi_scan_engine::spool::{
    Contents, FLUSH_PERIOD, FormatError, Header, Record, RecordedEnd, SpoolFile, SpoolOutcome,
    SpoolTarget, SpoolWriter, decode,
};
use aefi_scan_engine::{Axis, EngineError, FlightState, FrameState, Nanos, Steps};
use common::draws::Draws;
use common::{Log, bench, plan, setup};
use proptest::collection::vec;
use proptest::prelude::*;

// -- arbitrary records ---------------------------------------------------------------

fn nanos() -> impl Strategy<Value = Nanos> {
    any::<i64>().prop_map(Nanos)
}

fn estimate() -> impl Strategy<Value = Estimate> {
    any::<[f64; 3]>().prop_map(|[position, low, high]| Estimate {
        position,
        low,
        high,
    })
}

fn place() -> impl Strategy<Value = [Estimate; 2]> {
    [estimate(), estimate()]
}

fn fix() -> impl Strategy<Value = Product> {
    let axis = prop_oneof![Just(Axis::X), Just(Axis::Y)];
    let times = [nanos(), nanos(), nanos(), nanos()];
    (axis, times, any::<i64>(), any::<u8>()).prop_map(|(axis, times, counts, flags)| {
        Product::Fix(Fix {
            axis,
            sent: times[0],
            received: times[1],
            earliest: times[2],
            latest: times[3],
            counts: Steps(counts),
            flags,
        })
    })
}

fn reading() -> impl Strategy<Value = Product> {
    let times = [nanos(), nanos(), nanos(), nanos(), nanos()];
    let frame = || proptest::option::of(0..usize::MAX >> 1);
    let frames = (frame(), frame(), any::<u8>());
    (times, any::<[i32; 8]>(), place(), frames).prop_map(|(times, codes, place, frames)| {
        Product::Reading(PlacedReading {
            reading: Reading {
                sent: times[0],
                received: times[1],
                earliest: times[2],
                latest: times[3],
                codes,
                due: times[4],
                aim: frames.0,
            },
            place,
            frame: frames.1,
            flags: frames.2,
        })
    })
}

fn frame() -> impl Strategy<Value = Product> {
    let state = proptest::sample::select(FrameState::ALL.to_vec());
    let values = any::<[[f64; VOLTAGES]; 2]>();
    let numbers = (any::<[usize; 2]>(), any::<[u32; 2]>(), [nanos(), nanos()]);
    (numbers, state, place(), values).prop_map(|((ids, counts, times), state, place, values)| {
        Product::Frame(EndedFrame {
            frame: ids[0],
            line: ids[1],
            pass: counts[0],
            state,
            count: counts[1],
            at: times[0],
            late: times[1],
            place,
            mean: values[0],
            deviation: values[1],
        })
    })
}

fn line() -> impl Strategy<Value = Product> {
    (any::<usize>(), any::<[i64; 9]>(), any::<[u32; 6]>()).prop_map(|(line, times, counts)| {
        Product::Line(EndedLine {
            line,
            pass: counts[0],
            turnaround_from: Nanos(times[0]),
            began: Nanos(times[1]),
            entered: Some(Nanos(times[2])),
            left: None,
            ended: Nanos(times[4]),
            ok: counts[1],
            not_ok: counts[2],
            readings: counts[3],
            fixes: counts[4],
            exchanges: counts[5],
            link: Nanos(times[8]),
            period: [times[5], times[6], times[7]].map(Nanos),
        })
    })
}

fn products() -> impl Strategy<Value = Vec<Product>> {
    vec(prop_oneof![fix(), reading(), frame(), line()], 0..12)
}

fn header(note: &str) -> Header {
    Header {
        anchor: Nanos(1),
        anchor_utc: Nanos(2),
        began: Nanos(3),
        note: note.to_owned(),
    }
}

fn end() -> RecordedEnd {
    RecordedEnd {
        state: FlightState::Stopped,
        totals: [6, 5, 4, 3, 2, 1, 0],
        ended: Nanos(9),
        excitation_off: true,
        cause: "stop requested".into(),
    }
}

// -- a disk that fails ---------------------------------------------------------------

/// A file in memory; the n-th operation fails, and of what does not fit a part is
/// written first.
#[derive(Debug, Default, Clone)]
struct Disk(Rc<RefCell<DiskState>>);

#[derive(Debug, Default)]
struct DiskState {
    bytes: Vec<u8>,
    room: Option<usize>,
    operations: usize,
    syncs: usize,
    failing: Option<usize>,
}

impl DiskState {
    fn count(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.failing == Some(self.operations) {
            return Err(io::Error::other("broken disk"));
        }
        Ok(())
    }
}

impl SpoolFile for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.0.borrow_mut();
        disk.count()?;
        let room = disk.room.unwrap_or(usize::MAX) - disk.bytes.len();
        let count = bytes.len().min(room);
        if count == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        disk.bytes.extend(&bytes[..count]);
        Ok(count)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.borrow_mut().syncs += 1;
        self.0.borrow_mut().count()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut disk = self.0.borrow_mut();
        disk.count()?;
        disk.bytes.truncate(length as usize);
        Ok(())
    }
}

impl Disk {
    fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }
}

/// Spools to a disk, a flush after every third product; returns errors told.
fn spool(disk: &Disk, note: &str, products: &[Product]) -> Option<(SpoolOutcome, usize)> {
    let mut spool = SpoolWriter::begin(disk.clone(), "disk".into(), &header(note)).ok()?;
    let mut errors = 0;
    for (number, product) in products.iter().enumerate() {
        spool.take(product);
        let time = Nanos(FLUSH_PERIOD.0 * (number as i64 / 3));
        errors += usize::from(spool.tick(time).is_err());
    }
    Some((spool.finish(&end()), errors))
}

fn spooled(note: &str, products: &[Product]) -> Vec<u8> {
    let disk = Disk::default();
    spool(&disk, note, products).expect("a disk that works");
    disk.bytes()
}

/// NaN is equal to itself here.
fn same(left: &[Record], right: &[Record]) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

fn is_prefix(found: &Contents, of: &Contents) -> bool {
    found.records.len() <= of.records.len()
        && same(&found.records, &of.records[..found.records.len()])
}

fn some_products() -> Vec<Product> {
    let place = [Estimate::UNKNOWN; 2];
    let times = Nanos(70_000);
    let reading = Reading {
        sent: times,
        received: times,
        earliest: times,
        latest: times,
        codes: [-1; 8],
        due: times,
        aim: None,
    };
    let fix = |counts| {
        Product::Fix(Fix {
            axis: Axis::Y,
            sent: times,
            received: times,
            earliest: times,
            latest: times,
            counts: Steps(counts),
            flags: Fix::WIDE,
        })
    };
    let reading = |frame| {
        Product::Reading(PlacedReading {
            reading,
            place,
            frame,
            flags: PlacedReading::UNPLACED,
        })
    };
    vec![
        fix(-5),
        reading(None),
        fix(4),
        reading(Some(8)),
        fix(3),
        fix(2),
        reading(None),
        fix(1),
    ]
}

// -- the format ----------------------------------------------------------------------

proptest! {
    #[test]
    fn what_was_spooled_is_read_again(products in products(), note in any::<String>()) {
        let contents = decode(&spooled(&note, &products)).expect("a spool");
        prop_assert_eq!(contents.header, header(&note));
        prop_assert_eq!(contents.torn, 0);
        let all = products.into_iter().map(Record::Product);
        let all: Vec<_> = all.chain([Record::End(end())]).collect();
        prop_assert!(same(&contents.records, &all));
    }

    #[test]
    fn every_prefix_holds_a_prefix_and_says_what_is_torn(products in products()) {
        let bytes = spooled("note", &products);
        let all = decode(&bytes).expect("a spool");
        let empty = length_of_header("note");
        let mut whole = empty;
        for length in empty..=bytes.len() {
            let found = decode(&bytes[..length]).expect("the header is whole");
            if found.torn == 0 {
                whole = length;
            }
            prop_assert_eq!(found.torn, (length - whole) as u64);
            prop_assert!(is_prefix(&found, &all));
        }
        prop_assert_eq!(whole, bytes.len());
    }

    #[test]
    fn a_prefix_of_the_header_is_no_spool(note in any::<String>()) {
        let bytes = spooled(&note, &[]);
        for length in 0..length_of_header(&note) {
            prop_assert!(decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_changed_byte_leaves_all_frames_before_it_and_none_behind(
        products in products(), place in any::<prop::sample::Index>(), change in 1..=u8::MAX,
    ) {
        let mut bytes = spooled("note", &products);
        let all = decode(&bytes).expect("a spool");
        let head = length_of_header("note");
        let place = head + place.index(bytes.len() - head);
        let before = decode(&bytes[..place]).expect("the header is whole");
        bytes[place] ^= change;
        let found = decode(&bytes).expect("the header is whole");
        prop_assert!(is_prefix(&found, &all));
        prop_assert_eq!(found.records.len(), before.records.len());
        prop_assert_eq!(found.torn, before.torn + (bytes.len() - place) as u64);
    }

    #[test]
    fn bytes_that_nobody_spooled_are_no_records(noise in vec(any::<u8>(), 0..400)) {
        let bytes = spooled("note", &[]);
        let header = &bytes[..length_of_header("note")];
        let found = decode(&[header, &noise].concat()).expect("the header is whole");
        prop_assert_eq!(found.records, []);
        prop_assert_eq!(found.torn, noise.len() as u64);
        prop_assert!(decode(&noise).is_err());
    }
}

fn length_of_header(note: &str) -> usize {
    let disk = Disk::default();
    let begun = SpoolWriter::begin(disk.clone(), "disk".into(), &header(note));
    begun.expect("a disk that works");
    disk.bytes().len()
}

#[test]
fn a_changed_byte_ends_the_records_and_invents_none() {
    let bytes = spooled("note", &some_products());
    let all = decode(&bytes).expect("a spool");
    let head = length_of_header("note");
    for place in 0..bytes.len() {
        for change in 1..=u8::MAX {
            let mut changed = bytes.clone();
            changed[place] ^= change;
            match decode(&changed) {
                Ok(found) => {
                    assert!(place >= head, "a changed header was believed");
                    assert!(is_prefix(&found, &all), "byte {place} ^ {change}");
                    assert!(found.torn > 0, "byte {place} ^ {change}");
                }
                Err(_) => assert!(place < head, "byte {place} ^ {change}"),
            }
        }
    }
}

#[test]
fn what_is_no_spool_is_said_so() {
    assert_eq!(decode(b""), Err(FormatError::NotASpool));
    assert_eq!(decode(b"AEFISPL\n\x03\0\0\0"), Err(FormatError::Version(3)));
    assert_eq!(decode(b"AEFISPL\n\x02\0\0\0"), Err(FormatError::Header));
}

// -- the disk ------------------------------------------------------------------------

#[test]
fn whatever_fails_the_file_is_good_up_to_its_last_whole_frame() {
    let products = some_products();
    let all = decode(&spooled("note", &products)).expect("a spool");
    for failing in 1.. {
        let disk = Disk::default();
        disk.0.borrow_mut().failing = Some(failing);
        let told = spool(&disk, "note", &products);
        if disk.0.borrow().operations < failing {
            assert!(failing > 6, "the disk worked too rarely: {failing}");
            return;
        }
        let Some((outcome, errors)) = told else {
            assert!(failing <= 2, "only the header is refused at once");
            continue;
        };
        let error = outcome.error.expect("the error is remembered");
        assert_eq!(
            error.to_string(),
            "spool disk cannot be written: broken disk"
        );
        assert!(errors <= 1, "an error is told once");
        let found = decode(&disk.bytes()).expect("the header is whole");
        assert!(is_prefix(&found, &all), "operation {failing}");
        assert_eq!(found.torn, 0, "operation {failing}");
        assert!(outcome.records <= found.records.len() as u64);
        assert!(outcome.bytes <= disk.bytes().len() as u64);
    }
}

#[test]
fn a_full_disk_keeps_the_whole_frames_that_fit() {
    let products = some_products();
    let bytes = spooled("note", &products);
    let all = decode(&bytes).expect("a spool");
    for room in length_of_header("note")..bytes.len() {
        let disk = Disk::default();
        disk.0.borrow_mut().room = Some(room);
        let (outcome, _) = spool(&disk, "note", &products).expect("the header fits");
        assert!(outcome.error.is_some(), "{room} bytes");
        let found = decode(&disk.bytes()).expect("the header is whole");
        assert!(is_prefix(&found, &all), "{room} bytes");
        assert_eq!(found.torn, 0, "{room} bytes");
        let fits = decode(&bytes[..room]).expect("the header fits");
        assert_eq!(found.records.len(), fits.records.len(), "{room} bytes");
        assert_eq!(outcome.records, found.records.len() as u64);
        assert_eq!(outcome.bytes, disk.bytes().len() as u64);
    }
}

// -- a flight ------------------------------------------------------------------------

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("aefi-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_flight_spools_what_it_hands_out() {
    let folder = Folder::new("flight");
    let path = folder.0.join("flight.spool");
    let settings = bench(5);
    let mut setup = setup(plan(2, 8), &settings);
    setup.spool = Some(SpoolTarget {
        path: path.clone(),
        note: "two lines".into(),
    });
    let bench = SimulatedBench::starting_at(settings, &FaultScript::default(), Nanos::ZERO);
    let mut flight = virtual_time::start(&setup, bench, Nanos::ZERO, |_, _| {}).expect("it starts");
    while flight.end().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let end = flight.end().expect("it has ended").clone();
    assert_eq!(end.outcome.state, FlightState::Completed);

    let bytes = std::fs::read(&path).expect("the spool");
    let mut found = decode(&bytes).expect("a spool");
    assert_eq!(end.spool.bytes, bytes.len() as u64);
    assert_eq!(end.spool.records, found.records.len() as u64);
    assert_eq!((end.spool.error, found.torn), (None, 0));
    assert_eq!(found.header.note, "two lines");
    let Some(Record::End(last)) = found.records.pop() else {
        panic!("the flight's end is the last record");
    };
    assert_eq!((last.state, last.totals), (end.outcome.state, end.totals));
    let mut log = Log::default();
    for record in found.records {
        if let Record::Product(product) = record {
            log.take(product);
        }
    }
    let products = flight.products();
    let fixes: Vec<_> = std::iter::from_fn(|| products.fixes.pop()).collect();
    let readings: Vec<_> = std::iter::from_fn(|| products.readings.pop()).collect();
    let frames: Vec<_> = std::iter::from_fn(|| products.frames.pop()).collect();
    let lines: Vec<_> = std::iter::from_fn(|| products.lines.pop()).collect();
    assert_eq!(log.fixes, fixes);
    assert_eq!(format!("{:?}", log.readings), format!("{readings:?}"));
    assert_eq!(log.frames, frames);
    assert_eq!(log.lines, lines);

    // A spool is never written over, and the bench is given back.
    let bench = SimulatedBench::starting_at(common::bench(5), &FaultScript::default(), Nanos::ZERO);
    let (give, given) = std::sync::mpsc::channel();
    let refused = virtual_time::start(&setup, bench, Nanos::ZERO, move |bench, _| {
        let _ = give.send(bench);
    });
    assert!(matches!(refused, Err(EngineError::Spool(_))));
    assert!(given.recv().is_ok());
    assert_eq!(std::fs::read(&path).expect("the spool"), bytes);
}

// -- the format as it is written down --------------------------------------------------

/// Returns the bytes of a payload by a row of the format's table; text at its end is none.
fn documented(row: &str) -> usize {
    let mut size = 0;
    let mut kind = 0;
    for item in row.split([',', ';']) {
        let words = item
            .trim()
            .rsplit_once(": ")
            .map_or(item.trim(), |(_, last)| last);
        if words == "place" {
            size += 2 * 3 * 8;
            continue;
        }
        if words == "UTF-8 to the end" {
            continue;
        }
        let (times, rest) = words.split_once(" × ").unwrap_or(("1", words));
        let times: usize = times.parse().unwrap_or(1);
        kind = match rest.split(' ').next() {
            Some("u8") => 1,
            Some("u32" | "i32") => 4,
            Some("u64" | "i64" | "f64") => 8,
            _ => kind,
        };
        size += times * kind;
    }
    size
}

#[test]
fn each_record_is_as_long_as_the_table_of_the_format_says() {
    let table = include_str!("../src/spool.rs");
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("//! | ")?.split(" | ").collect();
        let [kind, payload] = cells[..] else {
            return None;
        };
        let kind: u8 = kind.split(' ').next()?.parse().ok()?;
        Some((kind, documented(payload.trim_end_matches(" |"))))
    });
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 6, "{rows:?}");
    let mut draws = Draws::seeded(1);
    let products = [
        draws.draw(fix()),
        draws.draw(reading()),
        draws.draw(frame()),
        draws.draw(line()),
    ];
    let bytes = spooled("", &products);
    let mut rest = &bytes[12..];
    let mut seen = 0;
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().expect("four bytes")) as usize;
        let kind = rest[4];
        let (_, expected) = rows[usize::from(kind)];
        let text = if kind == 5 { end().cause.len() } else { 0 };
        assert_eq!(length, expected + text, "kind {kind}");
        seen |= 1 << kind;
        rest = &rest[4 + 1 + length + 4..];
    }
    assert_eq!(seen, 0b11_1111, "every kind is there");
}

#[test]
fn each_flush_hands_its_bytes_to_the_disk_itself() {
    let disk = Disk::default();
    let products = some_products();
    spool(&disk, "note", &products).expect("a disk that works");
    // The header, each third product, and the end.
    let flushes = 1 + products.len().div_ceil(3) + 1;
    assert!(disk.0.borrow().syncs >= flushes, "{:?}", disk.0.borrow());
}
