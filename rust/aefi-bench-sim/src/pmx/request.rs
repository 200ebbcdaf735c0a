//! A command taken apart, as far as all commands are alike.

use super::refusal::Refusal;
use crate::motion::Axis;

/// `NAME` or `NAME=value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) text: &'a str,
    pub(super) name: &'a str,
    value: Option<&'a str>,
}

impl<'a> Request<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        Self { text, name, value }
    }

    /// Returns the number after `=`, `None` without `=`.
    pub(super) fn number(&self) -> Result<Option<i64>, Refusal> {
        self.value
            .map(|value| integer(value).ok_or(Refusal::NotUnderstood))
            .transpose()
    }

    pub(super) fn value(&self) -> Option<&'a str> {
        self.value
    }

    /// Returns the axis if the name is `prefix` and an axis letter.
    pub(super) fn axis_after(&self, prefix: &str) -> Option<Axis> {
        single_axis(self.name.strip_prefix(prefix)?)
    }

    /// Returns the index if the name is `prefix` and digits.
    pub(super) fn index_after(&self, prefix: &str) -> Option<usize> {
        let digits = self.name.strip_prefix(prefix)?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            digits.parse().ok()
        } else {
            None
        }
    }
}

pub(super) fn single_axis(text: &str) -> Option<Axis> {
    let mut letters = text.chars();
    let axis = Axis::from_letter(letters.next()?)?;
    letters.next().is_none().then_some(axis)
}

/// Returns the axis at the front of `text`, and what follows it.
pub(super) fn leading_axis(text: &str) -> Option<(Axis, &str)> {
    let letter = text.chars().next()?;
    Some((Axis::from_letter(letter)?, &text[letter.len_utf8()..]))
}

/// Leading zeros and `+` are taken, blanks are not (open in the reference, §14.9).
pub(super) fn integer(text: &str) -> Option<i64> {
    let number = text.parse::<i64>().ok()?;
    i32::try_from(number).is_ok().then_some(number)
}

/// Returns the targets in `X1000Y-20`, each axis at most once.
pub(super) fn targets(text: &str) -> Option<Vec<(Axis, i64)>> {
    let mut rest = text;
    let mut found: Vec<(Axis, i64)> = Vec::new();
    while !rest.is_empty() {
        let (axis, tail) = leading_axis(rest)?;
        let end = tail.find(char::is_alphabetic).unwrap_or(tail.len());
        found.push((axis, integer(&tail[..end])?));
        rest = &tail[end..];
    }
    let once = Axis::ALL
        .iter()
        .all(|axis| found.iter().filter(|(a, _)| a == axis).count() < 2);
    (once && !found.is_empty()).then_some(found)
}
