//! The highest rate that meets an objective: upwards by doubling, then halving the ratio between what meets and what does not.
//! Not here: runs.
//!
//! A rate at which the generator was not able to do its part bounds the search from above and is never the answer.

use super::Runner;
use super::objective::Objective;
use super::point::Point;
use super::sweep::Range;
use crate::{Error, export};
use record::load::LoadConfig;
use record::{Exit, SCHEMA};
use serde::Serialize;
use std::time::Duration;

/// Highest rate that is tried where no bound is given.
const HIGHEST: f64 = 1e8;

/// What to find.
pub(super) struct Plan {
    pub(super) objective: Objective,
    pub(super) window: Duration,
    pub(super) bounds: Option<Range>,
    pub(super) resolution: f64,
    pub(super) repeats: u32,
}

/// What a step says of its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Meets,
    Fails,
    /// The generator spoiled the runs.
    Spoiled,
    /// Too few requests to tell.
    Undecided,
}

/// What ended the search from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Limit {
    Server,
    Generator,
    /// The highest rate that was to be tried meets the objective.
    Bound,
}

#[derive(Clone, Debug, Serialize)]
struct Step {
    rate_per_s: f64,
    outcome: Outcome,
    runs: Vec<Point>,
}

/// The answer.
#[derive(Clone, Debug, Serialize)]
struct Answer {
    schema: u32,
    target: String,
    config: LoadConfig,
    objective: String,
    resolution: f64,
    repeats: u32,
    /// The highest rate that was seen to meet the objective.
    meets_per_s: Option<f64>,
    /// The lowest rate above it that was seen not to.
    fails_per_s: Option<f64>,
    limited_by: Option<Limit>,
    cut_short: bool,
    steps: Vec<Step>,
}

pub(super) fn execute(plan: Plan, runner: &mut Runner<'_>) -> Result<Exit, Error> {
    let (low, high) = bounds(&plan)?;
    runner.tell(&Point::head());
    let mut steps = Vec::new();
    let found = search(low, high, plan.resolution, |rate| {
        let step = step(rate, &plan, runner)?;
        let outcome = step.as_ref().map(|step| step.outcome);
        steps.extend(step);
        Ok(outcome)
    })?;
    let answer = Answer {
        schema: SCHEMA,
        target: runner.config.target_name(),
        config: runner.config.describe(),
        objective: plan.objective.to_string(),
        resolution: plan.resolution,
        repeats: plan.repeats,
        meets_per_s: found.meets,
        fails_per_s: found.fails,
        limited_by: found.limit,
        cut_short: found.cut_short,
        steps,
    };
    write(&answer, runner)?;
    Ok(match found {
        Found { cut_short: true, .. } => Exit::Unfit,
        Found { meets: Some(_), .. } => Exit::Fine,
        Found { limit: Some(Limit::Generator), .. } => Exit::Unfit,
        _ => Exit::Found,
    })
}

fn bounds(plan: &Plan) -> Result<(f64, f64), Error> {
    let lowest = plan.objective.lowest_rate(plan.window);
    let Some(range) = plan.bounds else { return Ok((lowest, HIGHEST)) };
    if range.low < lowest / 1.02 {
        return Err(Error::Usage(format!(
            "at {} requests/s a window of {:?} is too short for `{}`: give --duration {:.0}s, or begin at {lowest:.0}",
            range.low,
            plan.window,
            plan.objective,
            (plan.window.as_secs_f64() * lowest / range.low).ceil()
        )));
    }
    Ok((range.low, range.high))
}

/// Runs a rate until the majority of the repeats is known; `None` when interrupted.
fn step(rate_per_s: f64, plan: &Plan, runner: &mut Runner<'_>) -> Result<Option<Step>, Error> {
    let majority = plan.repeats as usize / 2 + 1;
    let (mut runs, mut outcomes) = (Vec::new(), Vec::new());
    for _ in 0..plan.repeats {
        let Some(tried) = runner.try_rate(rate_per_s)? else { return Ok(None) };
        outcomes.extend(tried.last().map(|point| judge(plan, point)));
        runs.extend(tried);
        let count = |what| outcomes.iter().filter(|o| **o == what).count();
        if count(Outcome::Meets) >= majority || count(Outcome::Fails) >= majority {
            break;
        }
    }
    Ok(Some(Step { rate_per_s, outcome: decide(&outcomes, majority), runs }))
}

fn judge(plan: &Plan, point: &Point) -> Outcome {
    match plan.objective.is_met(point) {
        _ if point.spoiled => Outcome::Spoiled,
        Some(true) => Outcome::Meets,
        Some(false) => Outcome::Fails,
        None => Outcome::Undecided,
    }
}

/// The majority meets, or it does not; where the generator's own part decides that, it says so.
fn decide(outcomes: &[Outcome], majority: usize) -> Outcome {
    let count = |what| outcomes.iter().filter(|o| **o == what).count();
    if count(Outcome::Meets) >= majority {
        Outcome::Meets
    } else if count(Outcome::Meets) + count(Outcome::Spoiled) >= majority {
        Outcome::Spoiled
    } else if count(Outcome::Undecided) >= majority {
        Outcome::Undecided
    } else {
        Outcome::Fails
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Found {
    meets: Option<f64>,
    fails: Option<f64>,
    limit: Option<Limit>,
    cut_short: bool,
}

/// Searches between `low` and `high` until their ratio is at most 1 + `resolution`; `probe` says what a rate does.
fn search(
    low: f64,
    high: f64,
    resolution: f64,
    mut probe: impl FnMut(f64) -> Result<Option<Outcome>, Error>,
) -> Result<Found, Error> {
    // Finer than the clock's grain over a window is no answer.
    let ratio = 1.0 + resolution.max(0.001);
    let mut found = Found::default();
    let mut next = low;
    loop {
        match probe(next)? {
            None => found.cut_short = true,
            Some(Outcome::Meets) => found.meets = Some(next),
            Some(outcome) => {
                found.fails = Some(next);
                let own = outcome == Outcome::Spoiled;
                found.limit = Some(if own { Limit::Generator } else { Limit::Server });
            }
        }
        next = match (found.meets, found.fails) {
            _ if found.cut_short => return Ok(found),
            (None, _) => return Ok(found),
            (Some(meets), None) if meets >= high => {
                found.limit = Some(Limit::Bound);
                return Ok(found);
            }
            (Some(meets), None) => (2.0 * meets).min(high),
            (Some(meets), Some(fails)) if fails / meets <= ratio => return Ok(found),
            (Some(meets), Some(fails)) => (meets * fails).sqrt(),
        };
    }
}

fn write(answer: &Answer, runner: &Runner<'_>) -> Result<(), Error> {
    let exports = &runner.results.exports;
    if let Some(file) = &exports.json {
        file.write(&export::json(answer)?)?;
    }
    if let Some(file) = &exports.csv {
        let points: Vec<Point> = answer.steps.iter().flat_map(|s| s.runs.iter().cloned()).collect();
        file.write(&export::table(&points)?)?;
    }
    if !runner.results.quiet {
        exports.say(&words(answer));
    }
    Ok(())
}

fn words(answer: &Answer) -> String {
    let objective = &answer.objective;
    let mut text = match (answer.meets_per_s, answer.fails_per_s) {
        (Some(meets), Some(fails)) => {
            let why = match answer.limited_by {
                Some(Limit::Generator) => "the generator could not do its part",
                _ => "it was not met",
            };
            format!("{objective} holds at {meets:.0} requests/s; at {fails:.0} {why}")
        }
        (Some(meets), None) => {
            format!("{objective} holds at {meets:.0} requests/s, and nothing above was tried")
        }
        (None, Some(fails)) if answer.limited_by == Some(Limit::Generator) => {
            format!(
                "nothing is known of {objective}: the generator could not do its part at {fails:.0} requests/s, \
                 the lowest rate tried"
            )
        }
        (None, Some(fails)) => {
            format!("{objective} is not met at {fails:.0} requests/s, the lowest rate tried")
        }
        (None, None) => format!("nothing is known of {objective}"),
    };
    text.push_str(&format!(
        " (resolution {:.1} %, majority of {} runs)\n",
        answer.resolution * 100.0,
        answer.repeats
    ));
    if answer.cut_short {
        text.push_str("cut short by an interrupt\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches a server that meets up to `meets`, with a generator that can do up to `own`.
    fn against(low: f64, high: f64, meets: f64, own: f64) -> (Found, u32) {
        let mut probes = 0;
        let found = search(low, high, 0.05, |rate| {
            probes += 1;
            Ok(Some(match rate {
                _ if rate > own => Outcome::Spoiled,
                _ if rate > meets => Outcome::Fails,
                _ => Outcome::Meets,
            }))
        });
        (found.unwrap(), probes)
    }

    #[test]
    fn ends_between_what_meets_and_what_does_not() {
        let (found, probes) = against(100.0, HIGHEST, 12_345.0, f64::MAX);
        let (meets, fails) = (found.meets.unwrap(), found.fails.unwrap());
        assert!(meets <= 12_345.0 && fails > 12_345.0 && fails / meets <= 1.05 && probes < 20, "{found:?}");
        assert_eq!(found.limit, Some(Limit::Server));
    }

    #[test]
    fn what_the_generator_cannot_do_is_never_the_answer() {
        let (found, _) = against(100.0, HIGHEST, 12_345.0, 5_000.0);
        assert!(found.meets.unwrap() <= 5_000.0 && found.limit == Some(Limit::Generator), "{found:?}");
        let (found, _) = against(100.0, HIGHEST, 50.0, 10.0);
        assert_eq!((found.meets, found.limit), (None, Some(Limit::Generator)));
    }

    #[test]
    fn what_the_generator_spoiled_is_not_said_of_the_server() {
        let url: sys::Url = "tcp://127.0.0.1:9".parse().unwrap();
        let mut answer = Answer {
            schema: SCHEMA,
            target: url.to_string(),
            config: crate::Config::new(url).describe(),
            objective: "p99<5ms".to_owned(),
            resolution: 0.05,
            repeats: 3,
            meets_per_s: None,
            fails_per_s: Some(1_000.0),
            limited_by: Some(Limit::Generator),
            cut_short: false,
            steps: Vec::new(),
        };
        assert!(words(&answer).starts_with("nothing is known of p99<5ms: the generator"));
        answer.limited_by = Some(Limit::Server);
        assert!(words(&answer).starts_with("p99<5ms is not met at 1000 requests/s"));
        answer.meets_per_s = Some(900.0);
        assert!(words(&answer).starts_with("p99<5ms holds at 900 requests/s; at 1000 it was not met"));
    }

    #[test]
    fn bounds_are_kept() {
        let (found, _) = against(100.0, 1_000.0, 1e9, f64::MAX);
        assert_eq!((found.meets, found.fails, found.limit), (Some(1_000.0), None, Some(Limit::Bound)));
        let (found, probes) = against(100.0, 1_000.0, 5.0, f64::MAX);
        assert_eq!((found.meets, found.fails, probes), (None, Some(100.0), 1));
    }

    #[test]
    fn the_majority_decides_and_spoiled_runs_are_no_failures() {
        use Outcome::{Fails, Meets, Spoiled, Undecided};
        assert_eq!(decide(&[Meets, Fails, Meets], 2), Meets);
        assert_eq!(decide(&[Meets, Fails, Fails], 2), Fails);
        assert_eq!(decide(&[Meets, Spoiled, Fails], 2), Spoiled);
        assert_eq!(decide(&[Undecided, Undecided, Fails], 2), Undecided);
    }
}
