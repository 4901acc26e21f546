//! Several targets with weights: what each of them gets of a run. Not here: making the parts' requests, which is as for one target.
//!
//! ```text
//! [WEIGHT@]URL     3@tcp://10.0.0.1:7000 1@tcp://10.0.0.2:7000     WEIGHT is a number above 0; 1 where there is none
//! ```
//!
//! A URL begins with a letter and a weight with a digit, so the one is never taken for the other. In an open loop each arrival goes to
//! one of the targets, drawn by the weights from the seed and the arrival's number alone; the connections are shared out by the weights
//! too. In a closed loop the connections are all that is shared out: a target that answers faster is asked more often, unless
//! `-n` says how many requests there are, which are shared out as well. Each target has threads of its own, at least one.

use crate::Error;
use crate::config::{Config, Pacing, Stop, host_of};
use crate::recorder::Recorder;
use record::histogram::encode;
use record::target::TargetResult;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use sys::Url;

/// Keeps the choice of a target apart from other choices by the same seed and number.
const STREAM: u64 = 0x7461_7267_6574;

/// One of several targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where.
    pub url: Url,
    /// Its share of the run, beside the weights of the others.
    pub weight: f64,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (weight, url) = match text.split_once('@') {
            Some((weight, url)) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                let weight = weight.parse::<f64>().ok().filter(|w| *w > 0.0 && *w <= 1e6);
                (
                    weight
                        .ok_or_else(|| format!("`{text}`: a weight lies above 0 and is at most 1000000"))?,
                    url,
                )
            }
            _ => (1.0, text),
        };
        Ok(Self { url: url.parse().map_err(|error: sys::BadUrl| error.to_string())?, weight })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.weight == 1.0 { write!(f, "{}", self.url) } else { write!(f, "{}@{}", self.weight, self.url) }
    }
}

/// Which of the arrivals are a target's.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its place among the targets.
    pub(crate) index: usize,
    pub(crate) of: usize,
    /// Connections of the targets before it.
    pub(crate) connections_before: u32,
    /// For each target the first value that it no longer takes, in 2^64ths; the last one takes the rest.
    ends: Arc<[u64]>,
}

impl Part {
    /// True where arrival `k` goes to this target.
    pub(crate) fn takes(&self, seed: u64, k: u64) -> bool {
        let value = service::client::mix(seed, STREAM, k);
        let at = self.ends.iter().position(|end| value < *end).unwrap_or(self.of - 1);
        at == self.index
    }
}

/// What cannot be had of several targets, in one sentence.
pub(crate) fn problem(config: &Config) -> Option<String> {
    let count = config.targets.len();
    if count < 2 {
        return None;
    }
    if (config.connections as usize) < count {
        return Some(format!("{count} targets want at least {count} connections"));
    }
    if matches!(config.stop, Stop::Requests(n) if n < count as u64) {
        return Some(format!("{count} targets want at least {count} requests"));
    }
    if !config.misfits.is_empty() || config.idle > 0 {
        return Some("slow, mute and idle clients go with one target: leave them out".to_owned());
    }
    let paths = |target: &Target| target.url.path.is_some() && target.url.path != config.url.path;
    if config.http.is_some() && config.targets.iter().any(paths) {
        return Some("what is asked of several http:// targets is the same: give them one path".to_owned());
    }
    None
}

/// The runs that a run consists of, one for each target; the run itself where there is one target.
pub(crate) fn split(config: &Config) -> Vec<Config> {
    if config.targets.len() < 2 {
        return vec![config.clone()];
    }
    let weights: Vec<f64> = config.targets.iter().map(|target| target.weight).collect();
    let whole: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let ends = weights.iter().map(|weight| {
        sum += weight;
        (sum / whole * 2_f64.powi(64)) as u64
    });
    let ends: Arc<[u64]> = ends.collect();
    let connections = share(u64::from(config.connections), &weights);
    let threads = share(u64::from(config.threads), &weights);
    let requests = match config.stop {
        Stop::Requests(n) if config.pacing == Pacing::Closed => Some(share(n, &weights)),
        _ => None,
    };
    let mut before = 0;
    let part = |(index, target): (usize, &Target)| {
        let mut part = config.clone();
        part.targets.clear();
        if part.ask.path.as_deref() == Some(path_of(&config.url)) {
            part.ask.path = Some(path_of(&target.url).to_owned());
        }
        if part.ask.host == host_of(&config.url) {
            host_of(&target.url).clone_into(&mut part.ask.host);
        }
        part.url = target.url.clone();
        part.connections = u32::try_from(connections[index]).unwrap_or(u32::MAX);
        part.threads = u32::try_from(threads[index]).unwrap_or(u32::MAX).min(part.connections);
        if let Some(requests) = &requests {
            part.stop = Stop::Requests(requests[index]);
        }
        let rate = &mut part.life.connect_rate_per_s;
        *rate = rate.map(|rate| rate * part.connections as f64 / f64::from(config.connections));
        part.part =
            Some(Part { index, of: weights.len(), connections_before: before, ends: Arc::clone(&ends) });
        before += part.connections;
        part
    };
    config.targets.iter().enumerate().map(part).collect()
}

/// The path that is asked for where nothing else is said.
fn path_of(url: &Url) -> &str {
    url.path.as_deref().unwrap_or("/")
}

/// Shares `whole` out by weight: each gets at least 1, and the largest remainders what is left.
fn share(whole: u64, weights: &[f64]) -> Vec<u64> {
    let sum: f64 = weights.iter().sum();
    let ideal: Vec<f64> = weights.iter().map(|weight| whole as f64 * weight / sum).collect();
    let mut shares: Vec<u64> = ideal.iter().map(|ideal| (*ideal as u64).max(1)).collect();
    let missing = |shares: &[u64], i: usize| ideal[i] - shares[i] as f64;
    while shares.iter().sum::<u64>() < whole {
        let most =
            (0..shares.len()).rev().max_by(|a, b| missing(&shares, *a).total_cmp(&missing(&shares, *b)));
        most.into_iter().for_each(|i| shares[i] += 1);
    }
    while shares.iter().sum::<u64>() > whole.max(shares.len() as u64) {
        let least = (0..shares.len())
            .filter(|i| shares[*i] > 1)
            .min_by(|a, b| missing(&shares, *a).total_cmp(&missing(&shares, *b)));
        least.into_iter().for_each(|i| shares[i] -= 1);
    }
    shares
}

/// What one target made of its part, in a window of `elapsed_ns`.
pub(crate) fn result(
    target: &Target,
    part: &Config,
    counted: &Recorder,
    elapsed_ns: u64,
) -> Result<TargetResult, Error> {
    Ok(TargetResult {
        target: target.url.to_string(),
        weight: target.weight,
        connections: u64::from(part.connections),
        requests: counted.requests.clone(),
        throughput_per_s: counted.requests.completed as f64 / (elapsed_ns as f64 / 1e9),
        bytes: counted.bytes.clone(),
        latency_ns: counted.latency.summary(),
        datagrams: part.is_datagram().then(|| counted.datagrams.clone()),
        errors: counted.errors.rows(),
        latency: encode(&counted.latency.histogram)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_never_taken_for_a_url() {
        let read = |text: &str| text.parse::<Target>().map(|t| (t.weight, t.to_string()));
        assert_eq!(read("tcp://127.0.0.1:1"), Ok((1.0, "tcp://127.0.0.1:1".to_owned())));
        assert_eq!(read("2.5@unix:@name"), Ok((2.5, "2.5@unix:@name".to_owned())));
        assert_eq!(read("unix:@3@x"), Ok((1.0, "unix:@3@x".to_owned())));
        for bad in ["0@tcp://127.0.0.1:1", "3x@tcp://127.0.0.1:1", "1e9@unix:/x", "3@", "3@ftp://x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_add_up_and_nobody_gets_nothing() {
        assert_eq!(share(10, &[3.0, 1.0]), [8, 2], "a tie goes to the first");
        assert_eq!(share(4, &[100.0, 1.0, 1.0]), [2, 1, 1]);
        assert_eq!(share(1, &[5.0, 1.0]), [1, 1]);
        assert_eq!(share(1_000, &[0.1, 0.2, 0.7]), [100, 200, 700]);
    }

    #[test]
    fn each_target_is_asked_for_its_own_path_by_its_own_name() {
        let asked = |targets: [&str; 2], path: Option<&str>| {
            let targets = targets.map(|text| text.parse::<Target>().unwrap());
            let mut config = Config::new(targets[0].url.clone());
            config.ask.path = path.map(str::to_owned);
            config.targets = targets.into();
            split(&config).into_iter().map(|part| (part.ask.host, part.ask.path)).collect::<Vec<_>>()
        };
        let say = |host: &str, path: &str| (host.to_owned(), Some(path.to_owned()));
        let (a, local) = (say("127.0.0.1:1", "/a"), say("localhost", "/"));
        assert_eq!(asked(["http://127.0.0.1:1/a", "unix:/x"], Some("/a")), [a.clone(), local.clone()]);
        assert_eq!(asked(["unix:/x", "http://127.0.0.1:1/a"], Some("/")), [local, a]);
        // Asked by size, no path takes its place.
        let by_size = asked(["http://127.0.0.1:1", "unix:/x"], None);
        assert_eq!(by_size, [("127.0.0.1:1".to_owned(), None), ("localhost".to_owned(), None)]);
    }

    #[test]
    fn each_arrival_goes_to_one_target_by_its_weight() {
        let mut config = Config::new("tcp://127.0.0.1:1".parse().unwrap());
        config.targets = ["3@tcp://127.0.0.1:1", "tcp://127.0.0.1:2"].map(|t| t.parse().unwrap()).into();
        let parts: Vec<_> = split(&config).into_iter().map(|part| part.part.unwrap()).collect();
        let mut counts = [0, 0];
        for k in 0..40_000 {
            let takers: Vec<_> =
                parts.iter().filter(|part| part.takes(7, k)).map(|part| part.index).collect();
            assert_eq!(takers.len(), 1);
            counts[takers[0]] += 1;
        }
        // Three standard deviations of the binomial: 260.
        assert!((counts[0] - 30_000_i32).abs() < 300, "{counts:?}");
    }
}
