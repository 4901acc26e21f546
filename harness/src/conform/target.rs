//! Whom a probe talks to, and how long it waits. Not here: the talking.

use super::fault::Fault;
use super::peer::Peer;
use super::wire::Wire;
use service::Kind;
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes a second that any server on this machine moves, with a wide margin: what a large answer adds to a deadline.
const SLOWEST_BYTES_PER_MS: u64 = 2_000;

/// Whom a probe talks to, and how long it waits.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where.
    pub ip: SocketAddr,
    /// The service spoken.
    pub kind: Kind,
    /// `http`: a path of the user's, whose content cannot be known.
    pub path: Option<String>,
    /// `http`: the Host header.
    pub host: String,
    /// How long a small answer may take.
    pub reply: Duration,
    /// Makes payloads differ between runs.
    pub seed: u64,
    /// Where it is written down what a probe does.
    pub wire: Wire,
}

impl Target {
    /// True when the service can be asked for an answer of a given size.
    #[must_use]
    pub fn sizable(&self) -> bool {
        self.kind != Kind::Greeting && self.path.is_none()
    }

    /// How long an answer of `bytes` bytes may take.
    #[must_use]
    pub fn time_for(&self, bytes: u64) -> Duration {
        self.reply + Duration::from_millis(bytes / SLOWEST_BYTES_PER_MS)
    }

    /// Connects, exchanges one small message, closes.
    ///
    /// # Errors
    /// What went wrong.
    pub fn canary(&self, number: u64) -> Result<(), Fault> {
        Peer::connect(self, number)?.exchange(64).map(drop)
    }
}
