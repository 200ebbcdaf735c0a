//! The microcontroller in front of the converters and the signal generator.
//!
//! A request is a letter, a decimal number and `*`; replies are lines ended by LF.
//! `m<n>*` is answered by a confirmation and a line of eight codes, `a<addr>*` and
//! `d<value>*` by one line of no content (acquisition reference §1, §2).

use std::fmt::Write as _;

use super::{ProtocolError, Request, integer};
use crate::units::Nanos;

/// Ends a reply line.
pub const TERMINATOR: u8 = b'\n';

/// Codes in a data line.
pub const CODES: usize = 8;

/// The converter's range: 24 bits, two's complement.
const CODE_LIMIT: i64 = 1 << 23;

/// Conversions averaged into one reading; 1 to 127.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Averaging(u8);

impl Averaging {
    /// Returns the averaging over `conversions`, or `None` outside 1 to 127.
    #[must_use]
    pub const fn new(conversions: u8) -> Option<Self> {
        match conversions {
            1..=127 => Some(Self(conversions)),
            _ => None,
        }
    }

    /// Returns the number of conversions.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

fn request(letter: char, number: u32, lines: usize, allowance: Nanos) -> Request {
    let mut request = Request::new(lines, allowance);
    write!(request, "{letter}{number}*").expect("no command is that long");
    request
}

/// Returns the request for one reading.
#[must_use]
pub fn measure(averaging: Averaging, allowance: Nanos) -> Request {
    request('m', u32::from(averaging.0), 2, allowance)
}

/// Returns the request that selects a register.
#[must_use]
pub fn select(address: u16, allowance: Nanos) -> Request {
    request('a', u32::from(address), 1, allowance)
}

/// Returns the request that writes the selected register.
#[must_use]
pub fn write(value: u16, allowance: Nanos) -> Request {
    request('d', u32::from(value), 1, allowance)
}

/// Returns the number in a confirmation line: `m=`, blanks, digits.
#[must_use]
pub fn confirmation(line: &[u8]) -> Option<i64> {
    let number = without_return(line).strip_prefix(b"m=")?;
    let blanks = number.iter().take_while(|byte| **byte == b' ').count();
    integer(&number[blanks..])
}

/// Returns whether `line` may acknowledge a select or a write: what it says is not
/// known, but it is neither a confirmation nor a line of codes.
#[must_use]
pub fn acknowledges(line: &[u8]) -> bool {
    confirmation(line).is_none() && !line.contains(&b'\t')
}

/// Whether a CR precedes the LF is not known (acquisition reference §1).
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Returns the codes of the data line in `reply`, two lines without terminators.
///
/// # Errors
///
/// If the confirmation is missing, the data line has not eight integers, or a code
/// is outside 24 bits.
pub fn reading(reply: &[u8]) -> Result<[i32; CODES], ProtocolError> {
    parse(reply).ok_or_else(|| ProtocolError::Unexpected {
        command: "m".to_owned(),
        expected: "a confirmation and eight codes of 24 bits",
        reply: String::from_utf8_lossy(reply).into_owned(),
    })
}

/// Returns whether `code` is an end of the converter's range: the voltage is beyond.
#[must_use]
pub fn is_at_rail(code: i32) -> bool {
    [-CODE_LIMIT, CODE_LIMIT - 1].contains(&i64::from(code))
}

fn parse(reply: &[u8]) -> Option<[i32; CODES]> {
    let mut lines = reply.split(|byte| *byte == TERMINATOR);
    confirmation(lines.next()?)?;
    let data = without_return(lines.next()?);
    codes(data.strip_suffix(b"\t").unwrap_or(data))
}

fn codes(line: &[u8]) -> Option<[i32; CODES]> {
    let mut codes = [0; CODES];
    let mut count = 0;
    for field in line.split(|byte| *byte == b'\t') {
        let code = integer(field).filter(|code| (-CODE_LIMIT..CODE_LIMIT).contains(code))?;
        *codes.get_mut(count)? = code as i32;
        count += 1;
    }
    (count == CODES).then_some(codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGACY: &[u8] = b"m=  127\n3789\t3181\t3071\t3113\t1666\t1987\t2351\t2212\t";

    #[test]
    fn requests_are_those_of_the_reference_vectors() {
        let ten = Averaging::new(10).expect("in range");
        assert_eq!(measure(ten, Nanos::ZERO).bytes(), [0x6D, 0x31, 0x30, 0x2A]);
        assert_eq!(select(62, Nanos::ZERO).bytes(), b"a62*");
        assert_eq!(write(6291, Nanos::ZERO).bytes(), b"d6291*");
        assert_eq!(Averaging::new(0), None);
        assert_eq!(Averaging::new(128), None);
    }

    #[test]
    fn the_recorded_data_line_is_understood() {
        assert_eq!(
            reading(LEGACY),
            Ok([3789, 3181, 3071, 3113, 1666, 1987, 2351, 2212])
        );
        let july = b"m=   10\r\n-1722\t-2517\t-137\t-3476\t-1968\t3794\t-875448\t-875721\t\r";
        assert_eq!(reading(july).expect("eight codes")[7], -875_721);
    }

    #[test]
    fn no_number_is_invented_from_a_damaged_line() {
        for line in [
            &b"m=  127\n1\t2\t3\t4\t5\t6\t7"[..],
            b"m=  127\n1\t2\t3\t4\t5\t6\t7\t8388608\t",
            b"m=  127\n1\t2\t3\t4\t5\t6\t7\t8\t9\t",
            b"m=  127\n1\t2\t\t4\t5\t6\t7\t8\t",
            b"1\t2\t3\t4\t5\t6\t7\t8\t\nm=  127",
            b"\n",
            b"",
        ] {
            assert!(reading(line).is_err(), "{line:?}");
        }
    }
}
