//! One run: threads, a common start, and what they counted made into a result. Not here: what a thread does, files, words.

mod total;

pub(crate) use total::Total;

use crate::config::{Config, nanoseconds};
use crate::engine::{Crowd, Engine, Harvest, Places, Timeline, look_after};
use crate::tap::{RequestLog, Tap};
use crate::watch::{Seen, Watch};
use crate::{Error, datagram, targets, verdict};
use hdrhistogram::Histogram;
use record::misfit::After;
use record::target::TargetResult;
use record::{Load, VerdictState};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::ScopedJoinHandle;
use std::time::Duration;
use sys::clock;
use total::Unreached;

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
            let places = (!config.is_datagram()).then(|| Places::new(config, index));
            let work = move || run_thread((config, index, places), stop, post);
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

fn run_thread(
    (config, index, places): (&Config, u32, Option<Places>),
    stop: &AtomicBool,
    post: Post,
) -> Result<Harvest, Error> {
    let Post { ready, started, _running, tap } = post;
    // Without it a timer may be 50 us late; where the kernel refuses, it is.
    let _ = clock::exact_timers();
    let Some(places) = places else {
        let mut engine = datagram::Engine::new(config, index)?;
        engine.tap(tap);
        engine.open_all();
        let _ = ready.send(engine.has_sockets());
        drop(ready);
        let Ok(line) = started.recv() else { return Ok(engine.abandon()) };
        return stop_all_on_error(engine.run(line, stop), stop);
    };
    let mut engine = Engine::new(config, index, places)?;
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
