//! Several targets, a line each, for people. Not here: the whole, which stands above.

use crate::units::show_ns;
use record::Load;
use std::fmt::{self, Write as _};

/// The targets of a run of several.
pub(super) fn write(load: &Load, out: &mut String) -> fmt::Result {
    if load.targets.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n  {:>7}{:>12}{:>11}{:>11}{:>10}{:>12}  target",
        "weight", "requests/s", "p50", "p99", "failed", "unanswered"
    )?;
    let show = |value: Option<u64>| value.map_or("-".to_owned(), |ns| show_ns(ns as f64));
    for target in &load.targets {
        writeln!(
            out,
            "  {:>7}{:>12.0}{:>11}{:>11}{:>10}{:>12}  {}",
            target.weight,
            target.throughput_per_s,
            show(target.latency_ns.p50),
            show(target.latency_ns.p99),
            target.requests.failed,
            target.requests.unanswered,
            target.target
        )?;
    }
    Ok(())
}
