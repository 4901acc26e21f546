//! Whom a probe talks to, and how long it waits. Not here: the talking.

use super::datagrams::Datagrams;
use super::fault::Fault;
use super::gate::Gate;
use super::peer::Peer;
use super::wire::Wire;
use service::Kind;
use service::raw::Dialogue;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use sys::{Family, Url};

/// Bytes a second that any server on this machine moves, with a wide margin: what a large answer adds to a deadline.
const SLOWEST_BYTES_PER_MS: u64 = 2_000;

/// Whom a probe talks to, and how long it waits.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where, and of which family.
    pub url: Url,
    /// The service spoken.
    pub kind: Kind,
    /// What is said and expected, where that is none of our services.
    pub dialogue: Option<Arc<Dialogue>>,
    /// The queue that a connect waits to have room, where it is short.
    pub gate: Option<Arc<Gate>>,
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
    /// The IP address and port; of a path, one that nothing has: no row of the kernel's tables has port 0.
    #[must_use]
    pub fn ip(&self) -> SocketAddr {
        self.url.ip().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    /// True for a family without connections.
    #[must_use]
    pub fn is_datagram(&self) -> bool {
        matches!(self.url.family, Family::Udp | Family::Unixgram)
    }

    /// True when the service can be asked for an answer of a given size.
    #[must_use]
    pub fn sizable(&self) -> bool {
        self.kind != Kind::Greeting && self.path.is_none() && self.dialogue.is_none()
    }

    /// How long an answer of `bytes` bytes may take.
    #[must_use]
    pub fn time_for(&self, bytes: u64) -> Duration {
        self.reply + Duration::from_millis(bytes / SLOWEST_BYTES_PER_MS)
    }

    /// Connects, exchanges one small message, closes; of datagrams, one and its answer.
    ///
    /// # Errors
    /// What went wrong.
    pub fn canary(&self, number: u64) -> Result<(), Fault> {
        if self.is_datagram() {
            return Datagrams::open(self, number)?.exchange(64);
        }
        Peer::connect(self, number)?.exchange(64).map(drop)
    }
}
