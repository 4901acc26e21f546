//! The generator tested against what can be computed: a server with a known schedule of stalls, and a queue of which the waits are
//! known. Not here: the server (`server`), and servers of other people (the tests).
//!
//! - **Stalls.** Each answer of the server is due at a time that follows from when the requests were due: `begin = max(due, end of
//!   the answer before it, end of the stall)`. The recursion includes the drain after each stall. Each percentile that the
//!   generator reports must lie within 2 % of that of the recursion, and the grain.
//! - **A queue.** Poisson arrivals, one server, a fixed service time: the mean wait must be within 5 % of Lindley's recursion
//!   (Lindley 1952) over the same arrivals. The value of theory (M/D/1, Pollaczek and Khinchine) stands beside it: a sample of
//!   10,000 scatters by several percent around it, the recursion does not.
//! - **The grain** is what an exchange takes beside the service where nothing waits, measured first, and at most 100 us: on a machine
//!   where it takes longer, a truth that holds would say little.
//!
//! A truth that is missed on a machine that held up the server or the generator says nothing of either: its run is repeated, a few times
//! at most. What is missed on a quiet machine is not.

mod outcome;
mod report;
mod server;

use outcome::{Outcome, Part, TRIES, Truth};
pub(crate) use report::render;

use crate::config::{Config, Pacing, Stop};
use crate::run::{self, Finished};
use crate::schedule::Arrivals;
use crate::watch::Watch;
use crate::{Error, units};
use record::VerdictState;
use server::{MESSAGE, Served, Server, Timing};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sys::affinity;

/// Service and stalls of the first truth: 100 ms in each half second, at 1,000 requests a second. 100 requests wait behind each, and are
/// drained at 4,000 a second. The period is no whole number of arrivals: were it one, they would meet each stall at the same phases, and
/// the waits would stand in steps of 0.8 ms, at whose edges one request more or less is a miss.
const STALLS: Timing = Timing { service_ns: 200_000, period_ns: 499_382_000, stall_ns: 100_000_000 };
const STALLS_RATE: f64 = 1_000.0;

/// Percentiles that are compared, where enough values stand above them. A quarter of the requests waits: the 75th would stand at the
/// edge, where a single request more makes milliseconds of microseconds.
const PERCENTS: [f64; 6] = [50.0, 80.0, 90.0, 95.0, 99.0, 99.9];

/// The queue's service time, and the shares of its capacity that are offered.
const QUEUE: Timing = Timing { service_ns: 1_000_000, period_ns: 0, stall_ns: 0 };
const LOADS: [f64; 2] = [0.5, 0.8];

/// How far off is a miss.
const PERCENTILE_OFF: f64 = 0.02;
const WAIT_OFF: f64 = 0.05;

/// Share of the services by which answers may be held up before the machine is to blame for a miss: at 80 % of a server's capacity a
/// service that takes 1 % longer makes a wait of 5 %.
const HELD_UP: f64 = 0.002;

/// The grain at the most, in nanoseconds.
const COARSEST_NS: u64 = 100_000;

/// Connections: more than the server can have at hand at a time, so that the generator's own queue is a part of what is tested.
const CONNECTIONS: u32 = 16;

/// The measurement of the grain: requests that are far apart, so that each finds both sides as an idle queue has them, asleep. In a queue
/// with a fixed service each request pays for the wake-up that began its busy period, and so all of them do.
const GRAIN_TIME: Duration = Duration::from_secs(1);
const GRAIN_RATE: f64 = 200.0;

/// One run against a server of its own.
struct Run {
    finished: Finished,
    /// When each request was due, in order, and the server's schedule began.
    due_ns: Vec<u64>,
    start_ns: u64,
    served: Served,
}

/// Who runs where: a generator that the scheduler puts beside the server is held up by its spinning, and late.
struct Processors {
    /// The server's own; `None` where there is but one for both.
    server: Option<usize>,
}

impl Processors {
    /// Keeps the calling thread, and those that it makes, off the last of the processors that it may use.
    fn apart() -> std::io::Result<Self> {
        let mut allowed = affinity::allowed()?;
        let server = if allowed.len() > 1 { allowed.pop() } else { None };
        affinity::pin_self(&allowed)?;
        Ok(Self { server })
    }
}

/// Tests them all; each run takes `time`.
///
/// # Errors
/// Those of a run.
pub(crate) fn execute(time: Duration, stop: &AtomicBool) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let processors = Processors::apart().map_err(Error::Setup)?;
    if processors.server.is_none() {
        outcome.noise.push("one processor is allowed, which the server and the generator share".to_owned());
    }
    grain(&processors, stop, &mut outcome)?;
    let grain_ns = outcome.grain_ns;
    outcome.settle("stalls", stop, || {
        let run = one(&processors, STALLS, (STALLS_RATE, Arrivals::Constant), time, stop)?;
        let mut part = conclude("stalls", &run, STALLS);
        part.truths.extend(percentiles(&run, grain_ns)?);
        Ok(part)
    })?;
    let overhead_ns = outcome.overhead_ns;
    for load in LOADS {
        let name = format!("queue at {:.0} %", load * 100.0);
        let rate_per_s = load * 1e9 / QUEUE.service_ns as f64;
        outcome.settle(&name, stop, || {
            let run = one(&processors, QUEUE, (rate_per_s, Arrivals::Poisson), time, stop)?;
            let mut part = conclude(&name, &run, QUEUE);
            part.truths.push(waits(&name, load, &run, overhead_ns));
            Ok(part)
        })?;
    }
    Ok(outcome)
}

/// Measures what an exchange takes beside its service, again where the machine made it long.
fn grain(processors: &Processors, stop: &AtomicBool, outcome: &mut Outcome) -> Result<(), Error> {
    let beside = |ns: f64| (ns - QUEUE.service_ns as f64).max(0.0);
    for again in (0..TRIES).rev() {
        let run = one(processors, QUEUE, (GRAIN_RATE, Arrivals::Constant), GRAIN_TIME, stop)?;
        let latency = record::histogram::decode(&run.finished.load.histograms.latency)?;
        outcome.overhead_ns = beside(run.finished.load.latency_ns.mean.unwrap_or_default());
        let tail_ns = beside(latency.value_at_percentile(99.0) as f64) as u64;
        outcome.grain_ns = tail_ns.min(COARSEST_NS);
        if tail_ns <= COARSEST_NS {
            break;
        }
        let tail = units::show_ns(tail_ns as f64);
        let note = format!("an exchange where nothing waits took up to {tail} beside its service");
        if again == 0 || stop.load(Relaxed) {
            outcome.noise.push(note);
            break;
        }
        outcome.repeated.push(note);
    }
    Ok(())
}

/// `time` of arrivals at `rate_per_s`, each answered.
fn one(
    processors: &Processors,
    timing: Timing,
    (rate_per_s, arrivals): (f64, Arrivals),
    time: Duration,
    stop: &AtomicBool,
) -> Result<Run, Error> {
    let server = Server::start(timing, processors.server)?;
    let start_ns = server.start_ns;
    let url = format!("tcp://{}", server.address);
    let mut config = Config::new(url.parse().map_err(|error| Error::Usage(format!("{url}: {error}")))?);
    config.pacing = Pacing::Open { rate_per_s, arrivals };
    config.connections = CONNECTIONS;
    config.ask.size = MESSAGE as u64;
    // A number of requests is answered to the last one; a window might close in a stall.
    let requests = (rate_per_s * time.as_secs_f64()) as u64;
    config.stop = Stop::Requests(requests);
    let mut watch = Watch { log_room: Some(requests as usize), ..Watch::default() };
    let mut finished = run::measure(&config, stop, &mut watch)?;
    let log = finished.log.take().map(|(log, _)| log.into_sorted()).unwrap_or_default();
    let due_ns = log.iter().map(|entry| entry.due_ns).collect();
    Ok(Run { finished, due_ns, start_ns, served: server.end()? })
}

/// How long each request takes from when it is due, by the recursion.
fn recursion(timing: Timing, due_ns: &[u64], start_ns: u64) -> Vec<u64> {
    let mut done_ns = 0;
    let latency = |due_ns: &u64| {
        done_ns = timing.begin(done_ns.max(*due_ns), start_ns) + timing.service_ns;
        done_ns - due_ns
    };
    due_ns.iter().map(latency).collect()
}

fn percentiles(run: &Run, grain_ns: u64) -> Result<Vec<Truth>, Error> {
    let mut expected = recursion(STALLS, &run.due_ns, run.start_ns);
    expected.sort_unstable();
    let got = record::histogram::decode(&run.finished.load.histograms.latency)?;
    let count = expected.len() as f64;
    let allowed = |ns: f64| PERCENTILE_OFF * ns + grain_ns as f64;
    let mut truths = Vec::new();
    for percent in PERCENTS {
        if count * (1.0 - percent / 100.0) < record::histogram::TAIL as f64 {
            continue;
        }
        let rank = ((percent / 100.0 * count).ceil() as usize).clamp(1, expected.len());
        let pair = (expected[rank - 1] as f64, got.value_at_percentile(percent) as f64);
        truths.push(Truth::new(format!("stalls: p{percent}"), "ns", pair, allowed(pair.0), String::new()));
    }
    let mean = expected.iter().map(|ns| *ns as f64).sum::<f64>() / count.max(1.0);
    let pair = (mean, run.finished.load.latency_ns.mean.unwrap_or_default());
    truths.push(Truth::new("stalls: mean".to_owned(), "ns", pair, allowed(mean), String::new()));
    Ok(truths)
}

fn waits(name: &str, load: f64, run: &Run, overhead_ns: f64) -> Truth {
    let service_ns = QUEUE.service_ns as f64;
    let all = recursion(QUEUE, &run.due_ns, run.start_ns);
    let expected = all.iter().map(|ns| *ns as f64).sum::<f64>() / (all.len() as f64).max(1.0) - service_ns;
    let mean = run.finished.load.latency_ns.mean.unwrap_or_default();
    let got = mean - service_ns - overhead_ns;
    let theory = load * service_ns / (2.0 * (1.0 - load));
    let note = format!("M/D/1 says {}", units::show_ns(theory));
    Truth::new(format!("{name}: mean wait"), "ns", (expected, got), WAIT_OFF * expected, note)
}

/// What holds in every run, and what speaks against the machine.
fn conclude(name: &str, run: &Run, timing: Timing) -> Part {
    let load = &run.finished.load;
    let pair = (run.served.requests as f64, load.requests.completed as f64);
    let truths = vec![Truth::new(format!("{name}: answers"), "requests", pair, 0.0, String::new())];
    let mut noise = Vec::new();
    if load.verdict.state != VerdictState::Valid {
        noise.extend(load.verdict.reasons.iter().cloned());
    }
    let share = run.served.held_up_ns as f64 / (run.served.requests * timing.service_ns).max(1) as f64;
    if share > HELD_UP {
        noise.push(format!("the server was held up by the machine for {:.1} % of its work", share * 100.0));
    }
    Part { truths, noise }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recursion_is_that_of_a_queue_and_of_a_stall() {
        let steady = Timing { service_ns: 10, period_ns: 0, stall_ns: 0 };
        // Two at once, one while the second is served, one when all is quiet.
        assert_eq!(recursion(steady, &[100, 100, 115, 200], 0), [10, 20, 15, 10]);
        let stalling = Timing { period_ns: 1_000, stall_ns: 100, ..steady };
        // In the stall, in its drain, after it; and one that waits into the next one.
        assert_eq!(recursion(stalling, &[0, 50, 105, 200, 995, 996], 0), [110, 70, 25, 10, 10, 114]);
    }
}
