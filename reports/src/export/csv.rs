//! `summary.csv`: one line a scenario, units in the column names, empty where a number is absent. Not here: distributions.

use super::File;
use crate::error::{Error, Result};
use crate::view::{Conduct, Measure, Outcome, Row, View, Workload, state_word};
use record::load::Datagrams;

/// What a column says of a row.
type Text = fn(&View<'_>, &Workload<'_>, &Row<'_>) -> String;

/// The columns in their order.
const COLUMNS: &[(&str, Text)] = &[
    ("scenario", |_, _, r| r.scenario.id.clone()),
    ("model", |_, _, r| r.scenario.model.clone()),
    ("family", |_, _, r| r.scenario.family.clone()),
    ("service", |_, _, r| r.scenario.service.clone()),
    ("workload", |_, _, r| r.scenario.workload.clone()),
    ("outcome", |_, _, r| outcome(r)),
    ("validity", |_, _, r| validity(r)),
    ("trials_planned", |_, _, r| r.planned.to_string()),
    ("trials_valid", |_, _, r| r.tally().valid.to_string()),
    ("trials_suspect", |_, _, r| r.tally().suspect.to_string()),
    ("trials_invalid", |_, _, r| r.tally().invalid.to_string()),
    ("conformance", |v, _, r| conformance(v, r)),
    ("rank", |_, _, r| option(r.rank)),
    ("offered_per_s", |_, w, _| option(w.offered_per_s)),
    ("throughput_per_s_median", |_, _, r| median(&r.throughput_per_s)),
    ("throughput_per_s_min", |_, _, r| min(&r.throughput_per_s)),
    ("throughput_per_s_max", |_, _, r| max(&r.throughput_per_s)),
    ("datagram_loss_share_median", |_, _, r| median(&r.loss)),
    ("cpu_ns_per_request_median", |_, _, r| median(&r.cpu_ns)),
    ("cpu_ns_per_request_min", |_, _, r| min(&r.cpu_ns)),
    ("cpu_ns_per_request_max", |_, _, r| max(&r.cpu_ns)),
    ("latency_count", |_, _, r| r.latency.count.to_string()),
    ("latency_min_ns", |_, _, r| option(r.latency.min)),
    ("latency_p50_ns", |_, _, r| option(r.latency.p50)),
    ("latency_p90_ns", |_, _, r| option(r.latency.p90)),
    ("latency_p99_ns", |_, _, r| option(r.latency.p99)),
    ("latency_p99_9_ns", |_, _, r| option(r.latency.p99_9)),
    ("latency_max_ns", |_, _, r| option(r.latency.max)),
    ("service_p50_ns", |_, _, r| option(r.service.p50)),
    ("service_p99_ns", |_, _, r| option(r.service.p99)),
    ("peak_rss_bytes_median", |_, _, r| median(&r.rss_bytes)),
    ("bytes_per_connection_median", |_, _, r| median(&r.per_connection_bytes)),
    ("context_switches_per_request_median", |_, _, r| median(&r.switches)),
    ("threads_max", |_, _, r| option(r.threads)),
    ("processes_max", |_, _, r| option(r.processes)),
    ("workers", |_, _, r| option(r.sharing.workers)),
    ("jain_connections_median", |_, _, r| median(&r.sharing.connections.index)),
    ("jain_bytes_median", |_, _, r| median(&r.sharing.bytes.index)),
    ("least_share_of_bytes_median", |_, _, r| median(&r.sharing.bytes.least)),
    ("most_share_of_bytes_median", |_, _, r| median(&r.sharing.bytes.most)),
    ("spurious_wakeups_per_connection_median", |_, _, r| median(&r.sharing.spurious_per_connection)),
    ("useful_wakeups_per_request_median", |_, _, r| median(&r.sharing.useful_per_request)),
    ("requests_sent", |_, _, r| r.counts.sent.to_string()),
    ("requests_failed", |_, _, r| r.counts.failed.to_string()),
    ("requests_unanswered", |_, _, r| r.counts.unanswered.to_string()),
    ("requests_unsent", |_, _, r| r.counts.unsent.to_string()),
    ("datagrams_lost", |_, _, r| datagrams(r, |d| d.lost)),
    ("datagrams_duplicated", |_, _, r| datagrams(r, |d| d.duplicated)),
    ("datagrams_reordered", |_, _, r| datagrams(r, |d| d.reordered)),
    ("datagrams_late", |_, _, r| datagrams(r, |d| d.late)),
    ("collateral_errors", |_, _, r| r.counts.collateral.to_string()),
    ("aborts_planned", |_, _, r| r.counts.aborts_planned.to_string()),
    ("aborts_done", |_, _, r| r.counts.aborts_done.to_string()),
    ("faults", |_, _, r| r.fault_list().join("; ")),
    ("reasons", |_, _, r| r.reasons().join("; ")),
];

pub(super) fn make(view: &View<'_>) -> Result<Vec<File>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fail = |e: csv::Error| Error::Csv(e.to_string());
    writer.write_record(COLUMNS.iter().map(|c| c.0)).map_err(fail)?;
    for workload in &view.workloads {
        for row in &workload.rows {
            writer.write_record(COLUMNS.iter().map(|c| safe((c.1)(view, workload, row)))).map_err(fail)?;
        }
    }
    let bytes = writer.into_inner().map_err(|e| Error::Csv(e.to_string()))?;
    Ok(vec![File { name: "summary.csv".to_owned(), bytes }])
}

/// Keeps a spreadsheet from taking text for a formula.
fn safe(text: String) -> String {
    if text.starts_with(['=', '+', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn datagrams(row: &Row<'_>, pick: fn(&Datagrams) -> u64) -> String {
    option(row.counts.datagrams.as_ref().map(pick))
}

fn outcome(row: &Row<'_>) -> String {
    match &row.outcome {
        Outcome::Measured => "measured".to_owned(),
        Outcome::CannotHold(lack, reason) => format!("{}: {reason}", lack.word()),
        Outcome::NoneCounts => "no trial counts".to_owned(),
        Outcome::NotRun => "not run".to_owned(),
    }
}

fn validity(row: &Row<'_>) -> String {
    if row.trials.is_empty() { String::new() } else { state_word(row.tally().state()).to_owned() }
}

fn conformance(view: &View<'_>, row: &Row<'_>) -> String {
    match view.models.get(row.model).map(|m| m.conduct(&row.scenario.service)) {
        None | Some(Conduct::Unchecked) => "not checked".to_owned(),
        Some(Conduct::Conformant(badge)) => format!("conformant {badge}"),
        Some(Conduct::Failed(badge, cases)) => format!("failed {badge}: {}", cases.join(" ")),
    }
}

fn option(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |v| v.to_string())
}

fn median(m: &Measure) -> String {
    option(m.median())
}

fn min(m: &Measure) -> String {
    option(m.span.map(|s| s.min))
}

fn max(m: &Measure) -> String {
    option(m.span.map(|s| s.max))
}
