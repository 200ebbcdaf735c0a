//! What damaged replies become: never a panic, never a number that was not sent.

use aefi_scan_engine::Axis;
use aefi_scan_engine::protocol::mcu;
use aefi_scan_engine::protocol::pmx::Command;
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000_000 / 64))]

    /// 64 inputs a case: a million in all.
    #[test]
    fn random_bytes_are_survived(
        inputs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 64)
    ) {
        for input in &inputs {
            parse_all(input);
        }
    }

    #[test]
    fn a_number_survives_the_round_trip(n in -134_217_728_i64..134_217_728) {
        let text = n.to_string();
        prop_assert_eq!(Command::Position(Axis::X).integer(text.as_bytes()), Ok(n));
    }
}
