//! Many runs for one answer: the highest rate that meets an objective, and the curve of latency over rate. Not here: a run.
//!
//! Every step is a fresh run of the open loop with connections of its own, so that one step's queue is not the next one's latency.

mod find;
mod objective;
mod point;
mod sweep;

use crate::cli::Results;
use crate::config::{Config, Pacing, Stop};
use crate::schedule::Arrivals;
use crate::{Error, run, units};
use clap::Args;
use objective::Objective;
use point::Point;
use record::Exit;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use sweep::Range;

/// Between two steps: what the last one left in the server's queues may go.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs of one rate before the generator counts as not able to do it: what spoiled a run once may have passed.
const TRIES: usize = 3;

/// Flags of searches.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Highest rate with p99<5ms, errors<1%, or late<1%
    ///
    /// pNN<TIME for any percentile, errors<SHARE, late<SHARE; several are joined by commas.
    #[arg(
        long,
        value_name = "OBJECTIVE",
        help_heading = "Search: each step is a run",
        conflicts_with_all = ["rate", "ramp", "steps", "trace", "think"]
    )]
    find_max: Option<Objective>,
    /// Rates to search between [default: what --duration can tell]
    #[arg(
        long,
        hide_short_help = true,
        value_name = "RATES",
        help_heading = "Search: each step is a run",
        requires = "find_max"
    )]
    between: Option<Range>,
    /// How near the answer is to be
    #[arg(long, hide_short_help = true, value_name = "SHARE", default_value = "5%", value_parser = units::parse_share, help_heading = "Search: each step is a run", requires = "find_max")]
    resolution: f64,
    /// Runs of a rate, of which the majority decides
    #[arg(long, hide_short_help = true, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99), help_heading = "Search: each step is a run", requires = "find_max")]
    repeats: u32,
    /// Latency over N rates, LOW..HIGH:N, up to overload
    #[arg(
        long,
        value_name = "RATES",
        help_heading = "Search: each step is a run",
        conflicts_with_all = ["rate", "find_max", "ramp", "steps", "trace", "think"]
    )]
    sweep: Option<Range>,
}

impl Search {
    pub(crate) fn is_wanted(&self) -> bool {
        self.find_max.is_some() || self.sweep.is_some()
    }

    /// Makes the runs, and writes down what came of them.
    pub(crate) fn execute(
        &self,
        config: &Config,
        results: &Results,
        stop: &AtomicBool,
    ) -> Result<Exit, Error> {
        let exports = &results.exports;
        if results.has_log()
            || exports.hlog.is_some()
            || exports.hgrm.is_some()
            || exports.openmetrics.is_some()
        {
            return Err(Error::Usage(
                "a search has --json and --csv; the other files are of one run".to_owned(),
            ));
        }
        let mut runner = Runner { config: config.clone(), results, stop };
        match (&self.find_max, &self.sweep) {
            (Some(objective), _) => {
                let Stop::After(window) = config.stop else {
                    return Err(Error::Usage(
                        "--find-max needs windows of one length: use --duration".to_owned(),
                    ));
                };
                let plan = find::Plan {
                    objective: objective.clone(),
                    window,
                    bounds: self.between,
                    resolution: self.resolution,
                    repeats: self.repeats,
                };
                find::execute(plan, &mut runner)
            }
            (None, Some(range)) => sweep::execute(*range, &mut runner),
            (None, None) => Ok(Exit::Fine),
        }
    }
}

/// Makes the runs of a search.
struct Runner<'a> {
    config: Config,
    results: &'a Results,
    stop: &'a AtomicBool,
}

impl Runner<'_> {
    /// Runs at a rate, each told, until one is not spoiled by the generator, at most [`TRIES`]; the last one counts. `None` when
    /// the search was interrupted.
    fn try_rate(&mut self, rate_per_s: f64) -> Result<Option<Vec<Point>>, Error> {
        let mut points: Vec<Point> = Vec::new();
        while points.len() < TRIES && points.last().is_none_or(|last| last.spoiled) {
            let Some(point) = self.run(rate_per_s)? else { return Ok(None) };
            self.tell(&point.line());
            points.push(point);
        }
        Ok(Some(points))
    }

    /// One run at a rate; `None` when the search was interrupted.
    fn run(&mut self, rate_per_s: f64) -> Result<Option<Point>, Error> {
        if self.stop.load(Relaxed) {
            return Ok(None);
        }
        let arrivals = match self.config.pacing {
            Pacing::Open { arrivals, .. } => arrivals,
            Pacing::Closed => Arrivals::Constant,
        };
        self.config.pacing = Pacing::Open { rate_per_s, arrivals };
        let finished = run::measure(&self.config, self.stop, &mut self.results.watch_server())?;
        // Each run has payloads and arrivals of its own.
        self.config.ask.seed = self.config.ask.seed.wrapping_add(1);
        sys::clock::pause(PAUSE);
        let whole = !self.stop.load(Relaxed);
        Ok(whole.then(|| Point::of(rate_per_s, &finished.load)))
    }

    /// Says a line about how the search goes.
    fn tell(&self, line: &str) {
        if !self.results.quiet {
            crate::cli::say_beside(line);
        }
    }
}
