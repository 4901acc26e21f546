//! The summary for people. Not here: anything that a program should read; that is the JSON.

mod comparison;
mod targets;
mod trouble;
mod used;

pub(crate) use comparison::render_comparison;

use crate::units::{show_bytes, show_ns};
use record::load::{LoadConfig, Summary};
use record::words::plural;
use record::{Load, VerdictState};
use std::fmt::{self, Write as _};

/// The summary as text, ending with a newline.
pub(crate) fn render(load: &Load) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(load, &mut text);
    text
}

fn write(load: &Load, out: &mut String) -> fmt::Result {
    heading(load, out)?;
    times(load, out)?;
    requests(load, out)?;
    beside(load, out)?;
    targets::write(load, out)?;
    trouble::errors(load, out)?;
    trouble::aborts(load, out)?;
    trouble::misfits(load, out)?;
    trouble::recovery(load, out)?;
    used::certainty(load, out)?;
    used::generator(load, out)?;
    used::server(load, out)?;
    verdict(load, out)
}

fn heading(load: &Load, out: &mut String) -> fmt::Result {
    let config = &load.config;
    let seconds = load.elapsed_ns as f64 / 1e9;
    writeln!(out, "{} for {seconds:.2} s at {}", config.service, load.target)?;
    let loop_ = match config.rate_per_s {
        Some(rate) => format!("open loop, {rate} requests/s in total, {} arrivals", config.arrivals),
        None => match &config.think {
            Some(think) => format!("closed loop, think time {think}"),
            None => "closed loop".to_owned(),
        },
    };
    let ends = if load.datagrams.is_some() { "socket" } else { "connection" };
    let together = match (config.processes, &config.shard) {
        (0 | 1, None) => String::new(),
        (0 | 1, Some(shard)) => format!("shard {shard}, "),
        (processes, _) => format!("{processes} processes, "),
    };
    writeln!(
        out,
        "{}, {}, {together}{loop_}, seed {}, engine {}",
        plural(config.connections, ends),
        plural(config.threads, "thread"),
        config.seed,
        if config.engine.is_empty() { "epoll" } else { &config.engine }
    )?;
    lives(config, out)?;
    match load.warm_up_ns {
        0 => writeln!(out, "no warm-up: the window begins with the first request")?,
        ns => writeln!(out, "{} of warm-up before the window, thrown away", show_ns(ns as f64))?,
    }
    if !load.parts.is_empty() {
        writeln!(out, "merged from {}", plural(load.parts.len(), "result"))?;
    }
    for part in &load.parts {
        let (start, length) = (part.offset_ns as f64 / 1e9, part.elapsed_ns as f64 / 1e9);
        let state = state_word(part.verdict.state);
        writeln!(
            out,
            "  {}: {} replies, from {start:.2} s for {length:.2} s, {}, seed {}, {state}",
            part.id,
            part.completed,
            plural(part.connections, "connection"),
            part.seed
        )?;
    }
    Ok(())
}

/// What was asked for about the life of connections, where that was anything.
fn lives(config: &LoadConfig, out: &mut String) -> fmt::Result {
    let mut words = Vec::new();
    match (config.requests_per_connection, config.requests_per_connection_to) {
        (Some(least), Some(most)) => words.push(format!("{least}..{most} requests each")),
        (Some(1), None) => words.push("one request each".to_owned()),
        (Some(n), None) => words.push(format!("{n} requests each")),
        (None, _) => {}
    }
    words.extend(config.lifetime.as_ref().map(|life| format!("closed at an age of {life}")));
    words.extend(config.connect_rate_per_s.map(|rate| format!("{rate} connects/s in total")));
    if let Some(how @ ("eager" | "never")) = config.reconnect.as_deref() {
        words.push(format!("re-connect {how}"));
    }
    if words.is_empty() { Ok(()) } else { writeln!(out, "connections: {}", words.join(", ")) }
}

fn times(load: &Load, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "\n  {:<22}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "mean", "p50", "p90", "p99", "p99.9", "max"
    )?;
    row("from intended start", &load.latency_ns, out)?;
    // The first row holds the ages of the lost, as lower bounds; this one the answered alone.
    if load.config.rate_per_s.is_some() || load.datagrams.as_ref().is_some_and(|d| d.lost > 0) {
        row("from actual send", &load.service_ns, out)?;
    }
    if load.config.rate_per_s.is_some() {
        row("generator's own lag", &load.lag_ns, out)?;
    }
    // A datagram comes whole: its first byte is its last.
    let streams = load.datagrams.is_none() || !load.targets.is_empty();
    if streams && load.first_byte_ns.count > 0 {
        row("first byte, from send", &load.first_byte_ns, out)?;
    }
    for (name, summary) in [
        ("connect", &load.connect_ns),
        ("late replies", &load.late_ns),
        ("unanswered, their age", &load.unanswered_age_ns),
    ] {
        if summary.count > 0 {
            row(name, summary, out)?;
        }
    }
    Ok(())
}

fn row(name: &str, summary: &Summary, out: &mut String) -> fmt::Result {
    let show = |value: Option<u64>| value.map_or("-".to_owned(), |ns| show_ns(ns as f64));
    writeln!(
        out,
        "  {name:<22}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}",
        summary.mean.map_or("-".to_owned(), show_ns),
        show(summary.p50),
        show(summary.p90),
        show(summary.p99),
        show(summary.p99_9),
        show(summary.max)
    )
}

fn requests(load: &Load, out: &mut String) -> fmt::Result {
    let r = &load.requests;
    writeln!(
        out,
        "\n  {:.0} requests/s in total, {}/s received",
        load.throughput_per_s,
        show_bytes(load.received_bytes_per_s)
    )?;
    writeln!(out, "  {} scheduled = {} sent + {} unsent", r.scheduled, r.sent, r.unsent)?;
    write!(out, "  {} sent = {} completed + {} failed", r.sent, r.completed, r.failed)?;
    writeln!(out, " + {} unanswered + {} aborted", r.unanswered, r.aborted)?;
    if r.late > 0 {
        writeln!(out, "  {} completed later than {}", r.late, show_ns(load.config.timeout_ns as f64))?;
    }
    datagrams(load, out)?;
    let c = &load.connections;
    if c.made > 0 || c.peak < c.wanted {
        writeln!(
            out,
            "  {} made in the window, at most {} of {} at a time",
            plural(c.made, "connection"),
            c.peak,
            c.wanted
        )?;
    }
    Ok(())
}

/// The connections that say nothing, and what was expected of source ports.
fn beside(load: &Load, out: &mut String) -> fmt::Result {
    if let Some(idle) = &load.idle {
        write!(out, "  {} of {} idle connections made", idle.made, idle.wanted)?;
        let closed: u64 = idle.closed.iter().map(|e| e.count).sum();
        match (idle.first_closed_ns, idle.last_closed_ns) {
            (Some(first), Some(last)) => {
                let (first, last) = (first as f64 / 1e9, last as f64 / 1e9);
                writeln!(
                    out,
                    ", {closed} closed by the server, from {first:.2} s to {last:.2} s of the window"
                )?;
            }
            _ => writeln!(out, ", none closed by the server")?,
        }
        for (what, rows) in [("not made", &idle.refused), ("closed", &idle.closed)] {
            for row in rows {
                writeln!(out, "  {:>10}  {what}: {} {}", row.count, row.phase, row.cause)?;
            }
        }
    }
    match load.ports.as_ref().and_then(|ports| ports.warning.as_ref()) {
        Some(warning) => writeln!(out, "  {warning}"),
        None => Ok(()),
    }
}

fn datagrams(load: &Load, out: &mut String) -> fmt::Result {
    let Some(datagrams) = &load.datagrams else { return Ok(()) };
    write!(out, "  datagrams: {} sent, {} received", datagrams.sent, datagrams.received)?;
    if let Some(loss) = datagrams.loss() {
        write!(out, ", {:.4} % lost", loss * 100.0)?;
    }
    for (name, count) in datagrams.troubles().into_iter().filter(|(_, count)| *count > 0) {
        write!(out, ", {count} {name}")?;
    }
    writeln!(out)
}

/// The verdict in a word.
pub(crate) const fn state_word(state: VerdictState) -> &'static str {
    match state {
        VerdictState::Valid => "valid",
        VerdictState::Suspect => "SUSPECT",
        VerdictState::Invalid => "INVALID",
    }
}

fn verdict(load: &Load, out: &mut String) -> fmt::Result {
    writeln!(out, "\nverdict: {}", state_word(load.verdict.state))?;
    for reason in &load.verdict.reasons {
        writeln!(out, "  - {reason}")?;
    }
    Ok(())
}
