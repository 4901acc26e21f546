//! What the threads of a run counted together, and the result that is made of it. Not here: the threads.

use super::Finished;
use crate::config::{Config, nanoseconds};
use crate::engine::{Harvest, IdlersSeen};
use crate::recorder::Recorder;
use crate::tally::Tally;
use crate::watch::Seen;
use crate::{Error, ports, statistics, verdict};
use record::histogram::encode;
use record::load::{Connections, Generator, Histograms};
use record::used::ThreadUse;
use record::{Load, SCHEMA};
use service::Kind;
use std::os::fd::OwnedFd;
use sys::clock;

/// A target that no connection was made to, or no datagram was answered by.
#[derive(Clone, Debug)]
pub(super) struct Unreached {
    pub(super) target: String,
    what: &'static str,
    pub(super) cause: String,
}

impl From<Unreached> for Error {
    fn from(Unreached { target, what, cause }: Unreached) -> Self {
        Self::Unreachable { target, what, cause }
    }
}

fn thread_use(harvest: &Harvest) -> ThreadUse {
    let meter = &harvest.meter;
    ThreadUse { cpu_ns: meter.cpu_ns, busy_share: meter.busy_share(), run_queue_wait_ns: meter.run_queue_ns }
}

/// What all threads counted together.
pub(crate) struct Total {
    pub(crate) recorder: Recorder,
    pub(crate) dial_errors: Tally,
    pub(crate) ever_connected: bool,
    pub(crate) peak: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) busy_share: f64,
    /// Sum over the threads, and the largest share of the window of any one.
    pub(crate) run_queue_ns: Option<u64>,
    pub(crate) run_queue_share: f64,
    threads: Vec<ThreadUse>,
    pub(crate) cut_short: bool,
    pub(crate) gave_up: bool,
    pub(crate) ran_out: bool,
    pub(crate) idlers: IdlersSeen,
    pub(super) open_ns: u64,
    pub(super) close_ns: u64,
    vanished: Vec<OwnedFd>,
}

/// Closes the sockets of clients that vanished, and says how.
fn close_vanished(config: &Config, sockets: Vec<OwnedFd>) -> Option<String> {
    let mut word = None;
    for socket in sockets {
        word = match config.is_unix() {
            true => Some("close"),
            false if sys::vanish::close_unheard(socket) => Some("nothing"),
            false => Some("rst"),
        };
    }
    word.map(str::to_owned)
}

impl From<Harvest> for Total {
    fn from(harvest: Harvest) -> Self {
        let run_queue_share = match harvest.meter.run_queue_ns {
            Some(wait) if harvest.meter.window_ns > 0 => wait as f64 / harvest.meter.window_ns as f64,
            _ => 0.0,
        };
        Self {
            run_queue_share,
            threads: vec![thread_use(&harvest)],
            busy_share: harvest.meter.busy_share(),
            recorder: harvest.recorder,
            dial_errors: harvest.dial_errors,
            ever_connected: harvest.ever_connected,
            peak: harvest.peak,
            cpu_ns: harvest.meter.cpu_ns,
            run_queue_ns: harvest.meter.run_queue_ns,
            cut_short: harvest.cut_short,
            gave_up: harvest.gave_up,
            ran_out: harvest.ran_out,
            idlers: harvest.idlers,
            open_ns: harvest.open_ns,
            close_ns: harvest.close_ns,
            vanished: harvest.vanished,
        }
    }
}

impl Total {
    pub(super) fn of(harvests: impl Iterator<Item = Harvest>) -> Result<Self, Error> {
        Self::sum(harvests.map(Self::from))
    }

    /// Adds what threads, or the parts of a run, counted.
    pub(super) fn sum(totals: impl IntoIterator<Item = Self>) -> Result<Self, Error> {
        let mut totals = totals.into_iter();
        let Some(mut sum) = totals.next() else {
            return Err(Error::Usage("a run needs at least one thread".to_owned()));
        };
        for other in totals {
            sum.add(other)?;
        }
        Ok(sum)
    }

    fn add(&mut self, other: Self) -> Result<(), Error> {
        self.run_queue_share = self.run_queue_share.max(other.run_queue_share);
        self.threads.extend(other.threads);
        self.busy_share = self.busy_share.max(other.busy_share);
        self.recorder.merge(other.recorder)?;
        self.dial_errors.merge(&other.dial_errors);
        self.ever_connected |= other.ever_connected;
        self.peak += other.peak;
        self.cpu_ns += other.cpu_ns;
        self.run_queue_ns = self.run_queue_ns.zip(other.run_queue_ns).map(|(mine, theirs)| mine + theirs);
        self.cut_short |= other.cut_short;
        self.gave_up |= other.gave_up;
        self.vanished.extend(other.vanished);
        self.ran_out &= other.ran_out;
        self.idlers.merge(&other.idlers);
        self.open_ns = self.open_ns.min(other.open_ns);
        self.close_ns = self.close_ns.max(other.close_ns);
        Ok(())
    }

    /// Why the target was never reached, where it was not.
    pub(super) fn unreached(&self, config: &Config) -> Option<Unreached> {
        if self.ever_connected {
            return None;
        }
        let cause = self.recorder.errors.most_frequent().or(self.dial_errors.most_frequent());
        Some(Unreached {
            target: config.url.to_string(),
            what: if config.is_datagram() { "no datagram was answered" } else { "no connection was made" },
            cause: cause.map_or_else(|| "no answer".to_owned(), |failure| failure.cause_name()),
        })
    }

    /// True where the server may have come to harm: somebody misbehaved by plan, or something failed.
    pub(super) fn calls_for_a_look(&self, config: &Config) -> bool {
        let (requests, errors) = (&self.recorder.requests, &self.recorder.errors);
        let planned = !config.aborts.is_empty() || !config.misfits.is_empty();
        !self.cut_short
            && (planned || requests.failed + requests.unanswered > 0 || errors.most_frequent().is_some())
    }

    /// Length of the window in nanoseconds.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        self.close_ns.saturating_sub(self.open_ns).max(1)
    }

    pub(super) fn finish(mut self, config: &Config, seen: Seen) -> Result<Finished, Error> {
        let elapsed_ns = self.elapsed_ns();
        let seconds = elapsed_ns as f64 / 1e9;
        let log = self.recorder.tap.log.take().map(|log| (log, self.open_ns));
        let recorder = &self.recorder;
        let latencies = recorder.intervals.latencies(elapsed_ns);
        let requests = recorder.requests.clone();
        let since_open_ns = clock::monotonic_ns().saturating_sub(self.open_ns);
        let mut load = Load {
            schema: SCHEMA,
            target: config.target_name(),
            config: config.describe(),
            verdict: verdict::judge(config, &self),
            started_at_ns: clock::realtime_ns().saturating_sub(since_open_ns),
            elapsed_ns,
            warm_up_ns: nanoseconds(config.warm_up),
            throughput_per_s: requests.completed as f64 / seconds,
            received_bytes_per_s: self.payload_bytes(config) / seconds,
            datagrams: config.speaks_datagrams().then(|| recorder.datagrams.clone()),
            bytes: recorder.bytes.clone(),
            latency_ns: recorder.latency.summary(),
            service_ns: recorder.service.summary(),
            lag_ns: recorder.lag.summary(),
            connect_ns: recorder.connect.summary(),
            first_byte_ns: recorder.first_byte.summary(),
            late_ns: recorder.late.summary(),
            unanswered_age_ns: recorder.unanswered_age.summary(),
            connections: Connections {
                wanted: u64::from(config.connections),
                made: recorder.connections_made,
                peak: self.peak,
            },
            aborts: recorder.aborts(),
            collateral_errors: recorder.innocent_errors,
            misfits: Vec::new(),
            after: None,
            errors: recorder.errors.rows(),
            generator: self.generator(),
            intervals: recorder.intervals.record(elapsed_ns, u64::from(config.connections)),
            histograms: Histograms {
                latency: encode(&recorder.latency.histogram)?,
                service: encode(&recorder.service.histogram)?,
                lag: encode(&recorder.lag.histogram)?,
                connect: encode(&recorder.connect.histogram)?,
                first_byte: encode(&recorder.first_byte.histogram)?,
                late: encode(&recorder.late.histogram)?,
                unanswered_age: encode(&recorder.unanswered_age.histogram)?,
                intervals: latencies.iter().map(encode).collect::<Result<_, _>>()?,
            },
            statistics: None,
            server: seen.server,
            host: seen.host,
            idle: (config.idle > 0).then(|| self.idlers.record(self.open_ns)),
            ports: ports::forecast(config),
            targets: Vec::new(),
            parts: Vec::new(),
            requests,
        };
        if let Some(server) = &mut load.server {
            let completed = load.requests.completed;
            server.cpu_ns_per_request =
                server.cpu_ns.filter(|_| completed > 0).map(|ns| ns as f64 / completed as f64);
        }
        load.aborts.vanished_closed_by = close_vanished(config, std::mem::take(&mut self.vanished));
        statistics::attach(&mut load, &recorder.latency.histogram, &latencies);
        Ok(Finished { load, latencies, log })
    }

    /// What the generator itself used.
    fn generator(&self) -> Generator {
        let sent = self.recorder.requests.sent;
        Generator {
            cpu_ns_per_request: (sent > 0).then(|| self.cpu_ns as f64 / sent as f64),
            cpu_ns: self.cpu_ns,
            busy_share: self.busy_share,
            run_queue_wait_ns: self.run_queue_ns,
            peak_rss_bytes: sys::process::usage().peak_rss_bytes,
            threads: self.threads.clone(),
        }
    }

    /// Content received: of completed replies, where their size is known, else all that was read.
    fn payload_bytes(&self, config: &Config) -> f64 {
        let known = match config.kind() {
            Some(Kind::Echo | Kind::Sized) => true,
            Some(Kind::Http) => config.ask.path.is_none() && config.ask.work.is_none(),
            Some(Kind::Greeting) | None => false,
        };
        match known {
            true => self.recorder.requests.completed as f64 * config.ask.size as f64,
            false => self.recorder.bytes.received as f64,
        }
    }
}
