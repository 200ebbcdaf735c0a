//! What damaged replies become: never a panic, never a number that was not sent.

use aefi_scan_engine::conversation::Conversation;
use aefi_scan_engine::machine::poll::Polling;
use aefi_scan_engine::protocol::pmx::Command;
use aefi_scan_engine::protocol::{integer, mcu};
use aefi_scan_engine::records::Fix;
use aefi_scan_engine::{Axis, Nanos, StageConfig};
use proptest::prelude::*;

const NUMBERS: [&[u8]; 4] = [b"0", b"27522", b"-1235", b"134217727"];
const POSITIONS: [&[u8]; 2] = [b"0:0:0:0", b"27522:-1235:0:0"];
const STATUS: [&[u8]; 3] = [
    b"0:0:0:0:0:0:0:36:0",
    b"4:0:0:0:0:0:0:36:0",
    b"288:2048:0:0:1:3:4:32:1",
];
const READINGS: [&[u8]; 2] = [
    b"m=  127\n3789\t3181\t3071\t3113\t1666\t1987\t2351\t2212\t",
    b"m=   10\r\n-1722\t-2517\t-137\t-3476\t-1968\t3794\t-875448\t-875721\t\r",
];

/// Asks every parser; returns what the numeric ones made of it, as text.
fn parse_all(reply: &[u8]) -> [Option<String>; 4] {
    let _ = Command::Stop.accepted(reply);
    [
        Command::Position(Axis::X)
            .integer(reply)
            .ok()
            .map(|n| n.to_string()),
        Command::Positions
            .positions(reply)
            .ok()
            .map(|p| p.map(|n| n.0.to_string()).join(":")),
        Command::Status.status(reply).ok().map(|s| format!("{s:?}")),
        mcu::reading(reply).ok().map(|codes| format!("{codes:?}")),
    ]
}

fn all_replies() -> impl Iterator<Item = &'static [u8]> {
    NUMBERS
        .into_iter()
        .chain(POSITIONS)
        .chain(STATUS)
        .chain(READINGS)
}

#[test]
fn a_cut_list_is_never_a_shorter_list() {
    for reply in POSITIONS.into_iter().chain(STATUS).chain(READINGS) {
        let whole = parse_all(reply);
        for end in 0..reply.len() {
            for (cut, whole) in parse_all(&reply[..end]).iter().zip(&whole) {
                // A cut last number has fewer digits; the fields before are the same.
                let (Some(cut), Some(_)) = (cut, whole) else {
                    continue;
                };
                let fields = |text: &str| text.split([':', ',']).count();
                assert_eq!(fields(cut), fields(whole.as_ref().expect("is some")));
            }
        }
    }
}

#[test]
fn a_changed_byte_makes_no_number_out_of_what_is_none() {
    for reply in all_replies() {
        for place in 0..reply.len() {
            for byte in 0..=u8::MAX {
                let mut changed = reply.to_vec();
                changed[place] = byte;
                let numeric = byte.is_ascii_digit() || b"-:\t\n\r m=".contains(&byte);
                let [integer, positions, ..] = parse_all(&changed);
                if !numeric {
                    assert_eq!(integer, None, "{changed:?}");
                    assert_eq!(positions, None, "{changed:?}");
                    assert!(mcu::reading(&changed).is_err(), "{changed:?}");
                }
                if let Some(text) = integer {
                    // What was parsed is what was sent, digit for digit.
                    let sent = String::from_utf8(changed.clone()).expect("ASCII");
                    let digits = |text: &str| {
                        let bare = text.trim_start_matches('-').trim_start_matches('0');
                        bare.to_owned()
                    };
                    assert_eq!(digits(&text), digits(&sent));
                }
            }
        }
    }
}

/// Bytes that a reply is made of, so that some inputs nearly are one.
fn wire_byte() -> impl Strategy<Value = u8> {
    prop::sample::select(&b"0123456789012345678901234567890123456789--::\t\t\n\r m=?OK"[..])
}

/// Numbers in a row, as many and as long as may come or a few more.
fn list() -> impl Strategy<Value = Vec<u8>> {
    let number = (any::<bool>(), 0..200_000_000_000_i64, 0..12_u32);
    let number = number.prop_map(|(negative, n, cut)| {
        let n = n / 10_i64.pow(cut);
        if negative { -n } else { n }.to_string()
    });
    let list = prop::collection::vec(number, 1..11);
    (list, prop::sample::select(vec![":", "\t"]), any::<bool>()).prop_map(
        |(list, by, confirmed)| {
            let confirmation = if confirmed { "m=   10\n" } else { "" };
            format!("{confirmation}{}", list.join(by)).into_bytes()
        },
    )
}

/// Every number that a parser made of `input` stands in it, digit for digit, and one
/// after the other.
fn check_nothing_invented(input: &[u8]) {
    for numbers in parse_all(input).into_iter().flatten() {
        let mut rest = input;
        for number in numbers.split(|c: char| c != '-' && !c.is_ascii_digit()) {
            let digits = number.trim_start_matches('-').as_bytes();
            let at = rest.windows(digits.len().max(1)).position(|w| w == digits);
            let Some(at) = at else {
                assert!(digits.is_empty(), "{number} invented from {input:?}");
                continue;
            };
            rest = &rest[at + digits.len()..];
        }
    }
}

/// Asks for one position after the other.
fn polling(byte_time: Nanos) -> Polling {
    let config = StageConfig {
        name: "4EX00".into(),
        address: 0,
        byte_time,
        allowance: Nanos::from_millis(100),
        status_period: Nanos::from_millis(500),
        reply_delay: Nanos::ZERO,
        host_watch_ms: 0,
    };
    Polling::new(config, Axis::X, Nanos::from_millis(1))
}

/// Returns the positions understood in what is fed to a conversation as replies.
fn overhear(input: &[u8]) -> Vec<i64> {
    let mut talk = Conversation::new(polling(Nanos::ZERO), Nanos::ZERO);
    let mut heard = Vec::new();
    let records = &mut |fix: Fix| heard.push(fix.counts.0);
    for byte in input {
        talk.drive(|| Nanos::ZERO, |_, _| Ok(()), records);
        talk.received(Nanos::ZERO, &[*byte], records);
    }
    heard
}

/// A reply that is complete so long after its request was written; whether it counts.
fn counts_after(span: Nanos) -> bool {
    let byte = Nanos(10_000_000_000 / 115_200);
    let mut talk = Conversation::new(polling(byte), byte);
    let mut heard = 0;
    let records = &mut |_| heard += 1;
    talk.drive(|| Nanos::ZERO, |_, _| Ok(()), records);
    talk.received(span, b"27522\r", records);
    assert_eq!(talk.health().stray_bytes > 0, heard == 0);
    heard == 1
}

#[test]
fn a_reply_faster_than_the_wire_is_a_copy_of_the_one_before() {
    let wire = Nanos(12 * 10_000_000_000 / 115_200);
    assert!(counts_after(wire));
    assert!(!counts_after(wire - Nanos::from_micros(1)));
}

#[test]
fn no_prefix_of_a_reply_is_a_reply() {
    for reply in NUMBERS {
        let line = [reply, b"\r"].concat();
        for end in 0..line.len() {
            assert_eq!(overhear(&line[..end]), [0_i64; 0], "{:?}", &line[..end]);
        }
        let whole = String::from_utf8(reply.to_vec()).expect("ASCII");
        assert_eq!(overhear(&line), [whole.parse::<i64>().expect("a number")]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000_000 / 64))]

    /// 64 inputs a case: a million in all, and as many that look like replies.
    #[test]
    fn random_bytes_are_survived(
        inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 64),
        likely in prop::collection::vec(prop::collection::vec(wire_byte(), 0..24), 32),
        lists in prop::collection::vec(list(), 32),
    ) {
        for input in inputs.iter().chain(&likely).chain(&lists) {
            check_nothing_invented(input);
        }
    }

    /// As many again through a whole conversation: a position is a line of its own.
    #[test]
    fn no_position_is_invented_from_random_bytes(
        inputs in prop::collection::vec(prop::collection::vec(wire_byte(), 0..24), 64),
    ) {
        for input in &inputs {
            let lines: Vec<_> = input.split(|byte| *byte == b'\r').collect();
            for counts in overhear(input) {
                let sent = |line: &&[u8]| integer(line) == Some(counts);
                prop_assert!(lines.iter().any(sent), "{counts} from {input:?}");
            }
        }
    }

    #[test]
    fn a_number_survives_the_round_trip(n in -134_217_728_i64..134_217_728) {
        let text = n.to_string();
        prop_assert_eq!(Command::Position(Axis::X).integer(text.as_bytes()), Ok(n));
    }
}
