//! What the generator, the server and the host used, and what is known of the window, for people. Not here: measuring it.

use crate::statistics::FEWEST;
use crate::units::{show_bytes, show_ns};
use record::Load;
use record::analysis::{Quantile, Statistics};
use record::used::Server;
use record::words::plural;
use std::fmt::{self, Write as _};

/// How well the percentiles are known, and whether the window was steady.
pub(super) fn certainty(load: &Load, out: &mut String) -> fmt::Result {
    let Some(s) = &load.statistics else { return Ok(()) };
    let known: Vec<String> = s.latency.iter().filter_map(quantile).collect();
    if known.is_empty() {
        let n = s.batches;
        return match n < FEWEST as u64 {
            true => writeln!(
                out,
                "\n  no intervals: they need at least {FEWEST} equal stretches of the window, and this one has {n}"
            ),
            // Nothing was answered, or in one stretch alone, or what stands above the percentiles was not.
            false => writeln!(
                out,
                "\n  no intervals: the replies in the {n} stretches of the window do not tell how the percentiles vary"
            ),
        };
    }
    writeln!(out, "\n  {:.0} % intervals within this run", s.confidence * 100.0)?;
    for line in known {
        writeln!(out, "  {line}")?;
    }
    if let Some(t) = &s.throughput {
        writeln!(out, "  {:<8}{:>9.0} to {:.0} replies/s", "rate", t.low, t.high)?;
    }
    steadiness(s, out)
}

fn quantile(q: &Quantile) -> Option<String> {
    let effective = q.effective?;
    let show = |ns: Option<u64>| ns.map_or("-".to_owned(), |ns| show_ns(ns as f64));
    let name = format!("p{}", q.percent);
    Some(format!(
        "{name:<8}{:>9} to {:<9} (worth {effective:.0} independent requests)",
        show(q.low_ns),
        show(q.high_ns)
    ))
}

fn steadiness(s: &Statistics, out: &mut String) -> fmt::Result {
    let Some(stationarity) = &s.stationarity else { return Ok(()) };
    let trend = |t: &record::analysis::Trend| {
        format!("{} {:+.1} % (p = {:.2})", t.series, t.change * 100.0, t.p_value)
    };
    let trends: Vec<String> = stationarity.trends.iter().map(trend).collect();
    let word = if stationarity.stationary { "steady" } else { "NOT STEADY" };
    writeln!(out, "  {:<8}{word} over the window: {}", "", trends.join(", "))
}

/// The generator's own use.
pub(super) fn generator(load: &Load, out: &mut String) -> fmt::Result {
    let g = &load.generator;
    let cpu = g.cpu_ns_per_request.map_or("-".to_owned(), show_ns);
    write!(out, "\n  generator: {cpu} CPU per request, busiest thread {:.0} %", g.busy_share * 100.0)?;
    if let Some(wait_ns) = g.run_queue_wait_ns {
        write!(out, ", waited {} for a processor", show_ns(wait_ns as f64))?;
    }
    if load.config.rate_per_s.is_none() && g.busy_share > 0.95 {
        write!(out, " (the rate may be the generator's own limit)")?;
    }
    writeln!(out)
}

/// The server's own use, where it was looked at.
pub(super) fn server(load: &Load, out: &mut String) -> fmt::Result {
    if let Some(server) = &load.server {
        one_server(server, out)?;
    }
    let Some(host) = &load.host else { return Ok(()) };
    let counted = [
        ("listen queue overflows", host.listen_overflows),
        ("connections dropped by listeners", host.listen_drops),
        ("datagrams lost to full receive buffers", host.udp_receive_buffer_errors),
        ("datagrams lost to full send buffers", host.udp_send_buffer_errors),
        ("TCP retransmits", host.tcp_retransmits),
    ];
    let seen: Vec<String> = counted
        .into_iter()
        .filter_map(|(name, count)| count.filter(|n| *n > 0).map(|n| format!("{n} {name}")))
        .collect();
    if seen.is_empty() { Ok(()) } else { writeln!(out, "  host-wide in the window: {}", seen.join(", ")) }
}

fn one_server(s: &Server, out: &mut String) -> fmt::Result {
    if s.gone {
        return writeln!(out, "  server: process {} was gone at the end of the window", s.pid);
    }
    let time = |ns: Option<f64>| ns.map_or("-".to_owned(), show_ns);
    let size = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |b| show_bytes(b as f64));
    let count = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    writeln!(
        out,
        "  server {} ({}): {} CPU per request, {:.2} processors busy",
        s.pid,
        s.name,
        time(s.cpu_ns_per_request),
        s.cpus.unwrap_or_default()
    )?;
    writeln!(
        out,
        "    RSS {}, PSS {}, most {} in a process; {}, {}",
        size(s.rss_bytes),
        size(s.pss_bytes),
        size(s.peak_rss_bytes),
        plural(s.processes, "process"),
        plural(s.threads, "thread")
    )?;
    write!(
        out,
        "    context switches: {} voluntary, {} not",
        count(s.voluntary_switches),
        count(s.involuntary_switches)
    )?;
    match s.threads_ended {
        0 => writeln!(out),
        n => writeln!(out, " (without those of {} that ended)", plural(n, "thread")),
    }
}
