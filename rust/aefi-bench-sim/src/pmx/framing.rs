//! From bytes to commands (§2.1): `@00PX` CR, or `PX` CR where bare lines count.

use crate::settings::Framing;

/// No command is longer; what is longer is noise.
const LONGEST: usize = 64;

#[derive(Debug, Clone)]
pub(super) struct Framer {
    framing: Framing,
    address: u8,
    line: String,
}

impl Framer {
    pub(super) fn new(framing: Framing, address: u8) -> Self {
        Self {
            framing,
            address,
            line: String::with_capacity(LONGEST),
        }
    }

    /// Takes one byte; returns a whole command that is meant for this device.
    pub(super) fn push(&mut self, byte: u8) -> Option<String> {
        match byte {
            b'\r' => self.command(),
            // A request cut short is forgotten: no command contains `@`.
            b'@' => self.restart(),
            _ => self.append(byte),
        }
    }

    fn restart(&mut self) -> Option<String> {
        self.line.clear();
        self.append(b'@')
    }

    fn append(&mut self, byte: u8) -> Option<String> {
        if self.line.len() > LONGEST {
            self.line.clear();
        }
        self.line.push(char::from(byte));
        None
    }

    fn command(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        if let Some(addressed) = line.strip_prefix('@') {
            let (address, command) = addressed.split_at_checked(2)?;
            let ours = address.parse() == Ok(self.address);
            return ours.then(|| command.to_owned());
        }
        // With bare lines an empty one is a stray CR, not a command.
        (self.framing == Framing::AddressedOrBare && !line.is_empty()).then_some(line)
    }
}
