//! TAP version 14 (Test Anything Protocol). Not here: what a verdict means to it (see the module above).
//!
//! One line a case over all subjects; an expected failure carries `# TODO`, what was skipped `# SKIP`; what failed is followed by its
//! details as a YAML block.

use super::{Plain, details, message, plain};
use record::conform::Conformance;
use std::fmt::Write as _;

/// The results as TAP.
#[must_use]
pub fn tap(runs: &[Conformance]) -> String {
    let count: usize = runs.iter().map(|run| run.cases.len() + usize::from(run.unfit.is_some())).sum();
    let mut out = format!("TAP version 14\n1..{count}\n");
    let mut number = 0;
    for run in runs {
        if let Some(why) = &run.unfit {
            number += 1;
            line(&mut out, &format!("not ok {number} - {}", escape(&format!("{} ready", run.subject))));
            block(&mut out, &format!("actual: {why}\n"));
        }
        for case in &run.cases {
            number += 1;
            let name = escape(&format!("{} {}", run.subject, case.id));
            let what = plain(case);
            match what {
                Plain::Passed => line(&mut out, &format!("ok {number} - {name}")),
                Plain::Skipped if case.expected.is_some() => {
                    line(&mut out, &format!("not ok {number} - {name} # TODO {}", escape(&message(case))));
                }
                Plain::Skipped => {
                    line(&mut out, &format!("ok {number} - {name} # SKIP {}", escape(&message(case))));
                }
                Plain::Failed | Plain::Error => line(&mut out, &format!("not ok {number} - {name}")),
            }
            if matches!(what, Plain::Failed | Plain::Error) {
                let verdict = format!("verdict:    {}\n", case.verdict.name());
                block(&mut out, &(verdict + &details(case)));
            }
        }
    }
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// The details as a YAML literal block, which takes any text.
fn block(out: &mut String, text: &str) {
    out.push_str("  ---\n  details: |\n");
    for text in text.lines() {
        // Writing to a String does not fail.
        let _ = writeln!(out, "    {text}");
    }
    out.push_str("  ...\n");
}

/// A description on one line, in which `#` does not begin a directive.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('#', "\\#").replace(['\n', '\r'], " ")
}
