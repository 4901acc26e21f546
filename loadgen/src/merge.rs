//! Several results made one: histograms added, counters summed, windows laid on one another. Not here: comparing them.
//!
//! Nothing is averaged. A result that was merged can be merged again; each part is known by an id made from its content, so
//! that none counts twice.

mod parts;
mod targets;

use crate::intervals::Slice;
use crate::run::Finished;
use crate::stored::Stored;
use crate::{Error, statistics};
use clap::ValueEnum;
use hdrhistogram::Histogram;
use record::histogram::{self, Exact, decode, encode};
use record::load::{ErrorCount, Interval, Summary};
use record::{Load, Verdict, VerdictState};
use std::collections::BTreeMap;

/// How the windows lie to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Align {
    /// At the same time, by their wall clocks.
    Clock,
    /// At the same time, whatever the clocks of their machines say.
    Start,
    /// One behind the other: repeats of one run.
    Chain,
}

/// Merges results that belong together.
///
/// # Errors
/// [`Error::Input`] or [`Error::Usage`] with what keeps them apart.
pub(crate) fn merge(results: &[Stored], align: Align) -> Result<Finished, Error> {
    let [first, others @ ..] = results else {
        return Err(Error::Usage("a merge needs at least two results".to_owned()));
    };
    if others.is_empty() {
        return Err(Error::Usage("a merge needs at least two results".to_owned()));
    }
    for other in others {
        parts::belong(first, other, align)?;
    }
    parts::are_different(results)?;
    let offsets = parts::offsets(results, align)?;
    let mut load = first.load().clone();
    for other in others {
        add_counters(&mut load, other.load());
    }
    let ends = results.iter().zip(&offsets).map(|(r, offset)| offset + r.load().elapsed_ns);
    load.elapsed_ns = ends.max().unwrap_or(0);
    load.started_at_ns = results.iter().map(|r| r.load().started_at_ns).min().unwrap_or(0);
    load.parts =
        results.iter().zip(&offsets).flat_map(|(result, offset)| parts::of(result, *offset)).collect();
    settle(&mut load, results, align);
    add_misfits(&mut load, others)?;
    targets::add(&mut load, others)?;
    let whole = add_distributions(&mut load, others)?;
    let latencies = lay_intervals(&mut load, results, &offsets)?;
    statistics::attach(&mut load, &whole, &latencies);
    Ok(Finished { load, latencies, log: None })
}

/// Adds what can be summed.
fn add_counters(sum: &mut Load, other: &Load) {
    sum.requests += &other.requests;
    if let (Some(mine), Some(theirs)) = (&mut sum.datagrams, &other.datagrams) {
        *mine += theirs;
    }
    sum.bytes.sent += other.bytes.sent;
    sum.bytes.received += other.bytes.received;
    sum.connections.made += other.connections.made;
    let (mine, theirs) = (&mut sum.aborts, &other.aborts);
    mine.planned += theirs.planned;
    mine.done += theirs.done;
    mine.fin_proven += theirs.fin_proven;
    mine.not_reached += theirs.not_reached;
    for (kind, count) in &theirs.by_kind {
        *mine.by_kind.entry(kind.clone()).or_default() += count;
    }
    add_idle(sum, other);
    sum.collateral_errors += other.collateral_errors;
    sum.errors = add_errors(&sum.errors, &other.errors);
    let (mine, theirs) = (&mut sum.generator, &other.generator);
    mine.cpu_ns += theirs.cpu_ns;
    mine.busy_share = mine.busy_share.max(theirs.busy_share);
    mine.run_queue_wait_ns = mine.run_queue_wait_ns.zip(theirs.run_queue_wait_ns).map(|(a, b)| a + b);
    mine.peak_rss_bytes += theirs.peak_rss_bytes;
    mine.threads.extend(theirs.threads.iter().cloned());
}

/// Adds what the slow and mute clients did, family by family.
fn add_misfits(load: &mut Load, others: &[Stored]) -> Result<(), Error> {
    for other in others {
        for theirs in &other.load().misfits {
            let Some(mine) = load.misfits.iter_mut().find(|mine| mine.family == theirs.family) else {
                load.misfits.push(theirs.clone());
                continue;
            };
            mine.planned += theirs.planned;
            mine.done += theirs.done;
            mine.not_reached += theirs.not_reached;
            mine.connections += theirs.connections;
            mine.exchanges += theirs.exchanges;
            mine.ended_by_server += theirs.ended_by_server;
            mine.errors = add_errors(&mine.errors, &theirs.errors);
            let mut both = decode(&mine.latency)?;
            both.add(decode(&theirs.latency)?).map_err(|error| other.refuse(error.to_string()))?;
            let mut exact = exact(&mine.latency_ns);
            exact.merge(&self::exact(&theirs.latency_ns));
            mine.latency_ns = histogram::summary(&both, Some(exact));
            mine.latency = encode(&both)?;
        }
    }
    Ok(())
}

/// The errors of both, the most frequent first.
fn add_errors(mine: &[ErrorCount], theirs: &[ErrorCount]) -> Vec<ErrorCount> {
    let mut errors: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for error in mine.iter().chain(theirs) {
        *errors.entry((&error.phase, &error.cause)).or_default() += error.count;
    }
    let row = |((phase, cause), count): ((&str, &str), u64)| ErrorCount {
        phase: phase.to_owned(),
        cause: cause.to_owned(),
        count,
    };
    let mut rows: Vec<_> = errors.into_iter().map(row).collect();
    rows.sort_by_key(|e| std::cmp::Reverse(e.count));
    rows
}

/// Adds the idle crowd of another part; its times stay those from the opening of its own window.
fn add_idle(sum: &mut Load, other: &Load) {
    let Some(theirs) = &other.idle else { return };
    let Some(mine) = &mut sum.idle else {
        sum.idle = Some(theirs.clone());
        return;
    };
    mine.wanted += theirs.wanted;
    mine.made += theirs.made;
    mine.refused = add_errors(&mine.refused, &theirs.refused);
    mine.closed = add_errors(&mine.closed, &theirs.closed);
    mine.first_closed_ns = mine.first_closed_ns.into_iter().chain(theirs.first_closed_ns).min();
    mine.last_closed_ns = mine.last_closed_ns.max(theirs.last_closed_ns);
    mine.youngest_closed_ns = mine.youngest_closed_ns.into_iter().chain(theirs.youngest_closed_ns).min();
    mine.oldest_closed_ns = mine.oldest_closed_ns.max(theirs.oldest_closed_ns);
    mine.received_bytes += theirs.received_bytes;
}

/// What is no sum: rates over the merged window, what was asked for, the verdict.
fn settle(load: &mut Load, results: &[Stored], align: Align) {
    let seconds = load.elapsed_ns.max(1) as f64 / 1e9;
    let all = || results.iter().map(Stored::load);
    load.throughput_per_s = load.requests.completed as f64 / seconds;
    let payload = |l: &Load| l.received_bytes_per_s * l.elapsed_ns as f64 / 1e9;
    load.received_bytes_per_s = all().map(payload).sum::<f64>() / seconds;
    let combine = |values: &mut dyn Iterator<Item = u64>| match align {
        Align::Chain => values.max().unwrap_or(0),
        Align::Clock | Align::Start => values.sum(),
    };
    load.config.connections = combine(&mut all().map(|l| l.config.connections));
    load.config.threads = combine(&mut all().map(|l| l.config.threads));
    load.config.idle = combine(&mut all().map(|l| l.config.idle));
    load.connections.wanted = combine(&mut all().map(|l| l.connections.wanted));
    load.connections.peak = combine(&mut all().map(|l| l.connections.peak));
    // The rate of a shard is that of the whole already.
    if align != Align::Chain && load.config.shard.is_none() {
        load.config.rate_per_s = all().map(|l| l.config.rate_per_s).sum();
    }
    load.warm_up_ns = all().map(|l| l.warm_up_ns).min().unwrap_or(0);
    let g = &mut load.generator;
    g.cpu_ns_per_request = (load.requests.sent > 0).then(|| g.cpu_ns as f64 / load.requests.sent as f64);
    load.verdict = Verdict::valid();
    if align != Align::Chain
        && let Some(problem) = parts::missing_shards(results)
    {
        load.verdict.object(VerdictState::Suspect, problem);
    }
    load.config.shard = load.config.shard.take().filter(|_| align == Align::Chain);
    for result in results {
        for reason in &result.load().verdict.reasons {
            load.verdict.object(result.load().verdict.state, format!("{}: {reason}", result.path.display()));
        }
    }
    // The worst of what came after: one of them may have met a server that was gone.
    let looks = all().filter_map(|l| l.after.as_ref());
    load.after = looks.min_by_key(|after| (after.answers, after.accepts)).cloned();
    // The host's counters, and those of a server that two parts both looked at, would count twice.
    load.host = None;
    let mut servers = all().filter_map(|l| l.server.as_ref());
    load.server = match (servers.next(), servers.next()) {
        (Some(only), None) if align != Align::Chain => Some(only.clone()),
        _ => None,
    };
    if let Some(server) = &mut load.server {
        let completed = load.requests.completed.max(1) as f64;
        server.cpu_ns_per_request = server.cpu_ns.map(|ns| ns as f64 / completed);
    }
}

/// Adds the distributions of `others` to those of `load`; returns the one of the latencies.
fn add_distributions(load: &mut Load, others: &[Stored]) -> Result<Histogram<u64>, Error> {
    let add = |text: &mut String, summary: &mut Summary, pick: fn(&Load) -> (&String, &Summary)| {
        let mut sum = if text.is_empty() { histogram::new()? } else { decode(text)? };
        let mut exact = exact(summary);
        for other in others {
            let (text, summary) = pick(other.load());
            if !text.is_empty() {
                sum.add(decode(text)?).map_err(|error| other.refuse(error.to_string()))?;
            }
            exact.merge(&self::exact(summary));
        }
        *summary = histogram::summary(&sum, Some(exact));
        *text = encode(&sum)?;
        Ok::<_, Error>(sum)
    };
    let h = &mut load.histograms;
    add(&mut h.service, &mut load.service_ns, |l| (&l.histograms.service, &l.service_ns))?;
    add(&mut h.lag, &mut load.lag_ns, |l| (&l.histograms.lag, &l.lag_ns))?;
    add(&mut h.connect, &mut load.connect_ns, |l| (&l.histograms.connect, &l.connect_ns))?;
    add(&mut h.first_byte, &mut load.first_byte_ns, |l| (&l.histograms.first_byte, &l.first_byte_ns))?;
    add(&mut h.late, &mut load.late_ns, |l| (&l.histograms.late, &l.late_ns))?;
    add(&mut h.unanswered_age, &mut load.unanswered_age_ns, |l| {
        (&l.histograms.unanswered_age, &l.unanswered_age_ns)
    })?;
    add(&mut h.latency, &mut load.latency_ns, |l| (&l.histograms.latency, &l.latency_ns))
}

/// The exact figures of a summary; the sum of an older file from its mean.
fn exact(summary: &Summary) -> Exact {
    let mean_sum = || (summary.mean.unwrap_or(0.0) * summary.count as f64).round() as u128;
    Exact {
        count: summary.count,
        min: summary.min.unwrap_or(u64::MAX),
        max: summary.max.unwrap_or(0),
        sum: summary.sum.map_or_else(mean_sum, u128::from),
    }
}

/// Lays the intervals of all parts over the merged window: each counts where its middle lies.
fn lay_intervals(load: &mut Load, results: &[Stored], offsets: &[u64]) -> Result<Vec<Histogram<u32>>, Error> {
    let length = |r: &Stored| r.load().intervals.first().map_or(0, |i: &Interval| i.length_ns);
    let length_ns = results.iter().map(length).max().unwrap_or(0).max(1);
    let count = load.elapsed_ns.div_ceil(length_ns).max(1) as usize;
    let mut slices = (0..count).map(|_| Slice::new()).collect::<Result<Vec<_>, _>>()?;
    for (result, offset) in results.iter().zip(offsets) {
        let finished = &result.finished;
        if finished.latencies.len() != finished.load.intervals.len() {
            return Err(result.refuse("it has no histograms of its intervals: an older loadgen wrote it"));
        }
        for (interval, latency) in finished.load.intervals.iter().zip(&finished.latencies) {
            let middle = offset + interval.start_ns + interval.length_ns / 2;
            let slice = &mut slices[((middle / length_ns) as usize).min(count - 1)];
            slice.merge(&Slice {
                latency: latency.clone(),
                failed: interval.failed,
                max_ns: interval.max_ns.unwrap_or(0),
                connected_ns: (interval.living.unwrap_or(0.0) * interval.length_ns as f64) as u64,
            })?;
        }
    }
    let start = |i: usize| i as u64 * length_ns;
    let rows = slices.iter().enumerate();
    let wanted = load.connections.wanted;
    load.intervals =
        rows.map(|(i, s)| s.record(start(i), length_ns.min(load.elapsed_ns - start(i)), wanted)).collect();
    let latencies: Vec<_> = slices.into_iter().map(|slice| slice.latency).collect();
    load.histograms.intervals = latencies.iter().map(encode).collect::<Result<_, _>>()?;
    Ok(latencies)
}
