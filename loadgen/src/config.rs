//! What a run does, parsed and complete: who says what, when, and until when. Not here: the command line, the doing.

use crate::abort::{self, Phase, Plan, Rule};
use crate::draw::Draw;
use crate::life::{Life, Reconnect};
use crate::misfit::{self, Misfit};
use crate::schedule::{Arrivals, Profile};
use crate::sources::Sources;
use crate::{Error, limits};
use record::load::LoadConfig;
use service::Kind;
use service::client::{AnyClient, Ask};
use service::http::{Exchange, HttpClient};
use service::raw::{Dialogue, RawClient};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use sys::{Family, Url};

/// Most requests out at a time: each takes 48 bytes of this process, and its own place in the server's buffers.
const MOST_OUT: u64 = 10_000_000;

/// Connections to this machine beyond which they come from many addresses: less than half of the ports of one.
const MANY: u64 = 10_000;

/// A run of the generator. Its parts are values: any stop rule goes with any pacing, any service and any abort plan.
#[derive(Clone, Debug)]
pub struct Config {
    /// The target: `tcp://`, `http://`, `unix:`, `udp://` or `unixgram:`.
    pub url: Url,
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
    /// What is asked; its seed also decides arrivals and aborts.
    pub ask: Ask,
    /// What is said instead of a service of our own (`raw`); of `ask` only the seed counts then.
    pub raw: Option<Arc<Dialogue>>,
    /// What is asked of any HTTP server, instead of the paths of our own.
    pub http: Option<Arc<Exchange>>,
    /// Requests out at a time on one connection, whose replies come in their order; 1 for one after the other.
    pub pipeline: u32,
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
            // A path is no host; what curl says over a Unix socket for an address without one is up to the user, and usually this.
            host: if url.family == Family::Unix { "localhost".to_owned() } else { url.authority.clone() },
            close: false,
            seed: 1,
        };
        Self {
            url,
            connections: 10,
            threads: 1,
            stop: Stop::After(Duration::from_secs(10)),
            pacing: Pacing::Closed,
            profile: Profile::Steady,
            think: None,
            shard: Shard::WHOLE,
            ask,
            raw: None,
            http: None,
            pipeline: 1,
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

    /// Finds what cannot be run.
    ///
    /// # Errors
    /// [`Error::Usage`] with one sentence that says what to change, [`Error::NoUring`] where io_uring is asked for and cannot be had.
    pub fn check(&self) -> Result<(), Error> {
        let problem = if self.url.ip().is_some_and(|ip| ip.port() == 0) {
            Some("port 0 is no target: name the port that the server printed".to_owned())
        } else if self.pipeline == 0 {
            Some("`--pipeline 0` lets no request out: give at least 1".to_owned())
        } else if self.connections == 0 {
            Some("`--connections 0` makes no load: give at least 1".to_owned())
        } else if self.threads == 0 || self.threads > self.connections {
            Some(format!(
                "{} threads cannot share {} connections: give each thread at least one",
                self.threads, self.connections
            ))
        } else {
            self.check_times().or_else(|| self.check_service()).or_else(|| self.check_misfits())
        };
        if let Some(problem) = problem {
            return Err(Error::Usage(problem));
        }
        if self.engine == Mechanism::Uring {
            sys::uring::probe().map_err(|reason| Error::NoUring { reason })?;
        }
        limits::check(self)
    }

    fn check_times(&self) -> Option<String> {
        if matches!(self.stop, Stop::After(Duration::ZERO) | Stop::Requests(0)) {
            return Some("a window of no length measures nothing".to_owned());
        }
        if self.timeout.is_zero() {
            return Some("`--timeout 0` would make every reply late".to_owned());
        }
        match self.pacing {
            Pacing::Open { rate_per_s, arrivals } => self.check_arrivals(rate_per_s, arrivals),
            Pacing::Closed if self.profile != Profile::Steady => {
                Some(format!("{} is for an open loop: give a rate", self.profile))
            }
            Pacing::Closed if self.think.is_some() && self.pipeline > 1 => Some(
                "who thinks between two requests has one out at a time: leave --pipeline or --think out"
                    .to_owned(),
            ),
            Pacing::Closed => None,
        }
    }

    fn check_arrivals(&self, rate_per_s: f64, arrivals: Arrivals) -> Option<String> {
        let fits = |rate: f64| (0.0..=1e9).contains(&rate);
        if !(rate_per_s > 0.0 && fits(rate_per_s) && self.profile.rates().into_iter().all(fits)) {
            return Some("the rate must lie above 0 and at most 1000M requests/s".to_owned());
        }
        if self.think.is_some() {
            return Some("`--think` is for a closed loop: in an open one the schedule says when".to_owned());
        }
        match &self.profile {
            Profile::Trace(_) if arrivals == Arrivals::Poisson => {
                Some("a trace says when each request is due: leave --arrivals out".to_owned())
            }
            Profile::Ramp { over_ns: 0, .. } | Profile::Steps { each_ns: 0, .. } => {
                Some("a ramp and steps need time: give a longer --duration".to_owned())
            }
            Profile::Burst { on_ns: 0, .. } => {
                Some("a burst of no length offers nothing: give it more than 0s".to_owned())
            }
            _ => None,
        }
    }

    fn check_service(&self) -> Option<String> {
        if self.pipeline > 1
            && let Some(problem) = self.check_pipeline()
        {
            return Some(problem);
        }
        if let Some(problem) = self.check_life() {
            return Some(problem);
        }
        if self.is_datagram() {
            return crate::datagram::problem(self).or_else(|| self.check_size());
        }
        let Ask { kind, size, .. } = self.ask;
        if let Some(dialogue) = &self.raw {
            return self.check_dialogue(dialogue);
        }
        match kind {
            Kind::Sized | Kind::Http if size > service::MAX_REPLY => {
                Some(format!("a {kind} reply is at most {} bytes", service::MAX_REPLY))
            }
            Kind::Http if !self.url.http && !self.is_unix() => {
                Some("the http service needs an http:// target (or unix:)".to_owned())
            }
            _ if self.url.http && kind != Kind::Http => {
                Some(format!("an http:// target cannot serve {kind}: write tcp://"))
            }
            _ => self.check_size(),
        }
    }

    /// What holds for streams and datagrams alike.
    fn check_size(&self) -> Option<String> {
        let Ask { kind, size, .. } = self.ask;
        match kind {
            _ if self.raw.is_some() => None,
            Kind::Echo | Kind::Sized if size == 0 => {
                Some(format!("`--size 0` makes no {kind} request: give at least 1 byte"))
            }
            Kind::Greeting | Kind::Echo if self.ask.work.is_some() => {
                Some(format!("a {kind} request cannot carry handler work: set it on the server"))
            }
            _ => None,
        }
    }

    fn check_misfits(&self) -> Option<String> {
        if self.misfits.is_empty() {
            return None;
        }
        if !matches!(self.url.family, Family::Tcp | Family::Unix) {
            return Some(
                "slow and mute clients need a stream: a datagram comes whole or not at all".to_owned(),
            );
        }
        let (taken, all) =
            (misfit::counts(&self.misfits, self.connections).iter().sum::<u32>(), self.connections);
        (self.healthy() < self.threads).then(|| {
            format!(
                "{taken} of {all} connections would be slow or mute: leave at least one that is not for each thread"
            )
        })
    }

    /// Connections that carry the load.
    #[must_use]
    pub(crate) fn healthy(&self) -> u32 {
        let taken: u32 = misfit::counts(&self.misfits, self.connections).iter().sum();
        self.connections.saturating_sub(taken)
    }

    fn check_life(&self) -> Option<String> {
        let speaks_first = match &self.raw {
            Some(dialogue) => dialogue.banner.is_some(),
            None => self.ask.kind == Kind::Greeting,
        };
        if self.life.reconnect == Reconnect::Eager && speaks_first && !self.persistent() {
            return Some("a greeting comes with the connect, so no connection can be had before it is needed: leave --reconnect eager out".to_owned());
        }
        match self.life.connect_rate_per_s {
            Some(rate) if !(rate > 0.0 && rate <= 1e9) => {
                Some("the connect rate must lie above 0 and at most 1000M connects/s".to_owned())
            }
            _ => None,
        }
    }

    fn check_pipeline(&self) -> Option<String> {
        if !self.aborts.is_empty() {
            Some(
                "an abort would take the requests beside it along: leave --pipeline or --abort out"
                    .to_owned(),
            )
        } else if self.raw.as_ref().is_some_and(|dialogue| !dialogue.can_pipeline()) {
            Some("only a raw service of one --send and one --expect, without --banner and eof, can be pipelined".to_owned())
        } else if !self.persistent() {
            Some("`--pipeline` wants connections that outlive a request".to_owned())
        } else if u64::from(self.pipeline) * u64::from(self.connections) > MOST_OUT {
            Some(format!("`--pipeline` times `--connections` is at most {MOST_OUT} requests out at a time"))
        } else {
            None
        }
    }

    fn check_dialogue(&self, dialogue: &Dialogue) -> Option<String> {
        let early = |rule: &Rule| !matches!(rule.phase, Phase::Connect | Phase::Idle);
        let half = |rule: &Rule| rule.kind == abort::Kind::Half && early(rule);
        if dialogue.turns.len() > 1 && self.aborts.rules().iter().any(half) {
            return Some("a half-closed client has no second turn: with more than one `--send`, `half` goes with the phases connect and idle".to_owned());
        }
        if dialogue.turns.is_empty() {
            Some("the raw service wants `--send` and `--expect`".to_owned())
        } else if dialogue.banner.is_some() && self.aborts.rules().iter().any(early) {
            Some("with `--banner`, aborts are possible in the phases connect and idle only".to_owned())
        } else if self.url.http {
            Some("an http:// target cannot serve raw: write tcp://".to_owned())
        } else {
            None
        }
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

    /// Sockets that are open at the same time.
    pub(crate) fn sockets(&self) -> u64 {
        u64::from(self.connections) + u64::from(self.idle)
    }

    /// The addresses that connections come from, where it is not left to the kernel.
    pub(crate) fn sources(&self) -> Option<Sources> {
        let local = self.url.ip().is_some_and(|ip| ip.is_ipv4() && ip.ip().is_loopback());
        let many = self.churns() || self.sockets() > MANY;
        self.sources.clone().or_else(|| (local && many).then(Sources::loopback))
    }

    /// Which arrivals thread `index` makes, as `(first, step)`; the same numbers tell its connections from those of others.
    pub(crate) fn share_of_thread(&self, index: u32) -> (u64, u64) {
        let Shard { index: shard, of } = self.shard;
        let (shard, of) = (u64::from(shard), u64::from(of.max(1)));
        (shard + of * u64::from(index), of * u64::from(self.threads.max(1)))
    }

    /// The number of a place for a connection in the whole run, over all shards.
    pub(crate) fn number_of_place(&self, place: u32) -> u64 {
        u64::from(self.shard.index) + u64::from(self.shard.of.max(1)) * u64::from(place)
    }

    /// The name of the arrivals in the record.
    fn arrivals_name(&self) -> String {
        match (self.pacing, &self.profile) {
            (Pacing::Closed, _) => "closed".to_owned(),
            (Pacing::Open { arrivals, .. }, Profile::Steady) => arrivals.name().to_owned(),
            (Pacing::Open { .. }, Profile::Trace(trace)) => trace.to_string(),
            (Pacing::Open { arrivals, .. }, profile) => format!("{} {profile}", arrivals.name()),
        }
    }

    /// What was asked for, as the record keeps it.
    #[must_use]
    pub fn describe(&self) -> LoadConfig {
        let rate_per_s = match self.pacing {
            Pacing::Closed => None,
            Pacing::Open { rate_per_s, .. } => Some(self.profile.mean_per_s(rate_per_s)),
        };
        LoadConfig {
            service: self.kind().map_or("raw", Kind::name).to_owned(),
            engine: self.engine.name().to_owned(),
            connections: u64::from(self.connections),
            threads: u64::from(self.threads),
            rate_per_s,
            arrivals: self.arrivals_name(),
            think: self.think.map(Draw::show_time),
            shard: (self.shard != Shard::WHOLE).then(|| self.shard.to_string()),
            requests_per_connection: self.requests_per_connection.map(NonZeroU64::get),
            requests_per_connection_to: self.life.requests_to.map(NonZeroU64::get),
            lifetime: self.life.lifetime.map(Draw::show_time),
            reconnect: Some(self.life.reconnect.name().to_owned()),
            connect_rate_per_s: self.life.connect_rate_per_s,
            pipeline: u64::from(self.pipeline),
            idle: u64::from(self.idle),
            source: self.sources().map(|sources| sources.to_string()),
            size_bytes: self.ask.size,
            work: self.ask.work.map(|work| work.to_string()),
            aborts: self.aborts.rules().iter().map(ToString::to_string).collect(),
            misfits: self.misfits.iter().map(ToString::to_string).collect(),
            timeout_ns: nanoseconds(self.timeout),
            seed: self.ask.seed,
        }
    }
}

/// A length of time in nanoseconds; beyond 584 years, the most there is.
#[must_use]
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
