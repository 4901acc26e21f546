//! A comparison as a table for people. Not here: the arithmetic.

use crate::compare::{Comparison, Row};
use crate::units::show_ns;
use std::fmt::{self, Write as _};

/// The table, ending with a newline.
pub(crate) fn render_comparison(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(comparison, &mut text);
    text
}

fn write(c: &Comparison, out: &mut String) -> fmt::Result {
    writeln!(out, "base: {}\nhead: {}\n", c.base.join(" "), c.head.join(" "))?;
    writeln!(out, "  {:<26}{:>10}{:>11}{:>9}  {:<20}", "", "base", "head", "change", "interval")?;
    for row in &c.rows {
        line(row, out)?;
    }
    writeln!(out, "\n{:.0} % for all intervals together; {}", c.confidence * 100.0, c.method)?;
    if c.margin > 0.0 {
        writeln!(out, "changes within {:.1} % are none", c.margin * 100.0)?;
    }
    for note in &c.notes {
        writeln!(out, "note: {note}")?;
    }
    if c.validity != record::VerdictState::Valid {
        writeln!(out, "note: not every run is valid; the worst is {}", super::state_word(c.validity))?;
    }
    Ok(())
}

fn line(row: &Row, out: &mut String) -> fmt::Result {
    let show = |value: f64| match row.figure {
        figure if figure.contains("_ns") => show_ns(value),
        "failed_share" => format!("{:.2} %", value * 100.0),
        _ => format!("{value:.0}"),
    };
    let percent = |share: f64| format!("{:+.1}%", share * 100.0);
    let interval = row.low.zip(row.high).map(|(low, high)| format!("{} to {}", percent(low), percent(high)));
    write!(
        out,
        "  {:<26}{:>10}{:>11}{:>9}  {:<20}{}",
        row.figure,
        show(row.base),
        show(row.head),
        percent(row.change),
        interval.unwrap_or_default(),
        row.word.name()
    )?;
    match row.detectable.filter(|_| row.word == crate::compare::Word::NoDifferenceShown) {
        Some(size) => writeln!(out, " (from {:.1} % on it would have been)", size * 100.0),
        None => writeln!(out),
    }
}
