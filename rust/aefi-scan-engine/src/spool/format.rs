//! Records to bytes and back; no file, no clock.

use crate::ledger::FrameState;
use crate::outcome::FlightState;
use crate::records::{EndedFrame, EndedLine, Estimate, Fix, PlacedReading, Product, Reading};
use crate::units::{Axis, Nanos, Steps};

const MAGIC: [u8; 8] = *b"AEFISPL\n";
const VERSION: u32 = 2;
const HEADER: u8 = 0;
/// Length and kind, which stand before a payload.
const FRAME_HEAD: usize = 5;

/// What a spool begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// An instant of the flight's clock.
    pub anchor: Nanos,
    /// The same instant in UTC, since 1970.
    pub anchor_utc: Nanos,
    /// When the flight began, by its clock.
    pub began: Nanos,
    /// What the caller wants kept.
    pub note: String,
}

/// How a flight ended, as its spool keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEnd {
    /// The final state.
    pub state: FlightState,
    /// Frames by state, by code.
    pub totals: [u64; 7],
    /// When it ended.
    pub ended: Nanos,
    /// Whether the excitation is known to be off.
    pub excitation_off: bool,
    /// Why it ended before its last frame; empty if it did not.
    pub cause: String,
}

/// One record of a spool.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// What the correlator handed out.
    Product(Product),
    /// The flight's end: nothing follows.
    End(RecordedEnd),
}

/// What a spool holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// Its beginning.
    pub header: Header,
    /// Its records, up to the first frame that is not whole.
    pub records: Vec<Record>,
    /// Bytes behind the last record, which were left out.
    pub torn: u64,
}

/// Why a file is no spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// It begins otherwise.
    #[error("it does not begin as a spool does")]
    NotASpool,
    /// Another version wrote it.
    #[error("it has version {0}, known is {VERSION}")]
    Version(u32),
    /// Its header is cut short or damaged.
    #[error("its header is cut short or damaged")]
    Header,
}

/// Returns what a spool holds; a tail that is no whole frame is left out.
///
/// # Errors
///
/// If the header can't be read.
pub fn decode(bytes: &[u8]) -> Result<Contents, FormatError> {
    let mut records = Vec::new();
    let (header, torn) = decode_each(bytes, &mut |record| records.push(record))?;
    Ok(Contents {
        header,
        records,
        torn,
    })
}

/// The same, record by record: a record kept among others takes the room of the largest.
/// Returns the beginning, and how many bytes were left out at the end.
///
/// # Errors
///
/// If the header can't be read.
pub fn decode_each(
    bytes: &[u8],
    take: &mut dyn FnMut(Record),
) -> Result<(Header, u64), FormatError> {
    let mut rest = bytes;
    if <[u8; 8]>::take(&mut rest) != Some(MAGIC) {
        return Err(FormatError::NotASpool);
    }
    match u32::take(&mut rest) {
        Some(VERSION) => {}
        Some(other) => return Err(FormatError::Version(other)),
        None => return Err(FormatError::Header),
    }
    let header = match take_frame(&mut rest) {
        Some((HEADER, payload)) => whole::<Header>(payload).ok_or(FormatError::Header)?,
        _ => return Err(FormatError::Header),
    };
    let mut torn = rest.len();
    while let Some(record) = take_record(&mut rest) {
        torn = rest.len();
        let is_last = matches!(record, Record::End(_));
        take(record);
        if is_last {
            break;
        }
    }
    Ok((header, torn as u64))
}

/// Appends the beginning of a file to `out`.
pub(super) fn put_header(header: &Header, out: &mut Vec<u8>) {
    MAGIC.put(out);
    VERSION.put(out);
    put_frame(HEADER, header, out);
}

/// Appends a product's frame to `out`.
pub(super) fn put_product(product: &Product, out: &mut Vec<u8>) {
    match product {
        Product::Fix(fix) => put_frame(1, fix, out),
        Product::Reading(reading) => put_frame(2, reading, out),
        Product::Frame(frame) => put_frame(3, frame, out),
        Product::Line(line) => put_frame(4, line, out),
    }
}

/// Appends the last frame to `out`.
pub(super) fn put_end(end: &RecordedEnd, out: &mut Vec<u8>) {
    put_frame(5, end, out);
}

/// Returns the length of the whole frames at the beginning of `bytes`, and their
/// number.
pub(super) fn whole_frames(bytes: &[u8]) -> (usize, u64) {
    let (mut rest, mut length, mut count) = (bytes, 0, 0);
    while take_frame(&mut rest).is_some() {
        length = bytes.len() - rest.len();
        count += 1;
    }
    (length, count)
}

fn take_record(rest: &mut &[u8]) -> Option<Record> {
    let (kind, payload) = take_frame(rest)?;
    Some(match kind {
        1 => Record::Product(Product::Fix(whole(payload)?)),
        2 => Record::Product(Product::Reading(whole(payload)?)),
        3 => Record::Product(Product::Frame(whole(payload)?)),
        4 => Record::Product(Product::Line(whole(payload)?)),
        5 => Record::End(whole(payload)?),
        _ => return None,
    })
}

/// Returns kind and payload of the frame at the beginning of `rest`, if it is whole.
fn take_frame<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let mut ahead = *rest;
    let length = u32::take(&mut ahead)? as usize;
    let (checked, mut ahead) = ahead.split_at_checked(length.checked_add(1)?)?;
    if u32::take(&mut ahead)? != crc32fast::hash(checked) {
        return None;
    }
    *rest = ahead;
    Some((checked[0], &checked[1..]))
}

fn put_frame(kind: u8, payload: &impl Wire, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0, 0, 0, 0, kind]);
    payload.put(out);
    let length = (out.len() - start - FRAME_HEAD) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32fast::hash(&out[start + FRAME_HEAD - 1..]);
    out.extend(checksum.to_le_bytes());
}

/// Returns the value that `payload` is, to its last byte.
fn whole<T: Wire>(payload: &[u8]) -> Option<T> {
    let mut rest = payload;
    let value = T::take(&mut rest)?;
    rest.is_empty().then_some(value)
}

/// A value that has its bytes.
trait Wire: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(rest: &mut &[u8]) -> Option<Self>;
}

macro_rules! wire_numbers {
    ($($number:ty),*) => {$(
        impl Wire for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend(self.to_le_bytes());
            }
            fn take(rest: &mut &[u8]) -> Option<Self> {
                let (bytes, ahead) = rest.split_first_chunk()?;
                *rest = ahead;
                Some(Self::from_le_bytes(*bytes))
            }
        }
    )*};
}

wire_numbers!(u8, u32, u64, i32, i64, f64);

/// A value that is written as another one; what has no way back is refused.
macro_rules! wire_as {
    ($($value:ty: $raw:ty, $to:expr, $from:expr;)*) => {$(
        impl Wire for $value {
            fn put(&self, out: &mut Vec<u8>) {
                let to: fn(&Self) -> $raw = $to;
                to(self).put(out);
            }
            fn take(rest: &mut &[u8]) -> Option<Self> {
                let from: fn($raw) -> Option<Self> = $from;
                from(<$raw>::take(rest)?)
            }
        }
    )*};
}

wire_as! {
    Nanos: i64, |value| value.0, |raw| Some(Self(raw));
    Steps: i64, |value| value.0, |raw| Some(Self(raw));
    usize: u64, |value| *value as u64, |raw| raw.try_into().ok();
    Option<usize>: i64, |value| value.map_or(-1, |frame| frame as i64), |raw| match raw {
        -1 => Some(None),
        _ => usize::try_from(raw).ok().map(Some),
    };
    Option<Nanos>: i64, |value| value.map_or(i64::MIN, |at| at.0), |raw| {
        Some((raw != i64::MIN).then_some(Nanos(raw)))
    };
    bool: u8, |value| u8::from(*value), |raw| (raw < 2).then_some(raw == 1);
    Axis: u8, |value| value.index() as u8, |raw| Self::BOTH.get(usize::from(raw)).copied();
    FrameState: u8, |value| value.code(), |raw| Self::ALL.get(usize::from(raw)).copied();
    FlightState: u8, |value| *value as u8, |raw| Self::ALL.get(usize::from(raw)).copied();
}

impl<T: Wire + Copy, const N: usize> Wire for [T; N] {
    fn put(&self, out: &mut Vec<u8>) {
        for item in self {
            item.put(out);
        }
    }
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let mut items = [T::take(rest)?; N];
        for item in &mut items[1..] {
            *item = T::take(rest)?;
        }
        Some(items)
    }
}

/// Text goes to the end of its payload.
impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.as_bytes());
    }
    fn take(rest: &mut &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(std::mem::take(rest)).ok()?;
        Some(text.to_owned())
    }
}

/// A structure is its fields, in this order.
macro_rules! wire_structs {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }
            fn take(rest: &mut &[u8]) -> Option<Self> {
                $(let $field = Wire::take(rest)?;)*
                Some(Self { $($field),* })
            }
        }
    )*};
}

wire_structs! {
    Header { anchor, anchor_utc, began, note }
    Fix { axis, sent, received, earliest, latest, counts, flags }
    Reading { sent, received, earliest, latest, codes, due, aim }
    Estimate { position, low, high }
    PlacedReading { reading, place, frame, flags }
    EndedFrame { frame, line, pass, state, count, at, late, place, mean, deviation }
    EndedLine {
        line, pass, turnaround_from, began, entered, left, ended,
        ok, not_ok, readings, fixes, exchanges, link, period,
    }
    RecordedEnd { state, totals, ended, excitation_off, cause }
}
