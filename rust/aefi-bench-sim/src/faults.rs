//! Fault scripts: what goes wrong, on which link, and when.
//!
//! One fault a line, `#` begins a comment:
//!
//! ```text
//! at 1.5s do lose-reply stage
//! at n42 do delay-reply 300 acquisition
//! at 3s do limit
//! ```
//!
//! Seconds count from the start of the bench; `n42` is the 42nd command of the
//! link. A fault of a reply hits the first reply from its moment on. Without a
//! link it is the one the fault belongs to, else the stage.

use std::borrow::Cow;
use std::str::FromStr;

use aefi_scan_engine::{Link, Nanos};

/// What can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `lose-reply`: the command is carried out, the reply is not sent.
    LoseReply,
    /// `delay-reply [ms]`: the reply comes later, by 1000 ms if not said.
    DelayReply(Nanos),
    /// `garble-reply`: one byte in the middle has its highest bit set.
    GarbleReply,
    /// `cut-reply`: only the first half comes, without the end of line.
    CutReply,
    /// `double-reply`: the reply comes twice.
    DoubleReply,
    /// `flip-digit [n]`: the last digit of the reply becomes another one; n says which.
    FlipDigit(u32),
    /// `double-late [us]`: the reply comes again so much later, by 1500 us if not said.
    DoubleLate(Nanos),
    /// `lose-replies`: no reply comes any more, but commands are carried out.
    LoseReplies,
    /// `lose-request`: the command does not arrive.
    LoseRequest,
    /// `flip-request [n]`: one bit of the command is flipped on its way; n says which.
    FlipRequest(u32),
    /// `double-request`: the command arrives twice.
    DoubleRequest,
    /// `cut-request`: the first half of the command arrives, with its end.
    CutRequest,
    /// `hand-jog [steps]`: another client sends the axis that rests elsewhere, by 735
    /// steps if not said.
    HandJog(i64),
    /// `hand-stop`: another client sends `STOP`.
    HandStop,
    /// `hand-abort`: another client sends `ABORT`.
    HandAbort,
    /// `silence`: nothing is answered any more, commands are not carried out.
    Silence,
    /// `limit`: the switch ahead of the moving axis closes, until `CLRa`.
    Limit,
    /// `alarm`: the alarm input of the moving axis is on, until `CLRa`.
    Alarm,
    /// `errored`: the controller refuses moves with `?ERRORED` from now on.
    Errored,
    /// `power-cycle`: the controller goes off and on.
    PowerCycle,
    /// `hang-up`: the link is gone.
    HangUp,
    /// `wrong-identity`: another device answers `DN` and `VER`.
    WrongIdentity,
    /// `ignore-stop`: the next `STOP` or `ABORT` is answered but not obeyed.
    IgnoreStop,
    /// `stall-detector [ms]`: the microcontroller does nothing, 10 000 ms long if
    /// not said.
    StallDetector(Nanos),
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long after the start of the bench.
    After(Nanos),
    /// With the command of this number on the link, counted from 1.
    Command(u64),
}

impl Moment {
    /// Returns whether it has come `at` a time of a bench that began at `start`, with
    /// the command of this number.
    fn has_come(self, start: Nanos, at: Nanos, command: u64) -> bool {
        match self {
            Self::After(span) => start + span <= at,
            Self::Command(count) => count <= command,
        }
    }
}

/// One line of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptedFault {
    /// When it strikes.
    pub moment: Moment,
    /// What it is.
    pub fault: Fault,
    /// Where it strikes.
    pub link: Link,
}

/// All the faults of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FaultScript {
    /// The faults in the order of the script.
    pub faults: Vec<ScriptedFault>,
}

/// A line of a script is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: expected \"at <seconds>s|n<count> do <fault> [ms] [link]\", received {text:?}"
)]
pub struct FaultScriptError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl FromStr for FaultScript {
    type Err = FaultScriptError;

    fn from_str(script: &str) -> Result<Self, Self::Err> {
        let parse = |(index, text): (usize, &str)| {
            let words: Vec<&str> = text.split('#').next()?.split_whitespace().collect();
            let fault = (!words.is_empty()).then(|| scripted(&words))?;
            Some(fault.ok_or_else(|| FaultScriptError {
                line: index + 1,
                text: text.to_owned(),
            }))
        };
        let faults = script.lines().enumerate().filter_map(parse);
        Ok(Self {
            faults: faults.collect::<Result<_, _>>()?,
        })
    }
}

fn scripted(words: &[&str]) -> Option<ScriptedFault> {
    let ["at", moment, "do", name, rest @ ..] = words else {
        return None;
    };
    let (ms, rest) = match rest.first().and_then(|word| word.parse().ok()) {
        Some(ms) => (Some(ms), &rest[1..]),
        None => (None, rest),
    };
    let fault = fault(name, ms)?;
    let link = match rest {
        [] => fault.home(),
        ["stage"] => Link::Stage,
        ["acquisition"] => Link::Acquisition,
        _ => return None,
    };
    Some(ScriptedFault {
        moment: self::moment(moment)?,
        fault,
        link,
    })
}

fn moment(word: &str) -> Option<Moment> {
    if let Some(count) = word.strip_prefix('n') {
        return Some(Moment::Command(count.parse().ok()?));
    }
    let seconds: f64 = word.strip_suffix('s')?.parse().ok()?;
    (seconds >= 0.0).then(|| Moment::After(Nanos::from_secs_f64(seconds)))
}

fn fault(name: &str, ms: Option<i64>) -> Option<Fault> {
    let span = |default| Nanos::from_millis(ms.unwrap_or(default).max(0));
    let number = || u32::try_from(ms.unwrap_or(0)).ok();
    let fault = match name {
        "flip-digit" => return Some(Fault::FlipDigit(number()?)),
        "double-late" => {
            let us = ms.unwrap_or(1500).max(0);
            return Some(Fault::DoubleLate(Nanos::from_micros(us)));
        }
        "flip-request" => return Some(Fault::FlipRequest(number()?)),
        "hand-jog" => return Some(Fault::HandJog(ms.unwrap_or(735))),
        "lose-replies" => Fault::LoseReplies,
        "lose-request" => Fault::LoseRequest,
        "double-request" => Fault::DoubleRequest,
        "cut-request" => Fault::CutRequest,
        "hand-stop" => Fault::HandStop,
        "hand-abort" => Fault::HandAbort,
        "delay-reply" => return Some(Fault::DelayReply(span(1000))),
        "stall-detector" => return Some(Fault::StallDetector(span(10_000))),
        "lose-reply" => Fault::LoseReply,
        "garble-reply" => Fault::GarbleReply,
        "cut-reply" => Fault::CutReply,
        "double-reply" => Fault::DoubleReply,
        "silence" => Fault::Silence,
        "limit" => Fault::Limit,
        "alarm" => Fault::Alarm,
        "errored" => Fault::Errored,
        "power-cycle" => Fault::PowerCycle,
        "hang-up" => Fault::HangUp,
        "wrong-identity" => Fault::WrongIdentity,
        "ignore-stop" => Fault::IgnoreStop,
        _ => return None,
    };
    ms.is_none().then_some(fault)
}

impl Fault {
    fn home(self) -> Link {
        match self {
            Self::StallDetector(_) => Link::Acquisition,
            _ => Link::Stage,
        }
    }

    /// Returns whether it waits for a reply instead of striking by itself.
    fn is_of_a_reply(self) -> bool {
        matches!(
            self,
            Self::LoseReply
                | Self::DelayReply(_)
                | Self::GarbleReply
                | Self::CutReply
                | Self::DoubleReply
                | Self::DoubleLate(_)
                | Self::FlipDigit(_)
        )
    }

    /// Returns whether it waits for a request.
    fn is_of_a_request(self) -> bool {
        matches!(
            self,
            Self::LoseRequest | Self::FlipRequest(_) | Self::DoubleRequest | Self::CutRequest
        )
    }
}

/// The faults of one link that are still to come, and those in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkFaults {
    start: Nanos,
    waiting: Vec<ScriptedFault>,
    commands: u64,
    pub(crate) is_silent: bool,
    pub(crate) loses_replies: bool,
    pub(crate) is_hung_up: bool,
}

impl LinkFaults {
    pub(crate) fn new(script: &FaultScript, link: Link, start: Nanos) -> Self {
        let faults = script.faults.iter().copied();
        Self {
            start,
            waiting: faults.filter(|fault| fault.link == link).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn count_command(&mut self) {
        self.commands += 1;
    }

    /// Takes the next fault that strikes by itself until `at`, and when.
    pub(crate) fn strike(&mut self, at: Nanos) -> Option<(Nanos, Fault)> {
        let due = |fault: &ScriptedFault| match fault.moment {
            Moment::After(span) => Some(self.start + span).filter(|due| *due <= at),
            Moment::Command(count) => (count <= self.commands).then_some(at),
        };
        let striking = self.waiting.iter().enumerate();
        let (index, when) = striking
            .filter(|(_, scripted)| {
                !scripted.fault.is_of_a_reply() && !scripted.fault.is_of_a_request()
            })
            .filter_map(|(index, scripted)| Some((index, due(scripted)?)))
            .min_by_key(|(_, when)| *when)?;
        let fault = self.waiting.remove(index).fault;
        self.is_silent |= matches!(fault, Fault::Silence);
        self.loses_replies |= matches!(fault, Fault::LoseReplies);
        self.is_hung_up |= matches!(fault, Fault::HangUp);
        Some((when, fault))
    }

    /// Returns what arrives of the request that is written at `at`: it ends with `end`.
    pub(crate) fn damaged<'a>(&mut self, at: Nanos, request: &'a [u8], end: u8) -> Cow<'a, [u8]> {
        if self.waiting.is_empty() {
            return Cow::Borrowed(request);
        }
        let mut bytes = request.to_vec();
        let (start, next) = (self.start, self.commands + 1);
        self.waiting.retain(|scripted| {
            let due = scripted.moment.has_come(start, at, next);
            let strikes = due && scripted.fault.is_of_a_request() && bytes.last() == Some(&end);
            if strikes {
                damage(&mut bytes, scripted.fault);
            }
            !strikes
        });
        Cow::Owned(bytes)
    }

    /// Takes the faults of the reply to a command at `at`.
    pub(crate) fn of_reply(&mut self, at: Nanos) -> ReplyFaults {
        let mut faults = ReplyFaults::default();
        if self.waiting.is_empty() {
            return faults;
        }
        let (start, commands) = (self.start, self.commands);
        self.waiting.retain(|scripted| {
            let due = scripted.moment.has_come(start, at, commands);
            if due && scripted.fault.is_of_a_reply() {
                faults.add(scripted.fault);
                return false;
            }
            true
        });
        faults
    }
}

/// Does to a request, whose last byte ends it, what the line may do.
fn damage(bytes: &mut Vec<u8>, fault: Fault) {
    let words = bytes.len() - 1;
    match fault {
        Fault::LoseRequest => bytes.clear(),
        Fault::DoubleRequest => bytes.extend_from_within(..),
        Fault::CutRequest => {
            bytes.drain(words / 2..words);
        }
        Fault::FlipRequest(n) => {
            let n = n as usize;
            bytes[n % words] ^= 1 << (n / words % 7);
        }
        _ => {}
    }
}

/// Makes the last digit of a reply another one.
fn flip_digit(bytes: &mut [u8], n: u32) {
    if let Some(digit) = bytes.iter_mut().rfind(|byte| byte.is_ascii_digit()) {
        let other = (u32::from(*digit - b'0') + 1 + n % 9) % 10;
        *digit = b'0' + other as u8;
    }
}

/// What happens to one reply: one way of spoiling it, and a delay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReplyFaults {
    spoiled: Option<Fault>,
    pub(crate) delay: Nanos,
    /// When it comes again after its end, if it does.
    pub(crate) again: Option<Nanos>,
}

impl ReplyFaults {
    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::DelayReply(span) => self.delay = self.delay + span,
            Fault::DoubleLate(span) => self.again = Some(span),
            _ => self.spoiled = Some(fault),
        }
    }

    /// Returns what is left of the reply.
    pub(crate) fn apply(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let middle = bytes.len() / 2;
        match self.spoiled {
            Some(Fault::LoseReply) => bytes.clear(),
            Some(Fault::GarbleReply) => bytes[middle] |= 0x80,
            Some(Fault::CutReply) => bytes.truncate(middle),
            Some(Fault::DoubleReply) => bytes.extend_from_within(..),
            Some(Fault::FlipDigit(n)) => flip_digit(&mut bytes, n),
            _ => {}
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Result<FaultScript, FaultScriptError> {
        text.parse()
    }

    #[test]
    fn a_script_is_read_line_by_line() {
        let text = "# first\nat 1.5s do lose-reply\n\nat n42 do delay-reply 300 acquisition # late\n\
                    at 0s do stall-detector";
        let faults = script(text).expect("is a script").faults;
        assert_eq!(
            faults,
            [
                ScriptedFault {
                    moment: Moment::After(Nanos::from_millis(1500)),
                    fault: Fault::LoseReply,
                    link: Link::Stage,
                },
                ScriptedFault {
                    moment: Moment::Command(42),
                    fault: Fault::DelayReply(Nanos::from_millis(300)),
                    link: Link::Acquisition,
                },
                ScriptedFault {
                    moment: Moment::After(Nanos::ZERO),
                    fault: Fault::StallDetector(Nanos::from_millis(10_000)),
                    link: Link::Acquisition,
                },
            ]
        );
    }

    #[test]
    fn a_hand_jogs_both_ways_and_a_delay_is_none_below_zero() {
        let faults = script("at 1s do hand-jog -20\nat 1s do delay-reply -5").expect("a script");
        let found: Vec<_> = faults
            .faults
            .iter()
            .map(|scripted| scripted.fault)
            .collect();
        let expected = [Fault::HandJog(-20), Fault::DelayReply(Nanos::ZERO)];
        assert_eq!(found, expected);
        assert!(script("at 1s do flip-digit -1").is_err());
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        for line in [
            "at 1.5 do silence",
            "at n1 do nothing",
            "at -1s do silence",
            "at 1s do silence 5",
            "at 1s do silence moon",
        ] {
            let error = script(&format!("\n{line}")).expect_err("is no script");
            assert_eq!((error.line, error.text.as_str()), (2, line));
        }
    }

    #[test]
    fn a_reply_fault_waits_for_the_first_reply_and_strikes_once() {
        let script = script("at 1s do garble-reply").expect("is a script");
        let mut faults = LinkFaults::new(&script, Link::Stage, Nanos::ZERO);
        assert_eq!(faults.of_reply(Nanos(5)), ReplyFaults::default());
        let struck = faults.of_reply(Nanos::from_millis(1200));
        assert_eq!(struck.apply(b"1234\r".to_vec()), b"12\xb34\r");
        let after = faults.of_reply(Nanos::from_millis(1300));
        assert_eq!(after, ReplyFaults::default());
    }
}
