//! What a run does, parsed and complete: who says what, when, and until when. Not here: the command line, the doing.

mod check;
mod record;

use crate::abort::Plan;
use crate::draw::Draw;
use crate::life::{Life, Reconnect};
use crate::misfit::{self, Misfit};
use crate::schedule::{Arrivals, Profile};
use crate::sources::Sources;
use crate::targets::{Part, Target};
use service::Kind;
use service::client::{AnyClient, Ask};
use service::http::{Exchange, HttpClient};
use service::raw::{Dialogue, RawClient};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use sys::{Family, Url};

/// Connections to this machine beyond which they come from many addresses: less than half of the ports of one.
const MANY: u64 = 10_000;

/// A run of the generator. Its parts are values: any stop rule goes with any pacing, any service and any abort plan.
#[derive(Clone, Debug)]
pub struct Config {
    /// The target: `tcp://`, `http://`, `unix:`, `udp://` or `unixgram:`.
    pub url: Url,
    /// All targets with their weights, `url` the first of them, where there are several; empty for one.
    pub targets: Vec<Target>,
    /// Which of several targets this is a part for.
    pub(crate) part: Option<Part>,
    /// Connections at the same time, over all threads.
    pub connections: u32,
    /// Threads that share the connections.
    pub threads: u32,
    /// When the window ends.
    pub stop: Stop,
    /// When requests begin.
    pub pacing: Pacing,
    /// How the rate of an open loop moves over the window.
    pub profile: Profile,
    /// Closed loop: how long a connection rests between a reply and its next request, drawn for each request.
    pub think: Option<Draw>,
    /// Which of the arrivals are made here, where several processes or machines make a run together.
    pub shard: Shard,
    /// Processes of this machine that make the run together; 1 for this one alone.
    pub processes: u32,
    /// What is asked; its seed also decides arrivals and aborts.
    pub ask: Ask,
    /// What is said instead of a service of our own (`raw`); of `ask` only the seed counts then.
    pub raw: Option<Arc<Dialogue>>,
    /// What is asked of any HTTP server, instead of the paths of our own.
    pub http: Option<Arc<Exchange>>,
    /// What is said and expected, in the words of the command line, by flag; for the record alone.
    pub words: BTreeMap<String, Vec<String>>,
    /// Requests out at a time on one connection, whose replies come in their order; 1 for one after the other.
    pub pipeline: u32,
    /// Datagrams that are due together go through the kernel as one, where they can: [`sys::datagram::Segments::Joined`].
    pub gso: bool,
    /// Replies after which a connection is closed; `None` for no limit.
    pub requests_per_connection: Option<NonZeroU64>,
    /// How long connections live beside that, and what follows them.
    pub life: Life,
    /// More connections, made before the run, which say nothing.
    pub idle: u32,
    /// The addresses that connections come from; `None` for the kernel's choice, or [`Sources::loopback`] where that runs out of ports.
    pub sources: Option<Sources>,
    /// The same traffic before the window, thrown away.
    pub warm_up: Duration,
    /// Age from its intended start at which a request counts as late; also how long the end waits for replies.
    pub timeout: Duration,
    /// Connections to close abruptly.
    pub aborts: Plan,
    /// Connections that are slow or mute instead of carrying the load.
    pub misfits: Vec<Misfit>,
    /// How bytes come and go.
    pub engine: Mechanism,
}

/// How bytes come and go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mechanism {
    /// epoll(7): one receive and one send a request.
    #[default]
    Epoll,
    /// io_uring(7): receives that go on by themselves and sends as operations, all in one call a turn.
    Uring,
}

impl Mechanism {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Epoll, Self::Uring];

    /// The name on the command line and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Epoll => "epoll",
            Self::Uring => "uring",
        }
    }
}

/// When the window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After a time.
    After(Duration),
    /// After this many requests in total.
    Requests(u64),
}

/// When requests begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pacing {
    /// As soon as a connection is free: the server sets the pace.
    Closed,
    /// On a schedule that knows nothing of the server.
    Open {
        /// Requests per second in total.
        rate_per_s: f64,
        /// How they are spread.
        arrivals: Arrivals,
    },
}

/// One process of several that make a run together. The arrivals `k` with `k mod of = index` are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: u32,
    /// How many there are, at least 1.
    pub of: u32,
}

impl Shard {
    /// All there is.
    pub const WHOLE: Self = Self { index: 0, of: 1 };
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((index, of)) if index < of => Ok(Self { index, of }),
            _ => Err(format!("`{text}` is no shard: write 0/3, 1/3 and 2/3 for the three of a run")),
        }
    }
}

/// The host that a request names. A path is no host; what curl says over a Unix socket for an address without one is up to the user,
/// and usually this.
pub(crate) fn host_of(url: &Url) -> &str {
    if url.family == Family::Unix { "localhost" } else { &url.authority }
}

impl Config {
    /// A closed loop of 10 connections for 10 s, without warm-up: the defaults of the command line.
    #[must_use]
    pub fn new(url: Url) -> Self {
        let kind = if url.http { Kind::Http } else { Kind::Echo };
        let ask = Ask {
            kind,
            size: 64,
            work: None,
            path: url.path.clone().or_else(|| url.http.then(|| "/".to_owned())),
            host: host_of(&url).to_owned(),
            close: false,
            seed: 1,
        };
        Self {
            url,
            targets: Vec::new(),
            part: None,
            connections: 10,
            threads: 1,
            stop: Stop::After(Duration::from_secs(10)),
            pacing: Pacing::Closed,
            profile: Profile::Steady,
            think: None,
            shard: Shard::WHOLE,
            processes: 1,
            ask,
            raw: None,
            http: None,
            words: BTreeMap::new(),
            pipeline: 1,
            gso: false,
            requests_per_connection: None,
            life: Life::default(),
            idle: 0,
            sources: None,
            warm_up: Duration::ZERO,
            timeout: Duration::from_secs(2),
            aborts: Plan::default(),
            misfits: Vec::new(),
            engine: Mechanism::default(),
        }
    }

    /// Connections that carry the load.
    #[must_use]
    pub(crate) fn healthy(&self) -> u32 {
        let taken: u32 = misfit::counts(&self.misfits, self.connections).iter().sum();
        self.connections.saturating_sub(taken)
    }

    /// The service of our own that is spoken; `None` for `raw`.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.raw.is_none().then_some(self.ask.kind)
    }

    /// Makes the clients of connections by their numbers; they ask as `ask` says.
    pub(crate) fn clients(&self, ask: Ask) -> impl Fn(u64) -> AnyClient + use<> {
        let raw = self.raw.clone();
        let http = self.http.clone().map(|http| (HttpClient::requests(&ask, &http), http));
        move |connection| match (&raw, &http) {
            (Some(dialogue), _) => AnyClient::Raw(RawClient::new(Arc::clone(dialogue), connection)),
            (None, Some((requests, http))) => {
                AnyClient::Http(HttpClient::exchanging(&ask, Arc::clone(http), Arc::clone(requests)))
            }
            (None, None) => AnyClient::new(&ask, connection),
        }
    }

    /// True for a Unix socket, which has neither RST nor acknowledgements, and says so at once when its queue is full.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        matches!(self.url.family, Family::Unix | Family::Unixgram)
    }

    /// True where the target takes datagrams, and a connection is a socket.
    #[must_use]
    pub fn is_datagram(&self) -> bool {
        matches!(self.url.family, Family::Udp | Family::Unixgram)
    }

    /// True where any of the targets takes datagrams.
    pub(crate) fn speaks_datagrams(&self) -> bool {
        let takes = |target: &Target| matches!(target.url.family, Family::Udp | Family::Unixgram);
        self.is_datagram() || self.targets.iter().any(takes)
    }

    /// The target, or all targets, as the record names them.
    pub(crate) fn target_name(&self) -> String {
        match self.targets.len() {
            0 | 1 => self.url.to_string(),
            _ => self.targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        }
    }

    /// True where a connection outlives a request, so that it can be made before the first one.
    #[must_use]
    pub fn persistent(&self) -> bool {
        let ends = match &self.raw {
            Some(dialogue) => dialogue.ends_connection(),
            None => self.ask.kind == Kind::Greeting,
        };
        self.is_datagram() || !ends && !self.one_request_each()
    }

    /// True where each connection carries one request, which can say so.
    pub(crate) fn one_request_each(&self) -> bool {
        self.requests_per_connection == Some(NonZeroU64::MIN) && self.life.requests_to.is_none()
    }

    /// True where connections are made before the requests that they will carry.
    pub(crate) fn dials_ahead(&self) -> bool {
        self.persistent() || self.life.reconnect == Reconnect::Eager
    }

    /// True where connections end in the course of the run by what was asked for.
    pub(crate) fn churns(&self) -> bool {
        self.requests_per_connection.is_some() || self.life.lifetime.is_some() || !self.persistent()
    }

    /// Sockets that are open at the same time in this process.
    pub(crate) fn sockets(&self) -> u64 {
        u64::from(self.connections) + u64::from(self.idle)
    }

    /// The same in all processes of this machine that make the run.
    pub(crate) fn sockets_of_all(&self) -> u64 {
        let others = if self.processes > 1 { self.shard.of } else { 1 };
        self.sockets() * u64::from(others)
    }

    /// The addresses that connections come from, where it is not left to the kernel.
    pub(crate) fn sources(&self) -> Option<Sources> {
        let local = self.url.family == Family::Tcp
            && self.url.ip().is_some_and(|ip| ip.is_ipv4() && ip.ip().is_loopback());
        let many = self.churns() || self.sockets_of_all() > MANY;
        self.sources.clone().or_else(|| (local && many).then(Sources::loopback))
    }

    /// The address that connection number `dialled` of thread `index`, counted from 0, comes from: in turn over all threads and processes.
    pub(crate) fn source(&self, sources: &Sources, index: u32, dialled: u64) -> IpAddr {
        let (first, step) = self.share_of_thread(index);
        sources.nth(first.wrapping_add(dialled.wrapping_mul(step)))
    }

    /// Which arrivals thread `index` makes, as `(first, step)`; the same numbers tell its connections from those of others.
    pub(crate) fn share_of_thread(&self, index: u32) -> (u64, u64) {
        let Shard { index: shard, of } = self.shard;
        let (shard, of) = (u64::from(shard), u64::from(of.max(1)));
        (shard + of * u64::from(index), of * u64::from(self.threads.max(1)))
    }

    /// The arrivals of this process, as `(first, step)`.
    pub(crate) fn whole_share(&self) -> (u64, u64) {
        (u64::from(self.shard.index), u64::from(self.shard.of.max(1)))
    }

    /// The number of a place for a connection in the whole run, over all shards.
    pub(crate) fn number_of_place(&self, place: u32) -> u64 {
        u64::from(self.shard.index) + u64::from(self.shard.of.max(1)) * u64::from(place)
    }
}

/// A length of time in nanoseconds; beyond 584 years, the most there is.
#[must_use]
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
