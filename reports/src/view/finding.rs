//! Says in sentences what the data supports, and no more. Not here: advice.

use super::rank::{FEWEST_TRIALS, Yardstick};
use super::{Conduct, Model, Outcome, Row, View, Workload};
use crate::format::{duration, list, rate};
use record::VerdictState;
use record::words::plural;

/// Share of the requests due that must be answered; below it a model is said not to have kept up.
const KEPT_UP: f64 = 0.98;
/// Share of requests lost that is worth a sentence.
const LOST: f64 = 0.001;

/// Sentences about a workload, the comparison first.
pub(super) fn of_workload(workload: &Workload<'_>, models: &[Model<'_>]) -> Vec<String> {
    let rows: Vec<&Row<'_>> = workload.measured().collect();
    let mut sentences = Vec::new();
    sentences.extend(comparison(workload, &rows, models));
    sentences.extend(cheapest(&rows, models));
    sentences.extend(behind(workload, &rows, models));
    for row in &workload.rows {
        sentences.extend(trouble(row, models));
    }
    sentences
}

/// Sentences about the run: who leads where, then how far it can be believed.
pub(super) fn of_run(view: &View<'_>) -> Vec<String> {
    let mut sentences: Vec<String> = leaders(view).into_iter().collect();
    sentences.push(trust(view));
    let failed: Vec<&str> =
        view.models.iter().filter(|m| matches!(m.conduct(""), Conduct::Failed(..))).map(|m| m.name).collect();
    if !failed.is_empty() {
        sentences.push(format!(
            "{} failed conformance: speed bought with wrong behaviour is marked.",
            list(&failed)
        ));
    }
    let fell: Vec<&str> = view
        .models
        .iter()
        .enumerate()
        .filter(|(i, _)| rows_of(view, *i).any(|r| !r.faults.is_empty()))
        .map(|(_, m)| m.name)
        .collect();
    if !fell.is_empty() {
        sentences.push(format!("{} had faults of {} own while measured.", list(&fell), its(fell.len())));
    }
    sentences
}

fn rows_of<'v, 'a>(view: &'v View<'a>, model: usize) -> impl Iterator<Item = &'v Row<'a>> {
    view.workloads.iter().flat_map(|w| &w.rows).filter(move |r| r.model == model)
}

const fn its(number: usize) -> &'static str {
    if number == 1 { "its" } else { "their" }
}

/// Who leads, over all workloads that have a single leader.
fn leaders(view: &View<'_>) -> Option<String> {
    let comparable =
        view.workloads.iter().filter(|w| w.measured().filter(|r| r.rank.is_some()).count() > 1).count();
    let mut wins: Vec<(usize, Vec<&str>)> = Vec::new();
    for workload in &view.workloads {
        let Some(leader) = sole_leader(workload) else { continue };
        match wins.iter_mut().find(|(model, _)| *model == leader.model) {
            Some((_, names)) => names.push(workload.name),
            None => wins.push((leader.model, vec![workload.name])),
        }
    }
    if comparable == 0 {
        return view
            .workloads
            .iter()
            .any(|w| w.measured().count() > 1)
            .then(|| format!("Too few trials to tell models apart: {FEWEST_TRIALS} each are the least."));
    }
    if wins.is_empty() {
        return Some(
            "In no workload does one model stand apart from all others: the trials overlap.".to_owned(),
        );
    }
    wins.sort_by_key(|(model, names)| (std::cmp::Reverse(names.len()), *model));
    let parts: Vec<String> = wins
        .iter()
        .map(|(model, names)| format!("{} in {}", marked(*model, &view.models), list(names)))
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let won: usize = wins.iter().map(|(_, names)| names.len()).sum();
    Some(format!(
        "In {won} of {} one model stands apart, with every trial ahead of every other model’s: {}.",
        plural(comparable, "workload"),
        parts.join("; ")
    ))
}

/// The row that beats all others; none where it is the only one.
fn sole_leader<'w, 'a>(workload: &'w Workload<'a>) -> Option<&'w Row<'a>> {
    let yardstick = Yardstick::of(workload);
    let mut rows = workload.measured();
    let leader = rows.find(|r| workload.measured().all(|o| std::ptr::eq(o, *r) || yardstick.beats(r, o)))?;
    (workload.measured().count() > 1 && leader.rank == Some(1)).then_some(leader)
}

/// How far the run can be believed.
fn trust(view: &View<'_>) -> String {
    let tally = view.tally();
    if tally.total() == 0 {
        return "No trial left a record.".to_owned();
    }
    let mut text = format!("{} of {} valid", tally.valid, plural(tally.total(), "trial"));
    if tally.suspect > 0 {
        text.push_str(&format!(", {} suspect (counted and marked)", tally.suspect));
    }
    if tally.invalid > 0 {
        text.push_str(&format!(", {} invalid (listed, not counted)", tally.invalid));
    }
    text.push('.');
    text
}

/// A model's name, with what must be said beside its speed.
fn marked(model: usize, models: &[Model<'_>]) -> String {
    models.get(model).map_or_else(String::new, |m| match m.conduct("") {
        Conduct::Failed(_, cases) => {
            format!("{} (failed {})", m.name, plural(cases.len(), "conformance case"))
        }
        _ => m.name.to_owned(),
    })
}

fn comparison(workload: &Workload<'_>, rows: &[&Row<'_>], models: &[Model<'_>]) -> Option<String> {
    let yardstick = Yardstick::of(workload);
    let mut ranked: Vec<&Row<'_>> = rows.iter().copied().filter(|r| r.rank.is_some()).collect();
    if rows.len() < 2 {
        return None;
    }
    if ranked.len() < 2 {
        return Some(format!(
            "Too few trials to tell the models apart ({FEWEST_TRIALS} each are the least)."
        ));
    }
    let value = |r: &Row<'_>| yardstick.measure(r).median().unwrap_or_default();
    ranked.sort_by(|a, b| match yardstick {
        Yardstick::Throughput => value(b).total_cmp(&value(a)),
        _ => value(a).total_cmp(&value(b)),
    });
    let (best, next) = (ranked[0], ranked[1]);
    let (say, what): (fn(f64) -> String, _) = match yardstick {
        Yardstick::Throughput => (|v| format!("{}/s", rate(v)), "answered the most requests"),
        Yardstick::P99 => (duration, "had the lowest 99th percentile of latency"),
        Yardstick::P50 => (duration, "had the lowest median latency"),
    };
    let caveat =
        if best.tally().state() == VerdictState::Valid { "" } else { " Not all of its trials are valid." };
    if sole_leader(workload).is_some_and(|leader| std::ptr::eq(leader, best)) {
        let (a, b) = (value(best), value(next));
        let times = if yardstick == Yardstick::Throughput { a / b } else { b / a };
        return Some(format!(
            "{} {what}: {} (median of {}), against {} for {}, the next: {times:.2} times, and no trial of it is within reach of another model’s.{caveat}",
            marked(best.model, models),
            say(a),
            plural(yardstick.measure(best).span.map_or(0, |s| s.trials), "trial"),
            say(b),
            marked(next.model, models),
        ));
    }
    let peers: Vec<String> =
        ranked.iter().filter(|r| r.rank == Some(1)).map(|r| marked(r.model, models)).collect();
    let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
    let (low, high) = (value(ranked[0]), value(ranked[peers.len().saturating_sub(1)]));
    Some(format!(
        "{} cannot be told apart at the head ({} to {}): their trials overlap.",
        list(&peers),
        say(low.min(high)),
        say(low.max(high))
    ))
}

/// The lowest CPU time per request, where it stands apart.
fn cheapest(rows: &[&Row<'_>], models: &[Model<'_>]) -> Option<String> {
    let apart = |a: &Row<'_>, b: &Row<'_>| match (a.cpu_ns.span, b.cpu_ns.span) {
        (Some(a), Some(b)) => a.trials.min(b.trials) >= FEWEST_TRIALS && a.wholly_below(&b),
        _ => false,
    };
    let best = rows.iter().find(|r| rows.iter().all(|o| std::ptr::eq(*o, **r) || apart(r, o)))?;
    let dearest =
        rows.iter().filter_map(|r| r.cpu_ns.median().map(|v| (r, v))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    if rows.len() < 2 {
        return None;
    }
    Some(format!(
        "{} spent the least CPU time on a request, {}; {} the most, {}.",
        marked(best.model, models),
        duration(best.cpu_ns.median()?),
        marked(dearest.0.model, models),
        duration(dearest.1)
    ))
}

/// Who did not keep up with the offered rate.
fn behind(workload: &Workload<'_>, rows: &[&Row<'_>], models: &[Model<'_>]) -> Option<String> {
    let offered = workload.offered_per_s.filter(|r| *r > 0.0)?;
    let slow: Vec<String> = rows
        .iter()
        .filter_map(|r| r.answered.median().map(|share| (r, share)))
        .filter(|(_, share)| *share < KEPT_UP)
        .map(|(r, share)| format!("{} ({:.0} % of it answered)", marked(r.model, models), share * 100.0))
        .collect();
    let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
    (!slow.is_empty()).then(|| format!("Not kept up with {}/s: {}.", rate(offered), list(&slow)))
}

/// Faults and losses of one model.
fn trouble(row: &Row<'_>, models: &[Model<'_>]) -> Vec<String> {
    let name = models.get(row.model).map_or("", |m| m.name);
    let mut sentences = Vec::new();
    sentences.extend(row.fault_list().into_iter().map(|fault| format!("{name}: {fault}.")));
    let lost = row.counts.failed + row.counts.unanswered;
    if row.counts.sent > 0 && lost as f64 > LOST * row.counts.sent as f64 {
        let share = 100.0 * lost as f64 / row.counts.sent as f64;
        sentences.push(format!("{name}: {share:.2} % of the requests failed or were never answered."));
    }
    if row.counts.collateral > 0 {
        sentences.push(format!(
            "{name}: {} on connections that were left in peace, while others were aborted.",
            plural(row.counts.collateral as usize, "error")
        ));
    }
    if row.outcome == Outcome::NoneCounts {
        sentences.push(format!("{name}: none of its trials counts, so it has no numbers here."));
    }
    sentences
}
