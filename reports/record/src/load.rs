//! What one run of the load generator leaves behind; the JSON of `loadgen --json`. Not here: how it was measured.

use crate::analysis::{Part, Statistics};
pub use crate::datagrams::Datagrams;
use crate::misfit::{After, Misfits};
use crate::target::TargetResult;
use crate::used::{Host, Server, ThreadUse};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// The result of one run of the load generator.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The target's URL; of several, all with their weights.
    pub target: String,
    /// What was asked for.
    pub config: LoadConfig,
    /// Whether the numbers can be believed.
    pub verdict: Verdict,
    /// Wall-clock start of the timed window, nanoseconds since 1970.
    pub started_at_ns: u64,
    /// Length of the timed window in nanoseconds, as it was.
    pub elapsed_ns: u64,
    /// Length of the warm-up before it, of which nothing below holds a trace.
    pub warm_up_ns: u64,
    /// What became of the requests.
    pub requests: Requests,
    /// Replies completed per second of the window.
    pub throughput_per_s: f64,
    /// Payload bytes per second, received.
    pub received_bytes_per_s: f64,
    /// What became of datagrams; absent for streams.
    #[serde(default)]
    pub datagrams: Option<Datagrams>,
    /// Bytes written to and read from sockets in the window.
    pub bytes: Bytes,
    /// From the intended start of a request to the last byte of its reply, through connect where it had to connect.
    pub latency_ns: Summary,
    /// From the actual send (connect, where the request had to connect) to the last byte of the reply.
    pub service_ns: Summary,
    /// From the intended start to the moment when the generator turned to the request and a connection was free: its own lateness.
    pub lag_ns: Summary,
    /// From connect(2) to the connection's being there.
    pub connect_ns: Summary,
    /// From the actual send (connect, where the request had to connect) to the first byte of the reply, of what was completed; empty in
    /// files of older versions.
    #[serde(default)]
    pub first_byte_ns: Summary,
    /// The latencies of the replies that came after the time-out, which stand in `latency_ns` too; as many as `requests.late`.
    #[serde(default)]
    pub late_ns: Summary,
    /// Ages at the end of the requests that were not answered by then, which stand in `latency_ns` too, as lower bounds.
    #[serde(default)]
    pub unanswered_age_ns: Summary,
    /// Connections that were made, and that were wanted at a time.
    pub connections: Connections,
    /// Connections closed abruptly, as planned.
    pub aborts: Aborts,
    /// Errors on connections that were to behave, while others were not (the same errors stand in `errors`); a datagram that is lost
    /// is none.
    pub collateral_errors: u64,
    /// Connections that were slow or mute by plan, a family an entry. Nothing that they did stands in the numbers above.
    #[serde(default)]
    pub misfits: Vec<Misfits>,
    /// What a connection met that was made after the run; absent where nobody misbehaved and nothing failed.
    #[serde(default)]
    pub after: Option<After>,
    /// Errors by phase and cause.
    pub errors: Vec<ErrorCount>,
    /// What the generator itself used.
    pub generator: Generator,
    /// Per-second view of the window, for plots over time.
    pub intervals: Vec<Interval>,
    /// The whole distributions, V2 with DEFLATE, base64 (HdrHistogram's own text form).
    pub histograms: Histograms,
    /// What can be said of the window beyond its numbers; absent in files of older versions.
    #[serde(default)]
    pub statistics: Option<Statistics>,
    /// What the server used in the window, where `--pid` named it.
    #[serde(default)]
    pub server: Option<Server>,
    /// What the kernel of this host counted in the window.
    #[serde(default)]
    pub host: Option<Host>,
    /// The connections that say nothing, where some were asked for.
    #[serde(default)]
    pub idle: Option<IdleCrowd>,
    /// Source ports as they were forecast before the run; absent for a Unix socket.
    #[serde(default)]
    pub ports: Option<Ports>,
    /// Each of several targets by itself; empty where there is one.
    #[serde(default)]
    pub targets: Vec<TargetResult>,
    /// The results that this one was merged from; empty for a run.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// The JSON schema of a [`Load`], draft 2020-12.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Load)
}

/// What was asked of the generator.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct LoadConfig {
    /// Service spoken.
    pub service: String,
    /// How bytes came and went in the generator: `epoll` or `uring`; empty in older files, which were all of `epoll`.
    #[serde(default)]
    pub engine: String,
    /// Connections.
    pub connections: u64,
    /// Threads.
    pub threads: u64,
    /// Requests per second in total, the mean over the window where the rate moves; absent for a closed loop.
    pub rate_per_s: Option<f64>,
    /// `closed`, `constant`, `poisson`, one of the two with its `burst:…`, `ramp:…` or `steps:…`, or `trace:…`.
    pub arrivals: String,
    /// Closed loop: rest between a reply and the next request of its connection, as `10ms`, `5ms..20ms` or `exp:10ms`.
    #[serde(default)]
    pub think: Option<String>,
    /// Which part of the arrivals was made, as `0/3`; absent where all were.
    #[serde(default)]
    pub shard: Option<String>,
    /// Requests on one connection before it is closed; absent for no limit.
    pub requests_per_connection: Option<u64>,
    /// The upper end, where that is a range and drawn for each connection.
    #[serde(default)]
    pub requests_per_connection_to: Option<u64>,
    /// Age at which a connection is closed, as `30s`, `10s..60s` or `exp:30s`; absent for no limit.
    #[serde(default)]
    pub lifetime: Option<String>,
    /// What follows a connection that has ended: `eager`, `lazy` or `never`; absent in files of older versions.
    #[serde(default)]
    pub reconnect: Option<String>,
    /// Connects per second in total; absent for no limit.
    #[serde(default)]
    pub connect_rate_per_s: Option<f64>,
    /// Connections beside those, which say nothing.
    #[serde(default)]
    pub idle: u64,
    /// Addresses that connections come from in turn; absent where the kernel chooses.
    #[serde(default)]
    pub source: Option<String>,
    /// Processes of one machine that made the run together; 0 in files of older versions, which is 1.
    #[serde(default)]
    pub processes: u64,
    /// Requests out at a time on one connection; 0 in files of older versions.
    #[serde(default)]
    pub pipeline: u64,
    /// Datagrams that were due together went through the kernel as one (UDP_SEGMENT, UDP_GRO).
    #[serde(default)]
    pub gso: bool,
    /// What is said and expected in `raw` and `http`, in the words of the command line, by flag; files with their length and digest.
    #[serde(default)]
    pub request: BTreeMap<String, Vec<String>>,
    /// Payload size in bytes.
    pub size_bytes: u64,
    /// Handler work in each request, as in `spin:50us`.
    pub work: Option<String>,
    /// Abort plans as they were given.
    pub aborts: Vec<String>,
    /// Slow and mute shares of the connections, as they were given; empty in files of older versions.
    #[serde(default)]
    pub misfits: Vec<String>,
    /// Time after which a request counts as timed out, in nanoseconds.
    pub timeout_ns: u64,
    /// Seed of everything random.
    pub seed: u64,
}

/// Whether a run's numbers can be believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The conclusion.
    pub state: VerdictState,
    /// Why it is not `valid`: one sentence each.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// A verdict without objections.
    #[must_use]
    pub fn valid() -> Self {
        Self { state: VerdictState::Valid, reasons: Vec::new() }
    }

    /// Adds an objection; the worst one decides.
    pub fn object(&mut self, state: VerdictState, reason: String) {
        self.state = self.state.max(state);
        self.reasons.push(reason);
    }
}

/// The conclusion about a run, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VerdictState {
    /// Nothing speaks against it.
    Valid,
    /// Something may have touched the numbers.
    Suspect,
    /// The numbers say something else than what was asked.
    Invalid,
}

/// What became of the requests of the timed window.
///
/// `scheduled = sent + unsent`, `sent = completed + failed + unanswered + aborted`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Due within the window (open loop), or begun (closed loop).
    pub scheduled: u64,
    /// Begun: a connect or a send was tried.
    pub sent: u64,
    /// Never begun, since no connection was free before the end.
    pub unsent: u64,
    /// Answered in full and correctly, late ones included.
    pub completed: u64,
    /// Ended with an error.
    pub failed: u64,
    /// Neither answered nor failed at the end; their ages are in the latency histogram as lower bounds.
    pub unanswered: u64,
    /// Given up on purpose (see [`Aborts`]).
    pub aborted: u64,
    /// Completed after the time-out (a part of `completed`).
    pub late: u64,
}

impl AddAssign<&Self> for Requests {
    fn add_assign(&mut self, other: &Self) {
        self.scheduled += other.scheduled;
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.completed += other.completed;
        self.failed += other.failed;
        self.unanswered += other.unanswered;
        self.aborted += other.aborted;
        self.late += other.late;
    }
}

/// Bytes that went over sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bytes {
    /// Written.
    pub sent: u64,
    /// Read.
    pub received: u64,
}

/// A distribution in a few numbers; a percentile is absent where fewer than 100 values stand above it.
///
/// `p50` and `p90` are shown from 1 value on the far side too few only when the count is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Values recorded.
    pub count: u64,
    /// Smallest value, exact.
    pub min: Option<u64>,
    /// Mean, from the exact sum.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<u64>,
    /// 90th percentile.
    pub p90: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// 99.9th percentile.
    pub p99_9: Option<u64>,
    /// Largest value, exact.
    pub max: Option<u64>,
    /// Sum, exact; absent in files of older versions, and where it does not fit.
    #[serde(default)]
    pub sum: Option<u64>,
}

/// Connections of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Connections {
    /// Wanted at the same time.
    pub wanted: u64,
    /// Made in the window.
    pub made: u64,
    /// Most that lived at the same time.
    pub peak: u64,
}

/// Connections that say nothing, beside those that make requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdleCrowd {
    /// Asked for.
    pub wanted: u64,
    /// Made, before the run.
    pub made: u64,
    /// Not made, by cause.
    pub refused: Vec<ErrorCount>,
    /// Closed by the server up to the end of the run, by cause; they are not replaced.
    pub closed: Vec<ErrorCount>,
    /// When the first and the last of them were closed, in nanoseconds from the opening of the window (negative: before it).
    pub first_closed_ns: Option<i64>,
    /// See `first_closed_ns`.
    pub last_closed_ns: Option<i64>,
    /// Age of the youngest and the oldest when it was closed, in nanoseconds.
    pub youngest_closed_ns: Option<u64>,
    /// See `youngest_closed_ns`.
    pub oldest_closed_ns: Option<u64>,
    /// Bytes that the server said on them.
    pub received_bytes: u64,
}

/// Source ports: what there is, and what the run was expected to take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ports {
    /// Ports that the kernel may choose, for each source address and destination.
    pub per_source: u64,
    /// Source addresses.
    pub sources: u64,
    /// Connections at the same time.
    pub held: u64,
    /// Connects per second after those before the run; absent where the server decides.
    pub connects_per_s: Option<f64>,
    /// How long a port rests after its connection.
    pub rest_ns: u64,
    /// Ports that are held and that rest at the same time, at most; absent with `connects_per_s`.
    pub needed: Option<u64>,
    /// What was said before the run, where the ports may run out.
    pub warning: Option<String>,
}

/// Connections closed abruptly, as planned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Aborts {
    /// Requests chosen for it.
    pub planned: u64,
    /// Carried out.
    pub done: u64,
    /// Carried out, by `phase:kind`.
    pub by_kind: BTreeMap<String, u64>,
    /// Those of kind `fin` whose FIN was acknowledged before the close, so that no RST can have come first.
    pub fin_proven: u64,
    /// Chosen, but the phase was never reached (the connect failed, the reply was too short …).
    pub not_reached: u64,
    /// How the sockets of the clients that vanished were closed when the run was over: `nothing` (no packet: TCP_REPAIR), `rst` (that
    /// was not allowed), `close` (a Unix socket); absent where none vanished.
    #[serde(default)]
    pub vanished_closed_by: Option<String>,
}

/// How often a cause was met in a phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorCount {
    /// `connect`, `send`, `receive`, `content`, `timeout` …
    pub phase: String,
    /// The error's name as in errno(3), or `eof-mid-reply`, `wrong-content` …
    pub cause: String,
    /// How often.
    pub count: u64,
}

/// What the generator itself used in the timed window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// User and system time per request sent, in nanoseconds.
    pub cpu_ns_per_request: Option<f64>,
    /// User and system time of all threads, in nanoseconds.
    pub cpu_ns: u64,
    /// Largest share of the window that any one thread was not waiting, 0 to 1.
    pub busy_share: f64,
    /// Time that its threads were ready to run and did not, in nanoseconds (/proc/self/task/*/schedstat).
    pub run_queue_wait_ns: Option<u64>,
    /// Largest resident set in bytes.
    pub peak_rss_bytes: u64,
    /// Each thread by itself.
    #[serde(default)]
    pub threads: Vec<ThreadUse>,
}

/// One interval of the window (a second, or a tenth of one in short runs).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// Start, from the start of the window, in nanoseconds.
    pub start_ns: u64,
    /// Length in nanoseconds.
    pub length_ns: u64,
    /// Replies completed.
    pub completed: u64,
    /// Errors.
    pub failed: u64,
    /// Median latency of what was completed.
    pub p50_ns: Option<u64>,
    /// 99th percentile; not withheld for few values: it is for the eye, not for a claim.
    pub p99_ns: Option<u64>,
    /// Largest latency.
    pub max_ns: Option<u64>,
    /// Connections wanted at the same time; 0 in files of older versions.
    #[serde(default)]
    pub wanted: u64,
    /// Connections that lived, the mean over the interval; absent in files of older versions.
    #[serde(default)]
    pub living: Option<f64>,
}

/// Whole distributions, V2 with DEFLATE, base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Histograms {
    /// Of [`Load::latency_ns`].
    pub latency: String,
    /// Of [`Load::service_ns`].
    pub service: String,
    /// Of [`Load::lag_ns`].
    pub lag: String,
    /// Of [`Load::connect_ns`].
    pub connect: String,
    /// Of [`Load::first_byte_ns`]; empty in files of older versions, as are the next two.
    #[serde(default)]
    pub first_byte: String,
    /// Of [`Load::late_ns`].
    #[serde(default)]
    pub late: String,
    /// Of [`Load::unanswered_age_ns`].
    #[serde(default)]
    pub unanswered_age: String,
    /// Latencies of what was completed in each of [`Load::intervals`], with two digits; empty in files of older versions.
    #[serde(default)]
    pub intervals: Vec<String>,
}
