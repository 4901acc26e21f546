//! The result as OpenMetrics text (1.0), for a Prometheus textfile collector or any scraper. Not here: serving it.
//!
//! Names say the unit in the base units of the format (seconds, bytes); a metric that the run cannot give is left out.

use hdrhistogram::Histogram;
use record::load::ErrorCount;
use record::{Load, VerdictState};
use std::fmt::{Display, Write as _};

/// Upper ends of the latency buckets: 1, 2 and 5 of each decade of seconds, from a microsecond to ten minutes.
const DECADES: std::ops::RangeInclusive<i32> = -6..=2;

/// The result of a run; `latency` is its latency histogram.
pub(crate) fn openmetrics(load: &Load, latency: &Histogram<u64>) -> Vec<u8> {
    let mut page = Page(String::new());
    let c = &load.config;
    page.family("loadgen_run", "info", None, "What was run.");
    let rate = c.rate_per_s.map_or("closed".to_owned(), |rate| rate.to_string());
    page.sample(
        "loadgen_run_info",
        &[("target", &load.target), ("service", &c.service), ("arrivals", &c.arrivals), ("rate", &rate)],
        1,
    );
    page.family("loadgen_verdict", "stateset", None, "Whether the numbers can be believed.");
    for (name, state) in [
        ("valid", VerdictState::Valid),
        ("suspect", VerdictState::Suspect),
        ("invalid", VerdictState::Invalid),
    ] {
        page.sample("loadgen_verdict", &[("loadgen_verdict", name)], u8::from(load.verdict.state == state));
    }
    counters(&mut page, load);
    histogram(&mut page, load, latency);
    misbehaviour(&mut page, load);
    connections(&mut page, load);
    gauges(&mut page, load);
    page.0.push_str("# EOF\n");
    page.0.into_bytes()
}

fn counters(page: &mut Page, load: &Load) {
    let r = &load.requests;
    page.family("loadgen_requests", "counter", None, "Requests of the window by what became of them.");
    for (outcome, count) in [
        ("completed", r.completed),
        ("failed", r.failed),
        ("unanswered", r.unanswered),
        ("aborted", r.aborted),
        ("unsent", r.unsent),
    ] {
        page.sample("loadgen_requests_total", &[("outcome", outcome)], count);
    }
    if !load.targets.is_empty() {
        page.family(
            "loadgen_target_requests",
            "counter",
            None,
            "Requests by target and what became of them.",
        );
    }
    for target in &load.targets {
        let r = &target.requests;
        for (outcome, count) in [
            ("completed", r.completed),
            ("failed", r.failed),
            ("unanswered", r.unanswered),
            ("unsent", r.unsent),
        ] {
            let labels = [("target", target.target.as_str()), ("outcome", outcome)];
            page.sample("loadgen_target_requests_total", &labels, count);
        }
    }
    page.family("loadgen_late_requests", "counter", None, "Replies after the time-out.");
    page.sample("loadgen_late_requests_total", &[], r.late);
    page.family("loadgen_errors", "counter", None, "Errors by phase and cause.");
    for error in &load.errors {
        page.sample("loadgen_errors_total", &[("phase", &error.phase), ("cause", &error.cause)], error.count);
    }
    if let Some(datagrams) = &load.datagrams {
        page.family("loadgen_datagrams", "counter", None, "Datagrams sent and received.");
        page.sample("loadgen_datagrams_total", &[("direction", "sent")], datagrams.sent);
        page.sample("loadgen_datagrams_total", &[("direction", "received")], datagrams.received);
        page.family("loadgen_datagram_troubles", "counter", None, "What went wrong with datagrams.");
        for (what, count) in datagrams.troubles() {
            page.sample("loadgen_datagram_troubles_total", &[("what", what)], count);
        }
    }
    page.family("loadgen_transferred_bytes", "counter", Some("bytes"), "Bytes over sockets.");
    page.sample("loadgen_transferred_bytes_total", &[("direction", "sent")], load.bytes.sent);
    page.sample("loadgen_transferred_bytes_total", &[("direction", "received")], load.bytes.received);
    page.family("loadgen_cpu_seconds", "counter", Some("seconds"), "Processor time in the window.");
    page.sample("loadgen_cpu_seconds_total", &[("side", "generator")], seconds(load.generator.cpu_ns));
    if let Some(cpu_ns) = load.server.as_ref().and_then(|s| s.cpu_ns) {
        page.sample("loadgen_cpu_seconds_total", &[("side", "server")], seconds(cpu_ns));
    }
    if let Some(drops) = load.host.as_ref().and_then(|h| h.listen_drops) {
        let help = "Connections dropped by listeners, host-wide.";
        page.family("loadgen_host_listen_drops", "counter", None, help);
        page.sample("loadgen_host_listen_drops_total", &[], drops);
    }
}

fn histogram(page: &mut Page, load: &Load, latency: &Histogram<u64>) {
    let help = "From the intended start to the last byte of the reply.";
    page.family("loadgen_latency_seconds", "histogram", Some("seconds"), help);
    for decade in DECADES {
        for step in [1, 2, 5] {
            let (end, text) = bucket_end(step, decade);
            let count = latency.count_between(0, (end * 1e9).round() as u64);
            page.sample("loadgen_latency_seconds_bucket", &[("le", &text)], count);
        }
    }
    page.sample("loadgen_latency_seconds_bucket", &[("le", "+Inf")], latency.len());
    page.sample("loadgen_latency_seconds_count", &[], latency.len());
    let sum = load.latency_ns.sum.map_or_else(|| latency.mean() * latency.len() as f64, |sum| sum as f64);
    page.sample("loadgen_latency_seconds_sum", &[], sum / 1e9);
}

/// Those who misbehaved by plan, and what the server was like after them.
fn misbehaviour(page: &mut Page, load: &Load) {
    if !load.aborts.by_kind.is_empty() {
        page.family("loadgen_aborts", "counter", None, "Ends by plan that were carried out.");
        for (kind, count) in &load.aborts.by_kind {
            page.sample("loadgen_aborts_total", &[("kind", kind)], count);
        }
    }
    if !load.misfits.is_empty() {
        page.family("loadgen_misfit_exchanges", "counter", None, "Exchanges of slow and mute connections.");
        for m in &load.misfits {
            page.sample("loadgen_misfit_exchanges_total", &[("family", &m.family)], m.exchanges);
        }
    }
    if load.aborts.planned > 0 || !load.misfits.is_empty() {
        let help = "Errors on connections that were to behave, while others were not.";
        page.family("loadgen_collateral_errors", "counter", None, help);
        page.sample("loadgen_collateral_errors_total", &[], load.collateral_errors);
    }
    if let Some(after) = &load.after {
        page.family("loadgen_answers_after_run", "gauge", None, "1 where the server answered after the run.");
        page.sample("loadgen_answers_after_run", &[], u8::from(after.answers));
    }
}

/// The connections of the run: those that make requests, and those that say nothing.
fn connections(page: &mut Page, load: &Load) {
    let c = &load.connections;
    page.family("loadgen_connections_made", "counter", None, "Connections made in the window.");
    page.sample("loadgen_connections_made_total", &[], c.made);
    page.family("loadgen_connections", "gauge", None, "Connections at the same time, wanted and at most.");
    page.sample("loadgen_connections", &[("which", "wanted")], c.wanted);
    page.sample("loadgen_connections", &[("which", "peak")], c.peak);
    let Some(idle) = &load.idle else { return };
    let count = |rows: &[ErrorCount]| rows.iter().map(|row| row.count).sum::<u64>();
    page.family(
        "loadgen_idle_connections",
        "gauge",
        None,
        "Connections that say nothing, and what became of them.",
    );
    for (which, n) in [
        ("wanted", idle.wanted),
        ("made", idle.made),
        ("refused", count(&idle.refused)),
        ("closed", count(&idle.closed)),
    ] {
        page.sample("loadgen_idle_connections", &[("which", which)], n);
    }
}

fn gauges(page: &mut Page, load: &Load) {
    let mut gauge = |name: &str, unit: Option<&str>, help: &str, value: Option<f64>| {
        if let Some(value) = value.filter(|v| v.is_finite()) {
            page.family(name, "gauge", unit, help);
            page.sample(name, &[], value);
        }
    };
    gauge("loadgen_window_seconds", Some("seconds"), "Length of the window.", Some(seconds(load.elapsed_ns)));
    gauge("loadgen_throughput", None, "Replies per second.", Some(load.throughput_per_s));
    let lag = load.lag_ns.p99.map(seconds);
    gauge("loadgen_lag_p99_seconds", Some("seconds"), "The generator's own lateness, p99.", lag);
    gauge(
        "loadgen_busy_ratio",
        Some("ratio"),
        "Largest busy share of a thread.",
        Some(load.generator.busy_share),
    );
    let server = load.server.as_ref();
    let per_request = server.and_then(|s| s.cpu_ns_per_request).map(|ns| ns / 1e9);
    let help = "The server's processor time for each completed request.";
    gauge("loadgen_server_cpu_per_request_seconds", Some("seconds"), help, per_request);
    let rss = server.and_then(|s| s.rss_bytes).map(|bytes| bytes as f64);
    gauge("loadgen_server_resident_bytes", Some("bytes"), "The server's resident memory.", rss);
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The end of a bucket as the format wants it written: plain from 0.0001 on, below with two digits of exponent.
fn bucket_end(step: u32, decade: i32) -> (f64, String) {
    // By way of the text: 2 * 1e-6 as a product would be 1.9999999999999998e-6.
    let end: f64 = format!("{step}e{decade}").parse().unwrap_or_default();
    let text = if decade < -4 { format!("{step}e-{:02}", -decade) } else { format!("{end:?}") };
    (end, text)
}

/// The text, a metric family after the other.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, unit: Option<&str>, help: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
        if let Some(unit) = unit {
            let _ = writeln!(self.0, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
