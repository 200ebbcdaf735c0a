//! The lines that the microcontroller answers (§2), in the form that is set.

use std::fmt::Write;

use super::Command;
use crate::settings::ReplyForm;

/// Writes reply lines.
#[derive(Debug, Clone)]
pub struct ReplyWriter {
    form: ReplyForm,
}

impl ReplyWriter {
    /// Returns a writer of lines of the form `form`.
    #[must_use]
    pub fn new(form: ReplyForm) -> Self {
        Self { form }
    }

    /// Returns the line that confirms a command: a number right-aligned in five
    /// places, as recorded for `m127*`.
    #[must_use]
    pub fn confirmation(&self, command: Command) -> String {
        let (letter, number) = match command {
            Command::Acquire(n) => ('m', u16::from(n)),
            Command::Select(address) => ('a', address),
            Command::Write(value) => ('d', value),
            Command::NotUnderstood => return self.line("?"),
        };
        match &self.form.register_line {
            Some(text) if letter != 'm' => self.line(text),
            _ => self.line(&format!("{letter}={number:>5}")),
        }
    }

    /// Returns the data line of eight codes.
    #[must_use]
    pub fn data(&self, codes: &[i32; 8]) -> String {
        let mut text = String::with_capacity(80);
        for code in codes.iter().take(self.form.values) {
            write!(text, "{code}\t").expect("writing to a string cannot fail");
        }
        if !self.form.trailing_tab {
            text.pop();
        }
        self.line(&text)
    }

    fn line(&self, text: &str) -> String {
        let end = if self.form.carriage_return {
            "\r\n"
        } else {
            "\n"
        };
        format!("{text}{end}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JULY: [i32; 8] = [-1722, -2517, -137, -3476, -1968, 3794, -875_448, -875_721];

    #[test]
    fn the_recorded_confirmation_is_met_byte_for_byte() {
        let writer = ReplyWriter::new(ReplyForm::default());
        assert_eq!(writer.confirmation(Command::Acquire(127)), "m=  127\n");
        assert_eq!(writer.confirmation(Command::Acquire(10)), "m=   10\n");
    }

    #[test]
    fn the_recorded_data_line_is_met_byte_for_byte() {
        let line = ReplyWriter::new(ReplyForm::default()).data(&JULY);
        assert_eq!(line.len(), 51);
        assert!(line.starts_with("-1722\t-2517\t") && line.ends_with("-875721\t\n"));
    }

    #[test]
    fn other_forms_can_be_had() {
        let writer = ReplyWriter::new(ReplyForm {
            carriage_return: true,
            trailing_tab: false,
            values: 6,
            register_line: Some(String::new()),
            ..ReplyForm::default()
        });
        assert!(writer.data(&JULY).ends_with("\t3794\r\n"));
        assert_eq!(writer.confirmation(Command::Select(14)), "\r\n");
    }
}
