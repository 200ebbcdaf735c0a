//! When the reply to a request that is repeated is likely to come.

use crate::protocol::Request;
use crate::units::Nanos;

/// How far the usual time follows one exchange, at most: a part of itself.
const PACE: i64 = 64;
/// At most this part of an exchange lies in the span on either side.
const SHARE: i64 = 4;

/// The usual round trip of a request that was asked twice in a row.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    last: Option<Request>,
    is_repeated: bool,
    /// About the median; zero before the first.
    usual: Nanos,
}

impl Rhythm {
    /// Takes notice of a request.
    pub(super) fn ask(&mut self, request: &Request) {
        let last = self.last.replace(*request);
        self.is_repeated = last.is_some_and(|last| last.bytes() == request.bytes());
    }

    /// Takes notice of its round trip.
    pub(super) fn took(&mut self, span: Nanos) {
        if !self.is_repeated {
            return;
        }
        let Nanos(usual) = self.usual;
        self.usual = if usual == 0 {
            span
        } else {
            let pace = usual / PACE;
            Nanos(usual + (span.0 - usual).clamp(-pace, pace))
        };
    }

    /// Returns the span around the likely end of the exchange that began at `sent`.
    pub(super) fn expected(&self, sent: Nanos, around: Nanos) -> Option<[Nanos; 2]> {
        let around = around.min(Nanos(self.usual.0 / SHARE));
        let at = sent + self.usual;
        let is_known = self.is_repeated && around > Nanos::ZERO;
        is_known.then(|| [at - around, at + around])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::pmx::Command;
    use crate::units::Axis;

    const AROUND: Nanos = Nanos::from_micros(100);

    fn request(axis: Axis) -> Request {
        Command::Position(axis).request(0, Nanos::ZERO)
    }

    fn asked(rhythm: &mut Rhythm, axis: Axis, micros: i64) {
        rhythm.ask(&request(axis));
        rhythm.took(Nanos::from_micros(micros));
    }

    #[test]
    fn a_request_that_is_repeated_is_expected_as_usual() {
        let mut rhythm = Rhythm::default();
        for micros in [2000, 2050, 1950, 2000, 9000, 2000, 2000] {
            asked(&mut rhythm, Axis::X, micros);
        }
        rhythm.ask(&request(Axis::X));
        let [from, until] = rhythm.expected(Nanos::ZERO, AROUND).expect("it is known");
        assert_eq!(until - from, Nanos::from_micros(200));
        let usual = Nanos(i64::midpoint(from.0, until.0));
        assert!((usual.0 - 2_000_000).abs() < 50_000, "{usual:?}");
    }

    #[test]
    fn another_request_is_not_expected_and_changes_nothing() {
        let mut rhythm = Rhythm::default();
        asked(&mut rhythm, Axis::X, 2000);
        asked(&mut rhythm, Axis::X, 2000);
        asked(&mut rhythm, Axis::Y, 5000);
        assert_eq!(rhythm.expected(Nanos::ZERO, AROUND), None);
        asked(&mut rhythm, Axis::Y, 2000);
        assert!(rhythm.expected(Nanos::ZERO, AROUND).is_some());
    }

    #[test]
    fn most_of_a_short_exchange_is_slept() {
        let mut rhythm = Rhythm::default();
        asked(&mut rhythm, Axis::X, 100);
        asked(&mut rhythm, Axis::X, 100);
        let [from, until] = rhythm.expected(Nanos::ZERO, AROUND).expect("it is known");
        assert_eq!(until - from, Nanos::from_micros(50));
        assert_eq!(rhythm.expected(Nanos::ZERO, Nanos::ZERO), None);
    }
}
