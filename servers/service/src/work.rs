//! Handler work: what a request costs the server beside its bytes. Not here: doing it, which is the model's part.

use std::time::Duration;

/// Longest work that a request may ask for.
pub const MAX_WORK: Duration = Duration::from_secs(10);

/// Work that a handler does between a request and its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Keep the processor busy for this long.
    Spin(Duration),
    /// Wait this long without the processor, as for a disk or a database.
    Sleep(Duration),
}

impl Work {
    /// The length of the work.
    #[must_use]
    pub fn duration(self) -> Duration {
        match self {
            Self::Spin(d) | Self::Sleep(d) => d,
        }
    }

    /// `spin` or `sleep`, as [`from_parts`](Self::from_parts) reads it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spin(_) => "spin",
            Self::Sleep(_) => "sleep",
        }
    }

    /// Reads `spin` or `sleep` and a time such as `50us`, `50` (microseconds), `2ms`, `1s`.
    ///
    /// # Errors
    /// [`BadWork`] when the kind is unknown, the time does not parse, or it exceeds [`MAX_WORK`].
    pub fn from_parts(kind: &str, time: &str) -> Result<Self, BadWork> {
        let time = parse_time(time).ok_or(BadWork)?;
        match kind {
            "spin" => Ok(Self::Spin(time)),
            "sleep" => Ok(Self::Sleep(time)),
            _ => Err(BadWork),
        }
    }
}

fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let per_unit = match unit {
        "" | "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        _ => return None,
    };
    let time = Duration::from_micros(number.checked_mul(per_unit)?);
    (time <= MAX_WORK).then_some(time)
}

impl std::str::FromStr for Work {
    type Err = BadWork;

    /// Reads `spin:50us`, `spin:50` or `sleep:1ms`, as on the command line.
    fn from_str(text: &str) -> Result<Self, BadWork> {
        let (kind, time) = text.split_once(':').ok_or(BadWork)?;
        Self::from_parts(kind, time)
    }
}

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}us", self.name(), self.duration().as_micros())
    }
}

/// The text is not handler work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadWork;

impl std::fmt::Display for BadWork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("handler work is `spin:TIME` or `sleep:TIME`, at most 10s, as in `spin:50us`")
    }
}

impl std::error::Error for BadWork {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_of_the_command_line() {
        assert_eq!("spin:50us".parse(), Ok(Work::Spin(Duration::from_micros(50))));
        assert_eq!("spin:50".parse(), Ok(Work::Spin(Duration::from_micros(50))));
        assert_eq!("sleep:2ms".parse(), Ok(Work::Sleep(Duration::from_millis(2))));
        assert_eq!("sleep:10s".parse(), Ok(Work::Sleep(MAX_WORK)));
    }

    #[test]
    fn refuses_what_is_not_work() {
        for bad in [
            "",
            "spin",
            "spin:",
            "spin:x",
            "spin:5m",
            "rest:5us",
            "sleep:11s",
            "spin:-1us",
            "spin:99999999999999999999s",
        ] {
            assert_eq!(bad.parse::<Work>(), Err(BadWork), "{bad}");
        }
    }
}
