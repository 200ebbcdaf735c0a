//! The replies that begin with `?` (§4).

/// Why a command was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotUnderstood,
    Alarm,
    BufferFull,
    Errored,
    Incremental,
    Index,
    Limit,
    Pulsing,
    SpeedWindow,
    NoSubroutine,
    TimerRunning,
}

impl Refusal {
    pub(super) fn reply(self, command: &str) -> String {
        let reason = match self {
            Self::NotUnderstood => command,
            Self::Alarm => "ALARM",
            Self::BufferFull => "BUFFER FULL",
            Self::Errored => "ERRORED",
            Self::Incremental => "In Incremental mode",
            Self::Index => "Index out of Range",
            Self::Limit => "LIMIT",
            Self::Pulsing => "PULSING",
            Self::SpeedWindow => "SSPD Error",
            Self::NoSubroutine => "Sub not Initialized",
            Self::TimerRunning => "Timer Running",
        };
        format!("?{reason}")
    }
}

/// What a handler makes of a request it knows.
pub(super) type Answer = Result<String, Refusal>;

/// The answer to whatever only changes something.
#[expect(clippy::unnecessary_wraps, reason = "handlers return answers")]
pub(super) fn ok() -> Answer {
    Ok("OK".to_owned())
}

/// The answer to a query for a number.
#[expect(clippy::unnecessary_wraps, reason = "handlers return answers")]
pub(super) fn number(value: i64) -> Answer {
    Ok(value.to_string())
}
