//! Errors, misbehaviour and what came after it, for people. Not here: deciding what is an error.

use super::row;
use crate::units::show_ns;
use record::Load;
use record::load::ErrorCount;
use record::words::plural;
use std::fmt::{self, Write as _};

/// Columns of the error matrix side by side; more go into a further block.
const COLUMNS: usize = 5;

/// The phases in the order of a request's life; those that are not known here come last.
const PHASES: [&str; 7] = ["connect", "send", "receive", "content", "idle", "timeout", "close"];

/// Errors as a matrix: a row for each phase, a column for each cause.
pub(super) fn errors(load: &Load, out: &mut String) -> fmt::Result {
    let mut causes: Vec<&str> = Vec::new();
    // The rows are sorted by their counts: the most frequent cause comes first.
    for error in &load.errors {
        if !causes.contains(&error.cause.as_str()) {
            causes.push(&error.cause);
        }
    }
    for (i, block) in causes.chunks(COLUMNS).enumerate() {
        matrix(if i == 0 { "errors" } else { "" }, &load.errors, block, out)?;
    }
    Ok(())
}

fn matrix(title: &str, errors: &[ErrorCount], causes: &[&str], out: &mut String) -> fmt::Result {
    let width = |cause: &str| cause.len().max(9) + 2;
    write!(out, "\n  {title:<10}")?;
    for cause in causes {
        write!(out, "{cause:>0$}", width(cause))?;
    }
    writeln!(out)?;
    let mut phases: Vec<&str> =
        errors.iter().filter(|e| causes.contains(&e.cause.as_str())).map(|e| e.phase.as_str()).collect();
    phases
        .sort_unstable_by_key(|phase| (PHASES.iter().position(|p| p == phase).unwrap_or(usize::MAX), *phase));
    phases.dedup();
    for phase in phases {
        write!(out, "  {phase:<10}")?;
        for cause in causes {
            let met = |e: &&ErrorCount| e.phase == phase && e.cause == *cause;
            let count: u64 = errors.iter().filter(met).map(|e| e.count).sum();
            let text = if count > 0 { count.to_string() } else { "-".to_owned() };
            write!(out, "{text:>0$}", width(cause))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Ends by plan.
pub(super) fn aborts(load: &Load, out: &mut String) -> fmt::Result {
    let aborts = &load.aborts;
    if aborts.planned == 0 {
        return Ok(());
    }
    writeln!(out, "\n  aborts: {} planned, {} not reached", aborts.planned, aborts.not_reached)?;
    for (kind, count) in &aborts.by_kind {
        writeln!(out, "  {count:>10}  {kind}")?;
    }
    if aborts.fin_proven > 0 {
        writeln!(out, "  {:>10}  of them with the FIN acknowledged before the close", aborts.fin_proven)?;
    } else if load.target.starts_with("unix:") {
        writeln!(
            out,
            "  {:>10}  Unix sockets acknowledge nothing: no FIN can be proven, and there is no RST",
            "-"
        )?;
    }
    if let Some(how) = &aborts.vanished_closed_by {
        let words = match how.as_str() {
            "nothing" => "without a packet (TCP_REPAIR)",
            "rst" => "with an RST: TCP_REPAIR wants CAP_NET_ADMIN",
            _ => "by a close",
        };
        writeln!(
            out,
            "  {:>10}  vanished sockets were kept until the run was over, and let go {words}",
            "-"
        )?;
    }
    Ok(())
}

/// Slow and mute clients.
pub(super) fn misfits(load: &Load, out: &mut String) -> fmt::Result {
    for m in &load.misfits {
        writeln!(
            out,
            "\n  {}: {} planned, {} did it, {} not reached",
            m.family,
            plural(m.planned, "connection"),
            m.done,
            m.not_reached
        )?;
        writeln!(
            out,
            "  {:>10}  exchanges completed in spite of it; {} made, {} ended by the server",
            m.exchanges,
            plural(m.connections, "connection"),
            m.ended_by_server
        )?;
        if m.latency_ns.count > 0 {
            row("their own latency", &m.latency_ns, out)?;
        }
        for error in &m.errors {
            writeln!(out, "  {:>10}  {} {}", error.count, error.phase, error.cause)?;
        }
    }
    if load.aborts.planned > 0 || !load.misfits.is_empty() {
        writeln!(out, "\n  {:>10}  errors on the connections that were to behave", load.collateral_errors)?;
    }
    Ok(())
}

/// What a connection met after the run.
pub(super) fn recovery(load: &Load, out: &mut String) -> fmt::Result {
    let Some(after) = &load.after else { return Ok(()) };
    let show = |ns: Option<u64>| ns.map_or("-".to_owned(), |ns| show_ns(ns as f64));
    let cause = after.cause.as_deref().unwrap_or("no cause");
    write!(out, "\n  recovery: ")?;
    match (after.accepts, after.answers) {
        (_, true) => {
            write!(out, "accepts after {}, answers after ", show(after.accepted_after_ns))?;
            writeln!(out, "{}", show(after.answered_after_ns))
        }
        (true, false) => {
            // An answer that is wrong is an answer.
            let how = if cause == "no-reply" { "" } else { " as it should" };
            let accepted = show(after.accepted_after_ns);
            writeln!(out, "accepts after {accepted}, but does not answer{how} ({cause})")
        }
        (false, false) => writeln!(out, "no longer accepts ({cause})"),
    }
}
