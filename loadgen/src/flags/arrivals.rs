//! The flags about when requests begin: rate, spread, profile, think time. Not here: what they come to (see `schedule`).

use crate::config::{Config, Pacing, Shard, Stop, nanoseconds};
use crate::draw::Draw;
use crate::schedule::{Arrivals, Profile, Trace};
use crate::{Error, units};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// When requests begin.
#[derive(Debug, clap::Args)]
pub(crate) struct ArrivalFlags {
    /// Requests/s, open loop (10k, 1M) [default: closed loop]
    ///
    /// A total over all connections, threads, processes and shards.
    #[arg(short = 'R', long, aliases = ["qps", "rps"], value_parser = units::parse_rate, value_name = "N", help_heading = "Load")]
    rate: Option<f64>,
    /// How they are spread: constant, poisson, burst:ON/OFF
    ///
    /// How they are spread: constant or poisson, and with burst:ON/OFF, as burst:100ms/900ms or poisson,burst:1s/4s, at the whole
    /// rate for the one time and not at all for the other, again and again.
    #[arg(long, value_name = "HOW", help_heading = "Load")]
    arrivals: Option<Spread>,
    /// Closed loop: rest before each next request, as exp:10ms
    ///
    /// Closed loop: rest of a connection between a reply and its next request: 10ms, 5ms..20ms, or exp:10ms for exponential times
    /// with that mean; drawn for each request.
    #[arg(long, value_name = "TIME", hide_short_help = true, value_parser = Draw::parse_time, help_heading = "Load", conflicts_with_all = ["rate", "ramp", "steps", "trace"])]
    think: Option<Draw>,
    /// Open loop whose rate moves in a straight line over the duration, as 100..5k; a total
    #[arg(long, value_name = "FROM..TO", hide_short_help = true, value_parser = parse_ramp, help_heading = "Load", conflicts_with_all = ["rate", "requests"])]
    ramp: Option<(f64, f64)>,
    /// Open loop at one rate after the other, as 1k,2k,5k, each for an equal part of the duration; totals
    #[arg(long, value_name = "RATES", hide_short_help = true, value_delimiter = ',', value_parser = parse_level, help_heading = "Load", conflicts_with_all = ["rate", "ramp", "requests"])]
    steps: Vec<f64>,
    /// Open loop of requests at the times in FILE, one on each line: seconds from the start, or with a unit (250us), ascending; the
    /// run ends with it, or before at --duration
    #[arg(long, value_name = "FILE", hide_short_help = true, help_heading = "Load", conflicts_with_all = ["rate", "ramp", "steps", "requests", "arrivals"])]
    trace: Option<PathBuf>,
    /// Make part I (from 0) of a run that N processes or machines make together: every Nth request; rates and -n stay totals over
    /// all, connections and threads are those of this part; `merge` makes one result of them
    #[arg(long, value_name = "I/N", hide_short_help = true, default_value = "0/1", help_heading = "Load")]
    shard: Shard,
}

/// `constant`, `poisson`, `burst:ON/OFF`, or one of the first two with the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spread {
    arrivals: Arrivals,
    /// Nanoseconds on and off.
    burst: Option<(u64, u64)>,
}

impl FromStr for Spread {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}`: write constant, poisson, burst:100ms/900ms or poisson,burst:100ms/900ms");
        let (mut arrivals, mut burst) = (None, None);
        for part in text.split(',') {
            match part {
                "constant" if arrivals.is_none() => arrivals = Some(Arrivals::Constant),
                "poisson" if arrivals.is_none() => arrivals = Some(Arrivals::Poisson),
                _ => {
                    let times = part.strip_prefix("burst:").filter(|_| burst.is_none()).ok_or_else(bad)?;
                    let (on, off) = times.split_once('/').ok_or_else(bad)?;
                    burst = Some((units::parse_offset(on)?, units::parse_offset(off)?));
                }
            }
        }
        Ok(Self { arrivals: arrivals.unwrap_or(Arrivals::Constant), burst })
    }
}

/// A rate, or 0 for a pause.
fn parse_level(text: &str) -> Result<f64, String> {
    if text == "0" { Ok(0.0) } else { units::parse_rate(text) }
}

fn parse_ramp(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text.split_once("..").ok_or_else(|| format!("`{text}` is no ramp: write 100..5k"))?;
    Ok((parse_level(from)?, parse_level(to)?))
}

impl ArrivalFlags {
    /// Reads what the flags name and makes it the run's; the stop rule has been set. A search sets rates by itself.
    pub(crate) fn apply(&self, timed: bool, searching: bool, config: &mut Config) -> Result<(), Error> {
        let Spread { arrivals, burst } =
            self.arrivals.unwrap_or(Spread { arrivals: Arrivals::Constant, burst: None });
        let length_ns = match config.stop {
            Stop::After(time) => nanoseconds(time),
            Stop::Requests(_) => 0,
        };
        config.think = self.think;
        config.shard = self.shard;
        config.profile = if let Some((from, to)) = self.ramp {
            Profile::Ramp { from, to, over_ns: length_ns }
        } else if !self.steps.is_empty() {
            let each_ns = length_ns / self.steps.len() as u64;
            Profile::Steps { rates: Arc::from(&self.steps[..]), each_ns }
        } else if let Some(path) = &self.trace {
            let trace = read_trace(path)?;
            if !timed {
                config.stop = Stop::Requests(trace.arrivals());
            }
            Profile::Trace(trace)
        } else if let Some((on_ns, off_ns)) = burst {
            Profile::Burst { on_ns, off_ns }
        } else {
            Profile::Steady
        };
        let own_rate = !matches!(config.profile, Profile::Steady | Profile::Burst { .. });
        if own_rate && burst.is_some() {
            return Err(Error::Usage("bursts are at one rate: leave --ramp and --steps out".to_owned()));
        }
        let rate = self.rate.or_else(|| own_rate.then(|| config.profile.mean_per_s(0.0)));
        match rate.or_else(|| searching.then_some(1.0)) {
            Some(rate_per_s) => config.pacing = Pacing::Open { rate_per_s, arrivals },
            None if self.arrivals.is_some() => {
                return Err(Error::Usage("--arrivals is for an open loop: give it a --rate".to_owned()));
            }
            None => {}
        }
        Ok(())
    }
}

fn read_trace(path: &Path) -> Result<Trace, Error> {
    let refuse = |why: String| Error::Usage(format!("--trace: {why}"));
    let text = std::fs::read_to_string(path)
        .map_err(|error| refuse(format!("cannot read `{}`: {error}", path.display())))?;
    Trace::parse(&path.display().to_string(), &text).map_err(refuse)
}
