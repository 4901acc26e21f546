//! What belongs together, and what is the same twice. Not here: adding it up.

use super::Align;
use crate::Error;
use crate::config::Shard;
use crate::stored::Stored;
use record::Load;
use record::analysis::Part;
use serde_json::Value;
use std::collections::BTreeMap;

/// What parts of one load may differ in; everything else that was asked for, now or in later versions, has to be the same.
const MAY_DIFFER: [&str; 7] = ["connections", "idle", "threads", "rate_per_s", "seed", "shard", "source"];

/// Two windows of one load lie over each other for at least this share of the shorter one.
const OVERLAP: f64 = 0.5;

/// Refuses what does not belong to `first`.
pub(super) fn belong(first: &Stored, other: &Stored, align: Align) -> Result<(), Error> {
    let (a, b) = (first.load(), other.load());
    let apart = |what: &str, mine: &dyn std::fmt::Display, theirs: &dyn std::fmt::Display| {
        Err(other.refuse(format!(
            "it does not belong to `{}`: {what} {theirs}, there {mine}",
            first.path.display()
        )))
    };
    if a.target != b.target {
        return apart("target", &a.target, &b.target);
    }
    if let Some((what, mine, theirs)) = differences(a, b, align).into_iter().next() {
        return apart(&what, &mine, &theirs);
    }
    if align != Align::Chain && shard(first).map(|s| s.of) != shard(other).map(|s| s.of) {
        return apart("shard", &show_shard(a), &show_shard(b));
    }
    if a.config.rate_per_s.is_some() != b.config.rate_per_s.is_some() {
        return apart("arrivals", &a.config.arrivals, &b.config.arrivals);
    }
    Ok(())
}

/// Which shard a result is of; a result of the whole is none.
fn shard(result: &Stored) -> Option<Shard> {
    result.load().config.shard.as_ref()?.parse().ok()
}

fn show_shard(load: &Load) -> String {
    load.config.shard.clone().unwrap_or_else(|| "none".to_owned())
}

/// What keeps shards from being the whole run: those that are missing, or are there twice.
pub(super) fn missing_shards(results: &[Stored]) -> Option<String> {
    let mut there: Vec<u32> = results.iter().filter_map(|r| Some(shard(r)?.index)).collect();
    let of = shard(results.first()?)?.of;
    there.sort_unstable();
    let count = there.len();
    there.dedup();
    if there.len() < count {
        return Some("a shard is there twice: its requests are no others".to_owned());
    }
    let missing = of as usize - there.len();
    (missing > 0).then(|| format!("{missing} of {of} shards are missing: the rate is that of all"))
}

/// What was asked for and is not the same, as `(name, mine, theirs)`.
fn differences(a: &Load, b: &Load, align: Align) -> Vec<(String, Value, Value)> {
    let (Ok(Value::Object(mine)), Ok(Value::Object(theirs))) =
        (serde_json::to_value(&a.config), serde_json::to_value(&b.config))
    else {
        return Vec::new();
    };
    let may_differ = |name: &str| match align {
        Align::Chain => name == "seed",
        Align::Clock | Align::Start => MAY_DIFFER.contains(&name),
    };
    let differing = mine.into_iter().filter_map(|(name, value)| {
        let other = theirs.get(&name).cloned().unwrap_or(Value::Null);
        (value != other && !may_differ(&name)).then_some((name, value, other))
    });
    differing.collect()
}

/// Refuses a part that stands in two of the results.
pub(super) fn are_different(results: &[Stored]) -> Result<(), Error> {
    let mut seen: BTreeMap<String, &Stored> = BTreeMap::new();
    for result in results {
        for part in of(result, 0) {
            if let Some(before) = seen.insert(part.id, result) {
                let twice = before.path.display();
                return Err(
                    result.refuse(format!("what it holds is in `{twice}` too, and would count twice"))
                );
            }
        }
    }
    Ok(())
}

/// The parts of a result: those that it was merged from, or itself.
pub(super) fn of(result: &Stored, offset_ns: u64) -> Vec<Part> {
    let load = result.load();
    if !load.parts.is_empty() {
        let moved = |part: &Part| Part { offset_ns: part.offset_ns + offset_ns, ..part.clone() };
        return load.parts.iter().map(moved).collect();
    }
    vec![Part {
        id: id(load),
        target: load.target.clone(),
        started_at_ns: load.started_at_ns,
        elapsed_ns: load.elapsed_ns,
        offset_ns,
        seed: load.config.seed,
        connections: load.config.connections,
        completed: load.requests.completed,
        verdict: load.verdict.clone(),
    }]
}

/// Names a run by its content: FNV-1a of what no two runs have in common.
fn id(load: &Load) -> String {
    let text = format!(
        "{} {} {} {} {}",
        load.target, load.started_at_ns, load.elapsed_ns, load.config.seed, load.histograms.latency
    );
    format!("{:016x}", crate::units::fnv1a(text.bytes()))
}

/// Where each window begins in the merged one.
pub(super) fn offsets(results: &[Stored], align: Align) -> Result<Vec<u64>, Error> {
    let window = |r: &Stored| (r.load().started_at_ns, r.load().elapsed_ns);
    match align {
        Align::Start => Ok(vec![0; results.len()]),
        Align::Chain => {
            let mut order: Vec<usize> = (0..results.len()).collect();
            order.sort_by_key(|i| window(&results[*i]).0);
            let (mut offsets, mut at) = (vec![0; results.len()], 0);
            for i in order {
                offsets[i] = at;
                at += window(&results[i]).1;
            }
            Ok(offsets)
        }
        Align::Clock => {
            for (i, other) in results.iter().enumerate() {
                for first in &results[..i] {
                    overlap(first, other)?;
                }
            }
            let start = results.iter().map(|r| window(r).0).min().unwrap_or(0);
            Ok(results.iter().map(|r| window(r).0 - start).collect())
        }
    }
}

/// Refuses windows that were not open at the same time.
fn overlap(first: &Stored, other: &Stored) -> Result<(), Error> {
    let (a, b) = (first.load(), other.load());
    let start = a.started_at_ns.max(b.started_at_ns);
    let end = (a.started_at_ns + a.elapsed_ns).min(b.started_at_ns + b.elapsed_ns);
    let shorter = a.elapsed_ns.min(b.elapsed_ns);
    if (end.saturating_sub(start) as f64) < OVERLAP * shorter as f64 {
        return Err(other.refuse(format!(
            "its window lies elsewhere than that of `{}`: --align chain for repeats, --align start where clocks differ",
            first.path.display()
        )));
    }
    Ok(())
}
