//! Connection life: how long a connection is used, what follows it, how fast connections are made. Not here: making them.

use crate::draw::Draw;
use std::num::NonZeroU64;

/// Keep what is drawn for connections apart from other choices by the same seed and number.
const REQUESTS_STREAM: u64 = 0x006c_696d_6974;
const LIFETIME_STREAM: u64 = 0x6c69_6665;

/// What happens to connections over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Life {
    /// Makes [`crate::Config::requests_per_connection`] the lower end of a range with this upper end; drawn for each connection.
    pub requests_to: Option<NonZeroU64>,
    /// Age in nanoseconds at which a connection is closed, behind the reply that is out; drawn for each connection.
    pub lifetime: Option<Draw>,
    /// What follows a connection that has ended.
    pub reconnect: Reconnect,
    /// Connects per second in total, those before the run included; `None` for no limit.
    pub connect_rate_per_s: Option<f64>,
}

/// What follows a connection that has ended, whoever ended it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reconnect {
    /// Another at once: a request takes a connection that is there, or waits for one.
    Eager,
    /// Another when a request needs it, whose latency then holds the connect.
    #[default]
    Lazy,
    /// None.
    Never,
}

impl Reconnect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Eager, Self::Lazy, Self::Never];

    /// The name on the command line and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eager => "eager",
            Self::Lazy => "lazy",
            Self::Never => "never",
        }
    }
}

impl Life {
    /// Replies after which a connection is closed, where `least` is the lower end; `id` tells connections apart.
    pub(crate) fn limit(&self, least: Option<NonZeroU64>, seed: u64, id: u64) -> Option<u64> {
        let least = least?.get();
        let most = self.requests_to.map_or(least, NonZeroU64::get);
        if most <= least {
            return Some(least);
        }
        Some(Draw::Uniform(least, most).draw(seed, REQUESTS_STREAM, id))
    }

    /// When a connection that begins at `now` is to be closed; never: `u64::MAX`.
    pub(crate) fn ends_ns(&self, now: u64, seed: u64, id: u64) -> u64 {
        self.lifetime.map_or(u64::MAX, |life| now.saturating_add(life.draw(seed, LIFETIME_STREAM, id)))
    }
}
