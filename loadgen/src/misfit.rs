//! Slow and mute clients, as shares of the connections: which, and at what pace. Not here: what they do on a connection (see
//! `engine::crowd`), and clients that go away (`abort`).
//!
//! ```text
//! --slow-read SHARE[:BYTES]   asks for a large reply and takes BYTES a second of it            default 1000
//! --slow-write SHARE[:BYTES]  sends its request at BYTES a second                              default 1000
//! --trickle SHARE[:TIME]      sends its request a byte at a time, with TIME between two        default 100ms
//! --partial SHARE             sends half of a request, and then nothing for ever
//! ```
//!
//! A share is of `--connections`, rounded, and at least one. The others carry the load of the run, and theirs are its numbers; the
//! misfits go round in a closed loop of their own, beside it, from before the warm-up to the end of the run.

use crate::units;
use std::fmt;
use std::time::Duration;

/// Bytes a second where none are given.
const BYTES_PER_S: u64 = 1_000;

/// Between two bytes of a trickle where nothing is given.
const INTERVAL: Duration = Duration::from_millis(100);

/// Steps of a pace with bytes a second: each this long, or as long as a byte takes.
const STEP_NS: u64 = 10_000_000;

/// Keeps the choice of members apart from the choice of payloads and aborts.
const STREAM: u64 = 0x6d_69_73_66_69_74;

/// A way to misbehave without going away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Takes a large reply slowly: the server's buffers are full, and it must wait.
    SlowRead,
    /// Sends a request slowly.
    SlowWrite,
    /// Sends a request a byte at a time.
    Trickle,
    /// Sends half of a request and waits.
    Partial,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 4] = [Self::SlowRead, Self::SlowWrite, Self::Trickle, Self::Partial];

    /// The name of the flag and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SlowRead => "slow-read",
            Self::SlowWrite => "slow-write",
            Self::Trickle => "trickle",
            Self::Partial => "partial",
        }
    }
}

/// One `--slow-read SHARE[:PACE]` and the like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Misfit {
    /// How.
    pub family: Family,
    /// Of all connections, above 0 and below 1.
    pub fraction: f64,
    pace: Pace,
    /// So many, where a process has a part of what the share comes to over all of them.
    part: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Pace {
    Bytes(u64),
    Every(Duration),
    Never,
}

/// At most so many bytes at a time, and what lies between two times, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) bytes: usize,
    pub(crate) every_ns: u64,
}

impl Step {
    /// The wait after `bytes` at a time, so that the pace is kept.
    pub(crate) fn rest_ns(self, bytes: usize) -> u64 {
        (u128::from(self.every_ns) * bytes as u128 / self.bytes.max(1) as u128) as u64
    }
}

impl Misfit {
    /// Reads `SHARE[:PACE]`.
    ///
    /// # Errors
    /// One sentence that says what to write.
    pub fn parse(family: Family, text: &str) -> Result<Self, String> {
        let (share, pace) = match text.split_once(':') {
            Some((share, pace)) => (share, Some(pace)),
            None => (text, None),
        };
        let fraction = units::parse_share(share)?;
        if fraction <= 0.0 || fraction >= 1.0 {
            return Err(format!(
                "`{share}` is no share of the connections: write 2%, more than none and fewer than all"
            ));
        }
        let pace = match (family, pace) {
            (Family::SlowRead | Family::SlowWrite, None) => Pace::Bytes(BYTES_PER_S),
            (Family::SlowRead | Family::SlowWrite, Some(text)) => {
                match units::parse_size(text.trim_end_matches("/s"))? {
                    0 => {
                        return Err(
                            "a pace of 0 bytes a second is no pace: --partial never goes on".to_owned()
                        );
                    }
                    bytes => Pace::Bytes(bytes),
                }
            }
            (Family::Trickle, None) => Pace::Every(INTERVAL),
            (Family::Trickle, Some(text)) => match units::parse_time(text)? {
                Duration::ZERO => return Err("a trickle without time between its bytes is none".to_owned()),
                time => Pace::Every(time),
            },
            (Family::Partial, None) => Pace::Never,
            (Family::Partial, Some(_)) => return Err("--partial has no pace: write --partial 1%".to_owned()),
        };
        Ok(Self { family, fraction, pace, part: None })
    }

    /// The same for one of several processes, which has `part` of the connections that the share comes to.
    pub(crate) fn with_part(self, part: u32) -> Self {
        Self { part: Some(part), ..self }
    }

    fn count(&self, connections: u32) -> u32 {
        self.part.unwrap_or(((self.fraction * f64::from(connections)).round() as u32).max(1))
    }

    /// What is sent or taken at a time.
    pub(crate) fn step(&self) -> Step {
        match self.pace {
            Pace::Bytes(per_s) => {
                let bytes = (per_s * STEP_NS / 1_000_000_000).max(1);
                Step { bytes: bytes as usize, every_ns: bytes * 1_000_000_000 / per_s }
            }
            Pace::Every(time) => Step { bytes: 1, every_ns: crate::config::nanoseconds(time) },
            Pace::Never => Step { bytes: usize::MAX, every_ns: u64::MAX },
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.family.name(), self.fraction)?;
        match self.pace {
            Pace::Bytes(per_s) => write!(f, ":{per_s}/s"),
            Pace::Every(time) => write!(f, ":{time:?}"),
            Pace::Never => Ok(()),
        }
    }
}

/// How many of `connections` each of `misfits` takes.
pub(crate) fn counts(misfits: &[Misfit], connections: u32) -> Vec<u32> {
    misfits.iter().map(|m| m.count(connections)).collect()
}

/// The misfits by the places that they take, as `(place, which of misfits)`: the places from `healthy` to `connections`, dealt out by
/// the seed.
pub(crate) fn members(misfits: &[Misfit], connections: u32, seed: u64) -> Vec<(u32, usize)> {
    let counts = counts(misfits, connections);
    let mut dealt: Vec<usize> = counts
        .iter()
        .enumerate()
        .flat_map(|(which, count)| std::iter::repeat_n(which, *count as usize))
        .collect();
    let first = connections.saturating_sub(dealt.len() as u32);
    // Fisher and Yates, with the seed's own numbers.
    for i in (1..dealt.len()).rev() {
        dealt.swap(i, (service::client::mix(seed, STREAM, i as u64) % (i as u64 + 1)) as usize);
    }
    dealt.into_iter().enumerate().map(|(i, which)| (first + i as u32, which)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn step(family: Family, text: &str) -> (usize, u64) {
        let step = Misfit::parse(family, text).unwrap().step();
        (step.bytes, step.every_ns)
    }

    #[test]
    fn a_pace_is_kept_in_steps() {
        assert_eq!(step(Family::SlowRead, "2%"), (10, 10_000_000));
        assert_eq!(step(Family::SlowWrite, "2%:1M/s"), (10_485, 9_999_275));
        assert_eq!(step(Family::SlowWrite, "2%:3"), (1, 333_333_333));
        assert_eq!(step(Family::Trickle, "0.5:5ms"), (1, 5_000_000));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_write() {
        for (family, text, word) in [
            (Family::SlowRead, "0%", "2%"),
            (Family::SlowRead, "100%", "fewer than all"),
            (Family::SlowRead, "2%:0", "--partial"),
            (Family::Trickle, "2%:0s", "none"),
            (Family::Trickle, "2%:5", "no time"),
            (Family::Partial, "2%:5s", "no pace"),
        ] {
            match Misfit::parse(family, text) {
                // A number without a unit is a time in seconds.
                Ok(misfit) => assert_eq!((text, misfit.step().every_ns), ("2%:5", 5_000_000_000)),
                Err(why) => assert!(why.contains(word), "{text}: {why}"),
            }
        }
    }

    #[test]
    fn the_seed_deals_out_the_places() {
        let two =
            [Misfit::parse(Family::Partial, "5%").unwrap(), Misfit::parse(Family::Trickle, "10%").unwrap()];
        let dealt = members(&two, 100, 1);
        assert_eq!(dealt.iter().map(|(place, _)| *place).collect::<Vec<_>>(), (85..100).collect::<Vec<_>>());
        assert_eq!(dealt.iter().filter(|(_, which)| *which == 0).count(), 5);
        assert_eq!(dealt, members(&two, 100, 1));
        assert_ne!(dealt, members(&two, 100, 2));
        assert_eq!(counts(&two, 4), [1, 1]);
    }

    #[test]
    fn several_processes_have_together_what_one_would_have() {
        let mut config = Config::new("tcp://127.0.0.1:1".parse().unwrap());
        config.connections = 100;
        config.misfits = vec![Misfit::parse(Family::Partial, "2%").unwrap()];
        let part = |index| crate::fleet::part_of(config.clone(), crate::config::Shard { index, of: 10 });
        let parts: Vec<_> = (0..10).map(part).collect();
        assert_eq!(parts.iter().map(|p| counts(&p.misfits, p.connections)[0]).sum::<u32>(), 2);
        assert_eq!(parts.iter().map(Config::healthy).sum::<u32>(), 98);
    }
}
