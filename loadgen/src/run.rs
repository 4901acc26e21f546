//! One run: threads, a common start, and what they counted made into a result. Not here: what a thread does, files, words.

use crate::config::{Config, nanoseconds};
use crate::engine::{Crowd, Engine, Harvest, IdlersSeen, Timeline, look_after};
use crate::recorder::Recorder;
use crate::tally::Tally;
use crate::tap::{RequestLog, Tap};
use crate::watch::{Seen, Watch};
use crate::{Error, datagram, ports, statistics, targets, verdict};
use hdrhistogram::Histogram;
use record::histogram::encode;
use record::load::{Connections, Generator, Histograms};
use record::misfit::After;
use record::target::TargetResult;
use record::used::ThreadUse;
use record::{Load, SCHEMA, VerdictState};
use service::Kind;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use sys::clock;

/// Least time given to making connections before the run: the kernel tries again a second after a lost SYN, and then three.
const DIAL_LIMIT: Duration = Duration::from_secs(4);

/// From the decision to start until the start: every thread is running by then. One thread has nobody to wait for.
const START_DELAY_NS: u64 = 2_000_000;
const LONE_START_DELAY_NS: u64 = 200_000;

/// What a run leaves behind: the result, and what the files beside the result need.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) load: Load,
    /// The latencies of each of the result's intervals.
    pub(crate) latencies: Vec<Histogram<u32>>,
    /// The requests one by one, where that was asked for, and when the window opened by the clock of their times.
    pub(crate) log: Option<(RequestLog, u64)>,
}

/// Makes a run.
///
/// # Errors
/// [`Error::Usage`] where the configuration cannot be run, [`Error::Unreachable`] where no connection was ever made.
pub fn run(config: &Config) -> Result<Load, Error> {
    run_until(config, &AtomicBool::new(false))
}

/// As [`run`], and ends early when `stop` becomes true; the result then says so in its verdict.
///
/// # Errors
/// As [`run`].
pub fn run_until(config: &Config, stop: &AtomicBool) -> Result<Load, Error> {
    Ok(measure(config, stop, &mut Watch::default())?.load)
}

/// Makes a run and looks at it with `watch`.
pub(crate) fn measure(config: &Config, stop: &AtomicBool, watch: &mut Watch) -> Result<Finished, Error> {
    config.check()?;
    // Those who misbehave are taken out of the population, and go beside it.
    let healthy = Config { connections: config.healthy(), misfits: Vec::new(), ..config.clone() };
    let crowd = Crowd::start(config)?;
    let parts = targets::split(&healthy);
    let (totals, seen) = run_threads(&parts, stop, watch)?;
    let misfits = crowd.map(Crowd::end).transpose()?.unwrap_or_default();
    let unreached: Vec<_> =
        totals.iter().zip(&parts).filter_map(|(total, part)| total.unreached(part)).collect();
    let results = results_of(config, &parts, &totals)?;
    let total = Total::sum(totals)?;
    if let Some(error) = unreached.first().filter(|_| !total.ever_connected) {
        return Err(error.clone().into());
    }
    let after = total.calls_for_a_look(config).then(|| look_at(&parts)).flatten();
    let mut finished = total.finish(&healthy, seen)?;
    let load = &mut finished.load;
    load.config = config.describe();
    if config.aborts.is_empty() && config.misfits.is_empty() {
        load.collateral_errors = 0;
    }
    for Unreached { target, cause, .. } in unreached {
        load.verdict.object(VerdictState::Invalid, format!("{target} was never reached ({cause})"));
    }
    load.targets = results;
    verdict::blame_machine(misfits.local, &mut load.verdict);
    (load.misfits, load.after) = (misfits.families, after);
    Ok(finished)
}

/// A target that no connection was made to, or no datagram was answered by.
#[derive(Clone, Debug)]
struct Unreached {
    target: String,
    what: &'static str,
    cause: String,
}

impl From<Unreached> for Error {
    fn from(Unreached { target, what, cause }: Unreached) -> Self {
        Self::Unreachable { target, what, cause }
    }
}

/// Each of several targets by itself, in the window of all.
fn results_of(config: &Config, parts: &[Config], totals: &[Total]) -> Result<Vec<TargetResult>, Error> {
    if parts.len() < 2 {
        return Ok(Vec::new());
    }
    let opened = totals.iter().map(|total| total.open_ns).min().unwrap_or(0);
    let closed = totals.iter().map(|total| total.close_ns).max().unwrap_or(0);
    let elapsed_ns = closed.saturating_sub(opened).max(1);
    let rows = config.targets.iter().zip(parts).zip(totals);
    rows.map(|((target, part), total)| targets::result(target, part, &total.recorder, elapsed_ns)).collect()
}

/// One exchange after the run with each target: the first that goes wrong, else the last.
fn look_at(parts: &[Config]) -> Option<After> {
    let mut last = None;
    for part in parts {
        let after = if part.is_datagram() { datagram::look_after(part) } else { look_after(part) };
        let wrong = !after.answers;
        last = Some(after);
        if wrong {
            break;
        }
    }
    last
}

/// Runs the engines to their ends, one a thread: each makes its connections, and all start together. Returns what was counted for each
/// of the parts.
fn run_threads(parts: &[Config], stop: &AtomicBool, watch: &mut Watch) -> Result<(Vec<Total>, Seen), Error> {
    let threads: u32 = parts.iter().map(|part| part.threads).sum();
    let Some(first) = parts.first() else { return Err(Error::Usage("a run needs a target".to_owned())) };
    let each = || parts.iter().flat_map(|part| (0..part.threads).map(move |index| (part, index)));
    // A thread says on `ready` whether it has connections, and drops it; it gets its start from a channel of its own.
    let (ready, all_ready) = mpsc::channel::<bool>();
    // Nothing is ever said on it: it is closed when the last thread has ended.
    let (running, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (mut handles, mut starts, mut unstarted) = (Vec::new(), Vec::new(), None);
        for (number, (config, index)) in each().enumerate() {
            let (start, started) = mpsc::channel();
            let post =
                Post { ready: ready.clone(), started, _running: running.clone(), tap: watch.tap(threads) };
            let work = move || run_thread(config, index, stop, post);
            match std::thread::Builder::new().name(format!("load-{number}")).spawn_scoped(scope, work) {
                Ok(handle) => handles.push(handle),
                Err(error) => unstarted = Some(Error::Setup(error)),
            }
            starts.push(start);
        }
        drop((ready, running));
        // Ends when the last thread has dropped its end, be it by a panic.
        let answers: Vec<bool> = all_ready.iter().collect();
        let mut seen = Seen::default();
        let whole = answers.len() == threads as usize;
        if whole && (answers.contains(&true) || parts.iter().any(|part| !part.dials_ahead())) {
            let delay_ns = if threads == 1 { LONE_START_DELAY_NS } else { START_DELAY_NS };
            let line = Timeline::new(first, watch.start_ns(delay_ns));
            for start in &starts {
                // A thread that is gone is found when it is joined.
                let _ = start.send(line);
            }
            seen = watch.follow(line, &ended);
        }
        // Without a start, the threads end here.
        drop(starts);
        let join = |handle: ScopedJoinHandle<'_, Result<Harvest, Error>>| {
            handle.join().unwrap_or_else(|panic| Err(Error::Thread(panic_text(panic.as_ref()))))
        };
        let harvests: Result<Vec<Harvest>, _> = handles.into_iter().map(join).collect();
        let mut harvests = unstarted.map_or(harvests, Err)?.into_iter();
        let totals = parts.iter().map(|part| Total::of(harvests.by_ref().take(part.threads as usize)));
        Ok((totals.collect::<Result<_, _>>()?, seen))
    })
}

/// What a thread of a run is given.
struct Post {
    /// Where it says whether it has connections.
    ready: Sender<bool>,
    /// Where it gets its start.
    started: Receiver<Timeline>,
    /// Dropped with the thread.
    _running: Sender<()>,
    tap: Tap,
}

fn run_thread(config: &Config, index: u32, stop: &AtomicBool, post: Post) -> Result<Harvest, Error> {
    let Post { ready, started, _running, tap } = post;
    // Without it a timer may be 50 us late; where the kernel refuses, it is.
    let _ = clock::exact_timers();
    if config.is_datagram() {
        let mut engine = datagram::Engine::new(config, index)?;
        engine.tap(tap);
        engine.open_all();
        let _ = ready.send(engine.has_sockets());
        drop(ready);
        let Ok(line) = started.recv() else { return Ok(engine.abandon()) };
        return stop_all_on_error(engine.run(line, stop), stop);
    }
    let mut engine = Engine::new(config, index)?;
    engine.tap(tap);
    let limit_ns = nanoseconds(config.timeout.max(DIAL_LIMIT));
    if config.dials_ahead() {
        engine.dial_all(limit_ns, stop)?;
    }
    engine.gather(limit_ns, stop)?;
    let _ = ready.send(engine.is_connected());
    drop(ready);
    let Ok(line) = started.recv() else { return Ok(engine.abandon()) };
    stop_all_on_error(engine.run(line, stop), stop)
}

fn stop_all_on_error(harvest: Result<Harvest, Error>, stop: &AtomicBool) -> Result<Harvest, Error> {
    if harvest.is_err() {
        stop.store(true, SeqCst);
    }
    harvest
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").to_owned()
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
    open_ns: u64,
    close_ns: u64,
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
    fn of(harvests: impl Iterator<Item = Harvest>) -> Result<Self, Error> {
        Self::sum(harvests.map(Self::from))
    }

    /// Adds what threads, or the parts of a run, counted.
    fn sum(totals: impl IntoIterator<Item = Self>) -> Result<Self, Error> {
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
    fn unreached(&self, config: &Config) -> Option<Unreached> {
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
    fn calls_for_a_look(&self, config: &Config) -> bool {
        let (requests, errors) = (&self.recorder.requests, &self.recorder.errors);
        let planned = !config.aborts.is_empty() || !config.misfits.is_empty();
        !self.cut_short
            && (planned || requests.failed + requests.unanswered > 0 || errors.most_frequent().is_some())
    }

    /// Length of the window in nanoseconds.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        self.close_ns.saturating_sub(self.open_ns).max(1)
    }

    fn finish(mut self, config: &Config, seen: Seen) -> Result<Finished, Error> {
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
