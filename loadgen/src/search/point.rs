//! What a search keeps of a run. Not here: what it concludes from it.

use crate::summary::state_word;
use crate::units::show_ns;
use record::{Load, VerdictState};
use serde::Serialize;

/// Share of the requests that were due that must have been answered for a server to be said to keep up.
const KEPT_UP: f64 = 0.98;

/// One run of a search; a row of its CSV.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Point {
    pub(super) rate_per_s: f64,
    pub(super) throughput_per_s: f64,
    pub(super) scheduled: u64,
    pub(super) completed: u64,
    pub(super) p50_ns: Option<u64>,
    pub(super) p90_ns: Option<u64>,
    pub(super) p99_ns: Option<u64>,
    pub(super) p99_9_ns: Option<u64>,
    pub(super) max_ns: Option<u64>,
    /// Share of the requests that were due that failed, or were not answered by the end.
    pub(super) errors_share: f64,
    /// Share of the replies that came after the time-out.
    pub(super) late_share: f64,
    pub(super) lag_p99_ns: Option<u64>,
    pub(super) server_cpu_ns_per_request: Option<f64>,
    pub(super) verdict: VerdictState,
    /// Why it is not valid, `; `-joined.
    pub(super) reasons: String,
    /// The server did not answer what was due.
    pub(super) overloaded: bool,
    /// The generator itself was not able to offer this rate, so that nothing follows for the server.
    pub(super) spoiled: bool,
    /// For the objective; every percentile, the run's histogram.
    #[serde(skip)]
    pub(super) histogram: String,
}

impl Point {
    pub(super) fn of(rate_per_s: f64, load: &Load) -> Self {
        let r = &load.requests;
        let share = |n: u64, of: u64| n as f64 / of.max(1) as f64;
        let due = r.scheduled.saturating_sub(r.aborted);
        Self {
            rate_per_s,
            throughput_per_s: load.throughput_per_s,
            scheduled: r.scheduled,
            completed: r.completed,
            p50_ns: load.latency_ns.p50,
            p90_ns: load.latency_ns.p90,
            p99_ns: load.latency_ns.p99,
            p99_9_ns: load.latency_ns.p99_9,
            max_ns: load.latency_ns.max,
            errors_share: share(r.failed + r.unanswered + r.unsent, due),
            late_share: share(r.late, r.completed),
            lag_p99_ns: load.lag_ns.p99,
            server_cpu_ns_per_request: load.server.as_ref().and_then(|s| s.cpu_ns_per_request),
            verdict: load.verdict.state,
            reasons: load.verdict.reasons.join("; "),
            overloaded: share(r.completed + r.failed, due) < KEPT_UP || r.completed == 0,
            // A server that answers nothing makes a run invalid too; that is its own doing.
            spoiled: load.verdict.state == VerdictState::Invalid && r.completed > 0,
            histogram: load.histograms.latency.clone(),
        }
    }

    /// The head of the table that [`line`](Self::line) makes.
    pub(super) fn head() -> String {
        format!(
            "{:>10} {:>10} {:>9} {:>9} {:>9} {:>9} {:>8}  verdict",
            "rate/s", "replies/s", "p50", "p90", "p99", "p99.9", "errors"
        )
    }

    pub(super) fn line(&self) -> String {
        let show = |ns: Option<u64>| ns.map_or("-".to_owned(), |ns| show_ns(ns as f64));
        let state = state_word(self.verdict);
        let overload = if self.overloaded { ", overloaded" } else { "" };
        format!(
            "{:>10.0} {:>10.0} {:>9} {:>9} {:>9} {:>9} {:>7.2}%  {state}{overload}",
            self.rate_per_s,
            self.throughput_per_s,
            show(self.p50_ns),
            show(self.p90_ns),
            show(self.p99_ns),
            show(self.p99_9_ns),
            self.errors_share * 100.0
        )
    }
}
