//! How a model's workers shared the work out, and what woke them. Not here: counting, words.

use super::{Measure, Trial};
use record::Record;
use record::workers::{Worker, Workers, jain, shares};

/// How the work was shared out, over the trials of a row. Everything is absent where the model has one worker, or one a connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sharing {
    /// Workers that shared it, where there were several.
    pub workers: Option<u64>,
    /// Of the connections.
    pub connections: Evenness,
    /// Of the bytes, both ways.
    pub bytes: Evenness,
    /// Wake-ups for nothing per connection that came: the herd. Of one worker too.
    pub spurious_per_connection: Measure,
    /// Waits that ended with something to do, per request. Of one worker too.
    pub useful_per_request: Measure,
    /// Connections that ended in the windows, by reason, most frequent first; of all trials.
    pub ended: Vec<(String, u64)>,
}

/// How evenly something was shared out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evenness {
    /// Jain's index: 1 where all have the same, 1/n where one of n has all.
    pub index: Measure,
    /// The smallest share that a worker had, 0 to 1.
    pub least: Measure,
    /// The largest.
    pub most: Measure,
}

impl Sharing {
    pub(super) fn new(trials: &[Trial<'_>]) -> Self {
        let counted = || trials.iter().filter_map(|t| t.record.server.workers.as_ref());
        let several = counted().filter(|w| w.shared_out(|_| 1).is_some()).map(|w| w.each.len() as u64);
        Self {
            workers: several.max(),
            connections: Evenness::new(trials, Worker::connections),
            bytes: Evenness::new(trials, Worker::bytes),
            spurious_per_connection: super::row::measure(trials, |r| workers(r)?.spurious_per_connection()),
            useful_per_request: super::row::measure(trials, |r| {
                let requests = &r.load.as_ref()?.requests;
                workers(r)?.useful_per_request(requests.completed + requests.aborted)
            }),
            ended: ended(counted().flat_map(|w| &w.each)),
        }
    }
}

fn workers(record: &Record) -> Option<&Workers> {
    record.server.workers.as_ref()
}

impl Evenness {
    fn new(trials: &[Trial<'_>], of: fn(&Worker) -> u64) -> Self {
        let measure = |value: fn(&[u64]) -> Option<f64>| {
            super::row::measure(trials, |r| value(&workers(r)?.shared_out(of)?))
        };
        Self {
            index: measure(jain),
            least: measure(|values| Some(shares(values)?.0)),
            most: measure(|values| Some(shares(values)?.1)),
        }
    }
}

fn ended<'w>(all: impl Iterator<Item = &'w Worker>) -> Vec<(String, u64)> {
    let mut sums: Vec<(String, u64)> = Vec::new();
    for (why, count) in all.flat_map(|worker| &worker.ended) {
        match sums.iter_mut().find(|(known, _)| known == why) {
            Some((_, sum)) => *sum += count,
            None => sums.push((why.clone(), *count)),
        }
    }
    sums.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sums
}
