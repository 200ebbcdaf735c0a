//! From bytes to commands: a letter, a decimal number, `*` (§1.1).

/// No command is longer; what is longer is noise.
const LONGEST: usize = 32;

/// What the host asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `a<addr>*`
    Select(u16),
    /// `d<value>*`
    Write(u16),
    /// `m<n>*` with n in 1 to 127
    Acquire(u8),
    /// Anything else that ended with `*`.
    NotUnderstood,
}

/// Collects bytes until a command is whole.
#[derive(Debug, Clone, Default)]
pub struct Parser {
    text: Vec<u8>,
}

impl Parser {
    /// Takes one byte; returns the command that it ends.
    pub fn push(&mut self, byte: u8) -> Option<Command> {
        if byte == b'*' {
            let command = parse(&self.text);
            self.text.clear();
            return Some(command);
        }
        if self.text.len() == LONGEST {
            self.text.clear();
        }
        self.text.push(byte);
        None
    }
}

/// What precedes the last letter is left over from an aborted command.
fn parse(text: &[u8]) -> Command {
    let whole = text
        .iter()
        .rposition(u8::is_ascii_lowercase)
        .and_then(|letter| {
            let digits = str::from_utf8(&text[letter + 1..]).ok()?;
            let number: u16 = digits.trim_end_matches(['\r', '\n']).parse().ok()?;
            command(text[letter], number)
        });
    whole.unwrap_or(Command::NotUnderstood)
}

fn command(letter: u8, number: u16) -> Option<Command> {
    match letter {
        b'a' => Some(Command::Select(number)),
        b'd' => Some(Command::Write(number)),
        // m0 and m128 are open (§1.1): taken as not understood.
        b'm' => u8::try_from(number)
            .ok()
            .filter(|n| (1..=127).contains(n))
            .map(Command::Acquire),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Command, Parser};

    fn commands(bytes: &[u8]) -> Vec<Command> {
        let mut parser = Parser::default();
        bytes.iter().filter_map(|b| parser.push(*b)).collect()
    }

    #[test]
    fn several_commands_in_one_write_are_all_found() {
        assert_eq!(
            commands(b"a14*d32*m127*"),
            [
                Command::Select(14),
                Command::Write(32),
                Command::Acquire(127)
            ]
        );
    }

    #[test]
    fn the_rest_of_an_aborted_command_is_skipped() {
        assert_eq!(commands(b"m1a14*"), [Command::Select(14)]);
    }

    #[test]
    fn what_is_no_command_is_still_answered() {
        for text in [
            &b"*"[..],
            b"m0*",
            b"m128*",
            b"m*",
            b"x1*",
            b"d70000*",
            b"\xff*",
        ] {
            assert_eq!(commands(text), [Command::NotUnderstood], "{text:?}");
        }
    }
}
