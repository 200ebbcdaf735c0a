//! Commands to bytes and bytes to replies: no I/O, no clock, one file a device.

pub mod mcu;
pub mod pmx;

use std::fmt;

use crate::units::Nanos;

const CAPACITY: usize = 48;

/// One request and what its reply looks like on the wire.
#[derive(Clone, Copy)]
pub struct Request {
    bytes: [u8; CAPACITY],
    len: usize,
    /// Lines the device answers with.
    pub lines: usize,
    /// Time the device may take beyond the wire time of both directions.
    pub allowance: Nanos,
}

impl Request {
    /// Returns an empty request that is answered by `lines` lines.
    #[must_use]
    pub const fn new(lines: usize, allowance: Nanos) -> Self {
        Self {
            bytes: [0; CAPACITY],
            len: 0,
            lines,
            allowance,
        }
    }

    /// Returns the bytes to be written.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Write for Request {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({:?})", String::from_utf8_lossy(self.bytes()))
    }
}

/// What a reply failed to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The device refused the command.
    #[error("{command}: refused with {reply:?}")]
    Refused {
        /// The command as sent.
        command: String,
        /// The device's words.
        reply: String,
    },
    /// The reply has another form than the command's.
    #[error("{command}: expected {expected}, received {reply:?}")]
    Unexpected {
        /// The command as sent.
        command: String,
        /// The form that was expected.
        expected: &'static str,
        /// The reply, without its terminator.
        reply: String,
    },
}

/// Returns the integer that makes up all of `text`: an optional minus and one to
/// eleven digits, which is what both devices send.
#[must_use]
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if !(1..=11).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits
        .iter()
        .fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(if negative { -magnitude } else { magnitude })
}

/// Fills `into` with the integers between `separator`s and returns how many there
/// were, or `None` if one is no integer or there are more than `into` holds.
fn integers(text: &[u8], separator: u8, into: &mut [i64]) -> Option<usize> {
    let mut count = 0;
    for field in text.split(|byte| *byte == separator) {
        *into.get_mut(count)? = integer(field)?;
        count += 1;
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_a_sign_and_digits_and_nothing_else() {
        assert_eq!(integer(b"-1235"), Some(-1235));
        assert_eq!(integer(b"99999999999"), Some(99_999_999_999));
        for wrong in [&b""[..], b"-", b"+5", b" 5", b"5 ", b"1e3", b"123456789012"] {
            assert_eq!(integer(wrong), None, "{wrong:?}");
        }
    }
}
