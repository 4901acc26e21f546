//! What came of the self-test, for people. Not here: testing.

use super::outcome::{Outcome, Truth};
use crate::units::show_ns;
use record::Exit;
use std::fmt::{self, Write as _};

/// The table, ending with a newline.
pub(crate) fn render(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(outcome, &mut text);
    text
}

fn write(o: &Outcome, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "an exchange takes {} beside its service on average; the grain is {}\n",
        show_ns(o.overhead_ns),
        show_ns(o.grain_ns as f64)
    )?;
    writeln!(out, "  {:<26}{:>11}{:>11}{:>11}", "", "expected", "got", "allowed")?;
    for truth in &o.truths {
        row(truth, out)?;
    }
    if !o.noise.is_empty() || !o.repeated.is_empty() {
        writeln!(out)?;
    }
    for why in &o.repeated {
        writeln!(out, "run again: {why}")?;
    }
    for noise in &o.noise {
        writeln!(out, "note: {noise}")?;
    }
    writeln!(
        out,
        "\n{}",
        match o.exit() {
            Exit::Fine => "every truth holds",
            Exit::Found => "a truth was missed",
            _ => "a truth was missed, and the machine is too busy for that to say anything",
        }
    )
}

fn row(truth: &Truth, out: &mut String) -> fmt::Result {
    let show = |value: f64| match truth.unit {
        "ns" => show_ns(value.max(0.0)),
        _ => format!("{value:.0}"),
    };
    writeln!(
        out,
        "  {:<26}{:>11}{:>11}{:>11}  {:<5}{}",
        truth.name,
        show(truth.expected),
        show(truth.got),
        show(truth.allowed),
        if truth.holds { "ok" } else { "MISS" },
        truth.note
    )
}
