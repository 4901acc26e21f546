//! A comparison as text for a terminal. Not here: printing it.

use crate::compare::{Comparison, Gate, Metric, Verdict};
use record::words::plural;
use reports::format::{NONE, duration, plain, rate};

/// The comparison as text; ends with a newline.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    let heads = ["scenario", "metric", "base", "head", "change", "p", "trials", "could see", "verdict"];
    let mut rows: Vec<[String; 9]> = vec![heads.map(str::to_owned)];
    rows.extend(comparison.gates.iter().map(cells));
    let widths: Vec<usize> =
        (0..heads.len()).map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            // Numbers to the right, words to the left.
            line.push_str(&if (2..8).contains(&column) {
                format!("{pad}{cell}  ")
            } else {
                format!("{cell}{pad}  ")
            });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push('\n');
    for line in notes(comparison) {
        out.push_str(&plain(&line));
        out.push('\n');
    }
    out
}

/// The cells of a gate, for text and markdown.
pub(crate) fn cells(gate: &Gate) -> [String; 9] {
    let say = |v: f64| match gate.metric {
        Metric::ThroughputPerS => format!("{}/s", rate(v)),
        _ => duration(v),
    };
    let verdict =
        if gate.gates { gate.verdict.words().to_owned() } else { format!("({})", gate.verdict.words()) };
    [
        plain(&gate.scenario),
        gate.metric.name().to_owned(),
        say(gate.base),
        say(gate.head),
        change(gate.ratio),
        format!("{:.4}", gate.p_corrected),
        format!("{}+{}", gate.trials.0, gate.trials.1),
        gate.detectable.map_or_else(|| NONE.to_owned(), |d| format!("{:.0} %", d * 100.0)),
        verdict,
    ]
}

fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// What stands under the table: the summary first, then findings, then what weakens it.
pub(crate) fn notes(c: &Comparison) -> Vec<String> {
    let count = |v: Verdict| c.gating().filter(|g| g.verdict == v).count();
    let mut notes = vec![format!(
        "{}: {} slower, {} faster, {} no change seen, {} with too few trials.",
        plural(c.gating().count(), "gate"),
        count(Verdict::Slower),
        count(Verdict::Faster),
        count(Verdict::NoChangeSeen),
        count(Verdict::TooFewTrials)
    )];
    if count(Verdict::TooFewTrials) > 0 {
        let needed = c.trials_needed.map_or_else(
            || "more trials than are practical".to_owned(),
            |n| format!("{n} valid trials on each side"),
        );
        notes.push(format!(
            "too few trials: {} at a chance of {} of any false alarm need {needed} to show anything at all.",
            plural(c.gating().count(), "gate"),
            c.alpha
        ));
    }
    notes.push(format!(
        "a change counts from {} % on. `could see` is the smallest change that would have been found nine times in ten; below it, no change seen means nothing.",
        (c.threshold * 1000.0).round() / 10.0
    ));
    notes.extend(c.vanished.iter().map(|id| format!("vanished: {id} is in base and not in head.")));
    notes.extend(c.appeared.iter().map(|id| format!("appeared: {id} is in head only.")));
    notes.extend(c.new_faults.iter().map(|fault| format!("new fault: {fault}.")));
    notes.extend(c.unfit.iter().map(|u| {
        format!(
            "unfit: {} has {} of {} valid trials in base, {} of {} in head.",
            u.scenario, u.base.0, u.base.1, u.head.0, u.head.1
        )
    }));
    notes.extend(c.warnings.iter().map(|w| format!("warning: {w}.")));
    notes
}
